#!/usr/bin/env bash
# Puts the instance hooks in place: programs into /usr/local/lib/amifactory, units into systemd, enabled.
# Beside them goes what they are to do: which secrets to fetch, and how to drain. Secrets with
# when = "build" are fetched here and now; their values are in no output.
set -euo pipefail

readonly DESTDIR=${DESTDIR:-} HOOKS=/usr/local/lib/amifactory
readonly UNITS=$DESTDIR/etc/systemd/system SETTINGS=$DESTDIR/etc/amifactory

# Whether the settings have anything for a unit to do.
has_work() {
  case $1 in
    amifactory-secrets.*) [[ " $wanted " == *" boot "* ]] ;;
    amifactory-drain.*) [[ " $wanted " == *" drain "* ]] ;;
  esac
}

install_unit() {
  local name=${1##*/}
  install --mode 0644 "$1" "$UNITS"
  if [[ $name == *.service ]]; then
    echo "$name" >>"$SETTINGS/hooks"
  fi
  if ! has_work "$name"; then
    systemctl disable --quiet "$name"
  elif grep --quiet '^\[Install\]' "$1"; then # else a timer or another unit starts it
    systemctl enable --quiet "$name"
  fi
}

install_hooks() {
  local hook
  install --directory "$DESTDIR$HOOKS" "$DESTDIR/usr/local/bin" "$UNITS"
  : >"$SETTINGS/hooks"
  shopt -s nullglob
  for hook in "$STAGING"/hooks/*; do
    case $hook in
      *.md) ;;
      *.service | *.timer | *.path) install_unit "$hook" ;;
      *) install --mode 0755 "$hook" "$DESTDIR$HOOKS" ;;
    esac
  done
  ln --symbolic --force "$HOOKS/ready.py" "$DESTDIR/usr/local/bin/amifactory-ready"
}

bake_secrets() {
  if ! /usr/bin/python3 "$DESTDIR$HOOKS/fetch_secrets.py" --when build; then
    echo 'install-hooks: a secret with when = "build" could not be put into the image' >&2
    return 1
  fi
}

wanted=$(/usr/bin/python3 "$LIB/write_settings.py" "$SETTINGS")
install_hooks
if [[ " $wanted " == *" build "* ]]; then
  bake_secrets
fi
