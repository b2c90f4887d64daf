#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs a build, uses it from a project of its own with find_package and with pkg-config, moves
# the installation elsewhere and does it again: run.sh BUILD_DIR COMPILER
set -eu
build=$1 compiler=$2
consumer=$(cd "$(dirname "$0")/consumer" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# use_pkg_config PROGRAM LIBRARY: with the .pc files in $pc
use_pkg_config() {
    flags=$(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs "$2")
    # shellcheck disable=SC2086 # the flags are words
    "$compiler" -std=c11 -o "$work/$1" "$consumer/$1.c" $flags
    LD_LIBRARY_PATH=$(dirname "$pc") "$work/$1"
}

# use_installation PREFIX
use_installation() {
    rm -rf "$work/build"
    cmake -S "$consumer" -B "$work/build" -G Ninja -DCMAKE_C_COMPILER="$compiler" \
        -DCMAKE_PREFIX_PATH="$1" >"$work/log" || { cat "$work/log"; exit 1; }
    cmake --build "$work/build" >"$work/log" || { cat "$work/log"; exit 1; }
    "$work/build/score"
    "$work/build/lm"

    # The folder that has the .pc files depends on the system: lib or lib/<architecture>.
    pc=$(dirname "$(find "$1" -name tempera.pc)")
    use_pkg_config score tempera
    use_pkg_config lm tempera-lm

    "$1/bin/tempera" softmax 2 1 0.1 >"$work/out"
    grep -q '65\.90 %' "$work/out"
}

cmake --install "$build" --prefix "$work/first" >/dev/null
use_installation "$work/first"

# Nothing may point back to where it was first.
mkdir "$work/elsewhere"
mv "$work/first" "$work/elsewhere/moved"
use_installation "$work/elsewhere/moved"
echo "installed, used, moved and used again"
