#!/usr/bin/env bash
# Puts the instance hooks in place: executables into /usr/local/lib/amifactory, units into systemd, enabled.
set -euo pipefail

readonly HOOKS=/usr/local/lib/amifactory UNITS=/etc/systemd/system

install --directory "$HOOKS" /etc/amifactory
printf '%s\n' "$SECRETS" >/etc/amifactory/secrets.json

shopt -s nullglob
for hook in "$STAGING"/hooks/*; do
  case $hook in
    *.md) ;;
    *.service | *.timer | *.path)
      install --mode 0644 "$hook" "$UNITS"
      systemctl enable --quiet "${hook##*/}"
      ;;
    *) install --mode 0755 "$hook" "$HOOKS" ;;
  esac
done
