# SPDX-License-Identifier: MIT
"""Pictures: what is on the axes, by data, not by pixels."""
import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt

from ntk import plot


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def lines(ax, label):
    """Lines whose label starts so, hidden ones (with _) included."""
    return [line for line in ax.lines if line.get_label().lstrip("_").startswith(label)]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def gram(n=6, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, n + 2))
    return x @ x.T


def test_kernel_matrix():
    k = np.arange(12.0).reshape(3, 4)
    ax = plot.kernel_matrix(k)
    np.testing.assert_array_equal(ax.images[0].get_array(), k)
    assert len(ax.figure.axes) == 2 and ax.images[0].colorbar.ax in ax.figure.axes


def test_kernel_matrix_by_label():
    k, labels = gram(), np.array(["b", "a", "b", "a", "c", "b"])
    ax = plot.kernel_matrix(k, labels)
    order = [1, 3, 0, 2, 5, 4]
    np.testing.assert_array_equal(ax.images[0].get_array(), k[np.ix_(order, order)])
    assert [line.get_ydata()[0] for line in ax.lines[::2]] == [1.5, 4.5]
    assert [line.get_xdata()[0] for line in ax.lines[1::2]] == [1.5, 4.5]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["a", "b", "c"]
    np.testing.assert_allclose(ax.get_yticks(), [0.5, 3, 5])
    ax = plot.kernel_matrix(gram(4), [1.0, 0.0, 1.0, 0.0])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "1"]


def test_given_axes_are_used():
    _, axes = plt.subplots(1, 4)
    x = np.arange(1.0, 4)
    assert plot.kernel_matrix(gram(), ax=axes[0]) is axes[0]
    assert plot.spectrum(gram(), ax=axes[1]) is axes[1]
    assert plot.dynamics(x, x, ax=axes[2]) is axes[2]
    assert plot.regression(x, x, ax=axes[3]) is axes[3]
    assert len(plt.get_fignums()) == 1


def test_spectrum():
    k, k32 = gram(), gram(seed=1).astype(np.float32)
    ax = plot.spectrum({"one": k, "two": k32})
    for name, matrix in (("one", k), ("two", k32)):
        values = np.linalg.eigvalsh(matrix.astype(float))[::-1]
        np.testing.assert_allclose(lines(ax, name)[0].get_ydata(), values, rtol=1e-10)
        np.testing.assert_array_equal(lines(ax, name)[0].get_xdata(), np.arange(1, 7))
    levels = [line.get_ydata()[0] for line in lines(ax, "rounding") if len(line.get_ydata())]
    np.testing.assert_allclose(levels, [np.finfo(np.float64).eps * np.linalg.eigvalsh(k)[-1],
                                        np.finfo(np.float32).eps * np.linalg.eigvalsh(k32.astype(float))[-1]])
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert legend(ax) == ["one", "two", "rounding"]


def test_spectrum_of_a_matrix_that_is_not_positive():
    ax = plot.spectrum(np.diag([4.0, 0.0, -1.0]), log_rank=False)
    (negative,) = lines(ax, "negative")
    assert negative.get_xdata() == [3] and negative.get_ydata() == [1]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [4])
    assert ax.get_xscale() == "linear" and legend(ax) == ["rounding"]


def test_dynamics():
    times = np.array([0, 0.1, 1, 10, np.inf])
    train, test = np.arange(20.0).reshape(5, 4), np.arange(10.0).reshape(5, 2)
    ax = plot.dynamics(times, train, test, std=np.ones((5, 2)), y=[5, 6, 7, 8])
    assert len(lines(ax, "train")) == 4 and len(lines(ax, "test")) == 2
    for i, line in enumerate(lines(ax, "train")):
        np.testing.assert_array_equal(line.get_xdata(), [0.1, 1, 10])
        np.testing.assert_array_equal(line.get_ydata(), train[1:4, i])
    (targets,) = lines(ax, "target")
    assert list(targets.get_ydata()) == [5, 6, 7, 8] and set(targets.get_xdata()) == {10}
    heights = [c.get_paths()[0].vertices[:, 1] for c in ax.collections if c.get_label() == "_band"]
    assert [(h.min(), h.max()) for h in heights] == [(0, 8), (1, 9)]
    assert ax.get_xscale() == "log" and legend(ax) == ["train", "test ±2 std", "test", "target"]


@pytest.mark.parametrize("std_shape", [(3,), (3, 2), (3, 2, 4)])
def test_dynamics_of_several_outputs(std_shape):
    ax = plot.dynamics([1, 2, 3], np.zeros((3, 2, 4)), std=np.ones(std_shape), y=np.ones((2, 4)))
    assert len(lines(ax, "train")) == 8
    assert sum(c.get_label() == "_band" for c in ax.collections) == 8


def test_regression():
    x = np.array([[2.0], [0], [1]])
    ax = plot.regression(x, [20, 0, 10], [1, 1, 1], [0.5, 1.5], np.array([[5.0], [15]]), truth=[21, 1, 11])
    np.testing.assert_array_equal(lines(ax, "mean")[0].get_xydata(), [[0, 0], [1, 10], [2, 20]])
    np.testing.assert_array_equal(lines(ax, "truth")[0].get_ydata(), [1, 11, 21])
    np.testing.assert_array_equal(lines(ax, "training points")[0].get_xydata(), [[0.5, 5], [1.5, 15]])
    heights = [c.get_paths()[0].vertices[:, 1] for c in ax.collections]
    assert [(h.min(), h.max()) for h in heights] == [(-2, 22), (-1, 21)]
    assert legend(ax) == ["±2 std", "±1 std", "truth", "mean", "training points"]


@pytest.mark.parametrize("draw, says", [
    (lambda: plot.kernel_matrix(np.zeros(3)), "k must have 2 dimensions"),
    (lambda: plot.kernel_matrix(np.zeros((0, 3))), "not be empty"),
    (lambda: plot.kernel_matrix(np.zeros((3, 3)), [1, 2]), "one label a sample"),
    (lambda: plot.kernel_matrix(np.zeros((3, 4)), [1, 2, 3]), "a square matrix"),
    (lambda: plot.spectrum(np.zeros((3, 4))), "square"),
    (lambda: plot.spectrum({}), "at least one"),
    (lambda: plot.dynamics([0, 1], np.zeros(2)), "at least 2"),
    (lambda: plot.dynamics([1, 2], np.zeros((3, 2))), "a row for each of the 2 times"),
    (lambda: plot.dynamics([1, 2], np.zeros((2, 3)), std=np.zeros((2, 2))), "std must fit"),
    (lambda: plot.dynamics([1, 2], np.zeros((2, 3)), y=np.zeros(2)), "a target for each curve"),
    (lambda: plot.regression([1, 2], [1]), "mean must have 2 numbers"),
    (lambda: plot.regression(np.zeros((3, 2)), [1, 2, 3]), "x must have 1 dimensions"),
    (lambda: plot.regression([1, 2], [1, 2], x_train=[1]), "belong together"),
    (lambda: plot.regression([1, 2], [1, 2], x_train=[1], y_train=[1, 2]), "y_train must have 1 numbers"),
])
def test_wrong_shapes(draw, says):
    with pytest.raises(ValueError, match=says):
        draw()
    assert not plt.get_fignums()  # nothing half drawn
