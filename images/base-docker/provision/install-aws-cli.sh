#!/usr/bin/env bash
# Installs the AWS CLI: what pull-images.sh and boot hooks read Secrets Manager with.
#
# It costs about 30 MB more than python3-botocore, its largest part, and needs no program of our own
# around it; Amazon Linux has it anyway.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"
# shellcheck source=../../_shared/provision/lib/fetch.sh
source "$LIB/fetch.sh"

install_upstream() {
  local version machine file work
  version=$(pinned_version awscli)
  machine=${ARCHITECTURE/arm64/aarch64}
  file=awscli-exe-linux-$machine-$version.zip
  work=$(mktemp --directory)
  fetch "https://awscli.amazonaws.com/$file" "$work/$file"
  unzip -q "$work/$file" -d "$work"
  "$work/aws/install" --update
  rm --recursive "$work"
}

if command -v aws >/dev/null; then
  exit 0
elif has_package awscli; then
  install_packages awscli
elif offline; then
  left_out awscli "the distribution has no package"
else
  install_upstream
fi
