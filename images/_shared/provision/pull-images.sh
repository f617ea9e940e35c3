#!/usr/bin/env bash
# Pulls each container image of PREPULL by its digest and gives it the name it was asked for by.
#
# Credentials of private registries come from Secrets Manager, read with the instance's own role. They
# stay in memory and in a tmpfs, and are gone when this script ends.
set -euo pipefail
# shellcheck source=lib/system.sh
source "$LIB/system.sh"

DOCKER_CONFIG=$(mktemp --directory --tmpdir="${RUNTIME_DIRECTORY:-/run}" amifactory-docker.XXXXXX)
export DOCKER_CONFIG
trap 'rm --recursive --force "$DOCKER_CONFIG"' EXIT

# Prints the host of a reference, by Docker's rule: the first part, if it looks like a host.
registry_of() {
  local first=${1%%/*}
  if [[ $first != "$1" && ($first == *.* || $first == *:* || $first == localhost) ]]; then
    echo "$first"
  else
    echo docker.io
  fi
}

# Prints a reference without tag and digest.
repository_of() {
  local name=${1%%@*}
  local last=${name##*/}
  echo "${name%"$last"}${last%%:*}"
}

read_secret() {
  local endpoint=()
  # For AWS CLIs before 2.13, which do not read the variable themselves.
  [[ -z ${AWS_ENDPOINT_URL:-} ]] || endpoint=(--endpoint-url "$AWS_ENDPOINT_URL")
  aws "${endpoint[@]}" secretsmanager get-secret-value --secret-id "$1" --query SecretString --output text
}

log_in() {
  local host=$1 secret username
  if ! secret=$(read_secret "$2"); then
    echo "pull-images: cannot read the secret \"$2\" with the credentials of $host" >&2
    return 1
  fi
  username=$(printf '%s' "$secret" | jq --exit-status --raw-output .username)
  printf '%s' "$secret" | jq --exit-status --join-output .password |
    docker login --username "$username" --password-stdin "$host" >/dev/null
}

log_in_where_needed() {
  local host pair
  for host in $(for pair in $PREPULL; do registry_of "${pair%%=*}"; done | sort --unique); do
    local secret
    secret=$(lookup "$host" "$REGISTRY_SECRETS")
    if [[ -n $secret ]]; then
      log_in "$host" "$secret"
    fi
  done
}

pull() {
  local reference=$1 digest=$2 pinned attempt
  pinned=$(repository_of "$reference")@$digest
  for attempt in 1 2 3; do
    if docker pull --quiet "$pinned" >/dev/null; then
      break
    fi
    if [[ $attempt == 3 ]]; then
      echo "pull-images: cannot pull $reference, $digest" >&2
      return 1
    fi
    sleep $((attempt * 5))
  done
  if [[ $reference != *@* ]]; then
    docker tag "$pinned" "$reference"
  fi
  echo "pulled $reference ($digest)"
}

main() {
  local pair
  [[ -n $PREPULL ]] || return 0
  systemctl start docker
  if [[ -e /root/.docker/config.json ]]; then
    cp /root/.docker/config.json "$DOCKER_CONFIG/" # the ECR credential helper
  fi
  log_in_where_needed
  for pair in $PREPULL; do
    pull "${pair%%=*}" "${pair#*=}"
  done
}

main
