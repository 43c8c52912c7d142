# SPDX-License-Identifier: MIT
"""What a fit will take, before it runs."""
import operator

import numpy as np

from . import _core
from ._arrays import as_samples
from ._net import net_of

_POSTERIORS = {"nngp": 0, "ntk": 1, "ntkgp": 2}


class Plan(dict):
    """What ntk.plan has found, by name; str() is a table."""

    def __str__(self):
        lines = [f"{'solver':12}{'needs, MiB':>12}{'keeps, MiB':>12}{'seconds':>12}"]
        for row in self["solvers"]:
            lines.append(f"{row['solver']:12}{row['bytes'] / 2**20:12.1f}{row['kept_bytes'] / 2**20:12.1f}"
                         f"{row['seconds']['all']:12.3g}{'' if row['fits'] else '  does not fit'}")
        return "\n".join([*lines, f"{self['solver']}: {self['reason']}"])


def plan(network, train, test=0, *, input_shape=None, outputs=1, get="ntk", dtype=None, solver=None, tolerance=0.0, rank=0,
         landmarks=0, finite_time=False, std=False, ranks=1, disk=5e8):
    """Pairs of samples, memory, disk and time that a fit of a network will take, by each solver, before it runs.

    network: a text, a kernel_fn or a triple. train: how many samples, or samples [n][c], [n][w][c] or [n][h][w][c],
    whose kernel is then timed; test: how many to predict at, or samples. input_shape: of one sample, where train is
    a number: 784, (784,) or (32, 32, 3). outputs: columns of targets. get: 'ntk', 'nngp' or 'ntkgp'. dtype: of kernel
    entries, float64 or, of samples that are, float32. solver, tolerance, rank, landmarks, finite_time, std: as the fit is
    meant. ranks: processes that share the kernel. disk: bytes a second.

    Returns a dict: pairs_train, pairs_test, rates, memory_bytes (what a fit may have, by ntk.set_memory or the machine),
    samples_bytes, store_bytes, solver (that is chosen), reason, and solvers, a list of dicts with solver, fits, bytes,
    kept_bytes, steps, assumed, operations, bytes and seconds; printed, it is a table. Rates are measured in half a
    second. ValueError as fits have it; TypeError if train is neither.
    """
    net = net_of(network)
    x, n, shape = _sizes(train, "train", dtype)
    m = _sizes(test, "test", dtype)[1]
    if get not in _POSTERIORS:
        raise ValueError(f"get must be one of {', '.join(_POSTERIORS)}, got {get!r}")
    if x is None:
        if input_shape is None:
            raise ValueError("input_shape is missing: that of a sample, as 784 or (32, 32, 3)")
        shape = (int(input_shape),) if np.ndim(input_shape) == 0 else tuple(int(size) for size in input_shape)
    elif input_shape is not None:
        raise ValueError("input_shape is for numbers of samples; these have their own")
    kind = np.dtype(x.dtype if dtype is None and x is not None else dtype or np.float64)
    if kind not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64, got {kind}")
    return Plan(_core.plan(net.text, shape, n, m, operator.index(outputs), _POSTERIORS[get], kind.char, solver, float(tolerance),
                           operator.index(rank), operator.index(landmarks), bool(finite_time), bool(std), operator.index(ranks),
                           float(disk), x))


def _sizes(samples, name, dtype):
    """Samples or None, how many, and the shape of one."""
    if np.ndim(samples) > 0:
        x = as_samples(samples, name, dtype)
        return x, len(x), x.shape[1:]
    try:
        return None, operator.index(samples), None
    except TypeError:
        raise TypeError(f"{name} must be a number of samples, or samples, got {type(samples).__name__}") from None
