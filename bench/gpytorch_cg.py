#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Conjugate gradients on one kernel matrix of MNIST digits and ten right-hand sides: libntk's and GPyTorch's.

    python3 bench/gpytorch_cg.py NTK DIR [N]

Needs numpy, h5py and gpytorch. DIR has the four files; N is 20,000. The float32 kernel of fc(depth=3) is made once, in a store
beside it, and both begin with it there: libntk with the store, GPyTorch with a whole matrix in memory (pivoted Cholesky
preconditioners of several ranks, 15 being its default). Printed: seconds of the solve, reading not included for GPyTorch,
included for libntk; products with the matrix; the residual in float64, of the targets' norm: of libntk the largest of the
outputs', of GPyTorch that over all of them. The ridge is 1e-2.
"""
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import gpytorch  # noqa: F401  its settings
import h5py
import numpy as np
import torch
from linear_operator import settings
from linear_operator.operators import DenseLinearOperator

from million import read_idx

NET, RIDGE, TOLERANCES, RANKS = "fc(depth=3)", 1e-2, (1e-2, 1e-3), (15, 100, 1000)
COUNT = 0


class Counted(DenseLinearOperator):
    def _matmul(self, rhs):
        global COUNT
        COUNT += 1
        return super()._matmul(rhs)


def residual(k, ridge, x, y):
    rest = np.empty_like(y)
    for i in range(0, len(y), 500):
        rest[i : i + 500] = y[i : i + 500] - k[i : i + 500].astype(np.float64) @ x
    return np.linalg.norm(rest - ridge * x) / np.linalg.norm(y)


def whole(store, n):
    with h5py.File(store) as file:
        k = file["ntk"][:n, :n]
    for i in range(0, n, 500):  # in blocks: a second matrix is not needed
        for j in range(i, n, 500):
            block = k[j : j + 500, i : i + 500]
            if i == j:
                block = np.tril(block) + np.tril(block, -1).T
                k[i : i + 500, i : i + 500] = block
            else:
                k[i : i + 500, j : j + 500] = block.T
    return k


def main(ntk, folder, n="20000"):
    count, folder = int(n), Path(folder)
    train = ["--train", str(folder / "train-images-idx3-ubyte.gz"), "--train-limit", n]
    with tempfile.TemporaryDirectory(dir=".") as work:
        store = f"{work}/K.h5"
        subprocess.run([ntk, "kernel", "--net", NET, "--x1", *train[1:], "--dtype", "float32", "--out", store, "--quiet"], check=True)
        print(f"{count:,} digits, {NET}, float32, ridge {RIDGE}\n\n| | tolerance | rank | products | s | residual |\n|---|---|---|---|---|---|")
        for tolerance in TOLERANCES:
            start = time.monotonic()
            done = subprocess.run([ntk, "eval", "--net", NET, *train, "--test", train[1], "--test-limit", "10", "--dtype",
                                   "float32", "--kernel", store, "--diag-reg", str(RIDGE), "--solver", "cg", "--tolerance",
                                   str(tolerance), "--json", "--quiet"], capture_output=True, text=True, check=True)
            told = json.loads(done.stdout)
            print(f"| libntk | {tolerance:g} | 1000 | {told['iterations']} | {time.monotonic() - start:.1f} | {told['residual']:.1e} |",
                  flush=True)
        k = whole(store, count)
    ridge = RIDGE * float(np.diag(k).mean(dtype=np.float64))
    y = (read_idx(folder, "train-labels-idx1-ubyte")[:count, None] == np.arange(10)) - 0.1
    right, kernel = torch.from_numpy(y.astype(np.float32)), Counted(torch.from_numpy(k))
    for tolerance in TOLERANCES:
        for rank in RANKS:
            global COUNT
            COUNT, start = 0, time.monotonic()
            with (settings.max_cholesky_size(1), settings.cg_tolerance(tolerance), settings.max_preconditioner_size(rank),
                  settings.min_preconditioning_size(1), settings.max_cg_iterations(1000), torch.no_grad()):
                x = kernel.add_diagonal(torch.full((count,), ridge)).solve(right)
            seconds = time.monotonic() - start
            print(f"| GPyTorch {gpytorch.__version__} | {tolerance:g} | {rank} | {COUNT} | {seconds:.1f} "
                  f"| {residual(k, ridge, x.double().numpy(), y):.1e} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
