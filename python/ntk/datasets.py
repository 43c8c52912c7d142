# SPDX-License-Identifier: MIT
"""Data sets as arrays: the embedded digits, and every file that the command line reads."""
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import _core
from ._arrays import as_samples, check_whole

Columns = str | int | Sequence[str | int]


def _columns(columns):
    """Names or numbers of columns as the library's list, in which names of several are quoted; None as it is."""
    if columns is None or isinstance(columns, str):
        return columns
    names = [str(column) for column in np.atleast_1d(np.asarray(columns, dtype=object))]
    if len(names) == 1 and "," not in names[0] and not names[0].startswith('"'):
        return names[0]
    return ",".join('"' + name.replace('"', '""') + '"' for name in names)


def load(source: str | os.PathLike[str], dtype: DTypeLike = np.float64, limit: int | None = None,
         target: Columns | None = None, *, header: bool | None = None, drop: Columns | None = None,
         features: Columns | None = None) -> tuple[NDArray, NDArray | None]:
    """(x, y) of a source; y is None where it has no labels.

    source: 'digits', 'digits/train' or 'digits/test' (UCI digits, embedded, values / 16), FILE.csv or other text,
    .npy, .npz, .h5 or idx, 'mnist:DIR/train' or '/test', 'cifar10:DIR/train' or '/test' (values / 255). x: [n][c], [n][w][c] or
    [n][h][w][c] of dtype, float32 or float64. y: labels [n], numbers or words, or targets [n][outputs]. limit: only
    that many samples. Of a CSV, columns by name or number, one or several (in a list names may have commas; a text is
    what the command line takes): target (default: a column called target, label, class or y, else the last; 'none':
    no target), drop: left out, features (default: all others). header: whether the first line is one; None: as it
    looks (see docs/howto/csv.md). What looks like an index column, or a constant target, is a RuntimeWarning. OSError
    or ValueError if it cannot be read.
    """
    dtype = np.dtype(dtype).newbyteorder("=")
    x, n, shape, y, outputs, words = _core.load(
        os.fsdecode(source), dtype.char, limit or 0, _columns(target), 0 if header is None else 1 if header else 2,
        _columns(drop), _columns(features))
    x = np.frombuffer(x, dtype).reshape(n, *shape)
    if y is not None:
        y = np.frombuffer(y).reshape(n, outputs)
        y = y[:, 0] if outputs == 1 else y
        y = y if words is None else np.array(words)[y.astype(int)]
    return x, y


def one_hot(labels: ArrayLike, classes: int | ArrayLike | None = None, centered: bool = True) -> NDArray:
    """Labels [n] as targets [n][classes]: 1 for the class, else 0; centered: minus 1/classes.

    classes: the labels that there are, in the order of the columns; a number c: 0 ... c - 1; None: the distinct
    labels, in ascending order. Give them for test samples, which may lack some. ValueError for another label.
    """
    check_whole(labels, "labels")
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.size == 0 or labels.dtype.kind not in "biufUS" or (
            labels.dtype.kind == "f" and not np.isfinite(labels).all()):
        raise ValueError("labels must be finite numbers or words in an array [n]")
    known = np.unique(labels) if classes is None else np.arange(classes) if np.ndim(classes) == 0 else np.asarray(classes)
    order = np.argsort(known)
    place = order[np.minimum(np.searchsorted(known, labels, sorter=order), len(known) - 1)]
    wrong = known[place] != labels
    if wrong.any():
        raise ValueError(f"label {labels[wrong][0]} does not belong to {len(known)} classes")
    y = np.full((len(labels), len(known)), -1 / len(known) if centered else 0.0)
    y[np.arange(len(labels)), place] += 1
    return y


def shifted(x: ArrayLike, y: ArrayLike | None = None, most: int = 1, copies: int | None = None, seed: int = 0, *,
            image_shape: tuple[int, ...] | None = None) -> tuple[NDArray, NDArray | None]:
    """(x, y) with copies of all images, shifted by up to `most` pixels (1 to 16) to all sides: new samples to train on.

    x: [n][h][w][c] or [n][w][c], or [n][numbers] with image_shape, (h, w, c) or (w, c); pixels that nothing comes from are
    0. y: labels or targets, [n] or [n][outputs], repeated; None: none. Each image has (2 most + 1)^2 copies (a sequence
    2 most + 1), of which `copies` (None: all) are drawn by seed without repetition, itself always. The n images as they are
    come first, then n of a second copy each, and so on: sample c n + i is a copy of i, so that
    f.reshape(copies, n, -1).mean(0) of predictions f at them are means over the copies of an image. Leave-one-out on such
    samples says too little, as the others of a copy stay in. ValueError if x has no such images or copies; MemoryError
    before anything is made.
    """
    x = as_samples(x, "x")
    numbers, count = _core.shifted(x, None if image_shape is None else tuple(image_shape), most, copies or 0, seed)
    shape, dtype = x.shape, x.dtype
    if y is not None:
        check_whole(y, "y")
        y = np.asarray(y)
        if y.ndim == 0 or len(y) != shape[0]:
            raise ValueError(f"y must have {shape[0]} rows, one for each sample, got the shape {y.shape}")
        y = np.concatenate([y] * count)
    return np.frombuffer(numbers, dtype).reshape(count * shape[0], *shape[1:]), y
