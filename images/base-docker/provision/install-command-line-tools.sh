#!/usr/bin/env bash
# Installs what jobs and hooks take for granted: git, jq, curl, unzip, xz.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"

if uses_apt; then
  install_packages ca-certificates curl git jq unzip xz-utils
else
  # curl is there as curl-minimal, which the full package conflicts with.
  install_packages ca-certificates git jq unzip xz
fi
