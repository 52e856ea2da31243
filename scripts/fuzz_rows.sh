#!/bin/sh
# Feed the compiled module's core with damaged rows under AddressSanitizer and UBSan.
# Usage: fuzz_rows.sh [SECONDS [SEED]] - the seed is printed, and gives the same rows again.
set -eu

cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${CXX:-c++}" -std=c++17 -O1 -g -Wall -Wextra -fno-sanitize-recover=all -fsanitize=address,undefined \
  -I app/engine/native -o "$work/fuzz" tests/fuzz/row_text.cpp
"$work/fuzz" "$@"
