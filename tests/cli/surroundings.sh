# SPDX-License-Identifier: MIT
# Closed descriptors, few processors, and arguments that somebody else made up.
. tests/cli/helpers
export LC_ALL=C.UTF-8

tiny="--layers 1 --dim 16 --heads 2 --hidden 32 --context 32 --batch 2 --vocab 257 --steps 2"
head -c 3000 "$SOURCE/data/rhymes.txt" >text.txt
run 0 train text.txt -o m.gguf $tiny --dtype f32 --quiet

# No file takes the place of a descriptor that is closed.
checks=$((checks + 4))
"$TEMPERA" train text.txt -o closed.gguf $tiny --dtype f32 2>&- || fail "train 2>&-: $?"
same m.log.jsonl closed.log.jsonl
"$TEMPERA" train text.txt -o closed.gguf $tiny --dtype f32 <&- >&- 2>&- || fail "train >&-: $?"
same m.log.jsonl closed.log.jsonl
"$TEMPERA" generate -m closed.gguf -p Humpty -t 0 --max-tokens 5 >out 2>&- || fail "generate: $?"
"$TEMPERA" generate -m m.gguf -p Humpty -t 0 --max-tokens 5 >wanted
same out wanted
for words in "softmax" "eval -m m.gguf -"; do
    checks=$((checks + 1))
    last="tempera $words <&-"
    "$TEMPERA" $words <&- >out 2>err
    [ $? -eq 1 ] || fail "$last: not exit code 1"
    err_has "can't read '-': Bad file descriptor"
done
for words in "softmax 1 2" "explain -m m.gguf" "generate -m m.gguf --max-tokens 3" \
    "generate -m m.gguf --max-tokens 3 --json" "eval -m m.gguf text.txt" "info -m m.gguf"; do
    checks=$((checks + 1))
    last="tempera $words >&-"
    "$TEMPERA" $words >&- 2>err </dev/null
    [ $? -eq 1 ] || fail "$last: not exit code 1"
    err_has "can't write the output"
done

# The processors of this process, of which a machine may have more.
if command -v taskset >/dev/null; then
    first=$(taskset -cp $$ | sed 's/.*: *\([0-9]*\).*/\1/')
    checks=$((checks + 1))
    taskset -c "$first" "$TEMPERA" info --json >out 2>err || fail "info on one processor"
    last="info on one processor"
    out_has '"processors": 1,'
    taskset -c "$first" "$TEMPERA" train text.txt -o one.gguf $tiny >out 2>err ||
        fail "train on one processor"
    err_has ", 1 threads"
fi

# What can't be seen, and what would take a terminal over, is written out.
hostile=$(printf 'a\033[2J\302\233b\342\200\256c\342\200\213d\377')
shown='a\x1b[2J\u009bb\u202ec\u200bd\xff'
for words in "softmax -f" "train -o m2.gguf" "eval -m m.gguf" "info -m" "generate -m" \
    "softmax --isa" "train text.txt -o m2.gguf --dtype" "generate -m m.gguf --order" \
    "generate -m m.gguf --ban" "generate -m m.gguf --logit-bias" "explain -m m.gguf --token" \
    "softmax -t" "softmax" "generate" "generate --" "info" "explain" "generate --seed"; do
    "$TEMPERA" $words "$hostile" >out 2>err </dev/null && fail "$words: exit code 0"
    last="tempera $words HOSTILE"
    err_has "$shown"
done
"$TEMPERA" "$hostile" >out 2>err && fail "a hostile command: exit code 0"
err_has "there is no command '$shown'"
"$TEMPERA" info "--$hostile" >out 2>err && fail "a hostile option: exit code 0"
err_has "unknown option --$shown"
cp m.gguf "$hostile"
for words in "info -m" "eval text.txt -m"; do
    run 0 $words "$hostile"
    out_has "${shown%\\xff}" # JSON, of which info makes its lines, has U+FFFD for a byte
done
# ... and what the command says to try next can still be pasted, into most shells.
tab=$(printf "it's a\ttab\033.gguf")
run 0 train text.txt -o "$tab" $tiny
err_has "wrote it's a\\x09tab\\x1b.gguf"
err_has " -m \$'it\\'s a\\x09tab\\x1b.gguf' "

# A long argument comes back short.
long=$(head -c 100000 /dev/zero | tr '\0' 9)
for words in "softmax -t" "softmax 1" "generate --seed" "generate --top-p" "eval -m m.gguf --context" \
    "explain -m m.gguf --token" "generate -m m.gguf --ban" "softmax -f" info "train -o y"; do
    last="tempera $words 999..."
    "$TEMPERA" $words "x$long" >out 2>err </dev/null && fail "$last: exit code 0"
    "$TEMPERA" $words "$long" >>out 2>>err </dev/null
    checks=$((checks + 1))
    [ "$(wc -c <err)" -le 1200 ] || fail "$last: a message of $(wc -c <err) bytes"
    err_has "99"
done

finish
