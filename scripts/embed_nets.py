#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: embed_nets.py OUT.c NET.ntk ...

Writes the presets as a C table: name, text, summary (the first comment line), and the parameters
of its `def` line, each with the comment that stands behind it.
"""
import os
import re
import sys


def c_string(text):
    lines = text.splitlines(keepends=True) or [""]
    escaped = (l.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for l in lines)
    return "\n    ".join('"%s"' % l for l in escaped)


def kind(value):
    if value in ("True", "False"):
        return "bool"
    if value[0] in "'\"":
        return "choice"
    return "integer" if re.fullmatch(r"-?\d+", value) else "number"


def parameters(path, text):
    """One `name=default,  # what it is` a line between `def NAME(` and `):`."""
    head = re.search(r"^def\s+\w+\((.*?)^\):", text, re.S | re.M)
    if not head:
        sys.exit("%s: no `def NAME(` ... `):`" % path)
    found = re.findall(r"^\s*(\w+)\s*=\s*(.*?),\s*#\s*(.*)$", head.group(1), re.M)
    if len(found) != len([l for l in head.group(1).splitlines() if l.strip()]):
        sys.exit("%s: each parameter is a line `name=default,  # what it is`" % path)
    return found


def main(out, paths):
    table, body = [], []
    for path in paths:
        name = os.path.splitext(os.path.basename(path))[0]
        with open(path) as f:
            text = f.read()
        summary = re.search(r"^#\s*(.*)$", text, re.M).group(1)
        rows = parameters(path, text)
        body.append("static const ntk_param_info %s_params[] = {" % name)
        for key, value, doc in rows:
            body.append('    {"%s", "%s", %s, %s},' % (key, kind(value), c_string(value), c_string(doc)))
        body.append("};\n")
        table.append('    {"%s",\n    %s,\n    %s,\n    %s_params, %d},'
                     % (name, c_string(text), c_string(summary), name, len(rows)))
    with open(out, "w") as f:
        f.write("/* Made by scripts/embed_nets.py from nets/. */\n#include \"language/net.h\"\n\n")
        f.write("\n".join(body))
        f.write("\nconst struct ntk_preset ntk_presets[] = {\n%s\n};\n" % "\n".join(table))
        f.write("const size_t ntk_n_presets = sizeof ntk_presets / sizeof *ntk_presets;\n")


main(sys.argv[1], sys.argv[2:])
