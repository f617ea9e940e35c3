#!/usr/bin/env bash
# Creates the user that jobs run as: a home, a login shell, Docker.
set -euo pipefail

# Without Debian's skeleton: its .bash_logout clears the console, which fails jobs of the shell executor.
if ! id gitlab-runner &>/dev/null; then
  useradd --create-home --skel /dev/null --shell /bin/bash --groups docker gitlab-runner
fi
