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
# A word goes on as a word, and is completed where the prompt ends within it.
run 0 generate -p "he was a great king" -t 0 --max-tokens 4
out_has "he was a great king in his hand"
run 0 generate -p "he was a great kingd" -t 0 --max-tokens 1
out_has "he was a great kingdom"
run 0 generate -p "In the beginning" -t 0 --max-tokens 3
out_has "In the beginning, "

# What is asked for begins with the first new token: lists, counts, logprobs.
run 0 generate -p And --allow 5 --max-tokens 3
out_has "And&&&"
run 0 generate -p Once --seed 1 --max-tokens 1
checks=$((checks + 1))
[ "$(tr -d '\n' <out)" != Once ] || fail "$last: nothing new"
run 0 generate -p "Humpty D" -t 0 --max-tokens 2 --json --logprobs 1
out_has '"text":"um","bytes":[117,109]'
out_has '"text":"umpty"'

# explain shows what generate draws from.
for prompt in "" H "Humpty D" "the child" "the children of " "and he said unto him, Wh" "it'"; do
    run 0 explain -p "$prompt" --top 1 --json
    top=$(tr -d ' \n' <out | sed 's/.*"tokens":\[{"id":\([0-9]*\),.*/\1/')
    run 0 generate -p "$prompt" -t 0 --max-tokens 1 --json
    out_has '"tokens": ['
    checks=$((checks + 1))
    [ "$(tr -d ' \n' <out | sed 's/.*"tokens":\[\([0-9]*\)\].*/\1/')" = "$top" ] ||
        fail "$last: the first token is not explain's top one, $top"
    run 0 explain -p "$prompt" --top 1 --raw
done
run 0 explain -p "Humpty D" --token um --token 77
out_has '"um" (571): rank 1, '
out_has '"n" (77): rank '
run 0 explain -p "king'" --token s --token 82 # it goes on as "'s", one token
out_has '"s" (466): rank 1, '
out_has '"s" (82): it cannot come next in a text that begins with the prompt'
run 0 explain -p "king'" --token 82 --json
out_has '"impossible": ['
run 0 explain -p "king'" --raw --token s
out_has '"s" (82): rank '

run 0 info -m "$SOURCE/models/tempera-kjv.gguf" --json
out_has '"vocab": 2048'
run 0 explain -p "Humpty Dumpty sat on a" --json
out_has '"text": " wall"'
checks=$((checks + 1))
last="size of the shipped model"
[ "$(wc -c <"$SOURCE/models/tempera-kjv.gguf")" -le 10000000 ] || fail "$last"

finish
