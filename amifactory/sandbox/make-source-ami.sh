#!/bin/bash
# Makes a Debian file system with debootstrap and packs it: the disk of the sandbox's source AMI. Runs as root.
# Usage: make-source-ami.sh OUTPUT.tar WORK_FOLDER OVERLAY_FOLDER SUITE ARCHITECTURE KEYRING MIRROR PACKAGE,PACKAGE…
set -euo pipefail

readonly output=$1 work=$2 overlay=$3 suite=$4 architecture=$5 keyring=$6 mirror=$7 packages=$8
readonly root=$work/root

# In the background, so that this script passes on being asked to end and debootstrap unmounts what it mounted.
debootstrap --variant=minbase --arch="$architecture" --keyring="$keyring" --include="$packages" \
  "$suite" "$root" "$mirror" &
trap 'kill $!; wait $!; exit 143' INT TERM
wait $!
trap - INT TERM

cp --recursive --no-preserve=ownership "$overlay/." "$root/"
find "$root/usr/lib/sandbox-init" -type f ! -name '*.sh' -exec chmod 0755 {} +
chmod 0440 "$root"/etc/sudoers.d/50-sandbox
rm -f "$root/etc/apt/sources.list"

# What `systemctl enable` and `systemctl mask` would do; the units need no running system for it.
units=$root/etc/systemd/system
mkdir -p "$units"/{sysinit.target,multi-user.target,ssh.service}.{wants,requires}
ln -sf /etc/systemd/system/sandbox-init.service "$units/sysinit.target.wants/"
ln -sf /etc/systemd/system/sandbox-init.service "$units/ssh.service.requires/"
ln -sf /etc/systemd/system/sandbox-user-data.service "$units/multi-user.target.wants/"
ln -sf /dev/null "$units/console-getty.service"
find "$units" -maxdepth 1 -type d -empty -delete

# An AMI has no identity of its own: systemd and sandbox-init give each instance one.
rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id" "$root/etc/hostname" "$root/etc/resolv.conf"
: >"$root/etc/machine-id"
rm -rf "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* \
  "$root"/var/log/{bootstrap.log,dpkg.log,apt,alternatives.log} \
  "$root"/usr/share/{doc,info,locale,man}/*

tar --create --numeric-owner --xattrs --file="$output" --directory="$root" .
[[ -z ${SUDO_UID:-} ]] || chown "$SUDO_UID:${SUDO_GID:-}" "$output"
rm -rf "$root"
