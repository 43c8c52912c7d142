#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A million shifted MNIST digits by landmarks, beside scikit-learn's Nystroem with an RBF kernel and ridge regression.

    python3 bench/million.py --mnist DIR                        1,000,000 rows, M = 2,000, 5,000 and 9,000
    python3 bench/million.py --mnist DIR --rows 20000 --landmarks 500 --work /tmp/w     a quick trial

DIR has the four files of MNIST. Rows are the 60,000 training images in turn, the first as they are, the others shifted by
-2 to 2 pixels each way, each row of norm 28; they are made once, 3.1 GB in --work/rows.npz, as float32. Both sides get the
same rows, and are tested on the 10,000 test images as they are. scikit-learn's features are made in chunks, the normal
equations of ridge regression are in float64, and the ridge is the best of five for rows that are left out, a fiftieth;
libntk's is --diag-reg. Times are of the whole command, reading included: wall clock and user seconds of all threads. Each
run is a fresh process. --only ntk, or sklearn (in an environment with scikit-learn): one side; none: the files are made.
"""
import argparse
import gzip
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
SIDE = 28
GAMMA = 2.0  # of rows of norm 1
RIDGES = 10.0 ** np.arange(-4, 1)


def read_idx(directory, name):
    for path in (directory / name, directory / (name + ".gz")):
        if path.exists():
            opened = gzip.open(path) if path.suffix == ".gz" else open(path, "rb")
            with opened as f:
                data = f.read()
            ndim = data[3]
            shape = np.frombuffer(data, ">i4", ndim, 4)
            return np.frombuffer(data, np.uint8, offset=4 + 4 * ndim).reshape(shape)
    sys.exit(f"no {name} or {name}.gz in {directory}")


def scaled(images):
    x = images.reshape(len(images), -1).astype(np.float32)
    return x * (SIDE / np.linalg.norm(x, axis=1, keepdims=True))


def shifted(images, shifts):
    """Image i moved down by shifts[i, 0] and to the right by shifts[i, 1]; 0 comes in."""
    most = abs(shifts).max()
    wide = np.pad(images, ((0, 0), (most, most), (most, most)))
    out = np.empty_like(images)
    for i, (down, right) in enumerate(shifts):
        out[i] = wide[i, most - down : most - down + SIDE, most - right : most - right + SIDE]
    return out


def make(directory, rows, work):
    """rows.npz and test.npz in work."""
    images = read_idx(directory, "train-images-idx3-ubyte")
    labels = read_idx(directory, "train-labels-idx1-ubyte")
    rng = np.random.default_rng(0)
    x = np.empty((rows, SIDE * SIDE), np.float32)
    y = np.empty(rows)
    for first in range(0, rows, len(images)):
        end = min(first + len(images), rows)
        order = np.arange(end - first) if end - first == len(images) else rng.permutation(len(images))[: end - first]
        shifts = rng.integers(-2, 3, (end - first, 2)) if first else np.zeros((end - first, 2), int)
        x[first:end] = scaled(shifted(images[order], shifts))
        y[first:end] = labels[order]
    np.savez(work / "rows.npz", x=x, y=y)
    np.savez(work / "test.npz", x=scaled(read_idx(directory, "t10k-images-idx3-ubyte")),
             y=read_idx(directory, "t10k-labels-idx1-ubyte").astype(float))


# ---------------------------------------------------------------- scikit-learn, in a process of its own


def targets(y):
    return (y[:, None] == np.arange(10)) - 0.1


def sklearn_accuracy(work, landmarks, chunk):
    from scipy.linalg import cho_factor, cho_solve
    from sklearn.kernel_approximation import Nystroem

    data, test = np.load(work / "rows.npz"), np.load(work / "test.npz")
    x, y = data["x"], data["y"]
    rng = np.random.default_rng(1)
    some = rng.choice(len(x), min(len(x), max(landmarks, 100_000)), replace=False)
    features = Nystroem(kernel="rbf", gamma=GAMMA / SIDE**2, n_components=landmarks, random_state=1).fit(x[some])
    out = np.zeros(len(x), bool)
    out[rng.choice(len(x), len(x) // 50, replace=False)] = True
    gram, right = np.zeros((landmarks, landmarks)), np.zeros((landmarks, 10))
    for first in range(0, len(x), chunk):
        fit = ~out[first : first + chunk]
        z = features.transform(x[first : first + chunk][fit]).astype(np.float64)
        gram += z.T @ z
        right += z.T @ targets(y[first : first + chunk][fit])
    held, truth = x[out], targets(y[out])
    best = None
    for ridge in RIDGES:
        w = cho_solve(cho_factor(gram + ridge * np.eye(landmarks)), right)
        error = sum(((features.transform(held[i : i + chunk]) @ w - truth[i : i + chunk]) ** 2).sum()
                    for i in range(0, len(held), chunk))
        best = min(best or (np.inf,), (error, ridge, w), key=lambda b: b[0])
    guess = np.concatenate([(features.transform(test["x"][i : i + chunk]) @ best[2]).argmax(1)
                            for i in range(0, len(test["x"]), chunk)])
    print(json.dumps({"accuracy": float((guess == test["y"]).mean()), "ridge": float(best[1])}))


# ------------------------------------------------------------------------------------------------ runs


def run(command):
    """What it printed, wall seconds, user seconds of all its threads, GiB at most."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    printed = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{shlex.join(map(str, command))} ended with {process.returncode}")
    return json.loads(printed), time.monotonic() - start, used.ru_utime, used.ru_maxrss / 2**20


def row(name, landmarks, result):
    found, wall, user, peak = result
    print(f"| {name} | {landmarks:,} | {100 * (1 - found['accuracy']):.2f} % | {wall:.0f} | {user:.0f} | {peak:.1f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("million"))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--landmarks", type=int, nargs="+", default=[2000, 5000, 9000])
    parser.add_argument("--chunk", type=int, default=4000, help="rows whose features scikit-learn makes at once")
    parser.add_argument("--ntk", default=str(ROOT / "build" / "ntk"))
    parser.add_argument("--options", default="--dtype float32 --diag-reg 1e-2", help="of ntk eval")
    parser.add_argument("--net", default="fc(depth=3)")
    parser.add_argument("--only", choices=["ntk", "sklearn", "none"])
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.worker:
        return sklearn_accuracy(a.work, a.worker, a.chunk)
    a.work.mkdir(parents=True, exist_ok=True)
    made = a.work / f"made-{a.rows}"
    if not made.exists():
        make(a.mnist, a.rows, a.work)
        for other in a.work.glob("made-*"):
            other.unlink()
        made.touch()
    if a.only == "none":
        return
    print(f"{a.rows:,} rows\n\n| | landmarks | test error | s | user s | GiB |\n|---|---|---|---|---|---|")
    for landmarks in a.landmarks:
        if a.only in (None, "ntk"):
            row("libntk, " + a.net, landmarks,
                run([a.ntk, "eval", "--net", a.net, "--train", str(a.work / "rows.npz"), "--test", str(a.work / "test.npz"),
                     "--solver", "landmarks", "--landmarks", str(landmarks), "--json", *shlex.split(a.options)]))
        if a.only in (None, "sklearn"):
            row("scikit-learn, RBF", landmarks,
                run([sys.executable, __file__, "--mnist", str(a.mnist), "--work", str(a.work), "--chunk", str(a.chunk),
                     "--worker", str(landmarks)]))


if __name__ == "__main__":
    main()
