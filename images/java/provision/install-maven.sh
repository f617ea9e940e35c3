#!/usr/bin/env bash
# Installs Maven: the pinned version, or offline the distribution's.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"
# shellcheck source=../../_shared/provision/lib/fetch.sh
source "$LIB/fetch.sh"

install_upstream() {
  local version release file work
  version=$(pinned_version maven)
  file=apache-maven-$version-bin.tar.gz
  release=https://archive.apache.org/dist/maven/maven-3/$version/binaries
  work=$(mktemp --directory)
  fetch "$release/$file" "$work/$file"
  tar --extract --file "$work/$file" --directory /opt --no-same-owner
  ln --symbolic --force "/opt/apache-maven-$version/bin/mvn" /usr/local/bin/mvn
  rm --recursive "$work"
}

if offline; then
  install_packages maven
else
  install_upstream
fi
