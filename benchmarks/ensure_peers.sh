#!/bin/sh
# Install the programs that the benchmark compares with, where apt and the rights for it exist.
# No service is started.
set -eu

missing=""
for pair in mydumper:mydumper mariadb-dump:mariadb-client mariadb-backup:mariadb-backup \
    mariadbd:mariadb-server zstd:zstd gzip:gzip; do
    # Servers stand where ordinary users do not look for programs.
    PATH="$PATH:/usr/sbin" command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
[ -z "$missing" ] && exit 0

# shellcheck disable=SC2086  # a list of words
if ! "$(dirname "$0")/../scripts/apt_install.sh" $missing; then
    echo "install these first:$missing" >&2
    exit 1
fi
