# SPDX-License-Identifier: MIT
"""Pictures of kernels and predictions, by matplotlib: each function draws on `ax`, or on a new figure, and returns it.

Colours are those of Okabe and Ito (2008), which colour-blind readers tell apart; cividis for matrices.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ._arrays import as_array, check_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_GREY = "#666666"


def _axes(ax):
    """ax, or the axes of a new figure."""
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(layout="constrained")
    return ax


def _plain(ax, grid="both"):
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, axis=grid, color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)


def _numbers(x, name, *dimensions):
    x = as_array(x, name, np.float64)
    if x.ndim not in dimensions or x.size == 0:
        raise ValueError(f"{name} must have {' or '.join(map(str, dimensions))} dimensions and not be empty, "
                         f"got the shape {x.shape}")
    return x


def kernel_matrix(k: ArrayLike, labels: ArrayLike | None = None, ax: Axes | None = None) -> Axes:
    """A kernel matrix k [n1][n2] as a heat map with a colour bar.

    labels [n], numbers or names, for a square matrix: samples are sorted by label (those of one label keep their
    order), with white lines between classes. ValueError if shapes do not fit.
    """
    k = _numbers(k, "k", 2)
    if labels is not None:
        check_whole(labels, "labels")
        labels = np.asarray(labels)
        if labels.dtype.kind == "f" and (labels == np.floor(labels)).all():
            labels = labels.astype(np.int64)  # datasets.load gives labels as floats
        if labels.shape != (len(k),) or k.shape[0] != k.shape[1]:
            raise ValueError(f"labels need a square matrix and one label a sample, got the shapes {k.shape} and "
                             f"{labels.shape}")
        order = np.argsort(labels, kind="stable")
        k = k[np.ix_(order, order)]
    ax = _axes(ax)
    image = ax.imshow(k, cmap="cividis", interpolation="nearest" if max(k.shape) < 500 else "antialiased")
    ax.figure.colorbar(image, ax=ax, label="kernel")
    if labels is None:
        ax.set(xlabel="sample", ylabel="sample")
        return ax
    names, counts = np.unique(labels, return_counts=True)
    ends = np.cumsum(counts)
    for end in ends[:-1]:
        ax.axhline(end - 0.5, color="white", linewidth=0.8)
        ax.axvline(end - 0.5, color="white", linewidth=0.8)
    centres = ends - counts / 2 - 0.5
    texts = [str(name) for name in names]
    ax.set_xticks(centres, texts, rotation=90 if max(map(len, texts)) > 2 else 0)
    ax.set_yticks(centres, texts)
    ax.tick_params(length=0)
    ax.set(xlabel="class", ylabel="class")
    return ax


def spectrum(k: ArrayLike | dict[str, ArrayLike], log_rank: bool = True, ax: Axes | None = None) -> Axes:
    """Eigenvalues of kernel matrices in descending order, on logarithmic axes.

    k: a symmetric matrix [n][n], or a dict with several by name. log_rank False: ranks on a linear axis. Hollow points
    are sizes of negative eigenvalues. Dotted: where rounding begins, epsilon of the matrix's own dtype times its
    largest eigenvalue. Computed in float64 by LAPACK, 9 n^3 or so operations for each matrix.
    """
    from scipy.linalg import eigvalsh

    several = k if isinstance(k, dict) else {None: k}
    if not several:
        raise ValueError("k must have at least one kernel")
    found = {}
    for name, matrix in several.items():
        dtype = as_array(matrix, "k").dtype
        matrix = _numbers(matrix, "k", 2)
        if matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"k must be square, got the shape {matrix.shape}")
        values = eigvalsh(matrix)[::-1]
        found[name] = values, np.finfo(dtype).eps * values[0]
    ax = _axes(ax)
    for i, (name, (values, level)) in enumerate(found.items()):
        colour, ranks = COLOURS[i % len(COLOURS)], np.arange(1, len(values) + 1)
        positive = values > 0
        ax.plot(ranks[positive], values[positive], ".-", color=colour, linewidth=1, markersize=4, label=name)
        if (values < 0).any():
            ax.plot(ranks[values < 0], -values[values < 0], "o", color=colour, markersize=4, fillstyle="none",
                    label="_negative")
        ax.axhline(level, color=colour, linestyle=":", linewidth=1.2, label="_rounding")
    ax.plot([], [], ":", color=_GREY, linewidth=1.2, label="rounding")
    ax.set(xscale="log" if log_rank else "linear", yscale="log", xlabel="rank", ylabel="eigenvalue")
    ax.legend(frameon=False)
    _plain(ax)
    return ax


def _curves(ax, times, f, colour, label):
    """f [times][curves] over times, fainter the more curves there are; one entry in the legend."""
    alpha = max(0.25, min(1.0, 8 / f.shape[1]))
    for i in range(f.shape[1]):
        ax.plot(times, f[:, i], color=colour, alpha=alpha, linewidth=1.4, label=f"_{label} {i}" if i else label)


def dynamics(times: ArrayLike, train: ArrayLike, test: ArrayLike | None = None, std: ArrayLike | None = None,
             y: ArrayLike | None = None, ax: Axes | None = None) -> Axes:
    """Predictions during training over the logarithm of time.

    times [t], t >= 2 of them positive and finite: time 0 and infinity, for which a logarithmic axis has no place, are
    left out. train, test: [t], [t][n] or [t][n][outputs], a curve for each number of a sample's output. std: standard
    deviations of test (of train, if test is None), [t], [t][n] or its shape, drawn as bands of 2. y: targets of the
    training samples, [n] or [n][outputs], as ticks at the right.
    """
    times = _numbers(times, "times", 1)
    shown = np.isfinite(times) & (times > 0)
    if shown.sum() < 2:
        raise ValueError("times must have at least 2 that are positive and finite")

    def table(f, name):
        f = _numbers(f, name, 1, 2, 3)
        if len(f) != len(times):
            raise ValueError(f"{name} must have a row for each of the {len(times)} times, got the shape {f.shape}")
        return f

    curves = {"train": table(train, "train")}
    if test is not None:
        curves["test"] = table(test, "test")
    if std is not None:
        centre = curves["train" if test is None else "test"]
        std = table(std, "std")
        std = std.reshape(std.shape + (1,) * (centre.ndim - std.ndim))
        if std.ndim != centre.ndim or any(s not in (1, n) for s, n in zip(std.shape, centre.shape)):
            raise ValueError(f"std must fit predictions of the shape {centre.shape}, got {std.shape}")
        std = np.broadcast_to(std, centre.shape).reshape(len(times), -1)[shown]
    if y is not None:
        y = _numbers(y, "y", 1, 2)
        if y.size * len(times) != curves["train"].size:
            raise ValueError(f"y must have a target for each curve of train {curves['train'].shape}, got {y.shape}")
    ax, at = _axes(ax), times[shown]
    for (name, f), colour in zip(curves.items(), COLOURS):
        f = f.reshape(len(times), -1)[shown]
        if std is not None and name == list(curves)[-1]:
            for i in range(f.shape[1]):
                ax.fill_between(at, f[:, i] - 2 * std[:, i], f[:, i] + 2 * std[:, i], color=colour, linewidth=0,
                                alpha=max(0.06, 0.25 / f.shape[1]), label="_band")
            ax.fill_between([], [], color=colour, linewidth=0, alpha=0.25, label=f"{name} ±2 std")
        _curves(ax, at, f, colour, name)
    if y is not None:
        ax.plot(np.full(y.size, at.max()), y.ravel(), ">", color=COLOURS[0], markersize=6, label="target",
                clip_on=False)
    ax.set(xscale="log", xlabel="time", ylabel="output")
    ax.legend(frameon=False)
    _plain(ax)
    return ax


def regression(x: ArrayLike, mean: ArrayLike, std: ArrayLike | None = None, x_train: ArrayLike | None = None,
               y_train: ArrayLike | None = None, truth: ArrayLike | None = None, ax: Axes | None = None) -> Axes:
    """Regression of a number on a number: the mean with bands of 1 and 2 standard deviations.

    x [n] or [n][1], in any order. mean, std, and truth, the function that is looked for: [n] or [n][1]. x_train,
    y_train: [m] or [m][1], the training points.
    """
    def column(a, name, count=None):
        a = _numbers(a, name, 1, 2).squeeze(-1) if np.ndim(a) == 2 and np.shape(a)[1] == 1 else _numbers(a, name, 1)
        if count is not None and len(a) != count:
            raise ValueError(f"{name} must have {count} numbers, got {len(a)}")
        return a

    if (x_train is None) != (y_train is None):
        raise ValueError("x_train and y_train belong together")
    x = column(x, "x")
    order = np.argsort(x)
    x, mean, std, truth = x[order], *(None if a is None else column(a, name, len(x))[order]
                                      for a, name in ((mean, "mean"), (std, "std"), (truth, "truth")))
    if x_train is not None:
        x_train = column(x_train, "x_train")
        y_train = column(y_train, "y_train", len(x_train))
    ax = _axes(ax)
    if std is not None:
        for deviations, alpha in ((2, 0.15), (1, 0.25)):
            ax.fill_between(x, mean - deviations * std, mean + deviations * std, color=COLOURS[0], alpha=alpha,
                            linewidth=0, label=f"±{deviations} std")
    if truth is not None:
        ax.plot(x, truth, "--", color=_GREY, linewidth=1.4, label="truth")
    ax.plot(x, mean, color=COLOURS[0], linewidth=1.8, label="mean")
    if x_train is not None:
        ax.plot(x_train, y_train, "o", color=COLOURS[1], markeredgecolor="white", markersize=6, label="training points")
    ax.set(xlabel="x", ylabel="y")
    ax.legend(frameon=False)
    _plain(ax)
    return ax
