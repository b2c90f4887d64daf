# SPDX-License-Identifier: MIT
# The model that ships: found without -m, and it knows its rhymes.
. tests/cli/helpers

run 0 generate -p "Humpty D" -t 0 --max-tokens 60
out_has "Humpty Dumpty sat on a wall,"
out_has "Humpty Dumpty had a great fall."
run 0 generate -p "Humpty D" -t 0.2 --seed 1 --max-tokens 20
out_has "Humpty Dumpty sat on a wall,"
run 0 generate -p "In the beginning God created the heaven and the ear" -t 0 --max-tokens 4
out_has "the heaven and the earth"
run 0 info -m "$SOURCE/models/tempera-kjv.gguf" --json
out_has '"vocab": 2048'
run 0 explain -p "Humpty Dumpty sat on a" --json
out_has '"text": " wall"'
checks=$((checks + 1))
last="size of the shipped model"
[ "$(wc -c <"$SOURCE/models/tempera-kjv.gguf")" -le 10000000 ] || fail "$last"

finish
