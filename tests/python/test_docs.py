# SPDX-License-Identifier: MIT
"""Every example of the documentation runs and prints what the page says (docs/examples.py has the rules)."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))
import examples
import notebooks


def page_blocks(page):
    return examples.blocks((ROOT / page).read_text(encoding="utf-8"))


PAGES = [page for page in examples.pages() if any(block.runs for block in page_blocks(page))]
SKIPPED = {f"{page}:{block.line}": block.skip for page in examples.pages() for block in page_blocks(page) if block.skip}


@pytest.mark.parametrize("page", PAGES)
def test_examples_run(page):
    done = subprocess.run([sys.executable, ROOT / "docs" / "examples.py", page], capture_output=True, text=True,
                          cwd=ROOT, env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    if done.returncode == 77:
        pytest.skip(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("place", SKIPPED)
def test_example_is_not_run(place):
    pytest.skip(SKIPPED[place])


@pytest.mark.parametrize("page", notebooks.PAGES)
def test_notebook_is_its_page(page):
    assert notebooks.path_of(page).read_text(encoding="utf-8") == notebooks.notebook(page), \
        "run python3 docs/notebooks.py"


def test_blocks_of_a_page():
    page = "\n".join(["<!-- skip: why -->", "```sh", "ntk x", "```", "text", "<!-- file: a.c -->", "```c", "int", "```",
                      "```python", "print(1)", "```", "", "```text", "1", "```", "```console", "$ ntk \\", "  b", "out",
                      "$ ntk c", "```"])
    a, b, c, _, d = examples.blocks(page)
    assert (a.skip, a.runs, b.file, b.runs, c.output, c.line, c.runs) == ("why", False, "a.c", False, "1\n", 11, True)
    assert examples.commands(d) == [("ntk \\\n  b\n", "out\n"), ("ntk c\n", None)]


def test_comparison_of_output():
    assert examples.same("accuracy  97.21 %\n3 seconds", "accuracy 97.20 %\n2 seconds") is None
    assert examples.same("accuracy 90 %", "accuracy 97.20 %")
    assert examples.same("mean 1", "median 1")
    assert examples.same("1\n2", "1") and examples.same("1", "1\n2")
