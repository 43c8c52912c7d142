# SPDX-License-Identifier: MIT
"""Predictions from given matrices: against NumPy's formulas, and at their edges: eigenvalues of rounding error, numbers that
are not finite, ridges."""
import re
import warnings

import numpy as np
import pytest

import ntk
from ntk import predict

NET = ntk.stax.fc(depth=3)[2]
SMOOTH = "fc(depth=1, activation='erf')"
INF = np.inf


def places(n=120):
    """Almost parallel rows, whose float32 kernel through a smooth activation is far from positive definite."""
    rng = np.random.default_rng(0)
    x = np.c_[rng.uniform(10, 20, n), rng.uniform(45, 55, n)]
    return x.astype("f4"), np.sin(x[:, :1]) + 0.1 * x[:, 1:] - 5


def random_kernel(rng, eigenvalues, dtype):
    v = np.linalg.qr(rng.standard_normal((len(eigenvalues),) * 2))[0]
    k = (v * eigenvalues) @ v.T
    return ((k + k.T) / 2).astype(dtype)


# ---- against formulas: Lee et al. 2019, eqs. 10 to 16, by an eigen-decomposition


class Formulas:
    """Of kernels between n + m samples, NNGP s and NTK t, of which the first n are for training."""

    def __init__(self, s, t, n, y, ridge, absolute):
        self.s, self.t, self.n, self.y = s, t, n, y
        self.ridge = [ridge * (1 if absolute else np.trace(k[:n, :n]) / n) for k in (s, t)]

    def condition(self):
        return max(np.linalg.cond(k[:self.n, :self.n] + r * np.eye(self.n)) for k, r in zip((self.s, self.t), self.ridge))

    def spectral(self, k, ridge, form):
        w, v = np.linalg.eigh(k[:self.n, :self.n])
        return (v * form(w + ridge)) @ v.T

    def at(self, get, t, start=0.0, test=True):
        """Mean and covariance; the ridge belongs to the training samples' own kernel."""
        n, k, ridge = self.n, *((self.s, self.ridge[0]) if get == "nngp" else (self.t, self.ridge[1]))

        def gain(t):  # (1 - e^{-w t}) / w
            return self.spectral(k, ridge, lambda w: -np.expm1(-w * t) / w)

        if not test:
            left = self.spectral(k, ridge, lambda w: np.exp(-w * t))
            spread = self.spectral(k, ridge, lambda w: w * np.exp(-2 * w * t)) if get == "nngp" else \
                left @ self.s[:n, :n] @ left
            return self.y + left @ (start - self.y), spread
        mean = k[n:, :n] @ gain(t) @ (self.y - start)
        if get != "ntk":
            return mean, k[n:, n:] - k[n:, :n] @ gain(2 * t) @ k[:n, n:]
        a = k[n:, :n] @ gain(t)
        cross = a @ self.s[:n, n:]
        return mean, self.s[n:, n:] + a @ self.s[:n, :n] @ a.T - cross - cross.T


def given_kernels(rng, n, m, condition):
    """NNGP and NTK of n + m samples, positive definite, whose condition is some multiple of this or less."""
    def one():
        k = random_kernel(rng, np.geomspace(1 / condition, 1, n + m) * 10 ** rng.uniform(-2, 2), "f8")
        return (k + k.T) / 2

    s = one()
    return s, s + one()


def kernels_of(s, t, rows, columns):
    return ntk._arrays.named("Kernels", ("nngp", "ntk"), [k[rows, columns] for k in (s, t)])


CASES = [(10.0 ** (1 + case % 12), *((1, 1, 1), (2, 1, 1), (12, 5, 2), (30, 7, 3))[case % 4],
          *((0.0, False), (1e-6, False), (1e-2, True))[case % 3], case) for case in range(24)]


