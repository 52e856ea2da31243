#!/bin/sh
# Install Debian or Ubuntu packages without starting the services they bring.
# Usage: apt_install.sh PACKAGE...
# Exits 1, silently, where that is not possible: no apt, or neither root nor password-free sudo.
set -eu

command -v apt-get >/dev/null 2>&1 || exit 1
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null || exit 1
  exec sudo -n "$0" "$@"
fi

# Debian's package scripts ask this file before they start a service; 101 means "not allowed".
# A private server is started by the program itself, and port 3306 stays as we found it.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
# Fresh machines often run their own apt in the first minutes: wait for its lock. The package lists
# are updated on a best-effort basis: one dead third-party source must not stop the installation.
apt-get -qq -o DPkg::Lock::Timeout=300 update >&2 || true
apt-get -qq -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "$@" >&2
