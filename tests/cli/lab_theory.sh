# SPDX-License-Identifier: MIT
# The theory's experiments, small: what they measured lies where it should.
ntk info | grep -q sundials || exit 77
ntk lab all --quick --quiet --out lab || exit 1
field() { sed 's/}, {/}\n{/g' "lab/$1.json" | grep -F "$2" | head -1 | sed "s/.*\"$3\": \([^,}]*\).*/\1/"; }
bounded=
# between FILE QUANTITY LOW HIGH: the measured value is
between() {
    bounded="$bounded $1 "
    value=$(field "$1" "$2" measured)
    if [ -n "$value" ] && awk "BEGIN { exit !($value >= $3 && $value <= $4) }"; then
        echo "$1: $2: from $3 to $4"
    else
        echo "$1: $2: $value is not from $3 to $4"
    fi
}
between init "2 x Relu" -0.7 -0.3
between init "2 x Tanh" -0.7 -0.2
between lazy "sup |f - f_lin|, Tanh" -1.2 -0.4
between lazy "sqrt(width), Tanh" -0.7 -0.3
between lazy "sup |Theta - Theta_0|, Tanh" -1.2 -0.5
between lazy "movement of a hidden unit, Tanh" -0.7 -0.25
between lazy "movement of all hidden units, Tanh" -0.2 0.25
between training "exponent in width of the least error" -0.6 -0.05
between training "exponent in width of the best s" -0.9 -0.05
between training "error at the better end" 1.5 20
# 0.7 to 1.3 times lambda_min, which is 0.194
between training "late decay of the loss, as an eigenvalue, 10 samples" 0.136 0.252
between learning_rate "width 128" 0.98 1.05
between weights "W_0" -1.3 -0.7
between dynamics "f_lin, squared loss" -1.5 -0.3
between dynamics "closed form, squared loss" -1 -0.1
between dynamics "cross-entropy" -1.2 -0.1
between parameterisation "Theta_0(x, x), ntk" -0.3 0.3
between parameterisation "Theta_0(x, x), standard" 0.6 1.2
between parameterisation "learning rate, standard" -1.3 -0.6
between targets "centred minus one-hot accuracy, %, digits, NTK" -0.05 0.05
between targets "test error, centred / one-hot, digits, NTK" 0.99 1
between scale "fully connected" 1e5 1e10
for file in lab/*.json; do
    name=$(basename "$file" .json)
    case $bounded in *" $name "*) ;; *) echo "$name: no interval here says where its values lie" ;; esac
done
grep -c '<h2 ' lab/report.html
ntk lab all --quick --out lab 2>&1 | grep -c 'is done'
