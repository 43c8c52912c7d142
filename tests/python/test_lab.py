# SPDX-License-Identifier: MIT
"""The experiments: the command's list, a quick run and what it finds, Ctrl-C, errors."""
import os
import signal
import sys
import time
from types import SimpleNamespace

import pytest

import ntk
from processes import started

try:
    COMMAND = ntk.lab._command()
except FileNotFoundError as error:
    COMMAND = None
needs_command = pytest.mark.skipif(COMMAND is None, reason="the command ntk is not installed; set NTK_COMMAND")


@needs_command
def test_list():
    found = ntk.lab.experiments()
    assert "tangent kernels" in found["init"] and "all" not in found
    assert all(summary for summary in found.values())


@needs_command
def test_run(tmp_path, capfd):
    found = ntk.lab.run("init", tmp_path / "a folder", quick=True, threads=1)
    assert len(found) == 5
    for finding in found:
        assert finding["theory"] == -0.25 and finding["low"] < finding["measured"] < finding["high"]
        assert "width" in finding["says"] and finding["agrees"] in (True, False)
    assert "measured" in capfd.readouterr().err  # notes are passed through
    assert (tmp_path / "a folder" / "init.csv").exists()


@needs_command
def test_run_into_a_stderr_without_a_file(tmp_path, monkeypatch, capsys):
    ntk.lab.run("scale", tmp_path, quick=True)  # pytest's capsys has no file number, as a notebook's has none
    assert "ntk lab: " in capsys.readouterr().err


@needs_command
def test_errors(tmp_path, capsys):
    with pytest.raises(ValueError, match="no experiment 'nothing'; there are init"):
        ntk.lab.run("nothing", tmp_path)
    with pytest.raises(RuntimeError, match="failed with exit code 2: .*--data"):
        ntk.lab.run("cifar10", tmp_path)
    with pytest.raises(RuntimeError, match="exit code 2"):
        ntk.lab.run("init", tmp_path, colour="blue")
    with pytest.raises(FileNotFoundError, match="no .*report.html"):
        ntk.lab.show(tmp_path)


def test_options():
    flags = ntk.lab._flags({"quick": True, "train_limit": 10, "depths": (3, 4), "data": None, "quiet": False})
    assert list(flags) == ["--quick", "--train-limit", "10", "--depths", "3,4"]


@pytest.mark.parametrize("name", ["no-such-command", "/no/such/command"])
def test_no_command(monkeypatch, name):
    monkeypatch.setenv("NTK_COMMAND", name)
    with pytest.raises(FileNotFoundError, match=f"ntk was not found .*{name}.*NTK_COMMAND"):
        ntk.lab.experiments()


def test_show(tmp_path, capsys):
    (tmp_path / "report.html").write_text("<p>found</p>")
    assert ntk.lab.show(tmp_path) == str(tmp_path / "report.html")
    assert "report.html" in capsys.readouterr().out


def test_show_in_a_notebook(tmp_path, monkeypatch):
    shown = []
    display = SimpleNamespace(HTML=lambda text: text, display=shown.append)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=object, display=display))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    (tmp_path / "report.html").write_text('<p class="found">')
    ntk.lab.show(tmp_path)
    assert shown[0].startswith("<iframe") and "&lt;p class=&quot;found&quot;&gt;" in shown[0]


@needs_command
def test_interrupt(tmp_path):
    program = ("import ntk\ntry:\n"
               f"    ntk.lab.run('lazy', {str(tmp_path)!r})\nexcept KeyboardInterrupt:\n    print('ended')")
    try:
        out, code = _interrupted(program, tmp_path)
        assert out == "ended\n" and code == 0
        assert not _children_of_lab(tmp_path)
    finally:
        for pid in _children_of_lab(tmp_path):
            os.kill(int(pid), signal.SIGKILL)


def _interrupted(program, folder):
    """Its output and exit code, after Ctrl-C while the experiment in the folder is at work."""
    with started(program) as process:
        begun = time.monotonic()
        while not _children_of_lab(folder) and process.poll() is None and time.monotonic() - begun < 60:
            time.sleep(0.02)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        return process.communicate(timeout=60)[0], process.returncode


def _children_of_lab(folder):
    """Processes that still have the folder on their command line."""
    def words(pid):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return file.read().decode(errors="replace")
        except OSError:
            return ""

    return [pid for pid in os.listdir("/proc") if pid.isdigit() and f"\0--out\0{folder}" in words(pid)]
