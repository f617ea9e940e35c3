#!/usr/bin/env bash
# Stops workers from updating themselves: they would take the CPU and the package lock from jobs, and a
# worker lives for hours. New packages come with a new AMI.
set -euo pipefail

for unit in apt-daily.timer apt-daily-upgrade.timer unattended-upgrades.service \
  dnf-makecache.timer dnf-automatic.timer dnf-automatic-{download,install,notifyonly}.timer man-db.timer; do
  if systemctl cat "$unit" &>/dev/null; then
    systemctl mask --now --quiet "$unit"
  fi
done
