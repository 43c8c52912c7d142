# SPDX-License-Identifier: MIT
# Ctrl-C ends long work with code 130 and leaves no file.
ntk kernel --net 'fc(depth=2000)' --x1 digits --threads 1 --out K.npy --quiet &
sleep 1
kill -INT $!
wait $!
echo "-> $?"
ls
