#!/usr/bin/env bash
# Installs JDK 17 and 21, each at /opt/jdk-<version>: the distribution's, else Temurin's.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"
# shellcheck source=../../_shared/provision/lib/fetch.sh
source "$LIB/fetch.sh"

install_temurin() {
  local major=$1 full machine file release work
  full=$(pinned_version "jdk-$major")
  machine=${ARCHITECTURE/x86_64/x64}
  file=OpenJDK${major}U-jdk_${machine/arm64/aarch64}_linux_hotspot_${full/+/_}.tar.gz
  release=https://github.com/adoptium/temurin$major-binaries/releases/download/jdk-${full/+/%2B}
  work=$(mktemp --directory)
  fetch "$release/$file" "$work/$file"
  install --directory "/opt/jdk-$major"
  tar --extract --file "$work/$file" --directory "/opt/jdk-$major" --strip-components 1 --no-same-owner
  rm --recursive "$work"
}

install_jdk() {
  local major=$1
  if has_package "openjdk-$major-jdk-headless"; then
    install_packages "openjdk-$major-jdk-headless"
    ln --symbolic --force --no-dereference \
      "/usr/lib/jvm/java-$major-openjdk-$(go_architecture)" "/opt/jdk-$major"
  elif offline; then
    left_out "jdk-$major" "the distribution has no package"
  else
    install_temurin "$major"
  fi
}

install_jdk 17
install_jdk 21
