# SPDX-License-Identifier: MIT
"""Data sets as arrays: the embedded digits, and every file that the command line reads."""
import os

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import _core
from ._arrays import check_whole


def load(source: str | os.PathLike[str], dtype: DTypeLike = np.float64, limit: int | None = None,
         target: str | int | None = None) -> tuple[NDArray, NDArray | None]:
    """(x, y) of a source; y is None where it has no labels.

    source: 'digits', 'digits/train' or 'digits/test' (UCI digits, embedded, values / 16), FILE.csv, .npy, .npz, .h5
    or idx, 'mnist:DIR/train' or '/test', 'cifar10:DIR/train' or '/test' (values / 255). x: [n][c], [n][w][c] or
    [n][h][w][c] of dtype, float32 or float64. y: labels [n], or targets [n][outputs]. limit: only that many samples.
    target: the target column of a CSV, by name or number. OSError or ValueError if it cannot be read.
    """
    dtype = np.dtype(dtype).newbyteorder("=")
    target = None if target is None else str(target)
    x, n, shape, y, outputs = _core.load(os.fsdecode(source), dtype.char, limit or 0, target)
    x = np.frombuffer(x, dtype).reshape(n, *shape)
    if y is not None:
        y = np.frombuffer(y).reshape(n, outputs)
        y = y[:, 0] if outputs == 1 else y
    return x, y


def one_hot(labels: ArrayLike, classes: int | None = None, centered: bool = True) -> NDArray:
    """Labels 0 ... classes - 1 as targets [n][classes]: 1 for the class, else 0; centered: minus 1/classes."""
    check_whole(labels, "labels")
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.size == 0 or labels.dtype.kind not in "biuf" or not (
            np.isfinite(labels) & (labels >= 0) & (labels == np.floor(labels))).all():
        raise ValueError("labels must be integers 0, 1, ... in an array [n]")
    labels = labels.astype(int)
    classes = int(labels.max()) + 1 if classes is None else classes
    if labels.max() >= classes:
        raise ValueError(f"label {labels.max()} does not belong to {classes} classes")
    return np.eye(classes)[labels] - (1 / classes if centered else 0)
