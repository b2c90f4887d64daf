# SPDX-License-Identifier: MIT
# What the command shows, and where: columns, locales, narrow and plain terminals, closed pipes.
. tests/cli/helpers
export LC_ALL=C.UTF-8
unset NO_COLOR COLUMNS
esc=$(printf '\033')

# Words that are single tokens of their own: wide, with a combining mark, with a turner of direction.
long=abcdefghijklmnopqrstuvwxyzabcdefgh
{
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        printf '漢字 😀 e\314\201 \342\200\256x \302\233y %s\n' $long
    done
    head -c 3000 "$SOURCE/data/rhymes.txt"
} >text.txt
run 0 train text.txt -o m.gguf --layers 1 --dim 16 --heads 2 --hidden 32 --context 32 --batch 2 \
    --vocab 400 --steps 2 --quiet
run 0 explain -m m.gguf -p "a" --raw --top 400
cp out table
out_has '"漢字"  '
out_has '" 😀"  '
out_has '\u202e'
out_has '\u009b'
out_has '" abcdefghijklmnopqrst"…'
run 0 explain -m m.gguf -p "a" --raw --token " $long"
out_has '" abcdefghijklmnopqrst"… ('
checks=$((checks + 2))
# A wide character takes two columns, a combining mark none: then every line's columns are those of
# ASCII. (Characters of their own bytes, \xe6, are ASCII as they are shown.)
sed '1d; /^$/,$d; s/[漢字😀]/xx/g; s/\xcc\x81//g' table >rows
[ "$(wc -l <rows)" -eq 400 ] || fail "$(wc -l <rows) rows, not 400"
odd=$(grep -vE '^[ 0-9]{5}  ".{24}[ 0-9.-]{9}  [ 0-9.]{7} %  [ 0-9.]{7} %  [ 0-9.]{7} %$' rows)
[ -z "$odd" ] || fail "rows of other columns: $odd"

# Bars: eighths of a cell in UTF-8, whole ones of '#' elsewhere, where nothing but ASCII is shown.
run 0 softmax 2 1 0.1
out_has "  ██████████████████████████▍"
LC_ALL=C run 0 softmax 2 1 0.1
out_has "  ##########################"
LC_ALL=C run 0 explain -m m.gguf -p "a" --raw --top 400
out_has '"\xe6\xbc\xa2\xe5"...'
out_has '" abcdefghijklmnopqr"...'
for locale in C POSIX; do
    LC_ALL=$locale run 0 explain -m m.gguf -p "a" --raw --top 400
    checks=$((checks + 1))
    LC_ALL=C grep -q '[^ -~]' out && fail "$last: more than ASCII where LC_ALL is $locale"
done
LC_ALL='' LC_CTYPE=C run 0 softmax 2 1
out_has "##"
LC_ALL='' LC_CTYPE='' LANG=xx_YY.utf8 run 0 softmax 2 1 # a locale that isn't installed
out_has "█"

# terminal COLUMNS ARGUMENTS...: what a terminal of so many columns is given.
terminal() {
    width=$1
    shift
    checks=$((checks + 1))
    last="tempera $* ($width columns)"
    script -qec "stty cols $width; '$TEMPERA' $*" shown >/dev/null </dev/null || fail "$last"
    tr -d '\n' <shown | tr '\r' '\n' >out
}
tiny="--layers 1 --dim 16 --heads 2 --hidden 32 --context 32 --batch 2 --vocab 257"
train="train text.txt -o t.gguf $tiny --steps 3 --evaluate-every 100"
if command -v script >/dev/null; then
    export TERM=xterm
    for width in 40 20 120; do
        terminal $width $train
        checks=$((checks + 1))
        grep -E "^$esc\[K.{$width}" out | grep -v held-out && fail "$last: a line is too long"
        out_has "$esc[Kstep 1/3"
    done
    out_has " tokens/s"
    terminal 40 $train
    out_has "  loss "
    terminal 20 $train
    checks=$((checks + 1))
    grep "^$esc\[Kstep 1/3" out | grep -q loss && fail "$last: there's no room for the loss"
    for width in 80 65 64 40 26; do # a bar never makes a line that the terminal has to break
        terminal $width softmax 9 0
        bar=$(grep -o '█' out | wc -l) # of p = 0.99988, almost the whole width
        cells=$((width < 65 ? width - 25 : 40))
        checks=$((checks + 1))
        [ "$bar" -eq "$cells" ] || fail "$last: a bar of $bar cells, not $cells"
    done
    terminal 80 eval -m m.gguf text.txt
    out_has "$esc[K0 of "
    out_has " tokens"
    # Without a size, the environment's; without escape sequences, lines that stay.
    COLUMNS=30 terminal 0 $train
    checks=$((checks + 1))
    grep -E "^$esc\[K.{30}" out | grep -v held-out && fail "$last: a line is too long"
    out_has "$esc[Kstep 1/3"
    for setting in TERM=dumb TERM= NO_COLOR=1; do
        (
            eval "export $setting"
            terminal 80 $train
            out_has "step 1/3"
            terminal 80 eval -m m.gguf text.txt
            grep -q "$esc" shown && fail "$last, $setting: escape sequences"
            exit $failures
        ) || failures=$((failures + 1))
    done
    terminal 80 $train --quiet
    checks=$((checks + 1))
    grep -v '^Script' shown | grep . && fail "$last: not quiet"
else
    echo "SKIPPED: terminals (no script)"
fi

# Nobody's terminal: no escape sequences, no line of a short text, nothing where all is to be quiet.
run 0 $train
err_has "step 1/3"
checks=$((checks + 1))
grep -q "$esc" err && fail "$last: escape sequences"
for words in "eval -m m.gguf text.txt" "eval -m m.gguf text.txt --json" "$train --quiet" \
    "$train --quiet --resume"; do
    run 0 $words
    checks=$((checks + 1))
    [ ! -s err ] || fail "$last: not quiet"
done

# Who reads no more is told nothing more: the pipe's signal ends the command. A training goes on.
mkfifo pipe
exec 3<>pipe 4>pipe 3<&-
for words in "softmax 1 2" "softmax 1 2 --json" "explain -m m.gguf" "generate -m m.gguf" \
    "generate -m m.gguf --json" "generate -m m.gguf --logprobs 1 --json" \
    "eval -m m.gguf text.txt" info --help; do
    checks=$((checks + 2))
    last="tempera $words >closed"
    "$TEMPERA" $words >&4 2>err </dev/null
    [ $? -eq 141 ] || fail "$last: not ended by SIGPIPE"
    [ ! -s err ] || fail "$last: a message"
    (trap '' PIPE && exec "$TEMPERA" $words >&4 2>err </dev/null)
    [ $? -eq 141 ] || fail "$last: not ended by SIGPIPE, which was ignored"
done
checks=$((checks + 1))
rm t.gguf
"$TEMPERA" $train 2>&4 </dev/null || fail "a training ends with exit code $? when stderr is closed"
[ -s t.gguf ] || fail "a training whose stderr is closed writes no model"
exec 4>&-

finish
