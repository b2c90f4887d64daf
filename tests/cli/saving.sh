# SPDX-License-Identifier: MIT
# Nothing lost, nothing silent: signals, checkpoints, files in the way, resuming.
. tests/cli/helpers

tiny="--layers 1 --dim 16 --heads 2 --hidden 32 --context 32 --batch 2 --vocab 257 --threads 1"
head -c 3000 "$SOURCE/data/rhymes.txt" >text.txt

# start NAME [PREFIX]: a training that would take an hour, in the background, at its first steps.
start() {
    rm -f "$1.gguf" "$1.state.gguf" "$1.log.jsonl"
    # shellcheck disable=SC2086
    ${2:-} "$TEMPERA" train text.txt -o "$1.gguf" $tiny --steps 1000000 --evaluate-every 0 \
        --sample-every 0 >out 2>err </dev/null &
    pid=$!
    while [ ! -s "$1.log.jsonl" ] && kill -0 $pid 2>/dev/null; do sleep 0.05; done
}

# Signals end a training after its step, saved, and say so; with nohup, SIGHUP doesn't.
for signal in INT TERM HUP; do
    start $signal
    kill -$signal $pid
    wait $pid
    got=$?
    checks=$((checks + 1))
    last="SIG$signal"
    [ $got -eq 0 ] || fail "$last: exit code $got"
    err_has "stopping after this step"
    err_has "once more ends at once"
    err_has "--resume"
    checks=$((checks + 1))
    [ -s $signal.state.gguf ] && [ -s $signal.gguf ] || fail "$last: nothing was saved"
done
start ignored nohup
kill -HUP $pid
sleep 0.3
checks=$((checks + 1))
last="nohup"
kill -0 $pid 2>/dev/null || fail "$last: SIGHUP ended it"
kill -TERM $pid
wait $pid

# What is said before, and in --help.
run 0 train --help
out_has "written every minute"
out_has "(default: every minute)"
run 0 train text.txt -o m.gguf $tiny --steps 3
err_has "a checkpoint every minute, and on Ctrl-C: m.state.gguf"
run 0 train text.txt -o n.gguf $tiny --steps 3 --checkpoint-every 2
err_has "a checkpoint every 2 steps"
run 0 train text.txt -o n.gguf $tiny --steps 3 --checkpoint-every 0
err_has "a checkpoint at the end and on Ctrl-C"

# A finished run, a later end, other texts.
run 0 train text.txt -o m.gguf --resume
err_has "has done all of its 3 steps"
err_has "--steps with more"
run 0 train text.txt -o m.gguf --resume --steps 6
err_has "6 steps instead of 3: the learning rate was 0.0003 after step 3, goes on at "
run 1 train text.txt -o m.gguf --resume --steps 9 --held-out text.txt
err_has "another held-out text"
run 1 train "$SOURCE/data/rhymes.txt" -o m.gguf --resume --steps 9
err_has "belongs to another text"

# 0 does not mean "pick": leaving it out does.
for option in steps layers dim heads kv-heads hidden context batch vocab minutes; do
    run 2 train text.txt -o z.gguf --$option 0
    err_has "--$option must be "
done

# A link to where no file is yet, files that are somebody else's, and what is in the way.
ln -s later.gguf link.gguf
run 0 train text.txt -o link.gguf $tiny --steps 2 --quiet
checks=$((checks + 1))
[ -L link.gguf ] && [ -s later.gguf ] || fail "$last: the link doesn't lead to the model"
ln -s no/such/later.gguf lost.gguf
run 1 train text.txt -o lost.gguf $tiny --steps 2
err_has "choose another -o"
checks=$((checks + 1))
grep -q "million parameters" err && fail "$last: found after the planning"
for ending in log.jsonl state.gguf; do
    echo "my own notes" >u.$ending
    cp u.$ending kept
    run 1 train text.txt -o u.gguf $tiny --steps 2
    err_has "u.$ending"
    same u.$ending kept
    rm -f u.*
done
echo "a download" >v.gguf.tmp
cp v.gguf.tmp kept
run 0 train text.txt -o v.gguf $tiny --steps 2 --quiet
same v.gguf.tmp kept
mkfifo w.gguf.tempera-tmp
run 1 train text.txt -o w.gguf $tiny --steps 2
err_has "is in the way"
checks=$((checks + 1))
[ ! -e w.log.jsonl ] || fail "$last: the training began"

# "File too large" is a full disk, wherever it strikes: log, checkpoint or model.
for blocks in 1 40; do
    rm -f x.gguf x.state.gguf x.log.jsonl
    checks=$((checks + 1))
    last="ulimit -f $blocks; tempera train"
    # shellcheck disable=SC2086
    (ulimit -f $blocks && exec "$TEMPERA" train text.txt -o x.gguf $tiny --steps 30 --quiet) \
        >out 2>err </dev/null && fail "$last: exit code 0"
    err_has "allow larger files"
done

finish
