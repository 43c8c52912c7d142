# SPDX-License-Identifier: MIT
"""usage: python3 bench/solvers.py NTK DIR [N]

Solvers on N (default: 20,000) MNIST digits of DIR, where its four files are, by the command NTK: steps of conjugate
gradients by the preconditioner's rank (1: hardly one) and the tolerance; seconds of fits and, of predictions for 10,000
digits, the largest difference from those of Cholesky, by their root mean square. Markdown.
"""
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

RANKS, TOLERANCES = (500, 1000, 2000, 1), (1e-2, 1e-3, 1e-6)
SOLVERS = (["cholesky"], ["mixed"], ["cg"], ["cg", "--tolerance", "1e-8"])


def main(ntk, folder, n="20000"):
    folder = Path(folder)
    train, test = folder / "train-images-idx3-ubyte.gz", folder / "t10k-images-idx3-ubyte.gz"
    data = ["--net", "fc(depth=3)", "--train", train, "--train-limit", n, "--dtype", "float32", "--diag-reg", "1e-2"]

    def run(*words):
        done = subprocess.run([ntk, *map(str, words)], capture_output=True, text=True, check=True)
        return done.stdout, done.stderr

    print(f"MNIST, N = {n}, fc(depth=3), float32, ridge 1e-2.\n")
    print("| steps of cg to | " + " | ".join(f"rank {rank}" for rank in RANKS) + " |")
    print("|---" * (len(RANKS) + 1) + "|")
    for tolerance in TOLERANCES:
        steps = []
        for rank in RANKS:
            _, said = run("eval", *data, "--test", test, "--test-limit", "10", "--solver", "cg", "--rank", rank,
                          "--tolerance", tolerance)
            steps.append(re.search(r"cg: (\d+) steps", said)[1])
        print(f"| {tolerance:g} | " + " | ".join(steps) + " |", flush=True)
    print("\n| solver | fit, seconds | difference |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as work:
        first = None
        for solver in SOLVERS:
            out, _ = run("fit", *data, "--get", "nngp", "--solver", *solver, "--out", f"{work}/m.h5", "--json")
            run("predict", "--model", f"{work}/m.h5", "--x", test, "--out", f"{work}/f.npy")
            f = np.load(f"{work}/f.npy")
            first = f if first is None else first
            difference = np.abs(f - first).max() / np.sqrt(np.mean(first**2))
            print(f"| {' '.join(solver)} | {json.loads(out)['seconds']:.1f} | {difference:.1e} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
