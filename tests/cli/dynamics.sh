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
