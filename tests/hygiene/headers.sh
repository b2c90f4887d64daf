#!/bin/sh
# SPDX-License-Identifier: MIT
# Each public header compiles as the first and only one of a file: headers.sh COMPILER SOURCE_DIR
# tests/llama stands in for llama.cpp's header.
set -u
compiler=$1
cd "$2/include" || exit 1

n=0
failures=0
for header in tempera/*.h; do
    for language in "c -std=c11" "c++ -std=c++17"; do
        n=$((n + 1))
        # shellcheck disable=SC2086 # language is two words
        echo "#include <$header>" |
            "$compiler" -x $language -Wall -Wextra -Wpedantic -Wundef -Wshadow -Werror \
                -fsyntax-only -I . -I ../tests/llama - ||
            { echo "$header: not by itself as $language"; failures=1; }
    done
done
echo "$n compilations"
[ "$n" -ge 10 ] && [ "$failures" -eq 0 ]
