# SPDX-License-Identifier: MIT
. tests/cli/helpers

run 0 --help
for command in softmax train generate explain eval info; do
    out_has "  $command "
done
for command in softmax train generate explain eval info; do
    run 0 $command --help
    out_has "Usage: tempera $command"
    out_has "Example:"
    out_has "  tempera $command"
    run 0 $command -h
done
run 0 --version
out_has "tempera 0."
run 2
err_has "Usage"
out_is_empty
run 2 frobnicate
err_has "no command 'frobnicate'"

# Output that can't be written is a failure, not a silence.
checks=$((checks + 1))
last="tempera softmax >/dev/full"
"$TEMPERA" softmax 1 2 --json >/dev/full 2>err && fail "$last: exit code 0"
err_has "can't write"
for words in --help --version "info --help" info "softmax 1 2"; do
    last="tempera $words >/dev/full"
    "$TEMPERA" $words >/dev/full 2>err && fail "$last: exit code 0"
    err_has "can't write"
    last="tempera $words >&-"
    "$TEMPERA" $words >&- 2>err && fail "$last: exit code 0"
    err_has "can't write"
done

run 0 info
out_has "isa active"
run 0 info --json
out_has '"isa_active": "'
out_has '"isa_compiled"'
run 0 info --isa scalar --json
out_has '"isa_active": "scalar"'

run 2 generate --seed -5
err_has "from 0 to 9000000000000000, not '-5'"

# A wrong option is wrong usage in every command, whatever else is wrong.
run 0 --help
out_has "Exit codes"
for command in softmax "train no-such.txt -o m.gguf" "generate -m no-such" "explain -m no-such" \
    "eval -m no-such no-such.txt" info; do
    run 2 $command --isa pentium
    err_has "scalar, avx2, avx512, neon"
done

finish
