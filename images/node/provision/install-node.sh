#!/usr/bin/env bash
# Installs Node.js and npm: the pinned LTS, or offline the distribution's.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"
# shellcheck source=../../_shared/provision/lib/fetch.sh
source "$LIB/fetch.sh"

install_upstream() {
  local version release file work
  version=$(pinned_version node)
  release=https://nodejs.org/dist/v$version
  file=node-v$version-linux-${ARCHITECTURE/x86_64/x64}.tar.xz
  work=$(mktemp --directory)
  fetch "$release/$file" "$work/$file" "$release/SHASUMS256.txt"
  tar --extract --file "$work/$file" --directory /usr/local --strip-components 1 --no-same-owner \
    --exclude '*.md' --exclude LICENSE
  rm --recursive "$work"
}

if offline; then
  install_packages nodejs npm
else
  install_upstream
fi
