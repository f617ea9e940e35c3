#!/usr/bin/env bash
# Installs the distribution's Docker Engine; rootfs/ has its daemon.json, this adds the registry mirror.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"

readonly DAEMON=/etc/docker/daemon.json

if [[ -n $REGISTRY_MIRROR ]]; then
  daemon=$(jq --arg mirror "$REGISTRY_MIRROR" '."registry-mirrors" = [$mirror]' "$DAEMON")
  printf '%s\n' "$daemon" >"$DAEMON"
fi

if uses_apt; then
  install_packages docker.io
else
  install_packages docker
fi
systemctl enable --quiet docker
