#!/bin/sh
# Feed the compiled module's core with damaged rows under AddressSanitizer and UBSan, by each way to look through
# texts for half of the time: the one of this processor, and the one of any other.
# Usage: fuzz_rows.sh [SECONDS [SEED]] - the seed is printed, and gives the same rows again.
set -eu

cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for way in "" -DBACKSTAY_PLAIN; do
  # shellcheck disable=SC2086 # no word where there is none
  "${CXX:-c++}" -std=c++17 -O1 -g -Wall -Wextra -fno-sanitize-recover=all -fsanitize=address,undefined $way \
    -I app/engine/native -o "$work/fuzz" tests/fuzz/row_text.cpp
  "$work/fuzz" $((${1:-10} / 2)) ${2:+"$2"}
done
