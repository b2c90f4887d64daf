#!/bin/sh
# SPDX-License-Identifier: MIT
# What can be seen in a source file without compiling it: style.sh SOURCE_DIR
set -u
cd "$1" || exit 1

failures=0
fail() {
    echo "$*"
    failures=$((failures + 1))
}

# Prints the lines that match and counts a failure: forbid WHAT PATTERN FILE...
forbid() {
    what=$1 pattern=$2
    shift 2
    if LC_ALL=C.UTF-8 grep -nE -e "$pattern" "$@" /dev/null; then fail "^ $what"; fi
}

folders="src include cli examples tests bench"
# shellcheck disable=SC2086 # words
sources=$(find $folders -name '*.[ch]' | sort)
# shellcheck disable=SC2086
set -- $sources
[ $# -gt 10 ] || fail "found only $# source files"

forbid "over 100 columns" '^.{101,}' "$@"
forbid "a tab, or a blank at the end of a line" "$(printf '\t')|[[:space:]]\$" "$@"
forbid "unfinished work, or code that is switched off" \
    '\<(TO''DO|FIX''ME|XX''X)\>|^ *# *if +0\>' "$@"

# One pass over all files: their length, and their first line.
awk '
    function check_length() {
        limit = name ~ /^include\// ? 400 : 800
        if (name != "" && n > limit) print name ": " n " lines, over " limit
    }
    FNR == 1 {
        check_length()
        name = FILENAME
        if ($0 != "// SPDX-License-Identifier: MIT")
            print name ": the first line is not the SPDX line"
    }
    { n = FNR }
    END { check_length() }' "$@" >"${TMPDIR:-/tmp}/style.$$"
while read -r line; do fail "$line"; done <"${TMPDIR:-/tmp}/style.$$"
rm -f "${TMPDIR:-/tmp}/style.$$"

# Scripts and build files name their licence in the first two lines.
for file in check demo .ci/run CMakeLists.txt cmake/*.cmake scripts/* tests/*/*.sh; do
    [ -f "$file" ] || continue
    head -n 2 "$file" | grep -q 'SPDX-License-Identifier: MIT' || fail "$file: no SPDX line"
done

echo "$# files, $failures failures"
[ "$failures" -eq 0 ]
