# SPDX-License-Identifier: MIT
# Text comes in many forms: stdin, marks, UTF-16 and UTF-32, binary files, documents, and the last
# character.
. tests/cli/helpers

tiny="--layers 1 --dim 16 --heads 2 --hidden 32 --context 32 --batch 2 --vocab 257 --threads 1"
head -c 3000 "$SOURCE/data/rhymes.txt" >text.txt
# shellcheck disable=SC2086 # options
run 0 train text.txt -o m.gguf $tiny --steps 20 --quiet

# run_with CODE FILE ARGUMENTS...: with that file as stdin.
run_with() {
    want=$1 input=$2
    shift 2
    checks=$((checks + 1))
    last="tempera $* <$input"
    "$TEMPERA" "$@" >out 2>err <"$input"
    got=$?
    [ "$got" -eq "$want" ] || fail "$last: exit code $got, not $want"
}

# '-' is stdin wherever text is read, and nowhere a file.
run 0 eval -m m.gguf text.txt --json
grep -v '"text"' out >expected
run_with 0 text.txt eval -m m.gguf - --json
grep -v '"text"' out >piped
same piped expected
run 0 train text.txt -o a.gguf $tiny --steps 3 --quiet --held-out text.txt
run_with 0 text.txt train - -o b.gguf $tiny --steps 3 --quiet --held-out text.txt
same a.log.jsonl b.log.jsonl
run_with 0 text.txt train text.txt -o b.gguf $tiny --steps 3 --quiet --held-out -
same a.log.jsonl b.log.jsonl
run_with 2 text.txt train - -o c.gguf $tiny --held-out -
err_has "can be read only once"
for words in "train text.txt -o -" "generate -m -" "explain -m -" "eval -m - text.txt" "info -m -"; do
    # shellcheck disable=SC2086
    run 2 $words
    err_has "needs the name of a file, not '-'"
done
checks=$((checks + 1))
[ ! -e ./- ] || fail "a file called -"

# A prompt from an option, stdin and a file, whose last line end isn't part of it.
run 0 generate -m m.gguf -p "Humpty D" -t 0 --max-tokens 5
cp out expected
printf 'Humpty D\n' >prompt.txt
printf 'Humpty D\r\n' >dos.txt
for arguments in "" "-p -" "--prompt-file -" "--prompt-file prompt.txt"; do
    # shellcheck disable=SC2086
    run_with 0 prompt.txt generate -m m.gguf -t 0 --max-tokens 5 $arguments
    same out expected
done
run_with 0 dos.txt generate -m m.gguf -t 0 --max-tokens 5
same out expected
last="a prompt from a pipe"
"$TEMPERA" generate -m m.gguf -t 0 --max-tokens 5 <prompt.txt | cat >out
same out expected
run_with 0 prompt.txt explain -m m.gguf --json
out_has '"prompt": "Humpty D"'
run 0 generate -m m.gguf -t 0 --max-tokens 5 # /dev/null has no prompt
run 2 generate -m m.gguf -p a --prompt-file prompt.txt
err_has "both give a prompt"
run 1 generate -m m.gguf --prompt-file no-such.txt
err_has "no-such.txt"
awk 'BEGIN { for (i = 0; i < 40000; i++) printf "word " }' >long.txt
run 1 generate -m m.gguf --prompt-file long.txt # 200 KB are read, and are too long for the context
err_has "the context holds 32"

# Marks: UTF-8's is skipped, the others are converted, and everywhere alike.
printf '2 1 0.1\n' >scores.txt
run 0 softmax --file scores.txt --json
cp out expected
encodings="UTF-8 UTF-16LE UTF-16BE UTF-32LE UTF-32BE"
[ -z "${TEMPERA_TEST_SMALL:-}" ] || encodings="UTF-8 UTF-16LE UTF-32BE"
for encoding in $encodings; do
    { printf '\357\273\277'; cat scores.txt; } | iconv -f UTF-8 -t $encoding >scores.$encoding
    run 0 softmax --file scores.$encoding --json
    same out expected
    { printf '\357\273\277'; cat text.txt; } | iconv -f UTF-8 -t $encoding >text.$encoding
    run 0 train text.$encoding -o b.gguf $tiny --steps 3 --quiet --held-out text.$encoding
    same a.log.jsonl b.log.jsonl
    { printf '\357\273\277'; cat prompt.txt; } | iconv -f UTF-8 -t $encoding >prompt.$encoding
    run 0 explain -m m.gguf --prompt-file prompt.$encoding --json
    out_has '"prompt": "Humpty D"'
