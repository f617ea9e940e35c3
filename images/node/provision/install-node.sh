#!/usr/bin/env bash
# Installs Node.js and npm: the pinned LTS, or offline the distribution's.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"
# shellcheck source=../../_shared/provision/lib/fetch.sh
source "$LIB/fetch.sh"

install_upstream() {
  local version file work
  version=$(pinned_version node)
  file=node-v$version-linux-${ARCHITECTURE/x86_64/x64}.tar.xz
  work=$(mktemp --directory)
  fetch "https://nodejs.org/dist/v$version/$file" "$work/$file"
  tar --extract --file "$work/$file" --directory /usr/local --strip-components 1 --no-same-owner \
    --exclude '*.md' --exclude LICENSE
  rm --recursive "$work"
}

if offline; then
  install_packages nodejs npm
else
  install_upstream
fi
