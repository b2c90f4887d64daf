# SPDX-License-Identifier: MIT
# What the stages did, as a table and as JSON: explain, generate --explain and --logprobs.
. tests/cli/helpers

out_matches() {
    checks=$((checks + 1))
    grep -qE -e "$1" out || fail "$last: stdout has no match for '$1'"
}

head -c 4000 "$SOURCE/data/rhymes.txt" >text.txt
run 0 train text.txt -o m.gguf --layers 1 --dim 32 --heads 2 --hidden 64 --context 64 --batch 4 \
    --vocab 257 --threads 2 --steps 30 --quiet

# The table, and what became of a token.
run 0 explain -m m.gguf -p "Humpty" --top-k 5 --token e --token 9 --top 300
out_matches '^stage +tokens +removed +entropy +KL +T$'
out_matches '^\(scores\) +257 +0\.000 %'
out_matches '^top-k 5 +5 +[0-9]'
out_matches '^temperature 0\.8 '
likeliest=$(sed -n '2s/^ *1  "\(.*\)"  .*/\1/p' out)
second=$(sed -n '3s/^ *2  "\(.*\)"  .*/\1/p' out)
out_has '"e" (101): rank '
out_has '"\x09" (9): rank '
run 0 explain -m m.gguf -p "Humpty" --top-k 1 --token "$likeliest" --token "$second"
out_has "\"$likeliest\" ("
out_has ": rank 1, "
out_has "; it stays, with 100.000 %"
out_has "; top-k 1 removes it, "
run 0 explain -m m.gguf -p "Humpty" -t 3 --min-p 0
out_has "temperature 3 "
run 0 explain -m m.gguf -p "Humpty" -t 0 --token "$second" --top-k 0 --top-p 1 --min-p 0
out_has "; temperature 0 removes it, "
run 0 explain -m m.gguf -p "Humpty" --top-k 1 --token "$second" --json
out_has '"removed_by": "top-k"'
out_has '"stage": "scores"'
out_has '"kl_bits"'
out_has '"mass_removed"'
# Stages that look at the history see the prompt.
run 0 explain -m m.gguf -p "reed" --ngram 1 --token e --json
out_has '"removed_by": "no-repeat-ngram"'
run 0 explain -m m.gguf -p "xexexe" --ngram 2 --token x --json
out_has '"removed_by": "no-repeat-ngram"'
run 0 explain -m m.gguf -p "Humpty" --mirostat 2 --mirostat-tau 0 --token "$second" --json
out_has '"removed_by": "mirostat-2"'
run 0 explain -m m.gguf -p "e" --ngram 2 --ngram-window 9 --top-k 0 --top-p 1 --min-p 0 --token e
out_has "; it stays, with "
run 0 explain -m m.gguf -p "e" --ban 101 --token e
out_has "; it is banned by ban"
run 0 explain -m m.gguf -p "e" --ban 101 --token e --json
out_has '"missed_by_nats": null'
run 2 explain -m m.gguf -p "Humpty" --token Dumpty
err_has "no token is exactly 'Dumpty'"
run 2 explain -m m.gguf -p "Humpty" --token 257
err_has "ids go to 256"
run 2 explain -m m.gguf -p "Humpty" --token ""
err_has "no token is exactly ''"

# Step by step; the text is the one that is printed without.
run 0 generate -m m.gguf -p "Humpty" --seed 7 --max-tokens 5
cp out text
run 0 generate -m m.gguf -p "Humpty" --seed 7 --max-tokens 5 --explain
checks=$((checks + 1))
[ "$(grep -c '^(scores)' out)" -eq 5 ] || fail "$last: a table for each of 5 tokens"
tail -n "$(wc -l <text)" out >shown
same shown text

# JSON lines: one for each token, whatever its bytes are, then the text.
anything="-t inf --top-k 0 --top-p 1 --min-p 0 --seed 3"
# shellcheck disable=SC2086 # options
run 0 generate -m m.gguf -p "Humpty" $anything --max-tokens 40 --logprobs 257 --explain --json
cp out lines
checks=$((checks + 3))
[ "$(wc -l <lines)" -eq 41 ] || fail "$last: $(wc -l <lines) lines, not 41"
[ -z "$(LC_ALL=C.UTF-8 grep -avx '.*' lines)" ] || fail "$last: not UTF-8"
number='(null|-?[0-9][-+.e0-9]*)'
entry="\"token\":[0-9]+,\"text\":\"([^\"\\\\]|\\\\.)*\",\"bytes\":\\[[0-9,]*\\]"
entry="$entry,\"raw_logprob\":$number,\"tempered_logprob\":$number,\"logprob\":$number"
line="\\{$entry,\"top\":\\[(\\{$entry\\},?)*\\],\"stages\":\\[(\\{[^{}]*\\},?)*\\]\\}"
[ "$(grep -cEx -e "$line" lines)" -eq 40 ] || fail "$last: lines of another shape"
out_has '"tempered_logprob":-5.54907608,' # -ln 257: all tokens alike
out_has '"text":"�"'
# shellcheck disable=SC2086
run 0 generate -m m.gguf -p "Humpty" $anything --max-tokens 40 --json
tokens=$(tr -d ' \n' <out | sed 's/.*"tokens":\[\([0-9,]*\)\].*/\1/')
checks=$((checks + 1))
[ "$tokens" = "$(sed -n '41s/.*"tokens":\[\([0-9,]*\)\].*/\1/p' lines)" ] ||
    fail "--logprobs changes the tokens"
run 0 generate -m m.gguf -p "Humpty" --seed 7 --max-tokens 2 --logprobs 0 --json
out_has '"top":[]'
run 2 generate -m m.gguf -p "Humpty" --logprobs 3
err_has "--logprobs needs --json"
for options in "--logprobs 1 --json" --explain; do
    checks=$((checks + 1))
    last="tempera generate $options >/dev/full"
    # shellcheck disable=SC2086
    "$TEMPERA" generate -m m.gguf -p "Humpty" --max-tokens 2 $options >/dev/full 2>err &&
        fail "$last: exit code 0"
    err_has "can't write"
done

finish
