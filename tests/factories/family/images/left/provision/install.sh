#!/usr/bin/env bash
set -euo pipefail

install -D /dev/null /etc/made-of/left
echo "made of left"
echo "amifactory:left-out:helm: not in Debian"
