#!/usr/bin/env bash
# Takes away what belongs to the build instance alone. Runs last: nothing can log in afterwards.
set -euo pipefail
# shellcheck source=lib/system.sh
source "$LIB/system.sh"

forget_build_settings() {
  rm --force /etc/apt/apt.conf.d/99-amifactory-build /etc/dpkg/dpkg.cfg.d/99-amifactory-build /usr/sbin/policy-rc.d
}

drop_package_caches() {
  if uses_apt; then
    apt-get clean
    rm --recursive --force /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old
  else
    dnf clean all --quiet
  fi
}

# An instance gets these anew when it boots.
forget_identity() {
  rm --force /etc/ssh/ssh_host_* /var/lib/systemd/random-seed /etc/docker/key.json /var/lib/docker/engine-id
  rm --recursive --force /var/lib/dhcp/* /var/lib/amazon/ssm/*
  : >/etc/machine-id
  if [[ ! -L /var/lib/dbus/machine-id ]]; then
    rm --force /var/lib/dbus/machine-id
  fi
  if command -v cloud-init >/dev/null; then
    cloud-init clean --logs
  fi
}

forget_people() {
  local home
  while IFS=: read -r _ _ _ _ _ home _; do
    if [[ -d $home && $home != / ]]; then
      rm --force "$home"/.ssh/authorized_keys "$home"/.{bash,python,node_repl}_history "$home"/.{wget-hsts,lesshst,sudo_as_admin_successful}
    fi
  done < <(getent passwd)
}

drop_logs() {
  journalctl --quiet --rotate --vacuum-time=1s 2>/dev/null || true
  rm --recursive --force /var/log/journal/* /var/log/apt
  find /var/log -type f \( -name '*.gz' -o -name '*.[0-9]' \) -delete
  find /var/log -type f -exec truncate --size 0 {} +
}

drop_temporary_files() {
  find /tmp /var/tmp -mindepth 1 -maxdepth 1 ! -name 'systemd-private-*' -exec rm --recursive --force {} +
}

forget_build_settings
drop_package_caches
forget_identity
forget_people
drop_logs
drop_temporary_files
sync
