#!/bin/sh
# SPDX-License-Identifier: MIT
# What the static libraries define and need: symbols.sh NM COMPILER LIB_DIR OBJECT_DIR
#   OBJECT_DIR  holds libtempera's objects, one folder a module
set -u
nm=$1 compiler=$2 libs=$3 objects=$4
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

failures=0
fail() {
    echo "$*"
    failures=$((failures + 1))
}

# Prints sorted names: defined FILE...
defined() { "$nm" -P -g --defined-only "$@" | awk 'NF > 1 { print $1 }' | sort; }

# Fails if a file needs one of the symbols that match: forbid WHY PATTERN FILE...
forbid() {
    why=$1 pattern=$2
    shift 2
    found=$("$nm" -A -P -u "$@" | grep -E -e ": ($pattern) U") && fail "$why: $found"
}

score=$libs/libtempera.a
lm=$libs/libtempera-lm.a

for lib in "$score" "$lm"; do
    [ "$(defined "$lib" | wc -l)" -gt 5 ] || fail "$lib defines next to nothing"
    foreign=$(defined "$lib" | grep -v '^tempera_') && fail "$lib: not tempera_*: $foreign"
    forbid "the library neither prints nor ends the program" \
        'stdout|stderr|(v?printf|puts|putchar|perror|exit|_exit|quick_exit|abort)' "$lib"
done

# libtempera needs libc and threads and nothing else: all of it links without libm. glibc keeps
# exp, log, pow and their like in libm alone.
"$compiler" -shared -o "$work/all.so" -Wl,--no-undefined -Wl,--whole-archive "$score" \
    -Wl,--no-whole-archive -pthread || fail "libtempera needs more than libc and threads"

# The score path never allocates and never starts a thread.
n_objects=0
for module in simd kernels score sampler; do
    # shellcheck disable=SC2046 # names without blanks
    set -- $(find "$objects/$module" -name '*.o')
    [ $# -gt 0 ] || continue
    n_objects=$((n_objects + $#))
    forbid "allocates" '[mc]alloc|realloc(array)?|aligned_alloc|posix_memalign|free' "$@"
    forbid "starts a thread" 'pthread_create|thrd_create' "$@"
done
[ $n_objects -gt 0 ] || fail "no objects of the score path in $objects"

# The two libraries share the modules' private base and no other name, or linking both would mix them.
defined "$objects"/base/*.o | uniq >"$work/base"
defined "$score" | uniq >"$work/score"
defined "$lm" | uniq >"$work/lm"
twice=$(comm -12 "$work/score" "$work/lm" | comm -23 - "$work/base")
[ -z "$twice" ] || fail "defined in both libraries: $twice"

echo "$failures failures"
[ "$failures" -eq 0 ]
