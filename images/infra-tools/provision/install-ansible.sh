#!/usr/bin/env bash
# Installs the distribution's ansible-core: the ansible commands without the 300 MB of collections, of
# which a project installs those it names in requirements.yml.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"

install_packages ansible-core
