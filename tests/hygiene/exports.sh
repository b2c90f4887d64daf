#!/bin/sh
# SPDX-License-Identifier: MIT
# Shared libraries export what a public header declares, all of it, once, and nothing else:
# exports.sh NM LIB_DIR HEADER_DIR
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for library in tempera tempera-lm; do
    "$1" -P -D --defined-only "$2/lib$library.so" | awk '{ print $1 }'
done | sort >"$work/exported"

# A declaration is TEMPERA_API, words, a name and its bracket, over one line or more.
cat "$3"/*.h | sed 's|//.*||' | tr '\n' ' ' |
    grep -oE 'TEMPERA_API[^(;]*\(' | grep -oE 'tempera_[a-z0-9_]*\($' | tr -d '(' |
    sort >"$work/declared"

echo "$(wc -l <"$work/declared") functions declared"
[ -s "$work/declared" ]
diff "$work/declared" "$work/exported" # < declared only, > exported only
