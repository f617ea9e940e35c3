#!/usr/bin/env bash
set -euo pipefail

install -D /dev/null /etc/made-of/leaf
echo "made of leaf"
