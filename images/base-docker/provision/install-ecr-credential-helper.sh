#!/usr/bin/env bash
# Installs Amazon's ECR credential helper, and tells Docker of root and gitlab-runner to use it for ECR.
#
# By registry (credHelpers), not for everything (credsStore): the helper cannot store, so that with
# credsStore a job's `docker login` to any other registry fails.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"

readonly IMDS=http://169.254.169.254/latest

ask_metadata() {
  curl --silent --show-error --fail --max-time 5 --retry 5 --retry-connrefused "$@"
}

# Prints the registry of the account and region this image is built in, or fails.
own_registry() {
  local token identity
  token=$(ask_metadata --request PUT "$IMDS/api/token" \
    --header 'X-aws-ec2-metadata-token-ttl-seconds: 60') || return
  identity=$(ask_metadata "$IMDS/dynamic/instance-identity/document" \
    --header "X-aws-ec2-metadata-token: $token") || return
  jq --exit-status --raw-output '
    select(.accountId and .region) |
    "\(.accountId).dkr.ecr.\(.region).amazonaws.com\(if .region | startswith("cn-") then ".cn" else "" end)"
  ' <<<"$identity"
}

# Prints the ECR registries to log in to: the own one, and those of what is pulled into the image.
registries() {
  local pair host
  echo "$own"
  for pair in $PREPULL; do
    host=${pair%%/*}
    if [[ $host == *.dkr.ecr.*.amazonaws.com* ]]; then
      echo "$host"
    fi
  done
}

write_config() {
  local home=$1 owner=$2 config
  config=$(registries | sort --unique |
    jq --raw-input --null-input '{credHelpers: [inputs | {key: ., value: "ecr-login"}] | from_entries}')
  install --directory --owner "$owner" --group "$owner" --mode 0700 "$home/.docker"
  install --owner "$owner" --group "$owner" --mode 0600 /dev/null "$home/.docker/config.json"
  printf '%s\n' "$config" >"$home/.docker/config.json"
}

if ! own=$(own_registry); then
  echo "the instance metadata service does not say which account and region this is: $IMDS" >&2
  exit 1
fi
readonly own
install_packages amazon-ecr-credential-helper
write_config /root root
write_config /home/gitlab-runner gitlab-runner
