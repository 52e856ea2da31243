#!/bin/sh
# Install the programs that the benchmark compares with, where apt and the rights for it exist.
set -eu

missing=""
for pair in mydumper:mydumper mariadb-dump:mariadb-client mariadbd:mariadb-server zstd:zstd gzip:gzip; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "install these first:$missing" >&2
    exit 1
fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    as_root="sudo -n"
fi
$as_root apt-get update -qq
# shellcheck disable=SC2086  # both are lists of words
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing
