#!/usr/bin/env bash
set -euo pipefail

install -D /dev/null /etc/made-of/slow
echo "made of slow"
sleep 15

# What children clean up with: one script, which takes no upload.
cp --recursive "$STAGING/shared/provision" /usr/local/lib/provision
printf '#!/bin/sh\nLIB=/usr/local/lib/provision/lib exec bash /usr/local/lib/provision/clean-up.sh\n' >/usr/local/sbin/clean-up
chmod +x /usr/local/sbin/clean-up
