#!/bin/sh
# Make sure that the tools are here with which tests read backups by hand, decrypt them and look at pages, and
# the servers of stores that they keep objects in.
set -eu

missing=''
# The browser without windows takes half of the time; not every release has it, then the whole one does.
browser=chromium-headless-shell
command -v "$browser" >/dev/null 2>&1 || "$(dirname "$0")/apt_install.sh" "$browser" 2>/dev/null || browser=chromium
for tool in zstd "$browser" age openssl; do
  command -v "$tool" >/dev/null 2>&1 && continue
  echo "$tool not found: trying to install it with apt." >&2
  "$(dirname "$0")/apt_install.sh" "$tool" || true
  command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
if [ -z "$missing" ]; then
  exec "$(dirname "$0")/ensure_store_servers.sh"
fi
echo "Please install:$missing; the tests need them. On Debian and Ubuntu: sudo apt-get install$missing" >&2
exit 1
