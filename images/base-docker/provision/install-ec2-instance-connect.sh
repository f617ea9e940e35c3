#!/usr/bin/env bash
# Installs EC2 Instance Connect, through which a runner manager gets in with a key of one minute.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"

if has_package ec2-instance-connect; then
  install_packages ec2-instance-connect
else
  # Upstream publishes neither a package nor a checksum. Fleeting then needs a key of its own
  # (use_static_credentials), or another source AMI.
  left_out ec2-instance-connect "the distribution has no package"
fi
