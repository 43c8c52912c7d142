# SPDX-License-Identifier: MIT
"""Runs the examples of the documentation's pages: python3 docs/examples.py [--images] PAGE.md ...

A page's fenced blocks run from top to bottom, in one temporary directory:

    python     in one namespace; a `text` block right after it is what it prints
    console    lines that begin with `$ ` (and `> `, or what a backslash continues) are commands, others what they print
    sh, none   the whole block is a script, where its first line begins with `ntk ` (sh: or anything else)

Printed numbers may differ from those of the page by 2 %, blanks do not matter, and lines about seconds are not
compared. Comments in the Markdown just before a block change what happens:

    <!-- skip: WHY -->                 it is not run, for that reason
    <!-- skip without NAME: WHY -->    the same where the environment variable NAME is not set
    <!-- file: NAME -->                it is written to that file
    <!-- before: CODE -->              a line of Python that runs before it, such as data that readers have

--images copies pictures that a page makes over those of the same name in docs/images. Exit code 77: a page needs the
command ntk ($NTK_COMMAND, or the one in the Python package), which is not there.
"""
import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
NUMBER = re.compile(r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[-+]?\d+)?")


def pages():
    """Pages with examples, relative to the repository."""
    docs = ROOT / "docs"
    found = [ROOT / "README.md", *sorted(docs.glob("*.md")), *sorted(docs.glob("tutorials/*.md")),
             *sorted(docs.glob("howto/*.md"))]
    return [str(path.relative_to(ROOT)) for path in found]


@dataclass
class Block:
    language: str
    text: str
    line: int  # of its first line of text, from 1
    skip: str = None  # why it is not run
    file: str = None
    output: str = None  # what it should print
    before: str = ""  # Python that runs first

    @property
    def runs(self):
        if self.file or self.skip:
            return False
        plain = not self.language and self.text.lstrip().startswith(("ntk ", "$ ntk "))
        return plain or self.language in ("python", "console", "sh")


def blocks(markdown):
    """The fenced blocks of a page."""
    found, lines, i = [], markdown.splitlines(), 0
    notes, last = [], None  # comments since the last text; the last block, while nothing follows it
    while i < len(lines):
        fence = re.match(r"(`{3,})(\S*)$", lines[i])
        comment = re.match(r"<!-- (.*) -->$", lines[i])
        if fence:
            end = next(j for j in range(i + 1, len(lines)) if lines[j] == fence[1])
            text = "\n".join(lines[i + 1:end]) + "\n"
            if fence[2] == "text" and last and last.language == "python":
                last.output = text
            last = Block(fence[2], text, i + 2)
            for note in notes:
                annotate(last, note)
            found.append(last)
            notes, i = [], end
        elif comment:
            notes.append(comment[1])
        elif lines[i].strip():
            notes, last = [], None
        i += 1
    return found


def annotate(block, note):
    skip = re.match(r"skip(?: without (\w+))?: (.*)", note)
    if skip and not (skip[1] and os.environ.get(skip[1])):
        block.skip = skip[2]
    file = re.match(r"file: (\S+)", note)
    if file:
        block.file = file[1]
    before = re.match(r"before: (.*)", note)
    if before:
        block.before = before[1]


def commands(block):
    """[(command, what it should print or None)] of a block for the shell."""
    if not block.text.lstrip().startswith("$ "):
        return [(block.text, None)]
    found = []
    for line in block.text.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append([line[2:], ""])
        elif line.startswith("> "):
            found[-1][0] += line[2:]
        elif found[-1][0].endswith("\\\n"):
            found[-1][0] += line
        else:
            found[-1][1] += line
    return [(command, output or None) for command, output in found]


def same(printed, expected):
    """None, or the first lines that differ."""
    printed, expected = [[line for line in text.strip().splitlines() if "second" not in line]
                         for text in (printed, expected)]
    for a, b in zip(printed + [""] * len(expected), expected):
        if not same_line(a, b):
            return f"printed:  {a}\nexpected: {b}"
    extra = printed[len(expected):]
    return f"printed, not expected: {extra[0]}" if extra else None


