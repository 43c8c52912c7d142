# SPDX-License-Identifier: MIT
# Gradient flow: at time 0 nothing is learnt, at infinity everything.
two_classes 20 >train.csv
two_classes 31 | tail -n 6 | sed '1i a,b,label' >test.csv
run="ntk dynamics --net fc(depth=2) --train train.csv --test test.csv --times 0,0.1,10,inf --quiet"
try $run --out F.npz
grep -a -o '[a-z_]*\.npy' F.npz | sort -u
try $run --std --get nngp --out F.npz --json
grep -a -o '[a-z_]*\.npy' F.npz | sort -u
# With the mean loss time runs n x outputs = 40 times slower.
$run --times 0.1 --out F.npz >sum.txt
$run --times 4 --mean --out F.npz >mean.txt
[ "$(awk 'NR == 2 {print $2}' sum.txt)" = "$(awk 'NR == 2 {print $2}' mean.txt)" ] && echo "equal"
try ntk dynamics --net 'fc()' --train train.csv --times 1 --out F.npz --quiet

# Without --out there is the table alone.
mkdir alone && cd alone
ntk dynamics --net 'fc(depth=2)' --train ../train.csv --times 1 --quiet | head -n 1
ls
cd ..

# Equal samples of different classes: their difference is not learnt at any time, and that is said.
{ cat train.csv; sed -n '2s/0$/1/p' train.csv; } >twins.csv
run="ntk dynamics --net fc(depth=2) --train twins.csv --times 1e8,1e300,inf"
try $run
$run --json 2>/dev/null | tr '{' '\n' | sed -n 's/.*"null_directions": \([0-9]*\).*/\1/p'
# With float32's rounding errors the training error does not rise (it was 1e14 after 1e8).
awk 'BEGIN {print "lat,lon,y"; for (i = 0; i < 120; i++) {
    a = 10 + (i * 0.618034 % 1) * 10; b = 45 + (i * 0.414214 % 1) * 10
    printf "%.4f,%.4f,%.6f\n", a, b, sin(a) + 0.1 * b - 5}}' >places.csv
run="ntk dynamics --net fc(depth=3) --train places.csv --targets raw --standardize none --dtype float32"
$run --times 1,100,1e8,inf --quiet | awk 'NR > 1 {if (NR > 2 && $2 > 1.000001 * last) print "rises"; last = $2} END {print last < 0.2}'
# A ridge that is said to work does.
run="ntk eval --net fc(depth=1,activation='erf') --train places.csv --test places.csv --targets raw --standardize none --dtype float32 --quiet"
for given in '' '--diag-reg 1e-9' '--diag-reg 1e-9 --absolute'; do
    hint=$($run $given 2>&1 | sed -n 's/.*; try \(--diag-reg [^ ]*\) (.*/\1/p')
    [ -n "$hint" ] && $run $given $hint | sed -n '1p'
done
exit 0
