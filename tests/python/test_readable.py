# SPDX-License-Identifier: MIT
"""Arrays that NumPy would read as other numbers than were meant, or refuse without saying where."""
import warnings

import numpy as np
import pytest
import scipy.sparse

import ntk

X = np.random.default_rng(0).normal(size=(6, 4))
Y = X[:, :1].copy()
init_fn, apply_fn, kernel_fn = ntk.stax.parse("fc(depth=1, width=8, outputs=1)")
PARAMS = init_fn(0, (-1, 4))[1]


def regressor():
    return ntk.NTKRegressor("fc(depth=1)", alpha=1e-3)


# Everything that takes samples, by the name that it has for them.
SAMPLES = {
    "kernel_fn": ("x1", lambda x: kernel_fn(x, None, "ntk")),
    "kernel_fn, columns": ("x2", lambda x: kernel_fn(X, x, "ntk")),
    "kernels": ("x1", lambda x: ntk.kernels(["fc(depth=1)"], x)),
    "apply_fn": ("x", lambda x: apply_fn(PARAMS, x)),
    "empirical_ntk_fn": ("x1", lambda x: ntk.empirical_ntk_fn(apply_fn)(x, None, PARAMS)),
    "linearize": ("x", lambda x: ntk.linearize(apply_fn, PARAMS)(PARAMS, x)),
    "monte_carlo": ("x1", lambda x: ntk.monte_carlo_kernel_fn(init_fn, apply_fn, 0, 1)(x, None, "ntk")),
    "train": ("x", lambda x: ntk.train(apply_fn, PARAMS, x, Y, steps=1)),
    "ensemble": ("x1", lambda x: ntk.predict.gradient_descent_mse_ensemble(kernel_fn, x, Y)(get="ntk")),
    "fit": ("X", lambda x: regressor().fit(x, Y)),
    "classifier": ("X", lambda x: ntk.NTKClassifier("fc(depth=1)").fit(x, [0, 1, 0, 1, 0, 1])),
    "predict": ("X", lambda x: regressor().fit(X, Y).predict(x)),
    "NTKKernel": ("X", lambda x: ntk.NTKKernel(depth=1)(x)),
}
# Other arrays, [6][1].
OTHERS = {
    "targets": ("y", lambda y: ntk.train(apply_fn, PARAMS, X, y, steps=1)),
    "y": ("y", lambda y: regressor().fit(X, y)),
    "y_train": ("y_train", lambda y: ntk.predict.gradient_descent_mse(kernel_fn(X, None, "ntk"), y)),
    "mse": ("fx", lambda y: ntk.predict.mse(y, Y)),
    "cross_entropy": ("y", lambda y: ntk.predict.cross_entropy(Y, y)),
    "cotangent": ("cotangent", lambda y: ntk.empirical.vjp(apply_fn, PARAMS, y, X)),
    "labels": ("labels", lambda y: ntk.datasets.one_hot(y)),
}


def everywhere(calls):
    return pytest.mark.parametrize("name, call", calls.values(), ids=calls)


@everywhere({**SAMPLES, **OTHERS})
def test_masked_arrays_are_refused(name, call):
    numbers = X if (name, call) in SAMPLES.values() else Y
    masked = np.ma.masked_greater(numbers, np.sort(numbers.ravel())[-2])
    with pytest.raises(ValueError, match=rf"^{name} is a masked array.*{name}\.filled\(value\)"):
        call(masked)


def test_masked_rows_are_refused():
    rows = [np.ma.masked_greater(row, 1.0) for row in X]
    with pytest.raises(ValueError, match="x1 is a masked array"):
        kernel_fn(rows, None, "ntk")


def test_masks_that_mask_nothing():
    np.testing.assert_array_equal(kernel_fn(np.ma.array(X), None, "ntk"), kernel_fn(X, None, "ntk"))


@everywhere(SAMPLES)
def test_ragged_rows_are_named(name, call):
    ragged = X.tolist()
    del ragged[3][1:]
    ragged[5].pop()
    message = f"rows of {name} must be alike: row 3 has 1 number, row 0 has 4 numbers"
    for rows in ragged, [np.array(row) for row in ragged], tuple(map(tuple, ragged)):
        with pytest.raises(ValueError) as error:
            call(rows)
        assert str(error.value) == message


@pytest.mark.parametrize("rows, message", [
    ([[[1, 2], [3, 4]], [[1, 2], [3]]], "rows of x1[1] must be alike: row 1 has 1 number, row 0 has 2 numbers"),
    ([[[1, 2], [3, 4]], [[1, 2]]], "rows of x1 must be alike: row 1 has the shape (1, 2), row 0 has the shape (2, 2)"),
    ([[1, 2], 3], "rows of x1 must be alike: row 1 has no length, as it is one number, row 0 has 2 numbers"),
])
def test_ragged_places(rows, message):
    for ragged in rows, np.array(rows + [None], object)[:-1]:
        with pytest.raises(ValueError) as error:
            kernel_fn(ragged, None, "ntk")
        assert str(error.value) == message


