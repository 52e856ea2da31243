#!/bin/sh
# Make sure that the ordinary tools are here with which tests read backups by hand.
set -eu

command -v zstd >/dev/null 2>&1 && exit 0
echo "zstd not found: trying to install it with apt." >&2
"$(dirname "$0")/apt_install.sh" zstd || true
command -v zstd >/dev/null 2>&1 && exit 0
echo "Please install zstd; the tests read backups with it. On Debian and Ubuntu: sudo apt-get install zstd" >&2
exit 1
