#!/usr/bin/env bash
# Lays the image's rootfs/ over /.
set -euo pipefail

cp --recursive --no-preserve=ownership "$STAGING/rootfs/." /
systemctl daemon-reload
