# SPDX-License-Identifier: MIT
# A net's canonical text and output; the graph of one net and of several, of vectors and of images, as text and for
# Graphviz; what is refused.
one='serial(Dense(8, W_std=2, b_std=0.5), LayerNorm(eps=0.01), LeakyRelu(0.1), Dense(1))'
two='serial(Dense(8, W_std=2, b_std=0.5), LeakyRelu(0.1), Dropout(0.5), Dense(3, W_std=3))'
try ntk net --net 'fc(depth=1)'
try ntk net --net "$two" --net Relu\(\) --input-shape 4
try ntk net --net 'Conv(2, (3, 3))' --input-shape 5,6,3
try ntk net --net 'Conv(2, (3, 3))' --input-shape 5,6,3 --json
try ntk net --net 'Dense(2)' --input-shape 5,6,3
echo "$one" >one.ntk
try ntk net --net @one.ntk --input-shape 4 --graph
try ntk net --net "$one" --net "$two" --input-shape 4 --get ntk --graph
try ntk net --net "$one" --net "$two" --input-shape 2,2 --get nngp --graph dot
try ntk net --net 'serial(Dense(2, 2), Dense(2, 3), FanOut(2), parallel(Identity(), Dense(2)), FanInConcat(), Dense(1))' \
    --input-shape 4 --graph
image="serial(Conv(8, (3, 3), padding='SAME', W_std=1.5), Relu(), AvgPool((2, 2), (2, 2)), Flatten(), Dense(1))"
standard="serial(Conv(8, (3, 3), W_std=0.5, parameterization='standard'), Polynomial((0.5, 2)), GlobalAvgPool())"
try ntk net --net "$image" --net "$standard" --input-shape 4,4,3 --graph
try ntk net --net "serial(Conv(8, (3,)), Relu(), Flatten(), Dense(1))" --input-shape 9,3 --get nngp --graph
try ntk net --net 'Dense(1)' --input-shape 4 --graph --json

# What is refused
try ntk net
try ntk net --net 'Dence(1)'
try ntk net --net 'Dense(1)' --graph
try ntk net --net 'Dense(1)' --input-shape 4,x --graph
try ntk net --net 'Dense(1)' --input-shape 4 --graph svg
try ntk net --net 'Dense(1)' --input-shape 4 --graph=
try ntk net --net 'Dense(1)' --input-shape 4 --get nngp
try ntk net --net 'Dense(1)' --input-shape 4 --graph --get all
try ntk net --net 'Dense(1)' --input-shape 9999999999,9999999999,9999999999 --graph
try ntk net --net 'serial(Dense(1), Relu(), Relu(), Dense(1))' --input-shape 4 --graph
try ntk net --net 'Conv(2, (3, 3))' --input-shape 5,6,3 --graph
try ntk net --net 'Conv(2, (3, 3))' --input-shape 4 --graph
try ntk net --net 'Dense(1)' dot
