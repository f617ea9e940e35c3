#!/usr/bin/env bash
set -euo pipefail

install -D /dev/null /etc/made-of/slow
echo "made of slow"
sleep 15
