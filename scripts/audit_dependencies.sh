#!/bin/sh
# Ask the vulnerability service of PyPI about every locked dependency. It needs the network: an index of
# packages alone, such as a mirror, knows nothing of vulnerabilities, and pip-audit would pass over what it
# cannot find; here that is a failure, for nothing was audited then.
set -eu
cd "$(dirname "$0")/.."
ignored=$(sed -n 's/^\([A-Z][A-Za-z0-9-]*\)[[:space:]].*/--ignore-vuln \1/p' scripts/audit_exceptions.txt)
audit() {
    .venv/bin/pip-audit --strict --disable-pip --progress-spinner off --timeout 15 "$@" 2>&1
}
# What stands for PyPI and tells of no vulnerability would pass everything: of this version some are known.
knows_any() {
    case $(echo "jinja2==2.10" | audit --no-deps -r /dev/stdin) in
        *"Found "*" known vuln"*) ;;
        *) return 1 ;;
    esac
}
# shellcheck disable=SC2086 - one argument a word
if found=$(audit --require-hashes -r requirements.lock $ignored); then
    if knows_any; then
        echo "$found"
        exit 0
    fi
    found="what answers in its place knows of no vulnerability, not even of one in jinja2 2.10"
fi
case $found in
    *" known vuln"*)
        echo "$found" >&2
        exit 1
        ;;
    *)
        echo "$found" | tail -n 1 >&2
        echo "make audit: nothing was audited, for the vulnerability service does not answer;" \
            "what your index of packages says of each version must be reachable" >&2
        exit 2
        ;;
esac
