# SPDX-License-Identifier: MIT
# Bad input: the exit code and a message that says what to do.
. tests/cli/helpers

small="--layers 1 --dim 16 --heads 2 --hidden 32 --context 32 --batch 2 --vocab 257 --steps 2"
head -c 3000 "$SOURCE/data/rhymes.txt" >text.txt

# Training: the text.
run 2 train -o m.gguf
err_has "name one text"
run 2 train text.txt
err_has "-o"
run 1 train no-such.txt -o m.gguf
err_has "no-such.txt"
: >empty.txt
run 1 train empty.txt -o m.gguf
err_has "empty"
printf 'Too short.' >short.txt
run 1 train short.txt -o m.gguf $small
err_has "too short"
printf 'Shorter than one context of thirty-two.' >short.txt
run 1 train short.txt -o m.gguf $small --context 64
err_has "context"
run 1 train text.txt -o m.gguf --vocab 60000 --steps 2
err_has "vocabulary"
err_has "--vocab 60000"
run 2 train text.txt -o m.gguf --vocab 100 --steps 2
err_has "--vocab 100"
# Unasked, a text that gives no such vocabulary is learnt byte by byte.
awk 'BEGIN { for (i = 0; i < 9000; i++) print "hello world" }' >same.txt
run 0 train same.txt -o same.gguf --layers 1 --dim 16 --heads 2 --hidden 32 --context 32 --batch 2 \
    --steps 2
err_has "bytes are taken instead"
run 0 info -m same.gguf
rm same.gguf same.state.gguf same.log.jsonl
run 2 train text.txt -o m.gguf --dtype q4
err_has "f16, f32 or bf16"
run 2 train text.txt -o m.gguf --layers x
run 2 train text.txt -o m.gguf --layers -1
run 2 train text.txt -o m.gguf $small --dim 15
err_has "--dim (15) must be --heads (2) times an even number"

# A wrong command line is exit code 2, and the message has the command's words.
while read -r words; do
    read -r message
    run 2 train text.txt -o m.gguf $small $words
    err_has "tempera train: $message"
    out_is_empty
done <<'END'
--heads 3
--dim (16) must be --heads (3) times an even number
--heads 4 --kv-heads 3
--kv-heads (3) must divide --heads (4)
--lr 0.001 --min-lr 0.002
--min-lr must be from 0 to --lr (0.001), not 0.002
--batch 65536 --context 1048576
--batch * --context must be below 2^31
--vocab 256
--vocab 256: a vocabulary of 256 tokens; at least 257 are needed
--dim 262145
--dim must be a whole number from 1 to 262144, not '262145'
--lr 0
--lr must be a number from 1e-09 to 1, not '0'
--minutes inf
--minutes must be a number from 0.01 to 1000000, not 'inf'
--resume=yes
--resume=yes: this option takes no value
END

# Training: the output.
run 1 train text.txt -o no-such-folder/m.gguf $small
err_has "no-such-folder"
run 1 train text.txt -o text.txt/m.gguf $small
err_has "Not a directory"
run 1 train text.txt -o m.gguf $small --resume
err_has "no checkpoint"
[ ! -e m.gguf ] || fail "a failed training left a model"

# What can't be written is found before the training, not after it; no text is written over.
mkdir folder a.state.gguf b.log.jsonl
run 2 train text.txt -o "" $small
err_has "--out needs the name of a file, not ''"
run 2 generate -m ""
err_has "--model needs the name of a file, not ''"
for out in folder folder/ /dev/full a.gguf b.gguf; do
    run 1 train text.txt -o "$out" $small
    err_has "can't write"
    err_has "choose another -o"
    checks=$((checks + 1))
    grep -q "parameters" err && fail "$last: the training began"
done
for text in text.txt mine.log.jsonl mine.state.gguf; do
    cp text.txt copy.txt
    [ $text = text.txt ] || cp text.txt $text
    out=$text
    [ $text = text.txt ] || out=mine.gguf
    run 2 train $text -o $out $small
    err_has "'$text': it is a text to train on"
    same $text copy.txt
    [ $text = text.txt ] || rm $text
done
cp text.txt held.txt
run 2 train text.txt --held-out held.txt -o ./held.txt $small
err_has "held-out"
same held.txt text.txt

