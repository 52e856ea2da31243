#!/bin/sh
# Ask the vulnerability service of PyPI about every locked dependency. It needs the network: an index of
# packages alone, such as a mirror, knows nothing of vulnerabilities, and pip-audit would pass over what it
# cannot find; here that is a failure, for nothing was audited then.
set -eu
cd "$(dirname "$0")/.."
ignored=$(sed -n 's/^\([A-Z][A-Za-z0-9-]*\)[[:space:]].*/--ignore-vuln \1/p' scripts/audit_exceptions.txt)
# shellcheck disable=SC2086 - one argument a word
if found=$(.venv/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
    --timeout 15 -r requirements.lock $ignored 2>&1); then
    echo "$found"
    exit 0
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
