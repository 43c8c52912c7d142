# SPDX-License-Identifier: MIT
"""The README's Python runs as it stands there."""
import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_readme_python(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    assert blocks
    monkeypatch.chdir(tmp_path)
    exec("\n".join(blocks), {})
