#!/usr/bin/env bash
# Installs kubectl: the pinned version, or offline the distribution's, where it has one.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"
# shellcheck source=../../_shared/provision/lib/fetch.sh
source "$LIB/fetch.sh"

install_upstream() {
  local version release
  version=$(pinned_version kubectl)
  release=https://dl.k8s.io/release/v$version/bin/linux/$(go_architecture)
  fetch "$release/kubectl" /usr/local/bin/kubectl "$release/kubectl.sha256"
  chmod 0755 /usr/local/bin/kubectl
}

if ! offline; then
  install_upstream
elif has_package kubernetes-client; then
  install_packages kubernetes-client
else
  left_out kubectl "the distribution has no package"
fi
