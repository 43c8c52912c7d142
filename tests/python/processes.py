# SPDX-License-Identifier: MIT
"""Programs in a process of their own, for tests that send signals."""
import contextlib
import signal
import subprocess
import sys


@contextlib.contextmanager
def started(program):
    """A Python program that Ctrl-C reaches, even where the tests themselves ignore it, as in the background. It is
    killed at the end if it still runs."""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
