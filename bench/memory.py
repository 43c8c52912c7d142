#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Peak memory of fits, in units of one float64 matrix of N x N.

    python3 bench/memory.py [--ntk build/ntk] [--n 8000]

Needs nothing but Python. Samples are random, with 10 outputs; what the process holds without a matrix
(a run of 10 samples) is subtracted.
"""
import argparse
import os
import pathlib
import random
import struct
import tempfile
import zipfile

NET = "fc(depth=2)"
ROUTES = {
    "NNGP or NTK mean, eigenvalues, likelihood": ["eval", "--test", "TEST"],
    "the same and leave-one-out": ["eval", "--test", "TEST", "--loo"],
    "fit for NTK-ensemble variances": ["fit", "--out", "MODEL"],
    "NTK-ensemble variances (predict --std)": ["predict"],
    "finite time (eigen-decomposition)": ["eval", "--test", "TEST", "--time", "10"],
}


def npy(shape, values):
    head = str({"descr": "<f8", "fortran_order": False, "shape": shape}).encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + struct.pack(f"<{len(values)}d", *values)


def samples(path, n):
    rng = random.Random(n)
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("x.npy", npy((n, 16), [rng.gauss(0, 1) for _ in range(16 * n)]))
        z.writestr("y.npy", npy((n, 10), [rng.gauss(0, 1) for _ in range(10 * n)]))


def peak(command):
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return usage.ru_maxrss * 1024


def measure(ntk, directory, n):
    files = {"TRAIN": f"{directory}/{n}.npz", "TEST": f"{directory}/test.npz", "MODEL": f"{directory}/{n}.h5"}
    samples(files["TRAIN"], n)
    samples(files["TEST"], 500)
    peaks = []
    for words in ROUTES.values():
        words = [files.get(w, w) for w in words]
        if words[0] == "predict":
            words += ["--model", files["MODEL"], "--x", files["TEST"], "--std", "--out", f"{directory}/y.npz"]
        else:
            words += ["--net", NET, "--train", files["TRAIN"], "--targets", "raw", "--diag-reg", "1e-3"]
        peaks.append(peak([ntk, *words, "--quiet"]))
    return peaks


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--ntk", default=str(pathlib.Path(__file__).resolve().parents[1] / "build/ntk"))
    parser.add_argument("--n", type=int, default=8000)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        small = measure(a.ntk, directory, 10)
        large = measure(a.ntk, directory, a.n)
    print(f"| N = {a.n} | peak, units of 8 N^2 bytes |\n|---|---|")
    for name, low, high in zip(ROUTES, small, large):
        print(f"| {name} | {(high - low) / (8 * a.n ** 2):.2f} |")


if __name__ == "__main__":
    main()