done
run 0 explain -m m.gguf -p "$(printf '\357\273\277Humpty D')" --json
out_has '"prompt": "Humpty D"'
head -c 101 text.UTF-16LE >half.txt
run 1 eval -m m.gguf half.txt
err_has "'half.txt' is marked as UTF-16LE, but isn't from byte 98 on"
printf 'words \000 words' >binary.txt
for words in "eval -m m.gguf binary.txt" "train binary.txt -o c.gguf" "softmax --file binary.txt" \
    "generate -m m.gguf --prompt-file binary.txt" "train text.txt --held-out binary.txt -o c.gguf"; do
    # shellcheck disable=SC2086
    run 1 $words
    err_has "'binary.txt' is not text: byte 6 is zero"
done

# A stream without end is refused at a size that the message states: more than slow builds have
# time for.
if [ -z "${TEMPERA_TEST_SMALL:-}" ]; then
    checks=$((checks + 1))
    last="yes | tempera eval -"
    yes | "$TEMPERA" eval -m m.gguf - >out 2>err && fail "$last: exit code 0"
    err_has "more than 1024 MB"
fi

# Documents: the end of a file, and <|endoftext|>, are trained on as the end of the text.
printf 'a b c\n<|endoftext|>\nd e f\n' >two.txt
printf 'a b c\n' >one.txt
printf 'd e f\n' >other.txt
awk 'BEGIN { for (i = 0; i < 200; i++) print "one two three\n<|endoftext|>" }' >many.txt
run 0 train two.txt two.txt two.txt -o c.gguf $tiny --context 8 --steps 2 --threads 1
err_has "5 ends of documents within it are trained on"
cp c.log.jsonl joined.log
run 0 train one.txt other.txt one.txt other.txt one.txt other.txt -o c.gguf $tiny --context 8 \
    --steps 2 --quiet
same c.log.jsonl joined.log
run 0 train two.txt two.txt two.txt -o c.gguf $tiny --context 8 --steps 2 --one-document --quiet
checks=$((checks + 1))
cmp -s c.log.jsonl joined.log && fail "--one-document learns the same"
run 0 train many.txt -o end.gguf $tiny --steps 150 --lr 0.02 --quiet
run 0 generate -m end.gguf -p "one two thre" -t 0 --max-tokens 40 --json
out_has '"text": "e\n"'
out_has "256" # the end of the text
run 0 generate -m end.gguf -p "one two thre" -t 0 --max-tokens 40 --json --ignore-eos
checks=$((checks + 1))
grep -q '"text": "e\\n"' out && fail "$last: the text ended"
# a prompt never makes the end of the letters
run 0 generate -m end.gguf -p "one<|endoftext|>" -t 0 --max-tokens 1 --json
out_has '"prompt": "one<|endoftext|>"'
# a training whose text is cut in another way isn't gone on with
run 0 train many.txt -o cut.gguf $tiny --steps 4 --quiet
run 1 train many.txt -o cut.gguf --resume --steps 8 --one-document
err_has "has 200 borders between documents, and 0 here"

# The text ends with the last whole character, in JSON too; tokens still count.
awk 'BEGIN { for (i = 0; i < 300; i++) printf "你好世界" }' >chinese.txt
run 0 train chinese.txt -o zh.gguf $tiny --steps 300 --lr 0.01 --quiet
for n in 1 2 3 5; do
    run 0 generate -m zh.gguf -p 你好 -t 0 --max-tokens $n
    checks=$((checks + 1))
    [ "$(LC_ALL=C.UTF-8 grep -acx '.*' out)" -eq 1 ] || fail "$last: half a character"
    run 0 generate -m zh.gguf -p 你好 -t 0 --max-tokens $n --json
    checks=$((checks + 1))
    grep -q '�' out && fail "$last: half a character"
    [ "$(tr -d ' \n' <out | sed 's/.*"tokens":\[\([0-9,]*\)\].*/\1/' | awk -F, '{ print NF }')" -eq $n ] ||
        fail "$last: not $n tokens"
done

# Somebody with a decimal comma gets a hint.
run 0 softmax 0,5 1,5
err_has "0.5"
run 0 softmax 2,1,0.1
checks=$((checks + 1))
[ ! -s err ] || fail "$last: a hint for a list"
run 0 explain -m m.gguf -p a -t 0,5
err_has "0.5"
run 0 explain -m m.gguf -p a -t 0.5,1,2
checks=$((checks + 1))
[ ! -s err ] || fail "$last: a hint for a list"

finish
