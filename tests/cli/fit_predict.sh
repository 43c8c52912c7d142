# SPDX-License-Identifier: MIT
# A saved model predicts what eval reports; scaling and flattening are remembered.
ntk info | grep -q hdf5 || { echo "built without HDF5"; exit 77; }
try ntk fit --net 'fc(depth=2)' --train digits/train --train-limit 300 --diag-reg 1e-4 --out model.h5
try ntk fit --net 'fc(depth=2)' --train digits/train --train-limit 300 --diag-reg 1e-4 --out model.h5 --json
ntk predict --model model.h5 --x digits/test --out Y.npy --json >predict.json
cat predict.json
ntk eval --net 'fc(depth=2)' --train digits/train --train-limit 300 --diag-reg 1e-4 --test digits/test --quiet --json >eval.json
[ "$(field eval.json accuracy)" = "$(field predict.json accuracy)" ] && echo "eval says the same"
try ntk predict --model model.h5 --x digits/test --test-limit 3 --out Y.npy
try ntk predict --model model.h5 --x digits/test --std --out Y.npz --quiet
grep -a -o '[a-z]*\.npy' Y.npz | sort -u

# Standardised by feature: the predictions at the training points are their targets.
two_classes 12 >two.csv
try ntk fit --net 'fc(depth=1)' --train two.csv --targets onehot --out two.h5 --quiet --factor
try ntk predict --model two.h5 --x two.csv --out Y.npy --quiet
numbers Y.npy 4 f8
two_classes 12 | cut -d , -f 1,2 >unlabelled.csv
try ntk predict --model two.h5 --x unlabelled.csv --target none --out Y2.npy --json
cmp Y.npy Y2.npy && echo "equal without labels"

# Wrong models and samples.
try ntk predict --model missing.h5 --x two.csv --out Y.npy
try ntk predict --model two.csv --x two.csv --out Y.npy
try ntk predict --model two.h5 --x digits/test --out Y.npy
head -c 2000 two.h5 >cut.h5
try ntk predict --model cut.h5 --x two.csv --out Y.npy
try ntk fit --net 'fc(depth=2)' --train two.csv --out model.txt
ls
