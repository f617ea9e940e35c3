#!/usr/bin/env bash
# Installs the pinned Gradle.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"
# shellcheck source=../../_shared/provision/lib/fetch.sh
source "$LIB/fetch.sh"

if offline; then
  left_out gradle "the distribution's is 4.4, which does not run on JDK 17"
  exit 0
fi
version=$(pinned_version gradle)
file=gradle-$version-bin.zip
work=$(mktemp --directory)
fetch "https://services.gradle.org/distributions/$file" "$work/$file"
unzip -q -o "$work/$file" -d /opt
ln --symbolic --force "/opt/gradle-$version/bin/gradle" /usr/local/bin/gradle
rm --recursive "$work"
