# SPDX-License-Identifier: MIT
# The words of the language: all, one, as JSON, none of that name.
ntk layers | grep -E '^[a-z]|^    (Dense|Relu|serial|fc) '
try ntk layers Dense
try ntk layers Erf
try ntk layers FanInSum --json
try ntk layers dense
ntk layers --json | grep -o '"name": "[A-Z][A-Za-z]*", "kind"' | sort | uniq -d
[ "$(ntk layers --json | grep -o '"kind": "activation"' | wc -l)" -ge 25 ] && echo "25 activations or more"
