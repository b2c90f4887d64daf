# SPDX-License-Identifier: MIT
# The main job on a tiny model: train, generate, explain, eval, info; resume gives the same bits.
. tests/cli/helpers

rhymes="$SOURCE/data/rhymes.txt"
head -c 4000 "$rhymes" >text.txt
small="--layers 2 --dim 32 --heads 2 --hidden 64 --context 64 --batch 4 --vocab 257 --threads 2"

run 0 train text.txt -o whole.gguf $small --steps 40 --dtype f32
err_has "wrote whole.gguf"
[ "$(wc -l <whole.log.jsonl)" -ge 40 ] || fail "the loss log has a line a step"

# No warm-up, no decay and no learning rate at the end are wishes, not gaps to be filled.
run 0 train text.txt -o zero.gguf $small --steps 2 --quiet --warmup 0 --lr 0.001 --min-lr 0 \
    --weight-decay 0 --dtype f32
run 0 train text.txt -o usual.gguf $small --steps 2 --quiet --warmup 0 --lr 0.001 --min-lr 0 \
    --weight-decay 0.1 --dtype f32
grep -q '"step":2,.*"learning_rate":0,' zero.log.jsonl || fail "--warmup 0 --min-lr 0"
run 0 eval -m zero.gguf text.txt --json
grep bits_per_byte out >zero.eval
run 0 eval -m usual.gguf text.txt --json
grep bits_per_byte out >usual.eval
cmp -s zero.eval usual.eval && fail "--weight-decay 0 is the usual decay"

# Stopped half-way by Ctrl-C, then resumed: the same model, the same log.
"$TEMPERA" train text.txt -o parts.gguf $small --steps 40 --checkpoint-every 1 --dtype f32 \
    >out 2>err </dev/null &
pid=$!
while [ ! -s parts.log.jsonl ] && kill -0 $pid 2>/dev/null; do sleep 0.05; done
kill -INT $pid 2>/dev/null
wait $pid || fail "an interrupted training ends with exit code $?"
last="interrupted train"
if grep -q "^stopped" err; then
    err_has "tempera train text.txt --dtype f32 -o parts.gguf --resume"
    # Forgetting --resume loses nothing.
    cp parts.state.gguf stopped.gguf
    run 1 train text.txt -o parts.gguf $small --steps 40 --quiet
    err_has "go on with --resume"
    same parts.state.gguf stopped.gguf
else
    echo "SKIPPED: the training was over before Ctrl-C"
fi
run 0 train text.txt -o parts.gguf --resume --quiet --dtype f32 --threads 1
same whole.log.jsonl parts.log.jsonl
run 0 train text.txt -o parts.gguf --resume --quiet --dtype f32 $small --steps 40 --seed 0
same whole.log.jsonl parts.log.jsonl
for other in "layers 3" "vocab 300" "batch 5" "lr 0.5" "weight-decay 0" "seed 1" "warmup 0"; do
    run 1 train text.txt -o parts.gguf --resume --quiet --$other
    err_has "leave --${other% *} out"
done
# (the files' own names, general.name, differ: compare what they say)
run 0 eval -m whole.gguf text.txt --json
grep -v -e '"model"' out >whole.eval
run 0 eval -m parts.gguf text.txt --json
grep -v -e '"model"' out >parts.eval
same whole.eval parts.eval
out_has '"bits_per_byte"'
out_has '"perplexity"'
out_has '"bytes": 4000'
out_has '"best_temperature"'
out_has '"bits_per_byte_at_best_temperature"'

run 0 generate -m whole.gguf -p "Humpty" -t 0 --max-tokens 20
out_has "Humpty"
run 0 generate -m whole.gguf -p "Humpty" --seed 7 --max-tokens 20 --json
cp out first.json
out_has '"seed": 7'
out_has '"text"'
out_has '"tokens"'
run 0 generate -m whole.gguf -p "Humpty" --seed 7 --max-tokens 20 --json --threads 1
same out first.json
run 0 generate -m whole.gguf -p "" -t inf --max-tokens 5 --seed 1

