# SPDX-License-Identifier: MIT
"""usage: scripts/check_includes.py [ROOT]

Checks every #include "..." of the C sources of ROOT (default: this repository): none points upwards in the order of
folders below, and no files include each other in a circle. Prints what does, one line each, and ends with status 1 if
anything does.
"""
import re
import sys
from pathlib import Path

# From the bottom up: a file may include what is in its own folder and in those of lines above. Folders of one line are
# one level, in which none includes the others.
ORDER = [
    ["include"],
    ["src/base"],
    ["src/simd"],
    ["src/activations"],
    ["src/ops"],
    ["src/steps"],
    ["src/layers"],
    ["src/language"],
    ["src/data"],
    ["src/engine"],
    ["src/backend"],
    ["src/kernel"],
    ["src/store"],
    ["src/solve"],
    ["src/predict"],
    ["src/finite"],
    ["src/features"],
    ["cli", "python/core"],
    ["lab"],
]
LEVEL = {folder: level for level, folders in enumerate(ORDER) for folder in folders}
INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')


def folder_of(path):
    """The folder of ORDER that a file (relative to the root) is in, at any depth; None: none of them."""
    return next((str(parent) for parent in path.parents if str(parent) in LEVEL), None)


def target_of(root, path, name):
    """The file that an include of `path` names, relative to the root; None: there is none."""
    for start in (path.parent, Path("src"), Path("include")):
        found = (root / start / name).resolve()
        if found.is_file() and found.is_relative_to(root):
            return found.relative_to(root)
    return None


def includes_of(root):
    """{file: [(line, name, file that is included, or None)]}"""
    top = {Path(folder).parts[0] for folder in LEVEL} - {"python"}
    files = sorted(path.relative_to(root) for folder in [*top, "python/core"] for kind in ("c", "h", "def")
                   for path in (root / folder).rglob(f"*.{kind}"))
    found = {}
    for path in files:
        lines = (root / path).read_text().splitlines()
        matches = [(k, INCLUDE.match(line)) for k, line in enumerate(lines, 1)]
        found[path] = [(k, match[1], target_of(root, path, match[1])) for k, match in matches if match]
    return found


def wrong_lines(includes):
    """Files of unknown folders, and includes that lead nowhere or upwards."""
    for path, lines in includes.items():
        mine = folder_of(path)
        if mine is None:
            yield f"{path}: its folder is not in the order of scripts/check_includes.py: add it"
            continue
        for line, name, target in lines:
            other = target and folder_of(target)
            if other is None:
                yield f'{path}:{line}: "{name}" is no file of a folder in the order'
            elif other != mine and LEVEL[other] >= LEVEL[mine]:
                yield f'{path}:{line}: {mine} must not include "{name}": {other} is {"above" if LEVEL[other] > LEVEL[mine] else "beside"} it'


def circles(includes):
    """Each circle of files once, from the file that comes first in it."""
    done, found = set(), []

    def visit(path, way):
        if path in way:
            found.append(way[way.index(path):])
        elif path not in done:
            for _, _, target in includes.get(path, ()):
                if target:
                    visit(target, [*way, path])
            done.add(path)

    for path in includes:
        visit(path, [])
    return found


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    includes = includes_of(root)
    wrong = list(wrong_lines(includes))
    for circle in circles(includes):
        wrong.append("these include each other in a circle: " + ", ".join(map(str, circle)))
    print("\n".join(wrong) or f"{sum(map(len, includes.values()))} includes of {len(includes)} files point downwards")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
