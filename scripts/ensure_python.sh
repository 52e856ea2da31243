#!/bin/sh
# Make .pythons/VERSION, an environment of another Python than this machine's, with this project in it,
# editable, from the hash-pinned lock.
# Usage: ensure_python.sh VERSION - such as 3.13
#
# The interpreter is that of another Debian release: it is unpacked, not installed, with the libraries
# that it needs, and told to use these instead of the machine's. So nothing of the machine changes, and
# every other program, such as the server of the tests, is the machine's own.
set -eu

cd "$(dirname "$0")/.."
version=$1
home=$PWD/.pythons/$version
debian=$PWD/.pythons/debian-$version
stamp=$home/.installed

fail() {
  echo "Python $version: $*" >&2
  exit 1
}

# Source: https://packages.debian.org/python3 - no release has 3.12.
case $version in
  3.11) release=bookworm ;;
  3.13) release=trixie ;;
  3.14) release=forky ;;
  *) fail "no Debian release has it; there are 3.11, 3.13 and 3.14." ;;
esac

mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    grep -m 1 '/debian/*$' || fail "this machine's apt knows no mirror of Debian."
}

unpack_python() {
  for program in mmdebstrap patchelf; do
    command -v "$program" >/dev/null 2>&1 || scripts/apt_install.sh mmdebstrap patchelf || true
    command -v "$program" >/dev/null 2>&1 ||
      fail "please install mmdebstrap and patchelf; on Debian: sudo apt-get install mmdebstrap patchelf"
  done
  rm -rf "$debian" "$home"
  mkdir -p .pythons
  # A mirror may be older than a release under way says it is valid; its signature is checked all the same.
  mmdebstrap --quiet --variant=extract --include=python3,python3-venv,libpython3-dev \
    --aptopt='Acquire::Check-Valid-Until "false"' "$release" "$debian.partial" "$(mirror)" ||
    fail "it could not be unpacked from Debian's $release."
  loader=$(find "$debian.partial/usr" -name 'ld-linux-*.so.*' -path '*/lib/*/*' | head -n 1)
  [ -n "$loader" ] || fail "Debian's $release has no loader of programs where it should be."
  libraries=$(dirname "$loader")
  patchelf --set-interpreter "$debian${loader#"$debian.partial"}" \
    --force-rpath --set-rpath "$debian${libraries#"$debian.partial"}" \
    "$debian.partial/usr/bin/python$version"
  mv "$debian.partial" "$debian"
}

if [ -e "$stamp" ] && [ -z "$(find requirements-dev.lock pyproject.toml scripts/ensure_python.sh hatch_build.py app/engine/native/row_text.h app/engine/native/_row_text.pyx -newer "$stamp")" ]; then
  exit 0
fi
rm -rf "$debian.partial"
[ -e "$debian/usr/include/python$version/Python.h" ] || unpack_python
# Debian's pip is a wheel, which runs as it is; its ensurepip would look for it on this machine.
"$debian/usr/bin/python$version" -m venv --clear --without-pip "$home"
pip=$(find "$debian/usr/share/python-wheels" -name 'pip-*.whl')
install() {
  PYTHONPATH=$pip "$home/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}
install --require-hashes -r requirements-dev.lock
# Python's headers name one by the kind of machine; all others are the compiler's own.
for folder in "$debian"/usr/include/*/"python$version"; do
  kind=$(basename "$(dirname "$folder")")
  mkdir -p "$home/headers/$kind"
  ln -sfn "$folder" "$home/headers/$kind/python$version"
done
CPATH=$home/headers install --no-deps --no-build-isolation -e .
touch "$stamp"