run 0 explain -m whole.gguf -p "Humpty" -t 0,0.5,1,inf --top 3
out_has "entropy"
out_has "top-k 40"
out_has "top-p 0.95"
out_has "min-p 0.05"
run 0 explain -m whole.gguf -p "Humpty" --json
out_has '"stages"'
out_has '"entropy_bits"'
filters="--top-n-sigma 2 --typical-p 0.9 --epsilon 0.001 --eta 0.002 --tail-free 0.97 --top-a 0.1 --p-less"
# shellcheck disable=SC2086 # options
run 0 explain -m whole.gguf -p "Humpty" $filters
for filter in "top-n-sigma 2 " "typical 0.9 " "epsilon 0.001 " "eta 0.002 " "tail-free 0.97 " \
    "top-a 0.1 " "p-less "; do
    out_has "$filter"
done
# shellcheck disable=SC2086
run 0 explain -m whole.gguf -p "Humpty" --json $filters
out_has '"parameter": null'
# shellcheck disable=SC2086
run 0 generate -m whole.gguf -p "Humpty" --seed 7 --max-tokens 5 $filters
run 0 explain -m whole.gguf -p "Humpty" --min-p 0 --xtc-probability 1 --xtc-threshold 0.001
out_has "xtc 1 0.001 "
run 0 explain -m whole.gguf -p "Humpty" --min-p 0 --xtc-probability 1 --xtc-threshold 0.25 --json
out_has '"parameter": 0.25'
run 0 generate -m whole.gguf -p "Humpty" --seed 7 --max-tokens 5 --xtc-probability 0.5 \
    --temperature-range 0.5 --temperature-exponent 2 --smoothing 0.3 --smoothing-curve 2
run 0 explain -m whole.gguf -p "Humpty" --top-h 0.4 --order temperature-first
out_has "top-h 0.4 "
for stages in "--mirostat 1 --mirostat-m 20" "--mirostat 2 --mirostat-tau 3 --mirostat-eta 0.2" \
    "--adaptive-target 0.3 --adaptive-decay 0.5" "--ngram 2 --ngram-window 20 --min-keep 3" \
    "--dry-multiplier 1 --dry-base 2 --dry-allowed-length 1 --dry-window 20 --dry-breaker e" \
    "--presence-penalty 1 --penalty-drawn-only" "--xtc-probability 1 --xtc-spare 3,5"; do
    for order in temperature-first temperature-last; do
        # shellcheck disable=SC2086
        run 0 generate -m whole.gguf -p "Humpty" --seed 7 --max-tokens 9 --order $order $stages
    done
done
# Tokens by id, bytes here: one alone, all but one, one always.
run 0 generate -m whole.gguf -p "Humpty" --raw --seed 7 --max-tokens 3 --json --allow 70,70
out_has '"text": "FFF"'
run 0 generate -m whole.gguf -p "Humpty" --raw --seed 7 --max-tokens 3 --json --allow 70,71 --ban 70
out_has '"text": "GGG"'
run 0 generate -m whole.gguf -p "Humpty" --raw --seed 7 --max-tokens 3 --json --logit-bias 72:99 \
    --logit-bias 73:-inf
out_has '"text": "HHH"'
for wrong in "--ban x" "--allow 3," "--ban 99999999" "--xtc-spare 1;2" "--logit-bias 5" \
    "--logit-bias 5:inf" "--order sideways" "--mirostat 1 --adaptive-target 0.5"; do
    # shellcheck disable=SC2086
    run 2 generate -m whole.gguf -p "Humpty" $wrong
    # shellcheck disable=SC2086
    err_has "${wrong%% *}"
    # shellcheck disable=SC2086
    run 2 explain -m whole.gguf -p "Humpty" $wrong
done
run 0 generate -m whole.gguf -p "Humpty" --seed 7 --max-tokens 20 -t 3 --top-n-sigma 0
cp out greedy
run 0 generate -m whole.gguf -p "Humpty" --seed 8 --max-tokens 20 -t 0
same out greedy

run 0 info -m whole.gguf
out_has "layers"
run 0 info -m whole.gguf --json
out_has '"layers": 2'

# What the command says to try next works in a shell.
run 0 train text.txt -o "it's mine.gguf" $small --steps 1 -p 'Who "is'
err_has "tempera generate -m 'it'\''s mine.gguf' -p 'Who \"is'"

# A file name need not be UTF-8; JSON has to be.
odd=$(printf 'odd\377.gguf')
cp whole.gguf "$odd"
run 0 info -m "$odd"
out_has "layers"
run 0 info -m "$odd" --json
out_has '"layers": 2'
cp text.txt "$odd.txt"
run 0 eval -m "$odd" "$odd.txt" --json
out_has '"bits_per_byte"'

finish
