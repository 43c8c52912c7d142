# SPDX-License-Identifier: MIT
"""Training of finite networks, and their parameters in files."""
from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import _core
from ._arrays import as_array, as_samples, seed_of
from ._net import flatten, nest, net_of
from .predict import _loss_of

if TYPE_CHECKING:  # numpy.typing takes a tenth of this package's import
    from numpy.typing import ArrayLike, DTypeLike, NDArray


class Trained(NamedTuple):
    """What train gives: params as init_fn's, and at each record the step and the loss, as arrays."""

    params: Any
    steps: NDArray
    loss: NDArray
    learning_rate: float


def train(apply_fn: Any, params: Any, x: ArrayLike, y: ArrayLike, loss: str | Callable[..., Any] = "mse",
          steps: int = 1000, learning_rate: float | None = None, momentum: float = 0.0, batch_size: int | None = None,
          seed: Any = 0, mean: bool = False, fraction: float = 0.5, every: int | None = None,
          callback: Callable[[int, float, Any], Any] | None = None) -> Trained:
    """Gradient descent on a finite network: Trained(params, steps, loss, learning_rate).

    apply_fn, params: of ntk.stax. x: samples; training is in x's dtype. y [n][outputs], or [n] for one output:
    targets, distributions over classes for 'xent'. loss: 'mse', 1/2 sum (f - y)^2, or 'xent', the cross-entropy of
    softmax; mean=True divides it by n * outputs or by n. learning_rate None: `fraction` of the largest stable one at
    the start. momentum: heavy ball, 0 to 1. batch_size None: all samples. seed: of the order of batches, as init_fn's
    rng. every: steps between records and calls of callback(step, loss, params); None: 10 times in all. LinAlgError,
    with the step and the loss, if it diverges.
    """
    net, x = net_of(apply_fn, "apply_fn"), as_samples(x, "x")
    y = as_array(y, "y", np.float64)
    network = net.network(x.shape[1:], x.dtype, 0)
    if y.shape != (len(x), network.outputs) and (y.shape != (len(x),) or network.outputs != 1):
        raise ValueError(f"y must have the shape {(len(x), network.outputs)}, got {y.shape}")
    theta = np.frombuffer(network, x.dtype)
    theta[:] = flatten(params, network)
    if steps < 0:
        raise ValueError(f"steps must be 0 or more, got {steps}")
    if isinstance(learning_rate, str):
        raise TypeError("learning_rate must be a number, or None for `fraction` of the largest stable one, got "
                        f"{learning_rate!r}")
    if learning_rate is not None and not learning_rate > 0:
        raise ValueError(f"learning_rate must be above 0, got {learning_rate}")
    every = max(1, steps // 10) if every is None else every
    if every < 1:
        raise ValueError(f"every must be 1 or more, got {every}")
    run = _core.Train.start(network, x, y, _loss_of(loss), mean, learning_rate or 0.0, fraction, momentum,
                            batch_size or 0, seed_of(seed))
    records = []
    while run.step < steps:
        records.append((run.run(min(every, steps - run.step)), run.step))
        if callback:
            callback(run.step, records[-1][0], nest(network, theta.copy()))
    return Trained(nest(network, theta.copy()), np.array([s for _, s in records], int),
                   np.array([value for value, _ in records]), run.learning_rate)


def save_params(path: str | os.PathLike[str], apply_fn: Any, params: Any, input_shape: tuple[int, ...],
                dtype: DTypeLike = np.float64) -> None:
    """Writes a network with its parameters to an HDF5 file, as `ntk init` does: one group a layer, datasets W and b.

    input_shape: of one sample, (c,), (w, c) or (h, w, c). Names of columns and a standardisation are not in the file:
    the command line then takes samples as they are, and says so of a table.
    """
    net_of(apply_fn, "apply_fn").with_theta(params, tuple(input_shape), dtype, lambda network: network.save(os.fsdecode(path)))


class Scaling(NamedTuple):
    """How samples were standardised in training, by mean and deviation of each feature or channel, [n]; to be called
    with others: scaling(x) are they, (x - mean) / deviation, in x's shape and float type."""

    mean: NDArray
    deviation: NDArray

    def __call__(self, x: ArrayLike) -> NDArray:
        x = as_samples(x, "x")
        n = len(self.mean)
        if x[0].size % n:
            raise ValueError(f"the standardisation was learned on {n} numbers, a sample has {x[0].size}")
        rows = x.reshape(len(x), -1, n)
        return ((rows - self.mean) / self.deviation).astype(x.dtype).reshape(x.shape)


def load_params(path: str | os.PathLike[str], apply_fn: Any, scaling: bool = False) -> Any:
    """The parameters in an HDF5 file of `ntk init`, `ntk train` or save_params, for apply_fn's network.

    scaling=True: (params, scaling), of which apply_fn(params, scaling(x)) is what `ntk apply` gives: a network that
    `ntk train` trained on a table takes standardised samples. Without it that is a RuntimeWarning, and so is what
    apply_fn does not do: another network with arrays of these shapes, and the file's multiplier of outputs. OSError if
    the file cannot be read, ValueError if it has other arrays.
    """
    net = net_of(apply_fn, "apply_fn")
    path = os.fsdecode(path)
    network = _core.Params.load(path)
    dtype = np.dtype(network.dtype)
    own = net.network(network.shape, dtype, 0)
    _check_arrays(path, [a[:2] for a in network.arrays()], [a[:2] for a in own.arrays()])
    if network.net != net.canonical:
        _warn(f"{path} is of another network, {network.net[:300]}, which has arrays of the same shapes")
    if network.multiplier != 1:
        _warn(f"{path} is of a network whose outputs are multiplied by {network.multiplier:g}: those of apply_fn are not")
    params = nest(own, np.frombuffer(network, dtype).copy())
    kept = network.scaling()
    if scaling:
        return params, Scaling(*map(np.frombuffer, kept)) if kept else Scaling(np.zeros(1), np.ones(1))
    if kept:
        _warn(f"{path} was trained on standardised samples: load_params(path, apply_fn, scaling=True) says how")
    return params


def _warn(text):
    warnings.warn(text, RuntimeWarning, stacklevel=3)


def _check_arrays(path, arrays, own):
    """Refuses arrays, (name, shape), that are not the network's own: ValueError, with the first that differs."""
    for one, other in zip_longest(arrays, own, fillvalue=("no more", "arrays")):
        if one != other:
            raise ValueError(f"{path} has {one[0]} {one[1]} where the network has {other[0]} {other[1]}")
