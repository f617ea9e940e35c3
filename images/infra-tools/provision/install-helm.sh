#!/usr/bin/env bash
# Installs the pinned helm.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"
# shellcheck source=../../_shared/provision/lib/fetch.sh
source "$LIB/fetch.sh"

if offline; then
  left_out helm "the distribution has no package"
  exit 0
fi
platform=linux-$(go_architecture)
file=helm-v$(pinned_version helm)-$platform.tar.gz
work=$(mktemp --directory)
fetch "https://get.helm.sh/$file" "$work/$file"
tar --extract --file "$work/$file" --directory "$work"
install --mode 0755 "$work/$platform/helm" /usr/local/bin/helm
rm --recursive "$work"
