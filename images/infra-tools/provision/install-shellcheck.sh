#!/usr/bin/env bash
# Installs the distribution's shellcheck.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"

install_packages shellcheck
