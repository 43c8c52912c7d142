# SPDX-License-Identifier: MIT
"""Kernels in files that `ntk kernel --out K.h5` makes, tile by tile: read in rows, or as arrays."""
import operator
import os

import numpy as np

from . import _core


class Stored:
    """A matrix of a store, which stays in its file: shape, dtype, name and net (its text); symmetric or not.

    k[i], k[i:j] and k[i:j, columns] read rows, [n2] or [rows][n2], of which any further index is NumPy's;
    np.asarray(k) reads all. Tiles are checked as they are read: OSError says which is not what was written.
    """

    def __init__(self, path, number, test, name, net, shape, dtype, symmetric):
        self._path, self._number, self._test = path, number, test
        self.name, self.net, self.shape, self.dtype, self.symmetric = name, net, shape, dtype, symmetric

    ndim = 2

    def __len__(self):
        return self.shape[0]

    def __repr__(self):
        return f"<{self.name} of {self._path}, {self.shape[0]} x {self.shape[1]}, {self.dtype}: {self.net}>"

    def _rows(self, first, count):
        out = np.empty((count, self.shape[1]), self.dtype)
        if count:
            _core.store_rows(self._path, self._number, self._test, first, count, self.shape[1], self.dtype.char, out)
        return out

    def __getitem__(self, key):
        rows, *rest = key if isinstance(key, tuple) else (key,)
        if not isinstance(rows, slice):
            try:
                row = operator.index(rows)
            except TypeError:
                raise TypeError(f"rows of a store are a number or a slice, got {type(rows).__name__}; "
                                "np.asarray reads all of it") from None
            if not -len(self) <= row < len(self):
                raise IndexError(f"row {row} of {len(self)}")
            return self._rows(row % len(self), 1)[(0, *rest)]
        first, end, step = rows.indices(len(self))
        if step != 1:
            raise ValueError(f"rows of a store are read one after the other, got a step of {step}")
        return self._rows(first, max(end - first, 0))[(slice(None), *rest)]

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("a store is a file: it cannot become an array without a copy")
        return self._rows(0, len(self)).astype(self.dtype if dtype is None else dtype, copy=False)


def open_store(path, name=None, test=False):
    """A matrix of a store of kernels, whole: both halves of one between samples and themselves.

    path: the file that `ntk kernel --out` wrote. name: of several matrices which, as `ntk kernel --info` lists them:
    "ntk", "nngp", or "0.ntk", "1.ntk" of several nets; None: the only one. test: the part between test samples and
    training samples, [m][n]. OSError if the matrix is not finished, says how far it is, or if the file cannot be
    read; KeyError if there is no such matrix, with those there are.
    """
    path = os.fsdecode(path)
    text, _, n1, n2, m, symmetric, dtype, _, _ = _core.store_about(path)
    matrices = [line.split(": ", 1) for line in text.splitlines()[4:]]
    names = [matrix[0] for matrix in matrices]
    if name is None and len(names) > 1:
        raise KeyError(f"{path} has several matrices: name one of {', '.join(names)}")
    if name is not None and name not in names:
        raise KeyError(f"{path} has no matrix {name!r}; it has {', '.join(names)}")
    number = names.index(name) if name else 0
    _core.store_check(path, number, test)
    shape = (m, n1) if test else (n1, n2)
    return Stored(path, number, bool(test), *matrices[number], shape, np.dtype(dtype), symmetric and not test)
