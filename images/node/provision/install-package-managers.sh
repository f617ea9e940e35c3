#!/usr/bin/env bash
# Installs pnpm and yarn through Node's corepack, for gitlab-runner; projects that name a version in
# package.json get that one.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"

if offline; then
  left_out pnpm "corepack downloads it, and the distribution has no package"
  left_out yarn "corepack downloads it"
  exit 0
fi
if [[ -n $TOOL_MIRROR ]]; then
  upstream=$(npm config get registry)
  export COREPACK_NPM_REGISTRY=${TOOL_MIRROR%/}/${upstream#https://}
fi
pnpm=pnpm@$(pinned_version pnpm)
yarn=yarn@$(pinned_version yarn)
for package in "$pnpm" "$yarn"; do
  if [[ $package != *+sha512.* ]]; then
    echo "no checksum for $package: add it to its version in images/$IMAGE/image.hcl, as +sha512.<hex>" >&2
    exit 1
  fi
done
corepack enable
runuser --user gitlab-runner -- env HOME=/home/gitlab-runner corepack install --global "$pnpm" "$yarn"
