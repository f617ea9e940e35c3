#!/usr/bin/env bash
# Makes the package manager fast and quiet for the build, and brings the system up to date.
set -euo pipefail
# shellcheck source=lib/system.sh
source "$LIB/system.sh"

wait_for_first_boot() {
  if command -v cloud-init >/dev/null; then
    # 2 is "done, with recoverable errors".
    cloud-init status --wait >/dev/null || [[ $? == 2 ]]
  fi
}

# clean-up.sh takes these away again.
configure_apt_for_build() {
  cat >/etc/apt/apt.conf.d/99-amifactory-build <<'APT'
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "5";
DPkg::Lock::Timeout "300";
Dpkg::Use-Pty "false";
APT
  # The AMI is made from a stopped instance: no need to wait for the disk after each file.
  printf 'force-unsafe-io\nforce-confold\n' >/etc/dpkg/dpkg.cfg.d/99-amifactory-build
  # Services are started by the instances, not by the build.
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 0755 /usr/sbin/policy-rc.d
}

# Out of date beats half up to date: a package list that cannot be read fails the build.
update_system() {
  if uses_apt; then
    quietly apt-get update --error-on=any
    quietly apt-get dist-upgrade --yes
  else
    quietly dnf upgrade --assumeyes --refresh --setopt='*.skip_if_unavailable=False'
  fi
}

main() {
  wait_for_first_boot
  if uses_apt; then
    configure_apt_for_build
  fi
  update_system
}

main
