#!/bin/sh
# Make sure that the MariaDB programs which demo, tests and benchmarks start privately are here.
set -eu

# Debian keeps servers in /usr/sbin, which is not on the search path of ordinary users.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/mysql/bin:/usr/local/mysql/scripts"
export PATH

missing() {
  for program in mariadbd mariadb-install-db mariadb mariadb-dump; do
    command -v "$program" >/dev/null 2>&1 || { echo "$program"; return 0; }
  done
}

[ -n "$(missing)" ] || exit 0
echo "MariaDB server not found: trying to install it with apt." >&2
"$(dirname "$0")/apt_install.sh" mariadb-server mariadb-client || true
[ -n "$(missing)" ] || exit 0
echo "Please install MariaDB 10.6 or newer, server and client ($(missing) is missing); on Debian and Ubuntu: sudo apt-get install mariadb-server mariadb-client" >&2
exit 1
