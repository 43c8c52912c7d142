# SPDX-License-Identifier: MIT
"""usage: scripts/run_tests.py BUILD_DIR [NAME ...]

Runs the tests of a build, or those whose names match (NAME may have * and ?), as many at a time as there are
processors, and ends with one line that counts them. Each test is a command in a session of its own with a time limit:
what outlives its test, or the limit, is killed, and that is a failure of the test. The environment:

    NTK_PYTHON       none: without the Python tests; required: a failure, not a skip, where their packages cannot be had
    NTK_TEST_LIMIT   seconds that a test may take, 1800 by default: a busy machine is many times slower than an idle one
    NTK_TEST_JOBS    how many run at a time
    WRAPPER          runs the unit tests' executables, e.g. qemu-aarch64
"""
import fnmatch
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Test:
    name: str
    command: list
    after: str = None  # the test that must have passed before
    cmocka: bool = False  # what it prints; else a last line "N passed, N failed[, N skipped]"
    log: object = field(default_factory=lambda: tempfile.TemporaryFile())
    process: subprocess.Popen = None
    start: float = 0


def tests(build):
    """All tests. What others wait for comes first, then what takes longest."""
    python = str(build / "venv" / "bin" / "python")
    pytest = [python, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rs", "--timeout=600"]
    found = []
    if os.environ.get("NTK_PYTHON") != "none":
        found.append(Test("python", ["sh", f"{ROOT}/scripts/python.sh", str(build)]))
    slow = ["cli/lab_theory", "test_finite", "test_layers", "cli/demo", "python/docs"]
    rest = [Test(path.name, [*os.environ.get("WRAPPER", "").split(), str(path)], cmocka=True)
            for path in sorted(build.glob("tests/unit/test_*")) if path.is_file() and os.access(path, os.X_OK)]
    rest.append(Test("library", ["sh", f"{ROOT}/tests/library.sh", str(build)]))
    rest.append(Test("includes", ["sh", f"{ROOT}/tests/includes.sh"]))
    rest += [Test(f"cli/{path.stem}", ["sh", f"{ROOT}/tests/cli/run.sh", str(build / "ntk"), path.stem])
             for path in sorted(ROOT.glob("tests/cli/*.sh")) if path.stem not in ("run", "lib")]
    if found:
        rest += [Test(f"python/{path.stem[5:]}", [*pytest, str(path)], after="python")
                 for path in sorted(ROOT.glob("tests/python/test_*.py"))]
    return found + sorted(rest, key=lambda test: (slow + [test.name]).index(test.name))


def session(leader):
    """Processes of a session that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, number = path.read_text().rsplit(") ", 1)[1].split()[:4]
        except OSError:  # it has just ended
            continue
        if int(number) == leader and state not in "ZX":
            found.append(int(path.parent.name))
    return found


def end(test, patience=0):
    """Kills what is left of a test after so many seconds; whether there was something."""
    limit = time.monotonic() + patience
    while (left := session(test.process.pid)) and time.monotonic() < limit:
        time.sleep(0.05)
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    test.process.wait()
    return bool(left)


def counts(test, text):
    """(passed, failed, skipped)"""
    if test.cmocka:  # names failed and skipped tests twice
        words = [len(set(re.findall(rf"^\[ *{word} \] (?!\d+ test\(s\)).*$", text, re.M))) for word in ("OK", "FAILED", "SKIPPED")]
        return words if test.process.returncode == 0 or words[1] else (words[0], 1, words[2])
    if test.after == "python":
        line = text.rstrip().rsplit("\n", 1)[-1]
        words = [sum(map(int, re.findall(rf"(\d+) {word}", line))) for word in ("passed", "(?:failed|error)", "skipped")]
    else:
        lines = re.findall(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", text, re.M)
        words = [int(n or 0) for n in lines[-1]] if lines else [0, 1, 0]
    if test.process.returncode and not words[1] or not any(words):
        words[1] += 1
    return words


def report(test, why, total):
    """Prints what a test that has ended said, but for what passed; adds to the counts."""
    test.log.seek(0)
    text = test.log.read().decode(errors="replace")
    passed, failed, skipped = counts(test, text)
    if why:
        failed = max(failed, 1)
    seconds = time.monotonic() - test.start
    print(f"== {test.name}: {passed} passed, {failed} failed, {skipped} skipped ({seconds:.1f} s)" +
          (f": {why}" if why else ""))
    noise = r"\[(==+| RUN|  RUN|       OK|  PASSED)|PASS |\d+ passed, \d+ failed|[.sx]+ +\[|=+ .* =+$"
    for line in text.splitlines():
        if failed or not re.match(noise, line):
            print(line)
    sys.stdout.flush()
    for i, n in enumerate((passed, failed, skipped)):
        total[i] += n
    return failed


def run(waiting, jobs, limit):
    """Runs the tests and returns ([passed, failed, skipped], names of those that failed)."""
    total, running, done, bad = [0, 0, 0], [], {}, []
    try:
        while waiting or running:
            names = {test.name for test in waiting + running}
            ready = [test for test in waiting if test.after not in names]
            for test in ready[:jobs - len(running)]:
                waiting.remove(test)
                if not done.get(test.after, True):
                    continue  # that was counted
                test.start = time.monotonic()
                test.process = subprocess.Popen(test.command, stdin=subprocess.DEVNULL, stdout=test.log,
                                                stderr=subprocess.STDOUT, start_new_session=True)
                running.append(test)
            time.sleep(0.05)
            for test in list(running):
                why = None
                if test.process.poll() is None:
                    if time.monotonic() - test.start < limit:
                        continue
                    end(test)
                    why = f"killed after {limit} s"
                elif end(test, patience=5):
                    why = "it left processes behind"
                running.remove(test)
                done[test.name] = test.process.returncode == 0
                if report(test, why, total):
                    bad.append(test.name)
    finally:
        for test in running:
            end(test)
    return total, bad


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__.splitlines()[0])
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: sys.exit(1))  # and so that what runs is ended
    build = Path(sys.argv[1]).resolve()
    chosen = [test for test in tests(build)
              if not sys.argv[2:] or any(fnmatch.fnmatch(test.name, name) for name in sys.argv[2:])]
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # waiting threads leave the processors to others
    os.environ.setdefault("CMOCKA_MESSAGE_OUTPUT", "stdout")
    os.environ["NTK_BUILD"] = str(build)  # where the documentation's C program finds the library
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(build / "pycache")  # modules are compiled once, and not in the source tree
    os.chdir(build)  # nothing of the source tree may stand in for the Python package that is installed
    total, bad = run(chosen, int(os.environ.get("NTK_TEST_JOBS") or len(os.sched_getaffinity(0))),
                     float(os.environ.get("NTK_TEST_LIMIT") or 1800))
    if bad:
        print("failed:", *bad)
    print("{} passed, {} failed, {} skipped".format(*total))
    sys.exit(total[1] > 0 or total[0] == 0)


if __name__ == "__main__":
    main()
