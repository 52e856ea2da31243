#!/bin/sh
# Make sure that the tools are here with which tests read backups by hand, decrypt them and look at pages.
set -eu

missing=''
for tool in zstd chromium age openssl; do
  command -v "$tool" >/dev/null 2>&1 && continue
  echo "$tool not found: trying to install it with apt." >&2
  "$(dirname "$0")/apt_install.sh" "$tool" || true
  command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
[ -n "$missing" ] || exit 0
echo "Please install:$missing; the tests need them. On Debian and Ubuntu: sudo apt-get install$missing" >&2
exit 1
