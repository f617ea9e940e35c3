#!/usr/bin/env bash
# Puts the instance hooks in place: executables into /usr/local/lib/amifactory, units into systemd, enabled.
# Beside them it lists the secrets to fetch at boot: the parent's and this image's, one for each path.
set -euo pipefail

readonly HOOKS=/usr/local/lib/amifactory UNITS=/etc/systemd/system LISTED=/etc/amifactory/secrets.json

install --directory "$HOOKS" "${LISTED%/*}"
inherited=$(cat "$LISTED" 2>/dev/null || echo '[]')
jq --slurp 'add | group_by(.path) | map(last)' <<<"$inherited $SECRETS" >"$LISTED"

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
