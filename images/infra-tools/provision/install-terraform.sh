#!/usr/bin/env bash
# Installs the pinned terraform.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"
# shellcheck source=../../_shared/provision/lib/fetch.sh
source "$LIB/fetch.sh"

if offline; then
  left_out terraform "the distribution has no package"
  exit 0
fi
version=$(pinned_version terraform)
file=terraform_${version}_linux_$(go_architecture).zip
work=$(mktemp --directory)
fetch "https://releases.hashicorp.com/terraform/$version/$file" "$work/$file"
unzip -q "$work/$file" terraform -d "$work"
install --mode 0755 "$work/terraform" /usr/local/bin/terraform
rm --recursive "$work"
