#!/usr/bin/env bash
# Installs Amazon's ECR credential helper, and tells Docker of root and gitlab-runner to use it for ECR.
#
# By registry (credHelpers), not for everything (credsStore): the helper cannot store, so that with
# credsStore a job's `docker login` to any other registry fails.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"

readonly IMDS=http://169.254.169.254/latest

# Prints the registry of the account and region this image is built in; nothing where there is no metadata.
own_registry() {
  local token identity
  token=$(curl --silent --fail --max-time 5 --request PUT "$IMDS/api/token" \
    --header 'X-aws-ec2-metadata-token-ttl-seconds: 60') || return 0
  identity=$(curl --silent --fail --max-time 5 "$IMDS/dynamic/instance-identity/document" \
    --header "X-aws-ec2-metadata-token: $token") || return 0
  jq --raw-output '
    "\(.accountId).dkr.ecr.\(.region).amazonaws.com\(if .region | startswith("cn-") then ".cn" else "" end)"
  ' <<<"$identity"
}

# Prints the ECR registries among what is pulled into the image.
pulled_registries() {
  local pair host
  for pair in $PREPULL; do
    host=${pair%%/*}
    if [[ $host == *.dkr.ecr.*.amazonaws.com* ]]; then
      echo "$host"
    fi
  done
}

write_config() {
  local home=$1 owner=$2 config
  config=$({ own_registry && pulled_registries; } | sort --unique |
    jq --raw-input --null-input '{credHelpers: [inputs | {key: ., value: "ecr-login"}] | from_entries}')
  install --directory --owner "$owner" --group "$owner" --mode 0700 "$home/.docker"
  install --owner "$owner" --group "$owner" --mode 0600 /dev/null "$home/.docker/config.json"
  printf '%s\n' "$config" >"$home/.docker/config.json"
}

install_packages amazon-ecr-credential-helper
write_config /root root
write_config /home/gitlab-runner gitlab-runner
