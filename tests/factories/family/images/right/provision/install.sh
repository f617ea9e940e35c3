#!/usr/bin/env bash
set -euo pipefail

install -D /dev/null /etc/made-of/right
echo "made of right"
