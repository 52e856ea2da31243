#!/bin/sh
# Make or refresh .venv from the hash-pinned lock, with this project in it, editable.
# Usage: make_venv.sh STAMP - the file that is touched once everything is in place.
set -eu

cd "$(dirname "$0")/.."
stamp=$1

# Candidates are run, not only looked up: version managers leave names on the path that fail. Of one
# version that of the distribution comes first: it is what servers have, and was built with a profile,
# which those of version managers mostly are not, so that it takes less time.
# Sets `python` to the first one that is new enough and can make environments; else `lacking` to
# the version of the first one that is new enough but lacks ensurepip.
find_python() {
  python='' lacking=''
  for name in /usr/bin/python3.11 python3.11 /usr/bin/python3.12 python3.12 \
    /usr/bin/python3.13 python3.13 /usr/bin/python3.14 python3.14 python3; do
    version=$("$name" -c 'import sys; print("%d.%d" % sys.version_info[:2]) if sys.version_info >= (3, 11) else sys.exit(1)' 2>/dev/null) || continue
    if "$name" -c 'import ensurepip, venv' 2>/dev/null; then
      python=$name
      return
    fi
    lacking=${lacking:-$version}
  done
}

require_python() {
  find_python
  [ -z "$python" ] || return 0
  if [ -z "$lacking" ]; then
    found=$(python3 --version 2>/dev/null || echo absent)
    echo "Backstay needs Python 3.11 or newer: please install it (python3 is $found)." >&2
    exit 1
  fi
  scripts/apt_install.sh "python$lacking-venv" || true
  find_python
  if [ -z "$python" ]; then
    echo "Python $lacking lacks its venv module: please install it; on Debian and Ubuntu: sudo apt-get install python$lacking-venv" >&2
    exit 1
  fi
}

# The compiled module needs a compiler and the headers of this Python; without it, all works more slowly.
ensure_compiler() {
  headers=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("include"))')
  version=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  command -v c++ >/dev/null 2>&1 || scripts/apt_install.sh g++ || true
  [ -e "$headers/Python.h" ] || scripts/apt_install.sh "libpython$version-dev" || true
  if ! command -v c++ >/dev/null 2>&1 || [ ! -e "$headers/Python.h" ]; then
    echo "No C++ compiler or no headers of Python $version: backups will take longer. On Debian and Ubuntu: sudo apt-get install g++ libpython$version-dev" >&2
  fi
}

# What the installed project is made of, besides the source that it is read from.
sources="requirements-dev.lock pyproject.toml scripts/make_venv.sh hatch_build.py app/engine/native/row_text.h app/engine/native/_row_text.pyx"

# Two `make` at once must not write into one environment.
if command -v flock >/dev/null 2>&1; then
  exec 9<pyproject.toml
  flock 9
  # Someone else may have done the work while we waited.
  # shellcheck disable=SC2086 # a list
  if [ -e "$stamp" ] && [ -z "$(find $sources -newer "$stamp")" ]; then
    exit 0
  fi
fi

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  require_python
  "$python" -m venv --clear .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
ensure_compiler
# The build backend is in the lock, so nothing unpinned is fetched to build ourselves.
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
touch "$stamp"
