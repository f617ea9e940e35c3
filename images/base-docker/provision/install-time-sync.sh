#!/usr/bin/env bash
# Installs chrony; rootfs/ points it to the Amazon Time Sync Service.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"

install_packages chrony
if uses_apt; then
  systemctl enable --quiet chrony
else
  systemctl enable --quiet chronyd # Amazon Linux ships the same time source
fi
