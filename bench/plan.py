#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What `ntk plan` says against what `ntk eval` takes, by each solver: seconds of the fit and of predictions, peak memory.

    python3 bench/plan.py [--ntk build/ntk] [--n 6000] [--m 2000] [--d 100] [--dtype float64] [--solvers cholesky,mixed,cg]

Needs nothing but Python, and a quiet machine. Samples are random, with 10 outputs; from peak memory that of a run of 10 samples
is subtracted, which is the process itself, and samples are among it.
"""
import argparse
import json
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import random
import zipfile

from memory import npy

NET = "fc(depth=3)"


def samples(path, n, d):
    rng = random.Random(n)
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("x.npy", npy((n, d), [rng.gauss(0, 1) for _ in range(n * d)]))
        z.writestr("y.npy", npy((n, 10), [rng.gauss(0, 1) for _ in range(10 * n)]))


def run(words):
    """Its report, and its peak memory in bytes."""
    read, write = os.pipe()
    pid = os.posix_spawn(words[0], words, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, write, 1),
                                                                    (os.POSIX_SPAWN_CLOSE, read)])
    os.close(write)
    with os.fdopen(read) as out:
        text = out.read()
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(words)}")
    return json.loads(text), usage.ru_maxrss * 1024


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--ntk", default="build/ntk")
    p.add_argument("--n", type=int, default=6000)
    p.add_argument("--m", type=int, default=2000)
    p.add_argument("--d", type=int, default=100)
    p.add_argument("--dtype", default="float64")
    p.add_argument("--solvers", default="cholesky,mixed,cg,eigen")
    a = p.parse_args()
    print(f"{a.n} training, {a.m} test samples of {a.d} numbers, {a.dtype}")
    print(f"{'solver':10}{'planned s':>12}{'fit+predict':>12}{'ratio':>8}{'planned MiB':>14}{'peak MiB':>12}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        train, test, few = (f"{folder}/{name}.npz" for name in ("train", "test", "few"))
        samples(train, a.n, a.d)
        samples(test, a.m, a.d)
        samples(few, 10, a.d)
        common = ["--net", NET, "--targets", "raw", "--diag-reg", "1e-2", "--dtype", a.dtype, "--quiet", "--json"]
        for solver in a.solvers.split(","):
            words = [*common, "--solver", solver]
            plan, _ = run([a.ntk, "plan", "--train", train, "--test", test, *words])
            row = next(row for row in plan["solvers"] if row["solver"] == solver)
            fitted, peak = run([a.ntk, "eval", "--train", train, "--test", test, *words])
            _, base = run([a.ntk, "eval", "--train", few, "--test", few, *words])
            seconds, planned = fitted["seconds"]["fit"] + fitted["seconds"]["predict"], row["seconds"]["all"]
            said = row["bytes"] + row["kept_bytes"] + plan["samples_bytes"]
            print(f"{solver:10}{planned:12.3g}{seconds:12.3g}{planned / seconds:8.2f}"
                  f"{said / 2**20:14.1f}{(peak - base) / 2**20:12.1f}{said / (peak - base):8.2f}")


if __name__ == "__main__":
    main()
