#!/usr/bin/env bash
# Installs the gitlab-runner program, not registered and not a service: jobs that run on the instance
# itself (instance, shell executor) call it to move artifacts and caches.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"
# shellcheck source=../../_shared/provision/lib/fetch.sh
source "$LIB/fetch.sh"

if offline; then
  left_out gitlab-runner "the distribution has no package"
  exit 0
fi
version=$(pinned_version gitlab-runner)
platform=linux-$(go_architecture)
file=gitlab-runner-$version-$platform
work=$(mktemp --directory)
fetch "https://gitlab-runner-downloads.s3.amazonaws.com/v$version/binaries/gitlab-runner-$platform" "$work/$file"
install --mode 0755 "$work/$file" /usr/local/bin/gitlab-runner
rm --recursive "$work"
