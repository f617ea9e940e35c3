#!/usr/bin/env bash
# Has the AWS Systems Manager agent started at boot: the source AMI's own, or else upstream's package.
#
# AWS publishes no checksum of the package. Where the source AMI has no agent (Debian), pin both
# tools.amazon-ssm-agent and the checksum of amazon-ssm-agent-<version>-<amd64 or arm64>.deb; without a
# version it is left out.
set -euo pipefail
# shellcheck source=../../_shared/provision/lib/system.sh
source "$LIB/system.sh"
# shellcheck source=../../_shared/provision/lib/fetch.sh
source "$LIB/fetch.sh"

install_upstream() {
  local bucket version architecture file work
  bucket=https://s3.$AWS_DEFAULT_REGION.amazonaws.com/amazon-ssm-$AWS_DEFAULT_REGION
  version=$(pinned_version amazon-ssm-agent)
  architecture=$(go_architecture)
  file=amazon-ssm-agent-$version-$architecture.deb
  work=$(mktemp --directory)
  fetch "$bucket/$version/debian_$architecture/amazon-ssm-agent.deb" "$work/$file"
  dpkg --install "$work/$file" >/dev/null
  rm --recursive "$work"
}

if [[ -d /snap/amazon-ssm-agent ]]; then # Ubuntu's AMIs; snapd starts it
  exit 0
elif systemctl cat amazon-ssm-agent.service &>/dev/null; then # Amazon Linux's
  :
elif offline; then
  left_out amazon-ssm-agent "the distribution has no package"
  exit 0
elif [[ -n ${TOOL_AMAZON_SSM_AGENT:-} ]]; then
  install_upstream
else
  left_out amazon-ssm-agent "the source AMI has none, and tools.amazon-ssm-agent is not pinned"
  exit 0
fi
systemctl enable --quiet amazon-ssm-agent.service
