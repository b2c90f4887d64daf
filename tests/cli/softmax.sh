# SPDX-License-Identifier: MIT
. tests/cli/helpers

# The worked example of the README.
run 0 softmax 2 1 0.1
out_has "65.90 %"
out_has "24.24 %"
out_has " 9.86 %"

run 0 softmax 2 1 0.1 --json
out_has '"temperature": 1'
out_has '"probabilities"'
out_has '0.65900117'
out_has '"logprobs"'
out_has '"entropy_bits"'

# What may stand between scores in a file may stand between them in an argument.
for words in 2,1,0.1 "2 1 0.1" "2, 1;0.1"; do
    run 0 softmax "$words"
    out_has "65.90 %"
done

run 0 softmax -1,2 --json
out_has '0.0474258736'

# A negative number is a number, wherever it stands.
run 0 softmax -1 2 --json
out_has '0.0474258736'
run 0 softmax -t 2 -1 -2.5e1 -inf --json
out_has 'null'

# The ends of temperature: ties at the top, and all equal.
run 0 softmax 3 3 1 -t 0 --json
out_has '0.5'
run 0 softmax 3 2 1 0 -t inf --json
out_has '0.25'
out_has '"temperature": "inf"'

# Scores from a file and from stdin.
printf '2, 1\n0.1\n' >scores.txt
run 0 softmax -f scores.txt
out_has "65.90 %"
"$TEMPERA" softmax <scores.txt >out 2>err || fail "scores from stdin"
out_has "65.90 %"
awk 'BEGIN { for (i = 0; i < 262144; i++) print i % 100 }' >many.txt
run 0 softmax -f many.txt
out_has "(the 24 most likely of 262144)"

# What is wrong is said, with the exit code of its kind.
run 2 softmax 2 1 -t abc
err_has "--temperature must be a number from 0 to 3.40282347e+38, or inf, not 'abc'"
out_is_empty
run 2 softmax 2 1 -t -1
err_has "not '-1'"
run 2 softmax 2 1 -t nan
for large in 1e39 -1e39 1e400 -1e400; do
    run 2 softmax 1 $large
    err_has "'$large' (an argument) is too large"
done
run 2 softmax 1 2 -t 1e39
err_has "not '1e39'"
run 0 softmax 1 3.40282347e+38
# A temperature that rounds to 0 would be another one, without a word.
for small in 1e-50 7e-46 1e-400; do
    run 2 softmax 1 2 -t $small
    err_has "--temperature: '$small' is smaller than the smallest 32-bit float, 1.4e-45; use 0"
done
run 2 explain -t 1,1e-50
err_has "use 0"
run 0 softmax 1 2 -t 1.5e-45
run 0 softmax 1 2 -t 0
run 0 softmax 1 1e-400
run 2 softmax 2 x1
err_has "'x1'"
run 2 softmax
err_has "/tempera softmax 2 1 0.1'"
run 2 softmax 3 nan 1
err_has "score 2, 'nan' (an argument), is NaN"
run 2 softmax "3 1,2" 4 -nan
err_has "score 5, '-nan' (an argument), is NaN"
printf '1 2\n3 NAN\n' >nan.txt
run 1 softmax -f nan.txt
err_has "score 4, 'NAN' (line 2), is NaN"
run 1 softmax -- -inf -inf
run 1 softmax -f no-such-file
err_has "no-such-file"
: >empty.txt
run 1 softmax -f empty.txt
err_has "no scores"
printf '1 2\n3 four\n' >bad.txt
run 1 softmax -f bad.txt
err_has "'four' (line 2)"
"$TEMPERA" softmax <bad.txt >out 2>err
[ $? -eq 1 ] || fail "a bad number in stdin is a failure as in a file"
printf '1\0002' >binary.txt
run 1 softmax -f binary.txt
err_has "binary"
run 2 softmax --no-such 1
err_has "--no-such"
run 2 softmax 1 -t
err_has "needs a value"

finish
