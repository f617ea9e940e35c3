# Functions that ask the instance metadata service, version 2; sourced by the scripts beside it.
# shellcheck shell=bash

readonly IMDS=http://169.254.169.254/latest
TOKEN=

# Gets a session token, waiting up to a minute for the service to know this instance.
imds_connect() {
  local attempt
  for ((attempt = 0; attempt < 300; attempt++)); do
    if TOKEN=$(curl --silent --fail --max-time 2 --request PUT \
      --header 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$IMDS/api/token"); then
      return 0
    fi
    sleep 0.2
  done
  echo "sandbox-init: no instance metadata at $IMDS" >&2
  return 1
}

# Prints what is at a path below /latest; fails when nothing is.
imds() {
  curl --silent --fail --max-time 5 --retry 3 --header "X-aws-ec2-metadata-token: $TOKEN" "$IMDS/$1"
}
