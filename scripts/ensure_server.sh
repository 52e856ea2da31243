#!/bin/sh
# Make .servers/NAME, the server programs of another Debian release, for the tests.
# Usage: ensure_server.sh NAME - mariadb-11.8 or mysql-9.7; prints the version that was found
#
# The release is unpacked, not installed: nothing of the machine changes. Wrappers in .servers/NAME/bin
# have the programs' usual names and run them with the loader and libraries of their own release, so
# whoever puts that folder first on the search path meets this server and no other.
set -eu

cd "$(dirname "$0")/.."
name=$1
home=$PWD/.servers/$name
root=$home/root

fail() {
  echo "$name: $*" >&2
  exit 1
}

case $name in
  mariadb-11.8) release=trixie packages=mariadb-server,mariadb-client wanted='11\.8\.' ;;
  mysql-9.7) release=sid packages=mysql-server-core,mysql-client-core wanted='9\.7\.' ;;
  *) fail 'there are mariadb-11.8 and mysql-9.7.' ;;
esac

mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    grep -m 1 '/debian/*$' || fail "this machine's apt knows no mirror of Debian."
}

unpack() {
  command -v mmdebstrap >/dev/null 2>&1 || scripts/apt_install.sh mmdebstrap || true
  command -v mmdebstrap >/dev/null 2>&1 ||
    fail 'please install mmdebstrap; on Debian: sudo apt-get install mmdebstrap'
  rm -rf "$root" "$root.partial"
  # A mirror may be older than a release under way says it is valid; its signature is checked all the same.
  mmdebstrap --quiet --variant=extract --include="$packages" \
    --aptopt='Acquire::Check-Valid-Until "false"' "$release" "$root.partial" "$(mirror)" ||
    fail "it could not be unpacked from Debian's $release; that needs its mirror."
  rm -rf "$root.partial/var/cache/apt" "$root.partial/var/lib/apt" "$root.partial/usr/share/doc"
  mv "$root.partial" "$root"
}

# wrap NAME PROGRAM [ARGUMENT...]: run a program of the release. Arguments of ours, which the server needs
# to find its files, stand before the caller's, so those win; then it reads no file of options.
wrap() {
  wrapper=$home/bin/$1 program=$2
  shift 2
  {
    echo '#!/bin/sh'
    [ $# -eq 0 ] || echo '[ "$1" != --no-defaults ] || shift'
    echo "exec \"$loader\" --library-path \"$libraries\" \"$program\" ${*:+--no-defaults} $* \"\$@\""
  } >"$wrapper"
  chmod 755 "$wrapper"
}

wrap_programs() {
  loader=$(find "$root/usr" -name 'ld-linux-*.so.*' -path '*/lib/*/*' | head -n 1)
  [ -n "$loader" ] || fail "Debian's $release has no loader of programs where it should be."
  libraries=$(dirname "$loader"):$root/usr/lib/mysql/private
  mkdir -p "$home/bin"
  case $name in
    mariadb-*)
      share=$root/usr/share/mariadb
      wrap mariadbd "$root/usr/sbin/mariadbd" "--lc-messages-dir=$share" \
        "--character-sets-dir=$share/charsets" "--plugin-dir=$root/usr/lib/mysql/plugin"
      for client in mariadb mariadb-dump mariadb-binlog mariadb-admin; do
        wrap "$client" "$root/usr/bin/$client"
      done
      # Its script looks for the programs below a directory; ours has them, and the script's own files.
      mkdir -p "$home/base"
      ln -sfn "$home/bin" "$home/base/bin"
      ln -sfn "$home/bin" "$home/base/sbin"
      ln -sfn "$root/usr/share" "$home/base/share"
      ln -sf "$(command -v my_print_defaults)" "$home/bin/my_print_defaults"
      ln -sf "$(command -v resolveip)" "$home/bin/resolveip"
      printf '#!/bin/sh\nexec "%s" "$@" --force --basedir="%s"\n' \
        "$root/usr/bin/mariadb-install-db" "$home/base" >"$home/bin/mariadb-install-db"
      chmod 755 "$home/bin/mariadb-install-db"
      ;;
    mysql-*)
      share=$root/usr/share/mysql
      wrap mysqld "$root/usr/sbin/mysqld" "--lc-messages-dir=$share" \
        "--character-sets-dir=$share/charsets" "--plugin-dir=$root/usr/lib/mysql/plugin"
      for client in mysql mysqldump mysqlbinlog mysqladmin; do
        wrap "$client" "$root/usr/bin/$client"
      done
      ;;
  esac
}

version() {
  case $name in
    mariadb-*) "$home/bin/mariadbd" --no-defaults --version ;;
    mysql-*) "$home/bin/mysqld" --no-defaults --version ;;
  esac | sed -n 's/.*Ver \([^ ]*\).*/\1/p'
}

# Who comes second waits for what the first one unpacks.
mkdir -p "$home"
exec 9>"$home.lock"
flock 9
[ -d "$root" ] || unpack
wrap_programs
found=$(version)
echo "$found" | grep -q "^$wanted" ||
  fail "Debian's $release has $found now, and the tests know $name; say in docs/compatibility.md what was tried before you teach them another."
echo "$found"
