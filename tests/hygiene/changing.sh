#!/bin/sh
# SPDX-License-Identifier: MIT
# docs/CHANGING.md lists every place of an addition: changing.sh SOURCE_DIR
#
# Every path in it is there. Where a section names an example (a regular expression), its first
# column has exactly the files that match it, outside tests, peers and the document itself.
set -u
cd "$1" || exit 1
document=docs/CHANGING.md
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

failures=0
fail() {
    echo "$*"
    failures=$((failures + 1))
}

# Paths: words in backquotes that begin with a folder of the project.
grep -oE '`(\.ci|bench|cli|cmake|docs|fuzz|include|scripts|src|tests)/[^` ]*`' "$document" |
    tr -d '`' | sort -u >"$work/paths"
while read -r path; do
    [ -e "$path" ] || fail "$document: $path is not there"
done <"$work/paths"

n_lists=0
grep '^Example: ' "$document" | sed 's/^Example: `\([^`]*\)`.*/\1/' >"$work/examples"
while read -r example; do
    n_lists=$((n_lists + 1))
    # The section's rows, as far as its first column goes.
    EXAMPLE=$example awk '
        BEGIN { example = ENVIRON["EXAMPLE"] }
        /^## / { inside = 0 }
        index($0, "Example: `") == 1 { inside = 1; seen = index($0, "`" example "`") > 0 }
        inside && seen && /^\| `/ { sub(/^\| `/, ""); sub(/`.*/, ""); print }' "$document" |
        sort -u >"$work/listed"
    grep -rlE -e "$example" .ci bench cli cmake docs fuzz include examples scripts src \
        CMakeLists.txt CMakePresets.json tests/kernels tests/support |
        grep -vE "^bench/peers/|^$document\$" | sort -u >"$work/found"
    [ -s "$work/found" ] || fail "nothing has the example of list $n_lists"
    # < listed only, > found only
    diff "$work/listed" "$work/found" || fail "$document: the list of $example is not complete"
done <"$work/examples"

echo "$(wc -l <"$work/paths") paths, $n_lists lists, $failures failures"
[ "$(wc -l <"$work/paths")" -gt 30 ] && [ $n_lists -ge 3 ] && [ "$failures" -eq 0 ]
