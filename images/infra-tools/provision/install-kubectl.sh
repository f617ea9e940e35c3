#!/usr/bin/env bash
# Installs kubectl: the pinned version, or offline the distribution's, where it has one.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"
# shellcheck source=../../_shared/provision/lib/fetch.sh
source "$LIB/fetch.sh"

install_upstream() {
  local version architecture file work
  version=$(pinned_version kubectl)
  architecture=$(go_architecture)
  file=kubectl-$version-linux-$architecture
  work=$(mktemp --directory)
  fetch "https://dl.k8s.io/release/v$version/bin/linux/$architecture/kubectl" "$work/$file"
  install --mode 0755 "$work/$file" /usr/local/bin/kubectl
  rm --recursive "$work"
}

if ! offline; then
  install_upstream
elif has_package kubernetes-client; then
  install_packages kubernetes-client
else
  left_out kubectl "the distribution has no package"
fi