@pytest.mark.parametrize("condition, n, m, c, ridge, absolute, seed", CASES)
def test_predictions_are_those_of_the_formulas(condition, n, m, c, ridge, absolute, seed):
    rng = np.random.default_rng(seed)
    s, t = given_kernels(rng, n, m, condition)
    y, f0 = rng.standard_normal((2, n, c))
    formulas = Formulas(s, t, n, y, ridge, absolute)
    true = formulas.condition()
    tolerance, prior = 1e-12 if true <= 1e3 else 1e-15 * true, np.abs(t).max()

    def same(found, mean, cov):
        assert np.abs(found[0] - mean).max() <= tolerance * max(np.abs(mean).max(), np.abs(y).max())
        assert np.abs(found[1] - cov).max() <= tolerance * prior

    train, test = slice(n), slice(n, None)
    k_dd, k_td, k_tt = kernels_of(s, t, train, train), kernels_of(s, t, test, train), kernels_of(s, t, test, test)
    gp = predict.gp_inference(k_dd, y, ridge, absolute)
    for get in ("nngp", "ntk", "ntkgp"):
        same(gp(get, k_td, k_tt), *formulas.at(get, INF))
        assert np.array_equal(gp(get, k_td, k_tt).mean, gp(get, k_td))

    times = np.array([[0.0, 0.3], [20.0, 1e4]]) * y.size
    descent = predict.gradient_descent_mse(k_dd.ntk, y, 1.0, ridge, absolute)
    at_train, at_test = descent(times, f0, 1.5, k_td.ntk)
    assert at_train.shape == (2, 2, n, c) and at_test.shape == (2, 2, m, c)
    for at in np.ndindex(2, 2):
        t_ = times[at] / y.size
        same((at_train[at], 0), formulas.at("ntk", t_, f0, test=False)[0], 0)
        same((at_test[at] - 1.5, 0), formulas.at("ntk", t_, f0)[0], 0)

    def kernel_fn(x1, x2, get, **_):
        i, j = (np.asarray(x)[:, 0].astype(int) for x in (x1, x1 if x2 is None else x2))
        found = kernels_of(s, t, i[:, None], j)
        return getattr(found, get) if isinstance(get, str) else ntk._arrays.named("K", get, [getattr(found, g) for g in get])

    rows = np.arange(n + m, dtype=float)[:, None]
    ensemble = predict.gradient_descent_mse_ensemble(kernel_fn, rows[:n], y, 1.0, ridge, absolute)
    for get in ("nngp", "ntk"):
        for test_rows in (None, rows[n:]):
            found = ensemble(times, test_rows, get, compute_cov=True)
            for at in np.ndindex(2, 2):
                same([part[at] for part in found], *formulas.at(get, times[at] / y.size, test=test_rows is not None))