def same_line(a, b):
    words = [NUMBER.sub("#", re.sub(r"(?<=[\[(])\s+", "", " ".join(line.split()))).replace(" ", "") for line in (a, b)]
    if words[0] != words[1]:
        return False
    pairs = zip(*[[float(n.replace(",", "")) for n in NUMBER.findall(line)] for line in (a, b)])
    return all(abs(x - y) <= 0.02 * abs(y) + 1e-12 for x, y in pairs)


def environment(command):
    """Variables of commands: ntk first on PATH; programs find the library of a build in $NTK_BUILD or beside ntk."""
    env = dict(os.environ)
    if command:
        env["PATH"] = f"{Path(command).parent}:{env['PATH']}"
        build = Path(env.get("NTK_BUILD") or Path(command).parent)
        if (build / "meson-uninstalled").is_dir():
            env["PKG_CONFIG_PATH"] = f"{build / 'meson-uninstalled'}:{env.get('PKG_CONFIG_PATH', '')}"
            env["LD_LIBRARY_PATH"] = f"{build}:{env.get('LD_LIBRARY_PATH', '')}"
            env["CPATH"] = str(ROOT / "include")
    return env


def has_library(env):
    """Whether programs can be compiled with the library."""
    return subprocess.run(["sh", "-c", "pkg-config --exists ntk"], env=env).returncode == 0


def find_command():
    import ntk

    packaged = os.path.join(os.path.dirname(ntk.__file__), "bin", "ntk")
    path = os.environ.get("NTK_COMMAND") or packaged
    return os.path.abspath(path) if os.path.exists(path) else None


def run_python(block, namespace):
    printed = io.StringIO()
    exec(block.before, namespace)
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * (block.line - 1) + block.text, "page", "exec"), namespace)
    return printed.getvalue()


def run_page(page, images=False):
    """Runs a page in a directory of its own; raises or exits at the first example that fails."""
    found = blocks((ROOT / page).read_text(encoding="utf-8"))
    command = find_command()
    if not command and any(b.runs and b.language != "python" for b in found):
        print(f"{page}: needs the command ntk")
        sys.exit(77)
    os.environ["MPLBACKEND"] = "Agg"
    namespace, env = {"__name__": "__main__"}, environment(command)
    home = os.getcwd()
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        try:
            for block in found:
                if block.file:
                    Path(block.file).write_text(block.text, encoding="utf-8")
                elif block.skip:
                    print(f"{page}:{block.line}: not run: {block.skip}")
                elif block.runs and "pkg-config" in block.text and not has_library(env):
                    print(f"{page}:{block.line}: not run: pkg-config does not find the library")
                elif block.runs:
                    run_block(page, block, namespace, env)
            for picture in [p for p in Path().iterdir() if images and p.suffix in (".svg", ".png")]:
                shutil.copy(picture, IMAGES / picture.name)
        finally:
            os.chdir(home)


def run_block(page, block, namespace, env):
    place = f"{page}:{block.line}"
    if block.language == "python":
        try:
            results = [(run_python(block, namespace), block.output)]
        except Exception:
            sys.exit(f"{place}: {traceback.format_exc()}")
    else:
        results = []
        for command, expected in commands(block):
            done = subprocess.run(["sh", "-e", "-c", command], env=env, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            if done.returncode:
                sys.exit(f"{place}: exit code {done.returncode} of {command}{done.stdout}")
            results.append((done.stdout, expected))
    for printed, expected in results:
        why = expected and same(printed, expected)
        if why:
            sys.exit(f"{place}:\n{why}\n\nall that was printed:\n{printed}")


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if a != "--images"]
    for name in arguments or pages():
        run_page(name, "--images" in sys.argv)
