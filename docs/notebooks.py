# SPDX-License-Identifier: MIT
"""Writes the notebooks docs/notebooks/*.ipynb of some pages: python3 docs/notebooks.py.

Python blocks become cells of code, what is between them cells of text; what code prints, and pictures that it makes,
are left out: running the notebook makes them.
"""
import json
import re
from pathlib import Path

import examples

PAGES = ["docs/tutorials/regression.md", "docs/tutorials/finite.md"]


def path_of(page):
    return examples.ROOT / "docs" / "notebooks" / Path(page).with_suffix(".ipynb").name


def cells(page):
    """(kind, text) of a page's cells."""
    markdown = (examples.ROOT / page).read_text(encoding="utf-8")
    lines, at = markdown.splitlines(keepends=True), 0
    before = None
    for block in examples.blocks(markdown):
        printed = before and before.output is block.text
        before = block
        if block.language != "python" and not printed:
            continue
        yield "markdown", "".join(lines[at:block.line - 2])
        if not printed:
            yield "code", block.text
        at = block.line + block.text.count("\n")
    yield "markdown", "".join(lines[at:])


def tidy(text):
    """Text of a cell: without comments for the tests, pictures, and links to other pages."""
    text = re.sub(r"<!-- .*? -->\n|!\[[^]]*\]\([^)]*\)\n?", "", text)
    text = re.sub(r"\[([^]]*)\]\((?!https?:)[^)]*\)", r"\1", text)
    return text.strip()


def notebook(page):
    """The text of a page's notebook."""
    made = []
    for kind, text in cells(page):
        text = text.rstrip() if kind == "code" else tidy(text)
        if text:
            cell = {"cell_type": kind, "id": f"cell-{len(made)}", "metadata": {},
                    "source": text.splitlines(keepends=True)}
            if kind == "code":
                cell |= {"execution_count": None, "outputs": []}
            made.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": made, "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
             "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name in PAGES:
        path_of(name).write_text(notebook(name), encoding="utf-8")
        print(path_of(name).relative_to(examples.ROOT))