def test_blocks_are_a_column():
    """[n][n][c][c] is the matrix [n c][n c]."""
    rng = np.random.default_rng(0)
    n, m, c = 4, 2, 3
    s, t = given_kernels(rng, n * c, m * c, 100)
    y = rng.standard_normal((n, c))

    def blocks(k):
        return k.reshape(len(k) // c, c, -1, c).transpose(0, 2, 1, 3)

    train, test = slice(n * c), slice(n * c, None)
    flat = kernels_of(s, t, train, train), kernels_of(s, t, test, train), kernels_of(s, t, test, test)
    whole = [ntk._arrays.named("Kernels", k._fields, map(blocks, k)) for k in flat]
    for get in ("nngp", "ntk", "ntkgp"):
        mean, cov = predict.gp_inference(whole[0], y, 1e-3, trace_axes=())(get, *whole[1:])
        mean_, cov_ = predict.gp_inference(flat[0], y.reshape(-1), 1e-3)(get, *flat[1:])
        assert mean.shape == (m, c) and cov.shape == (m, m, c, c)
        np.testing.assert_array_equal(mean.reshape(-1), mean_)
        np.testing.assert_array_equal(cov, blocks(cov_))
    moved = predict.gradient_descent_mse(whole[0].ntk, y, trace_axes=())([2.0, INF], 0.0, 0.0, whole[1].ntk)
    moved_ = predict.gradient_descent_mse(flat[0].ntk, y.reshape(-1))([2.0, INF], 0.0, 0.0, flat[1].ntk)
    for found, want in zip(moved, moved_):
        np.testing.assert_array_equal(found.reshape(2, -1), want)


def test_no_times():
    train, test = predict.gradient_descent_mse(np.eye(3), np.ones((3, 2)))(np.empty((0, 4)), 0.0, 0.0, np.ones((5, 3)))
    assert train.shape == (0, 4, 3, 2) and test.shape == (0, 4, 5, 2)


def test_matrices_that_are_not_symmetric():
    rng = np.random.default_rng(0)
    k, y = random_kernel(rng, np.geomspace(0.1, 1, 9), "f8"), rng.standard_normal((9, 1))
    bent = k.copy()
    bent[5, 2] += 1e-9
    for call in (lambda: predict.gp_inference(bent, y)("ntk", k), lambda: predict.gradient_descent_mse(bent, y)(1.0)):
        with pytest.raises(ValueError, match=r"k_train_train must be symmetric.*\[5\]\[2\]"):
            call()
    single = bent.astype("f4")  # which no kernel in float32 can be told from
    np.testing.assert_allclose(predict.gp_inference(single, y)("ntk", k), predict.gp_inference(k, y)("ntk", k), atol=1e-5)
    single[5, 2] += 1e-3
    with pytest.raises(ValueError, match="must be symmetric"):
        predict.gp_inference(single, y)("ntk", k)


def test_the_memory_bound_holds_for_given_matrices():
    k = np.eye(1500)
    ntk.set_memory(16e6)
    try:
        with pytest.raises(MemoryError, match="eigen-decomposition"):
            predict.gradient_descent_mse(k, np.ones((1500, 1)))(1.0)
    finally:
        ntk.set_memory()


# ---- edges


@pytest.mark.filterwarnings("ignore:.*not above rounding error")
@pytest.mark.parametrize("seed", range(20))
def test_loss_never_rises(seed):
    rng = np.random.default_rng(seed)
    n = 20
    eigenvalues = 10.0 ** rng.uniform(-rng.uniform(0, 30), 0, n) * 10 ** rng.uniform(-3, 3)
    eigenvalues[:rng.integers(4)] = 0
    k = random_kernel(rng, eigenvalues, rng.choice(["f4", "f8"]))
    y = rng.standard_normal((n, 2))
    times = np.array([0, 1e-3, 1, 1e3, 1e6, 1e9, 1e12, 1e16, 1e300, INF])
    train, test = predict.gradient_descent_mse(k, y)(times, 0.0, 0.0, k)
    loss = ((train - y) ** 2).sum((1, 2))
    assert (loss[1:] <= loss[:-1] * (1 + 1e-12) + 1e-24).all()
    assert np.abs(test).max() < 10 and (k.dtype == "f8" or np.abs(test - train).max() < 1e-6)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_long_times(dtype):
    x, y = places()
    k = NET(x.astype(dtype), None, "ntk")
    times = np.array([1, 100, 1e8, 1e16, INF]) * y.size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        train, test = predict.gradient_descent_mse(k, y)(times, 0.0, 0.0, k)
        model = ntk.NTKRegressor("fc(depth=3)", alpha=0, time=1e8, normalize_y=False, dtype=k.dtype.name).fit(x, y)
        found = model.predict_at(x, times)
    loss = ((train - y) ** 2).mean((1, 2))
    assert (np.diff(loss) <= 1e-12).all() and loss[-1] < (0.2 if dtype == "f4" else 1e-15)
    np.testing.assert_allclose(test, train, atol=1e-3)
    np.testing.assert_allclose(found, train, atol=1e-3)


def test_null_directions_are_counted():
    x, y = places()
    k = NET(x, None, "ntk")
    with pytest.warns(RuntimeWarning, match=r"\d+ of 120 eigenvalues of the kernel matrix are not above rounding"):
        predict.gradient_descent_mse(k, y)(1e8)
    with pytest.warns(RuntimeWarning, match="eigenvalues"):
        ntk.NTKRegressor("fc(depth=3)", alpha=0, time=1e8, dtype="float32").fit(x, y)


@pytest.mark.filterwarnings("ignore:.*not above rounding error")
def test_equal_samples():
    """In all forms, at all times, the mean of their targets."""
    x, y = np.array([[0.3, 0.4], [0.3, 0.4], [-1, 0.2]]), np.array([[1.0], [2], [-1]])
    k = NET(x, None, "ntk")
    times = np.array([1e8, 1e16, 1e300, INF])
    want = np.broadcast_to([[1.5], [1.5], [-1]], (4, 3, 1))
    for found in predict.gradient_descent_mse(k, y)(times, 0.0, 0.0, k):
        np.testing.assert_allclose(found, want, rtol=1e-12)
    ensemble = predict.gradient_descent_mse_ensemble(NET, x, y)
    np.testing.assert_allclose(ensemble(times, None, "ntk"), want, rtol=1e-12)
    mean, cov = ensemble(times, x, "ntk", compute_cov=True)
    np.testing.assert_allclose(mean, want, rtol=1e-12)
    assert np.abs(cov).max() < 1e-12
    model = ntk.NTKRegressor("fc(depth=3)", alpha=0, time=1.0, normalize_y=False).fit(x, y)
    np.testing.assert_allclose(model.predict_at(x, times), want, rtol=1e-12)


@pytest.mark.parametrize("t", [1.0, INF])
def test_indefinite_matrices_are_refused(t):
    k = np.diag([1.0, -1e-3])
    with pytest.raises(np.linalg.LinAlgError, match="not positive semidefinite: its eigenvalues are -0.001 to 1"):
        predict.gradient_descent_mse(k, np.ones((2, 1)))(t)


def test_a_rising_loss_is_said():
    with pytest.raises(np.linalg.LinAlgError, match="not positive semidefinite"):
        predict.gradient_descent("xent", np.diag([1.0, -1e-3]), np.eye(2))([1.0, 1e6])


@pytest.mark.parametrize("loss", ["mse", "xent"])
def test_tiny_times(loss):
    k = np.array([[1, 0.5], [0.5, 1]])
    flow = predict.gradient_descent(loss, k, np.eye(2))
    times = np.array([1e-320, 1e-300, 1e-10, 1.0])
    f = flow(times, 0.0)
    assert np.isfinite(f).all() and abs(f[0]).max() < 1e-319
    np.testing.assert_allclose(f[1, 0, 0], (1 if loss == "mse" else 0.25) * 1e-300 / 4, rtol=1e-9)
    np.testing.assert_allclose(f[3], flow(1.0, 0.0), rtol=1e-6)


def hint_of(error, spelling):
    found = re.search(rf"try {spelling}=(\S+) \((.*)\)", str(error.value))
    assert found, error.value
    return float(found[1]), found[2]


def matrices():
    rng = np.random.default_rng(0)
    x, _ = places()
    twins = rng.standard_normal((30, 3))
    twins[7] = twins[2]
    low = rng.standard_normal((30, 4))
    yield "float32", ntk.stax.parse(SMOOTH)[2](x, None, "ntk")
    yield "twins", NET(twins, None, "ntk")
    yield "rank 4, large", 1e9 * low @ low.T
    yield "rank 4, small", 1e-9 * low @ low.T
    yield "negative", random_kernel(rng, np.r_[-0.3, np.geomspace(1e-3, 1, 29)], "f8")


MATRICES = dict(matrices())


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("given", [0, 1e-18])
@pytest.mark.parametrize("name", MATRICES)
def test_hints_work(name, given, absolute):
    k = MATRICES[name]
    y = np.ones((len(k), 1))
    given *= k.diagonal().mean() if absolute else 1

    def fit(diag_reg):
        return (predict.gp_inference(k, y, diag_reg, absolute)("ntk", k),
                predict.gradient_descent_mse(k, y, 1.0, diag_reg, absolute)(None, 0.0, 0.0, k))

    with pytest.raises(np.linalg.LinAlgError, match="kernel matrix is not positive definite") as error:
        fit(given)
    diag_reg, scale = hint_of(error, "diag_reg")
    assert diag_reg > given and scale == ("with diag_reg_absolute_scale=True" if absolute else
                                          "times the mean of the diagonal")
    assert np.isfinite(fit(diag_reg)[0]).all()


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("dtype, alpha", [("float32", 0.0), ("float32", 1e-9), ("float64", 0.0), ("float64", 1e-20)])
def test_hints_of_estimators_work(dtype, alpha, relative):
    x, y = places()
    if dtype == "float64":
        x[50] = x[3]
    model = ntk.NTKRegressor(SMOOTH, alpha=alpha, alpha_relative=relative, dtype=dtype)
    with pytest.raises(np.linalg.LinAlgError) as error:
        model.fit(x, y)
    hint, scale = hint_of(error, "alpha")
    assert hint > alpha and scale == ("times the mean of the diagonal" if relative else "absolute")
    assert np.isfinite(model.set_params(alpha=hint).fit(x, y).predict(x)).all()


def test_ridge_of_the_limit():
    """With a ridge above the floor t = inf is Cholesky's answer."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 4))
    k, y = x @ x.T, rng.standard_normal((30, 2))
    for diag_reg in (1e-1, 1e-5, 1e-10):
        fit = predict.gradient_descent_mse(k, y, diag_reg=diag_reg)
        by_cholesky, by_eigenvectors = (fit(t, None, 0.0, k) for t in (None, INF))
        np.testing.assert_allclose(by_eigenvectors, by_cholesky, atol=1e-14 / diag_reg)


@pytest.mark.filterwarnings("ignore:.*not above rounding error")
@pytest.mark.parametrize("get", ["nngp", "ntk"])
def test_covariances_are_semidefinite(get):
    """At and beside the training samples what is left is rounding error."""
    rng = np.random.default_rng(0)
    for net in (ntk.stax.fc(depth=2)[2], ntk.stax.fc(depth=1, activation="erf")[2]):
        x = rng.standard_normal((20, 2))
        fit = predict.gradient_descent_mse_ensemble(net, x, x[:, :1], diag_reg=1e-10)
        for t in (None, 0.0, 1e3, np.array([1e6, 1e12, INF])):
            for x_test in (None, x, x + 1e-9):
                cov = np.atleast_3d(fit(t, x_test, get, compute_cov=True).covariance.T).T
                assert np.array_equal(cov, cov.transpose(0, 2, 1))
                assert (np.diagonal(cov, axis1=1, axis2=2) >= 0).all()
                assert np.linalg.eigvalsh(cov).min() > -1e-5


K, Y = np.eye(3) + 0.1, np.ones((3, 2))
BAD_K, BAD_Y = K.copy(), Y.copy()
BAD_K[1, 2], BAD_Y[2, 1] = np.nan, np.inf
KERNELS = ntk._arrays.named("Kernels", ("nngp", "ntk"), (K, K))


@pytest.mark.parametrize("call, says", [
    (lambda: predict.gradient_descent_mse(BAD_K, Y), r"k_train_train\[1, 2\] is nan"),
    (lambda: predict.gradient_descent_mse(K, BAD_Y), r"y_train\[2, 1\] is inf"),
    (lambda: predict.gradient_descent_mse(K, Y, np.nan), "learning_rate must be above 0"),
    (lambda: predict.gradient_descent_mse(K, Y, diag_reg=np.nan), "diag_reg must be from 0 and finite, got nan"),
    (lambda: predict.gradient_descent_mse(K, Y, diag_reg=INF), "diag_reg must be"),
    (lambda: predict.gradient_descent_mse(K, Y)(np.nan), "0 or more: t is nan"),
    (lambda: predict.gradient_descent_mse(K, Y)([[1.0, -1.0]]), r"0 or more: t\[0, 1\] is -1"),
    (lambda: predict.gradient_descent_mse(K, Y)(1.0, BAD_Y), r"fx_train_0\[2, 1\] is inf"),
    (lambda: predict.gradient_descent_mse(K, Y)(1.0, 0.0, np.nan, K), "fx_test_0 is nan"),
    (lambda: predict.gradient_descent_mse(K, Y)(1.0, 0.0, 0.0, BAD_K), r"k_test_train\[1, 2\] is nan"),
    (lambda: predict.gp_inference(K, BAD_Y), r"y_train\[2, 1\] is inf"),
    (lambda: predict.gp_inference(BAD_K, Y)("ntk", K), r"k_train_train\[1, 2\] is nan"),
    (lambda: predict.gp_inference(K, Y)("ntk", BAD_K), r"k_test_train\[1, 2\] is nan"),
    (lambda: predict.gp_inference(KERNELS, Y)("nngp", KERNELS, BAD_K), r"k_test_test\[1, 2\] is nan"),
    (lambda: predict.gp_inference(K, Y, np.nan)("ntk", K), "diag_reg must be"),
    (lambda: predict.gradient_descent_mse_ensemble(NET, K, BAD_Y), r"y_train\[2, 1\] is inf"),
    (lambda: predict.gradient_descent_mse_ensemble(NET, K, Y, np.inf), "learning_rate must be"),
    (lambda: predict.gradient_descent_mse_ensemble(NET, K, Y)([1, np.nan], get="ntk"), r"t\[1\] is nan"),
    (lambda: predict.gradient_descent("mse", BAD_K, Y), r"k_train_train\[1, 2\] is nan"),
    (lambda: predict.gradient_descent("mse", K, BAD_Y), r"y_train\[2, 1\] is inf"),
    (lambda: predict.gradient_descent("mse", K, Y)(1.0, BAD_Y), r"fx_train\[2, 1\] is inf"),
    (lambda: predict.gradient_descent("mse", K, Y)(1.0, 0.0, BAD_Y, K), r"fx_test\[2, 1\] is inf"),
    (lambda: predict.gradient_descent("mse", K, Y)(1.0, 0.0, 0.0, BAD_K), r"k_test_train\[1, 2\] is nan"),
    (lambda: predict.gradient_descent("mse", K, Y)([1.0, np.nan]), r"t\[1\] is nan"),
    (lambda: predict.gradient_descent("mse", K, Y, momentum=0.5)(1.0, predict.ODEState(0.0, qx_train=BAD_Y)),
     r"qx_train\[2, 1\] is inf"),
    (lambda: predict.gradient_descent("mse", K, Y, np.nan), "learning_rate must be"),
    (lambda: predict.gradient_descent("mse", K, Y, momentum=np.nan), "momentum must be from 0 to below 1"),
    (lambda: predict.max_learning_rate(BAD_K), r"ntk_train_train\[1, 2\] is nan"),
    (lambda: predict.max_learning_rate(K[:2]), "square"),
    (lambda: predict.max_learning_rate(K, momentum=np.nan), "momentum must be"),
])
def test_numbers_that_are_not_finite(call, says):
    with pytest.raises(ValueError, match=says):
        call()