# A full disk: the message says so, and the old model stays. A small file system needs root.
if [ "$(id -u)" -eq 0 ] && mkdir disk && mount -t tmpfs -o size=64k tmpfs disk 2>/dev/null; then
    echo old >disk/m.gguf
    run 1 train text.txt -o disk/m.gguf $small
    err_has "space"
    err_has "free some space, or allow larger files"
    checks=$((checks + 1))
    [ "$(cat disk/m.gguf)" = old ] || fail "a full disk lost the old model"
    umount disk
else
    echo "SKIPPED: the full disk (no right to mount a small file system)"
fi

# Models.
run 1 generate -m no-such.gguf -p a
err_has "no-such.gguf"
run 1 generate -m text.txt -p a
err_has "GGUF"
run 1 eval -m text.txt text.txt
run 1 info -m empty.txt
run 1 explain -m text.txt -p a
head -c 100000 /dev/urandom >noise.gguf
run 1 generate -m noise.gguf -p a
err_has "GGUF"

run 0 train text.txt -o m.gguf $small --quiet
head -c 1000 m.gguf >cut.gguf
run 1 generate -m cut.gguf -p a
long=$(head -c 100 text.txt)
run 1 generate -m m.gguf -p "$long"
err_has "shorten the prompt"
out_is_empty
run 1 explain -m m.gguf -p "$long"
err_has "the prompt has 100 tokens; the context holds 32, and needs room for one more: shorten"
run 2 generate -m m.gguf -p a --stop ""
err_has "--stop"
run 2 generate -m m.gguf -t -1
err_has "--temperature"
run 2 generate -m m.gguf -t abc
for number in 1e50 3.5e38 -inf nan; do
    run 2 generate -m m.gguf -t $number
    err_has "--temperature must be a number from 0 to 3.40282347e+38, or inf, not '$number'"
    run 2 explain -m m.gguf -t 1,$number
    err_has "from 0 to 3.40282347e+38, or inf, not '$number'"
done
run 2 eval -m m.gguf text.txt --context 33
err_has "a context of 33 is more than the model's 32 (--context)"
run 2 generate -m m.gguf --typical-p 1.5
err_has "--typical-p must be"
run 2 generate -m m.gguf --top-n-sigma -1
err_has "--top-n-sigma must be"
run 2 generate -m m.gguf --top-p 1.5
run 2 generate -m m.gguf stray
err_has "-p"
run 2 eval -m m.gguf
run 1 eval -m m.gguf empty.txt
run 1 eval -m m.gguf no-such.txt

# A damaged model has no score: the last tensor, output_norm, is made of NaN.
nbytes=$(wc -c <m.gguf)
{ head -c $((nbytes - 64)) m.gguf && head -c 64 /dev/zero | tr '\0' '\377'; } >damaged.gguf
run 1 eval -m damaged.gguf text.txt
err_has "'damaged.gguf'"
err_has "damaged"
out_is_empty
run 1 eval -m damaged.gguf text.txt --json
out_is_empty

# A model that says it reads millions of tokens: measured unasked in windows that fit; one of 2^47
# bytes and more is too large for any processor's address space.
key=llama.context_length
at=$(LC_ALL=C grep -abo $key m.gguf | head -n 1 | cut -d : -f 1)
cp m.gguf long.gguf
printf '\0\0\0\1' | dd of=long.gguf bs=1 seek=$((at + ${#key} + 4)) conv=notrunc 2>/dev/null
run 0 eval -m long.gguf text.txt
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:allocator_may_return_null=1"
export TSAN_OPTIONS="${TSAN_OPTIONS:-}:allocator_may_return_null=1"
awk 'BEGIN { for (i = 0; i < 400000; i++) print "hello world" }' >large.txt
run 1 eval -m long.gguf large.txt --context 4500000
err_has "windows of 4500000 tokens"
err_has "smaller context (--context)"
rm large.txt
run 2 explain -m m.gguf -t 1,2,3,4,5,6,7,8,9 -p a
run 2 generate -m m.gguf --seed -5

# A hint can be pasted.
run 2 trian
err_has "$TEMPERA --help"

# Two trainings to one name: the second leaves the first's log alone.
if command -v flock >/dev/null; then
    echo "kept" >busy.log.jsonl
    exec 9>>busy.log.jsonl
    flock 9
    run 1 train text.txt -o busy.gguf $small
    err_has "another training is writing the loss log"
    exec 9>&-
    echo "kept" >kept
    same kept busy.log.jsonl
    [ ! -e busy.gguf ] || fail "a model was written"
fi

finish
