#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What Python adds: import time, overhead of calls, memory.

usage: python bench/python.py [--write]    (the package ntk installed; a quiet machine)

Overhead: a call of kernel_fn and one of the C function inside it, alternating.
"""
import argparse
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


def seconds(code, repeat=15):
    """Median time of a fresh interpreter that runs code."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def import_time():
    rows = [("numpy", seconds("import numpy")), ("numpy and ntk", seconds("import numpy; import ntk"))]
    return rows, rows[1][1] - rows[0][1]


def overhead(n=500, d=784, rounds=200):
    """(kernel_fn, C function) in seconds: medians over alternating rounds."""
    import numpy as np

    import ntk
    from ntk import _core

    x = np.random.default_rng(0).standard_normal((n, d))
    layer = ntk.stax.serial(*[ntk.stax.Dense(512), ntk.stax.Relu()] * 3, ntk.stax.Dense(1))
    kernel_fn = layer[2]
    times = {"kernel_fn": [], "C": []}
    for _ in range(rounds):
        start = time.perf_counter()
        kernel_fn(x, None, "ntk")
        times["kernel_fn"].append(time.perf_counter() - start)
        start = time.perf_counter()
        _core.kernel((layer.text,), 2, "d", x, None, (np.empty((n, n)),))
        times["C"].append(time.perf_counter() - start)
    return statistics.median(times["kernel_fn"]), statistics.median(times["C"])


def growth(calls=10_000):
    """Growth of the process in kB over so many small calls, after as many to warm up."""
    import numpy as np

    import ntk

    x = np.random.default_rng(0).standard_normal((8, 4))
    kernel_fn = ntk.stax.parse("fc(depth=2)")[2]

    def run():
        for _ in range(calls):
            kernel_fn(x, None, "ntk")
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    first = run()
    return run() - first


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="write bench/RESULTS.md")
    args = parser.parse_args()
    rows, added = import_time()
    whole, inner = overhead()
    grown = growth()
    lines = ["| what | measured |", "|---|---|"]
    lines += [f"| a process that imports {what} | {1000 * s:.0f} ms |" for what, s in rows]
    lines += [f"| what `import ntk` adds | {1000 * added:.0f} ms |",
              f"| NTK, 500 samples of 784 numbers, 3 hidden layers: kernel_fn | {1000 * whole:.3f} ms |",
              f"| the C function in it, with the memory for its result | {1000 * inner:.3f} ms |",
              f"| overhead | {100 * (whole / inner - 1):.1f} % |",
              f"| growth of the process over 10,000 calls | {grown} kB |"]
    table = "\n".join(lines)
    print(table)
    if args.write:
        text = RESULTS.read_text()
        RESULTS.write_text(re.sub(r"(<!-- python.py: begin -->\n).*?(<!-- python.py: end -->)",
                                  lambda m: m[1] + table + "\n" + m[2], text, flags=re.S))


if __name__ == "__main__":
    main()