class Frame:
    """A table as those of pandas are: columns of types of their own."""

    def __init__(self, **columns):
        self.columns, self._arrays = list(columns), [np.array(column) for column in columns.values()]
        self.dtypes = [array.dtype for array in self._arrays]

    def __array__(self, dtype=None, copy=None):
        return np.stack([array.astype(object) for array in self._arrays], 1)


def test_columns_of_text_are_named():
    columns = {"length": [1.0, 2.0], "kind": ["a", "b"]}
    with pytest.raises(ValueError, match="x1 must have real numbers: leave out or encode the column kind$"):
        kernel_fn(Frame(**columns), None, "ntk")
    with pytest.raises(ValueError, match="the columns kind, day$"):
        kernel_fn(Frame(**columns, day=np.array(["2020-01-01"] * 2, "M8[D]")), None, "ntk")


@everywhere({**SAMPLES, "y": OTHERS["y"]})
def test_dates_and_texts_are_refused(name, call):
    for other in (np.array(["2020-01-01", "2020-01-02"] * 3, "M8[D]"), np.arange(6).astype("m8[s]"),
                  np.array(["1", "2"] * 3), np.array([b"1", b"2"] * 3)):
        with pytest.raises(ValueError, match=rf"^{name} must have real numbers, got dtype "):
            call(np.stack([other] * 4, 1))


@pytest.mark.parametrize("name, call", [SAMPLES["fit"], SAMPLES["NTKKernel"], SAMPLES["kernel_fn"]])
def test_columns_of_dates_are_named(name, call):
    days = np.array(["2020-01-01"] * 6, "M8[D]")
    for frame in Frame(length=[1.0] * 6, day=days), Frame(day=days):
        with pytest.raises(ValueError, match=f"^{name} must have real numbers: leave out or encode the column day$"):
            call(frame)


@pytest.mark.parametrize("name, call", [SAMPLES["fit"], SAMPLES["NTKKernel"], SAMPLES["kernel_fn"]])
def test_texts_are_no_numbers(name, call):
    texts = X.astype(str)
    for x in texts, texts.tolist(), texts.astype(object):
        with pytest.raises(ValueError, match=f"^{name} must have real numbers, got (dtype <U|objects: str$)"):
            call(x)


def test_sparse_matrices_and_long_integers():
    with pytest.raises(ValueError, match=r"x1 is a sparse matrix: give x1\.toarray\(\)"):
        kernel_fn(scipy.sparse.csr_matrix(X), None, "ntk")
    with pytest.raises(ValueError, match="x1 must have real numbers, got objects: int too large"):
        kernel_fn([[10**400, 1]], None, "ntk")


# ---- channels first

CONV = "serial(Conv(4, (3, 3), padding='SAME'), Relu(), GlobalAvgPool(), Dense(1))"
IMAGES = np.random.default_rng(1).normal(size=(2, 3, 6, 6))
FIRST = r"samples of 3 x 6 x 6 are read as \[height\]\[width\]\[channels\].*x\.transpose\(0, 2, 3, 1\)"


def conv_calls():
    init, apply, kernel = ntk.stax.parse(CONV)
    return {
        "kernel_fn": lambda x: kernel(x, None, "ntk"),
        "fit": lambda x: ntk.NTKRegressor(CONV, alpha=1e-3).fit(x, [0.0, 1.0]),
        "init_fn": lambda x: init(0, x.shape),
        "monte_carlo": lambda x: ntk.monte_carlo_kernel_fn(init, apply, 0, 2)(x, None, "ntk"),
    }


@pytest.mark.parametrize("name", conv_calls())
def test_channels_first_are_noted(name):
    call = conv_calls()[name]
    with pytest.warns(RuntimeWarning, match=FIRST):
        call(IMAGES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call(np.ascontiguousarray(IMAGES.transpose(0, 2, 3, 1)))


def test_one_channel_first_is_noted():
    kernel = ntk.stax.parse(CONV)[2]
    with pytest.warns(RuntimeWarning, match="samples of 1 x 6 x 6 are read"):
        kernel(IMAGES[:, :1], None, "ntk")


@pytest.mark.parametrize("shape", [(4, 4, 4), (3, 6, 5), (6, 6, 1), (1, 6, 3), (2, 6, 6), (6, 6, 6)])
def test_other_images_are_not(shape):
    kernel = ntk.stax.parse(CONV)[2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kernel(np.ones((1, *shape)), None, "ntk")


def test_networks_without_positions_do_not_care():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ntk.NTKRegressor("fc(depth=1)").fit(IMAGES, [0.0, 1.0])
