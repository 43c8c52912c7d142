#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: build/venv/bin/python scripts/make_stubs.py > python/ntk/stax.pyi

Writes the types of ntk.stax, whose functions are made at import from the C library's table of words; the
package must be installed, as scripts/python.sh does.
"""
import textwrap

from ntk import _core

HEAD = '''\
# SPDX-License-Identifier: MIT
# Made by scripts/make_stubs.py.
"""The architecture language as functions; see help(ntk.stax.NAME) for formulas and sources."""
from collections.abc import Callable, Sequence
from typing import Any

from ._kernel import KernelFn
from ._net import ApplyFn, InitFn, Layer

_Network = tuple[InitFn, ApplyFn, KernelFn]

class Word:
    kind: str
    summary: str
    formula: str
    source: str
    cost: str
    parameters: tuple[tuple[str, str, str, str], ...]
    def __call__(self, *args: Any, **kwargs: Any) -> Layer: ...

WORDS: dict[str, Word]

def parse(text: str | _Network) -> Layer:
    """The layer (init_fn, apply_fn, kernel_fn) of an architecture text; ValueError with a caret under the place."""
'''

TYPES = {
    "integer": "int",
    "number": "float",
    "integers": "int | Sequence[int]",
    "numbers": "Sequence[float]",
    "bool": "bool",
    "choice": "str",
    "text": "str | Callable[..., Any]",
    "layer": "_Network",
    "layers": "_Network",
}
# A choice that is not between texts alone, and what neural-tangents has texts for.
OTHERS = {"frozen_ends": "bool | str", "dimension_numbers": "Sequence[str]"}


def parameter(name, kind, value, doc):
    if name.startswith("*"):
        return f"{name}: {'_Network' if kind == 'layers' else 'Any'}"
    what = OTHERS.get(name, TYPES[kind])
    if value:
        return f"{name}: {what}{' | None' if value == 'None' else ''} = {value}"
    return f"{name}: {what}{' = ...' if 'may be left out' in doc else ''}"


def function(name, summary, parameters):
    words = [parameter(*p) for p in parameters]
    if name.startswith("Elementwise"):
        words.append("**kwargs: Any")  # of neural-tangents
    line = f"def {name}({', '.join(words)}) -> Layer:"
    if len(line) > 120:
        line = f"def {name}(\n" + "".join(f"    {word},\n" for word in words) + ") -> Layer:"
    doc = textwrap.fill(f'"""{summary}."""', 120, initial_indent="    ", subsequent_indent="    ")
    return f"{line}\n{doc}\n"


def main():
    parts = [HEAD]
    for name, _, summary, _, _, _, parameters in _core.layers():
        parts.append(function(name, summary, parameters))
    print("\n".join(parts), end="")


if __name__ == "__main__":
    main()
