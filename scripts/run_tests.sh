#!/bin/sh
# Run a command of tests with its temporary files in memory, where there is room for them, and keep bytecode.
# Usage: run_tests.sh COMMAND...
#
# The tests start and kill hundreds of servers; on a disk they wait for it half of their time.
set -eu

room=/dev/shm
wanted_kb=$((4 * 1024 * 1024)) # a run was seen to use a fourth of that at once

has_room() {
  [ -z "${TMPDIR:-}" ] || return 1 # somebody has chosen
  [ "$(stat -f -c %T "$room" 2>/dev/null)" = tmpfs ] && [ -w "$room" ] || return 1
  free_kb=$(df -k --output=avail "$room" | tail -n 1)
  memory_kb=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
  [ "$free_kb" -ge "$wanted_kb" ] && [ "${memory_kb:-0}" -ge "$wanted_kb" ]
}

# Else every worker of every run makes its tests anew from their source: half of what collecting them takes.
export PYTHONDONTWRITEBYTECODE=
has_room || exec "$@"
# What runs left that were killed a day ago.
find "$room" -maxdepth 1 -name 'backstay.*' -user "$(id -u)" -mmin +1440 -exec rm -rf {} + || true
directory=$(mktemp -d "$room/backstay.XXXXXX")
trap 'rm -rf "$directory"' EXIT
trap 'exit 130' INT TERM HUP
export TMPDIR="$directory"
"$@"
