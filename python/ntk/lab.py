# SPDX-License-Identifier: MIT
"""The theory's experiments, by the command line's `ntk lab`, as a process of its own.

docs/finite.md says what they are. The command is the package's own; NTK_COMMAND in the environment names another.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
from typing import Any


def _command():
    own = os.path.join(os.path.dirname(__file__), "bin", "ntk")
    command = os.environ.get("NTK_COMMAND") or (own if os.access(own, os.X_OK) else shutil.which("ntk"))
    if not command or not shutil.which(command):
        raise FileNotFoundError(f"the command ntk was not found ({command or own + ', or on PATH'}): install the "
                                "package, or set NTK_COMMAND to the command of a build")
    return command


def experiments() -> dict[str, str]:
    """The experiments' names and one-line summaries, as a dict. FileNotFoundError without the command."""
    lines = subprocess.run([_command(), "lab"], check=True, capture_output=True, text=True).stdout.splitlines()
    found = dict(line.split(None, 1) for line in lines)
    del found["all"]  # that is report()
    return found


def _flags(options):
    """train_limit=100, depths=(3, 4) as --train-limit 100 --depths 3,4; True as the flag alone, False and None not."""
    for name, value in options.items():
        if value is None or value is False:
            continue
        yield "--" + name.replace("_", "-")
        if value is not True:
            yield ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _run(words):
    """Runs the command. Its notes and progress go where sys.stderr does; Ctrl-C ends it and is raised again."""
    try:
        terminal = sys.stderr.fileno()
    except (AttributeError, OSError):  # a notebook's: no file
        terminal = None
    # A group of its own: Ctrl-C in a terminal would reach it too, and a second one ends it before it has cleaned up.
    with subprocess.Popen([_command(), "lab", *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE if terminal is None else terminal, text=True, errors="replace",
                          process_group=0) as process:
        said = []
        try:
            for line in process.stderr or ():
                said.append(line)
                sys.stderr.write(line)
            code = process.wait()
        except BaseException:
            try:
                process.terminate()  # as Ctrl-C; where that is ignored, in the background, the command ignores it too
                process.wait()
            finally:
                process.kill()  # a second Ctrl-C does not wait
            raise
    if code == 130 or code == -signal.SIGINT:
        raise KeyboardInterrupt
    if code != 0:
        raise RuntimeError(f"ntk lab {' '.join(words)} failed with exit code {code}" +
                           (f": {''.join(said[-2:]).strip()}" if said else "; its message is above"))


def run(name: str, out: str | os.PathLike[str] = "ntk-lab", quick: bool = False,
        **options: Any) -> list[dict[str, Any]]:
    """Runs an experiment and returns what it found: a list of dicts, one for each quantity.

    name: one of experiments(). out: the folder for NAME.json, tables, plots (with gnuplot). quick: a small version,
    in seconds to a minute. options: those of `ntk lab --help`, such as threads=2, or of cifar10: data='DIR',
    depths=(3, 4), columns='gap', train_limit=2000. Each dict has quantity, says (a sentence), theory, measured, low
    and high (a 95 % interval) and agrees (True or False), with None where there is no number or nothing to compare
    with. ValueError for an unknown name, RuntimeError if the command fails, KeyboardInterrupt on Ctrl-C.
    """
    name = name.replace("-", "_")
    known = experiments()
    if name not in known:
        raise ValueError(f"there is no experiment '{name}'; there are {', '.join(known)}")
    _run([name, "--out", str(out), *_flags({"quick": quick, **options})])
    with open(os.path.join(out, f"{name}.json"), encoding="utf-8") as file:
        return json.load(file)["results"]


def report(out: str | os.PathLike[str] = "ntk-lab", quick: bool = False, **options: Any) -> str:
    """Runs every experiment but cifar10, leaving out those that `out` has already, and returns the path of
    report.html, one page with what they found and all plots. quick: small versions, a minute or two in all."""
    _run(["all", "--out", str(out), *_flags({"quick": quick, **options})])
    return os.path.join(out, "report.html")


def show(out: str | os.PathLike[str] = "ntk-lab") -> str:
    """Displays the report in a notebook; elsewhere prints and returns its path. FileNotFoundError without one."""
    path = os.path.join(out, "report.html")
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no {path}: ntk.lab.report({out!r}) makes it")
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
        from html import escape

        from IPython.display import HTML, display

        with open(path, encoding="utf-8") as file:  # a frame keeps its style from the notebook
            page = escape(file.read())
        display(HTML(f'<iframe srcdoc="{page}" style="width: 100%; height: 80vh; border: 0"></iframe>'))
    else:
        print(path)
    return path
