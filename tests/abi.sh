#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: tests/abi.sh > tests/abi.txt
# What a program compiled with ntk.h takes for granted, as this compiler has it: bytes of each struct, where its fields
# begin and how long they are, and the values of constants.
root=$(cd "$(dirname "$0")/.." && pwd)
tmp=$(mktemp -d) || exit 1
trap 'rm -r "$tmp"' EXIT

cc -E -P "$root/include/ntk.h" | awk '
    function last_word(s) {
        gsub(/\[[^]]*\]| *= *[^,]*$| +$/, "", s)
        return match(s, /[A-Za-z_0-9]+$/) ? substr(s, RSTART) : ""
    }
    function fields(type, body,    n, part, k, m, one, j, name) {
        printf "printf(\"%s %%zu\\n\", sizeof(%s));\n", type, type
        n = split(body, part, ";")
        for (k = 1; k <= n; k++) {
            m = split(part[k], one, ",")
            for (j = 1; j <= m; j++)
                if (name = last_word(one[j]))
                    printf "printf(\"%s.%s %%zu %%zu\\n\", offsetof(%s, %s), sizeof(((%s *)0)->%s));\n",
                        type, name, type, name, type, name
        }
    }
    function constants(body,    n, part, k, name) {
        n = split(body, part, ",")
        for (k = 1; k <= n; k++)
            if (name = last_word(part[k]))
                printf "printf(\"%s %%d\\n\", %s);\n", name, name
    }
    {
        text = text " " $0
    }
    END {
        print "#include <stdio.h>\n#include \"ntk.h\"\nint main(void)\n{"
        while (match(text, /(struct|enum) *(ntk_[a-z_]+)? *\{[^{}]*\}/)) {
            unit = substr(text, RSTART, RLENGTH - 1)
            text = substr(text, RSTART + RLENGTH)
            split(unit, word, " ")
            body = substr(unit, index(unit, "{") + 1)
            if (word[1] == "struct" && word[2] ~ /^ntk_/)
                fields(word[2], body)
            else if (word[1] == "enum" && body ~ /NTK_/)
                constants(body)
        }
        print "return 0;\n}"
    }' >"$tmp/abi.c" && cc -I"$root/include" -o "$tmp/abi" "$tmp/abi.c" && "$tmp/abi"
