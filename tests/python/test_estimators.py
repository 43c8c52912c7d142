# SPDX-License-Identifier: MIT
"""scikit-learn's estimators and kernel: against its own checks, NumPy's formulas and ntk.predict."""
import copy
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy.optimize import check_grad, minimize_scalar
from scipy.special import log_softmax

pytest.importorskip("sklearn", "1.3")
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.estimator_checks import parametrize_with_checks

import ntk
from ntk import NTKClassifier, NTKKernel, NTKRegressor

CONV = "serial(Conv(1, (3, 3), padding='SAME'), Relu(), GlobalAvgPool(), Dense(1))"


@pytest.fixture(scope="module")
def digits():
    return (*ntk.datasets.load("digits/train"), *ntk.datasets.load("digits/test"))


@pytest.fixture(scope="module")
def regression():
    """X [40][3], y [40], X_new [7][3]"""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((47, 3))
    y = 5 + 3 * np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.standard_normal(47)
    return X[:40], y[:40], X[40:]


@pytest.fixture(scope="module")
def labels(regression):
    return np.array(["low", "middle", "high"])[np.digitize(regression[1], [4, 6])]


@parametrize_with_checks([NTKRegressor(), NTKClassifier(), NTKRegressor(kernel="nngp", time=1e5)])
def test_scikit_learn_checks(estimator, check):
    if estimator.time is not None and "sample_weight" in check.func.__name__:
        pytest.skip("finite times refuse weights")
    check(estimator)


def test_scores_that_the_tags_leave_out():
    X, y = make_blobs(n_samples=300, random_state=0)
    assert NTKClassifier().fit(X, y).score(X, y) > 0.83


def test_scikit_learn_is_imported_late():
    code = "import sys, ntk; assert 'sklearn' not in sys.modules; ntk.NTKRegressor; assert 'sklearn' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_scikit_learn(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn" or name == "ntk.estimators"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ModuleNotFoundError, match="ntk.NTKRegressor needs scikit-learn: pip install scikit-learn"):
        ntk.NTKRegressor


# ---- what is predicted


@pytest.mark.parametrize("relative", [True, False])
def test_digits_as_the_command_line(digits, relative):
    x, y, x_test, y_test = digits
    model = NTKClassifier("fc(depth=3)", alpha=1e-5, alpha_relative=relative).fit(x, y)
    assert model.score(x_test, y_test) == 0.972
    assert np.mean(model.leave_one_out().argmax(1) == y) == pytest.approx(0.9931, abs=5e-5)
    if relative:
        assert model.log_marginal_likelihood_value_ == pytest.approx(-4145.46, abs=5e-3)
        assert model.spectrum().condition == pytest.approx(1.65e4, rel=5e-3)
    assert log_loss(y_test, model.predict_proba(x_test)) < 0.11


@pytest.mark.parametrize("kernel", ["nngp", "ntk", "ntkgp"])
def test_posterior_against_gp_inference(regression, kernel):
    X, y, X_new = regression
    net = ntk.stax.fc(depth=2, activation="erf", b_std=0.3)
    k = [net[2](a, b, ("nngp", "ntk")) for a, b in ((X, None), (X_new, X), (X_new, None))]
    Y = np.column_stack([y, -2 * y + X[:, 0]])
    mean, cov = ntk.predict.gp_inference(k[0], Y, 1e-2, True)(kernel, k[1], k[2])

    model = NTKRegressor(net, kernel=kernel, alpha=1e-2, normalize_y=False).fit(X, Y)
    found, std = model.predict(X_new, return_std=True)
    np.testing.assert_allclose(found, mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(std, np.sqrt(np.diag(cov))[:, None] * [1, 1], rtol=1e-7)
    found_cov = model.predict(X_new, return_cov=True)[1]
    assert found_cov.shape == (7, 7, 2)
    np.testing.assert_allclose(found_cov[..., 1], cov, atol=1e-10)
    assert model.predict(X_new, return_std=False).shape == (7, 2)


def test_nngp_is_the_gaussian_process_of_scikit_learn(regression):
    X, y, X_new = regression
    gp = GaussianProcessRegressor(NTKKernel(kernel="nngp"), alpha=1e-2, optimizer=None, normalize_y=True).fit(X, y)
    model = NTKRegressor(kernel="nngp", alpha=1e-2).fit(X, y)
    for mine, theirs in zip(model.predict(X_new, return_std=True), gp.predict(X_new, return_std=True)):
        np.testing.assert_allclose(mine, theirs, rtol=1e-8)
    for mine, theirs in zip(model.predict(X_new, return_cov=True), gp.predict(X_new, return_cov=True)):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-9)
    assert model.log_marginal_likelihood_value_ == pytest.approx(gp.log_marginal_likelihood_value_, rel=1e-10)


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
def test_time_against_gradient_descent_mse(regression, kernel):
    X, y, X_new = regression
    net = ntk.stax.fc(depth=1)
    y = y - y.mean()
    times = np.array([0, 3.0, 200.0, np.inf])
    gd = ntk.predict.gradient_descent_mse_ensemble(net[2], X, y[:, None], diag_reg=0.1, diag_reg_absolute_scale=True)
    mean, cov = gd(times, X_new, kernel, True)

    model = NTKRegressor(net, kernel=kernel, alpha=0.1, normalize_y=False).fit(X, y)
    found, std = model.predict_at(X_new, times, return_std=True)
    assert found.shape == std.shape == (4, 7)
    np.testing.assert_allclose(found, mean[..., 0], atol=1e-9)
    np.testing.assert_allclose(std**2, np.diagonal(cov, axis1=1, axis2=2), atol=1e-9)
    np.testing.assert_allclose(found[3], model.predict(X_new), atol=1e-9)

    early = NTKRegressor(net, kernel=kernel, alpha=0.1, normalize_y=False, time=3.0).fit(X, y)
    k, k_new = net[2](X, None, kernel), net[2](X_new, X, kernel)
    by_hand = ntk.predict.gradient_descent_mse(k, y[:, None], 1.0, 0.1, True)(3.0, None, 0.0, k_new)
    np.testing.assert_allclose(early.predict(X_new), by_hand[:, 0], atol=1e-9)
    np.testing.assert_allclose(early.predict(X_new, return_std=True)[1], std[1], atol=1e-9)


def test_units_of_targets(regression):
    X, y, X_new = regression
    mean, std = NTKRegressor(alpha=1e-3).fit(X, y).predict(X_new, return_std=True)
    for factor, shift in ((1e6, 3e7), (1e-6, 0)):
        m, s = NTKRegressor(alpha=1e-3).fit(X, factor * y + shift).predict(X_new, return_std=True)
        np.testing.assert_allclose(m, factor * mean + shift, rtol=1e-8)
        np.testing.assert_allclose(s, factor * std, rtol=1e-8)
    Y = np.column_stack([y, np.full(40, 0.1)])  # a constant target stays one
    both = NTKRegressor(alpha=1e-3).fit(X, Y).predict(X_new)
    np.testing.assert_allclose(both, np.column_stack([mean, np.full(7, 0.1)]), rtol=1e-9)


def test_leave_one_out_against_fits(regression, labels):
    X, y, _ = regression
    model = NTKRegressor(kernel="nngp", alpha=1e-2, normalize_y=False).fit(X, y)
    mean, std = model.leave_one_out(return_std=True)
    for i in (0, 17, 39):
        others = np.arange(40) != i
        m, s = clone(model).fit(X[others], y[others]).predict(X[[i]], return_std=True)
        assert mean[i] == pytest.approx(m[0], rel=1e-8)
        assert std[i] ** 2 == pytest.approx(s[0] ** 2 + 1e-2, rel=1e-8)
    scores, std = NTKClassifier().fit(X, labels).leave_one_out(return_std=True)
    assert scores.shape == (40, 3) and std.shape == (40,)


def test_float32(regression):
    X, y, X_new = regression
    exact, single = (NTKRegressor(alpha=1e-2, dtype=d).fit(X, y).predict(X_new) for d in ("float64", np.float32))
    assert 0 < abs(exact - single).max() < 1e-3


def test_training_samples_are_copied(regression):
    X, y, X_new = regression
    X = X.copy()
    model = NTKRegressor().fit(X, y)
    before = model.predict(X_new)
    X[:] = 0
    np.testing.assert_array_equal(model.predict(X_new), before)


# ---- weights and ridges


def repeated(a, weights):
    return np.repeat(a, weights.astype(int), axis=0)


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(5).integers(0, 4, 40).astype(float)


@pytest.mark.parametrize("kernel", ["nngp", "ntk", "ntkgp"])
@pytest.mark.parametrize("normalize_y", [True, False])
def test_weights_are_repetitions(regression, weights, kernel, normalize_y):
    X, y, X_new = regression
    Y = np.column_stack([y, X[:, 0]])
    model = NTKRegressor(kernel=kernel, alpha=1e-2, normalize_y=normalize_y)
    one, many = model.fit(X, Y, weights), clone(model).fit(repeated(X, weights), repeated(Y, weights))
    for found, want in zip(one.predict(X_new, return_std=True), many.predict(X_new, return_std=True)):
        np.testing.assert_allclose(found, want, rtol=1e-9)
    np.testing.assert_array_equal(clone(model).fit(X, Y, np.ones(40)).predict(X_new), clone(model).fit(X, Y).predict(X_new))


def test_weight_by_hand(regression, weights):
    """K + diag(alpha / w), without rows of weight 0."""
    X, y, X_new = regression
    kept, net = weights > 0, ntk.stax.fc(depth=1)
    model = NTKRegressor(net, alpha=0.3, normalize_y=False).fit(X, y, weights)
    K = net[2](X[kept], None, "ntk") + np.diag(0.3 / weights[kept])
    c = np.linalg.solve(K, y[kept])
    np.testing.assert_allclose(model.predict(X_new), net[2](X_new, X[kept], "ntk") @ c, rtol=1e-10)
    np.testing.assert_allclose(model.dual_coef_[kept, 0], c, rtol=1e-9)
    assert model.dual_coef_.shape == (40, 1) and not model.dual_coef_[~kept].any()
    evidence = -0.5 * y[kept] @ c - 0.5 * np.linalg.slogdet(2 * np.pi * K)[1]
    assert model.log_marginal_likelihood_value_ == pytest.approx(evidence, rel=1e-10)
    mean, std = model.leave_one_out(return_std=True)
    inverse = np.diag(np.linalg.inv(K))
    np.testing.assert_allclose(mean[kept], y[kept] - c / inverse, rtol=1e-8)
    np.testing.assert_allclose(std[kept], inverse**-0.5, rtol=1e-8)


@pytest.mark.parametrize("alpha", [1e-2, "auto", np.linspace(0.01, 0.1, 40)], ids=["number", "auto", "array"])
def test_weight_0_leaves_out(regression, labels, weights, alpha):
    X, y, X_new = regression
    kept = weights > 0
    own = alpha[kept] if isinstance(alpha, np.ndarray) else alpha
    model = NTKRegressor(alpha=alpha).fit(X, y, 1.0 * kept)
    less = NTKRegressor(alpha=own).fit(X[kept], y[kept], np.ones(kept.sum()))
    np.testing.assert_allclose(model.predict(X_new), less.predict(X_new), rtol=1e-12)
    assert model.log_marginal_likelihood_value_ == pytest.approx(less.log_marginal_likelihood_value_, rel=1e-12)
    found = model.leave_one_out()
    np.testing.assert_allclose(found[kept], less.leave_one_out(), rtol=1e-11)
    np.testing.assert_allclose(found[~kept], less.predict(X[~kept]), rtol=1e-11)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(less)).predict(X_new), less.predict(X_new))

    other = labels.copy()
    other[~kept] = "none"
    model = NTKClassifier(alpha=alpha).fit(X, other, 1.0 * kept)
    less = NTKClassifier(alpha=own).fit(X[kept], labels[kept], np.ones(kept.sum()))
    np.testing.assert_array_equal(model.classes_, less.classes_)
    np.testing.assert_allclose(model.predict_proba(X_new), less.predict_proba(X_new), rtol=1e-10)


@pytest.mark.parametrize("weights, message", [
    (np.zeros(40), "not be zero for all"), (np.full(40, -1.0), "sample 0 is -1"), (np.full(40, np.nan), "sample 0 is nan"),
    (np.ones(39), "shape"), (np.ones((40, 2)), "shape"), (["a"] * 40, "sample_weight"),
])
@pytest.mark.parametrize("model", [NTKRegressor(), NTKClassifier()])
def test_wrong_weights(regression, labels, model, weights, message):
    with pytest.raises(ValueError, match=message):
        clone(model).fit(regression[0], labels if isinstance(model, NTKClassifier) else regression[1], weights)


def test_weights_and_ridges_of_samples_belong_to_infinity(regression):
    X, y, _ = regression
    with pytest.raises(ValueError, match="sample_weight and class_weight: for time=None only"):
        NTKRegressor(time=1.0).fit(X, y, np.ones(40))
    with pytest.raises(ValueError, match="an array as alpha: for time=None only"):
        NTKRegressor(time=1.0, alpha=np.ones(40)).fit(X, y)
    with pytest.raises(ValueError, match="sample_weight and class_weight: for time=None only"):
        NTKRegressor().fit(X, y, np.arange(40)).predict_at(X, [1.0])


def test_a_ridge_for_each_sample(regression):
    X, y, X_new = regression
    net, alpha = ntk.stax.fc(depth=1), np.linspace(0.1, 2, 40)
    K = net[2](X, None, "ntk")
    for relative, unit in ((False, 1), (True, np.diag(K).mean())):
        model = NTKRegressor(net, alpha=alpha, alpha_relative=relative, normalize_y=False).fit(X, y)
        want = net[2](X_new, X, "ntk") @ np.linalg.solve(K + unit * np.diag(alpha), y)
        np.testing.assert_allclose(model.predict(X_new), want, rtol=1e-10)
        assert model.alpha_ is alpha
        assert np.array_equal(clone(model).alpha, alpha)
    np.testing.assert_allclose(NTKRegressor(net, alpha=np.full(40, 0.5)).fit(X, y).predict(X_new),
                               NTKRegressor(net, alpha=0.5).fit(X, y).predict(X_new), rtol=1e-12)
    gp = GaussianProcessRegressor(NTKKernel(net, "nngp"), alpha=alpha, optimizer=None).fit(X, y)
    nngp = NTKRegressor(net, kernel="nngp", alpha=alpha, normalize_y=False).fit(X, y)
    for found, want in zip(nngp.predict(X_new, return_std=True), gp.predict(X_new, return_std=True)):
        np.testing.assert_allclose(found, want, rtol=1e-9)
    for wrong, message in ((np.ones(39), "40 samples"), (-alpha, "0 or more"), (np.full(40, np.inf), "finite")):
        with pytest.raises(ValueError, match=message):
            NTKRegressor(alpha=wrong).fit(X, y)


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_a_ridge_that_is_found(regression, weights, relative, weighted):
    X, y, X_new = regression
    w = weights + 0.5 if weighted else None
    model = NTKRegressor(alpha="auto", alpha_relative=relative).fit(X, y, w)
    unit = 1 if relative else np.diag(ntk.stax.fc(depth=3)[2](X, None, "ntk")).mean()
    grid = np.logspace(-9, 1, 25) * unit
    assert np.isclose(model.alpha_, grid, rtol=1e-9).sum() == 1
    fixed = NTKRegressor(alpha=model.alpha_, alpha_relative=relative).fit(X, y, w)
    np.testing.assert_allclose(model.predict(X_new), fixed.predict(X_new), rtol=1e-8)
    found = fixed.ridges(grid)
    assert model.alpha_ == pytest.approx(grid[found.leave_one_out_mse.argmin()])
    np.testing.assert_allclose(model.ridges(grid), found, rtol=1e-6)
    for k in (0, 12, 24):
        one = NTKRegressor(alpha=grid[k], alpha_relative=relative).fit(X, y, w)
        error = np.average((one.leave_one_out() - y) ** 2, weights=w) / one._scale[0] ** 2
        assert found.leave_one_out_mse[k] == pytest.approx(error, rel=1e-5)
        assert found.log_marginal_likelihood[k] == pytest.approx(one.log_marginal_likelihood_value_, rel=1e-6)
    for a, b in zip(model.predict(X_new, return_std=True), pickle.loads(pickle.dumps(model)).predict(X_new, True)):
        np.testing.assert_allclose(a, b, rtol=1e-8)
    with pytest.raises(ValueError, match="alphas must be numbers"):
        model.ridges(1.0)


def test_a_ridge_is_found_for_finite_times(regression, labels):
    X, y, X_new = regression
    model = NTKRegressor(alpha="auto", time=1e4).fit(X, y)
    np.testing.assert_allclose(model.predict(X_new), NTKRegressor(alpha=model.alpha_, time=1e4).fit(X, y).predict(X_new))
    assert NTKClassifier(alpha="auto", time=30.0).fit(X, labels).predict_proba(X_new).shape == (7, 3)


def test_class_weights(regression, labels, weights):
    X, _, X_new = regression
    balanced = NTKClassifier(alpha=0.5, class_weight="balanced").fit(X, labels)
    by_hand = compute_sample_weight("balanced", labels)
    want = NTKClassifier(alpha=0.5).fit(X, labels, by_hand)
    np.testing.assert_array_equal(balanced.predict_scores(X_new), want.predict_scores(X_new))
    assert abs(want.predict_scores(X_new) - NTKClassifier(alpha=0.5).fit(X, labels).predict_scores(X_new)).max() > 1e-3
    some = {"low": 3.0, "high": 0.5}
    given = NTKClassifier(alpha=0.5, class_weight=some).fit(X, labels, weights)
    want = NTKClassifier(alpha=0.5).fit(X, labels, weights * [some.get(label, 1) for label in labels])
    np.testing.assert_array_equal(given.predict_proba(X_new), want.predict_proba(X_new))
    many = NTKClassifier(alpha=0.5, class_weight="balanced").fit(repeated(X, weights), repeated(labels, weights))
    one = NTKClassifier(alpha=0.5, class_weight="balanced").fit(X, labels, weights)
    np.testing.assert_allclose(one.predict_proba(X_new), many.predict_proba(X_new), rtol=1e-8)
    for wrong in ({"nowhere": 2.0}, "heavy"):
        with pytest.raises(ValueError):
            NTKClassifier(class_weight=wrong).fit(X, labels)


def test_equal_samples_do_not_sharpen_probabilities(regression):
    """Each sample twice says nothing of how sure predictions are of others."""
    X, X_new, rng = regression[0], regression[2], np.random.default_rng(2)
    y = rng.integers(2, size=40)
    once = NTKClassifier(alpha=0.1).fit(X, y, np.full(40, 2.0)).predict_proba(X_new)
    twice = NTKClassifier(alpha=0.1).fit(np.r_[X, X], np.r_[y, y]).predict_proba(X_new)
    np.testing.assert_allclose(twice, once, rtol=1e-8)


# ---- classes


@pytest.mark.parametrize("time", [None, 30.0])
def test_probabilities(regression, labels, time):
    X, _, X_new = regression
    model = NTKClassifier(time=time).fit(X, labels)
    p = model.predict_proba(X_new)
    assert p.shape == (7, 3) and (p > 0).all()
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-14)
    np.testing.assert_array_equal(model.classes_[p.argmax(1)], model.predict(X_new))
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X_new)), p, rtol=1e-12)
    assert model.predict_at(X_new, [1.0, np.inf]).shape == (2, 7, 3)
    scores, std = model.predict_scores(X_new, return_std=True)
    np.testing.assert_allclose(scores, model.decision_function(X_new), rtol=1e-12, atol=1e-13)
    assert std.shape == (7,)


def test_two_classes(regression):
    X, y, X_new = regression
    model = NTKClassifier().fit(X, y > 5)
    scores = model.predict_scores(X_new)
    np.testing.assert_allclose(scores.sum(1), 0, atol=1e-12)
    np.testing.assert_allclose(model.decision_function(X_new), 2 * scores[:, 1], atol=1e-12)
    np.testing.assert_array_equal(model.decision_function(X_new) > 0, model.predict(X_new))


def test_sharpness_is_the_most_likely():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((300, 2))
    noise = rng.random((3, 300))
    for y in [(X[:, 0] > 0) ^ (noise[0] < 0.2), 1.0 * (X[:, 0] > 0), (3 * noise[2]).astype(int)]:
        model = NTKClassifier(alpha=0.3).fit(X, y)
        scores, classes = model.leave_one_out(), len(model.classes_)
        targets = np.eye(classes)[np.searchsorted(model.classes_, y)] * (1 - 1 / 301) + 1 / 301 / classes

        def loss(log_b):
            return -np.sum(targets * log_softmax(np.exp(log_b) * scores, axis=1))

        bounds = np.log(np.array([1e-2, 1e4]) / scores.std())
        f, log_p = model.predict_scores(X), model.predict_log_proba(X)
        b = (log_p[:, 1] - log_p[:, 0]) / (f[:, 1] - f[:, 0])
        np.testing.assert_allclose(b, np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x), rtol=1e-3)


@pytest.mark.parametrize("time", [None, 1e-3, 30.0])
def test_probabilities_are_calibrated_to_label_noise(time):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 2))
    y = (X[:, 0] > 0) ^ (rng.random(600) < 0.2)
    model = NTKClassifier(alpha=0.3, time=time).fit(X[:300], y[:300])
    best = -0.2 * np.log(0.2) - 0.8 * np.log(0.8)
    assert log_loss(y[300:], model.predict_proba(X[300:])) < best + 0.12


# ---- images


@pytest.mark.parametrize("solver", ["mixed", "cg"])
def test_solvers_give_the_same(regression, solver):
    X, y, X_new = regression[:3]
    make = {"kernel": "ntkgp", "alpha": 1e-2}
    want = NTKRegressor("fc(depth=2)", **make).fit(X, y).predict(X_new, return_std=True)
    model = NTKRegressor("fc(depth=2)", solver=solver, tolerance=1e-10, **make).fit(X, y)
    for got, wanted in zip(model.predict(X_new, return_std=True), want):
        np.testing.assert_allclose(got, wanted, rtol=1e-6)
    if solver == "cg":  # an estimate
        exact = NTKRegressor("fc(depth=2)", **make).fit(X, y).log_marginal_likelihood_value_
        assert model.log_marginal_likelihood_value_ == pytest.approx(exact, abs=0.1 * len(y))
    else:
        with pytest.raises(NotImplementedError, match="the solver 'mixed' has no"):
            model.log_marginal_likelihood_value_


def test_a_factor_on_disk_has_all_of_cholesky(regression, tmp_path, monkeypatch):
    X, y, X_new = regression[:3]
    make = {"kernel": "ntkgp", "alpha": 1e-2}
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    want = NTKRegressor("fc(depth=2)", **make).fit(X, y)
    model = NTKRegressor("fc(depth=2)", solver="out-of-core", **make).fit(X, y)
    assert list(tmp_path.iterdir()) == []  # its file has no name
    for got, wanted in zip(model.predict(X_new, return_std=True), want.predict(X_new, return_std=True)):
        np.testing.assert_allclose(got, wanted, rtol=1e-9)
    np.testing.assert_allclose(model.log_marginal_likelihood_value_, want.log_marginal_likelihood_value_, rtol=1e-12)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    with pytest.raises(OSError, match="cannot write a file in .*none: No such file"):
        NTKRegressor("fc(depth=2)", solver="out-of-core", **make).fit(X, y)


def test_wrong_solvers(regression):
    X, y = regression[:2]
    with pytest.raises(ValueError, match="there is no solver 'gauss'"):
        NTKRegressor(solver="gauss").fit(X, y)
    with pytest.raises(TypeError, match="solver must be a name"):
        NTKRegressor(solver=1).fit(X, y)
    with pytest.raises(TypeError, match="tolerance must be a number"):
        NTKRegressor(tolerance="1").fit(X, y)
    with pytest.raises(ValueError, match="tolerance must be above 0"):
        NTKRegressor(tolerance=0.5).fit(X, y)


def test_images(digits):
    x, y, x_test, _ = digits
    x, y, x_test = x[:60], y[:60], x_test[:9]
    images = NTKClassifier(CONV, input_shape=None).fit(x, y)
    rows = NTKClassifier(CONV, input_shape=(8, 8, 1)).fit(x.reshape(60, -1), y)
    assert rows.n_features_in_ == 64 and rows.X_fit_.shape == (60, 8, 8, 1)
    expected = images.predict_scores(x_test)
    np.testing.assert_array_equal(rows.predict_scores(x_test.reshape(9, -1)), expected)
    piped = make_pipeline(StandardScaler(with_mean=False, with_std=False), clone(rows)).fit(x.reshape(60, -1), y)
    np.testing.assert_array_equal(piped[-1].predict_scores(x_test.reshape(9, -1)), expected)
    np.testing.assert_array_equal(NTKClassifier().fit(x, y).predict_scores(x_test),
                                  NTKClassifier().fit(x.reshape(60, -1), y).predict_scores(x_test.reshape(9, -1)))

    with pytest.raises(ValueError, match="shape"):
        images.predict(x_test[:, :, :4])
    with pytest.raises(ValueError, match="60 numbers"):
        NTKClassifier(CONV, input_shape=(6, 10, 1)).fit(x.reshape(60, -1), y)
    with pytest.raises(ValueError):
        NTKClassifier(CONV).fit(x.reshape(60, -1), y)


# ---- scikit-learn's tools


def test_grid_search(regression):
    X, y, _ = regression
    grid = {"ntkregressor__alpha": [1e-4, 10.0], "ntkregressor__W_std": np.array([1.0, 1.5]),
            "ntkregressor__activation": ["relu", "erf"]}
    search = GridSearchCV(make_pipeline(StandardScaler(), NTKRegressor(depth=1)), grid, cv=3).fit(X, y)
    assert search.best_params_["ntkregressor__alpha"] == 1e-4
    assert search.best_score_ > 0.5


def test_two_processes(regression, labels):
    X, _, _ = regression
    model = NTKClassifier(ntk.stax.fc(depth=2))
    np.testing.assert_array_equal(cross_val_score(model, X, labels, cv=4, n_jobs=2),
                                  cross_val_score(model, X, labels, cv=4))


@pytest.mark.parametrize("time", [None, 50.0])
@pytest.mark.parametrize("copier", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy], ids=["pickle", "deepcopy"])
def test_copies_predict_the_same(regression, labels, time, copier):
    X, y, X_new = regression
    for model in (NTKRegressor(time=time).fit(X, y), NTKClassifier(ntk.stax.fc(depth=1), time=time).fit(X, labels)):
        other = copier(model)
        np.testing.assert_array_equal(other.predict(X_new), model.predict(X_new))
    np.testing.assert_array_equal(other.predict_proba(X_new), model.predict_proba(X_new))
    copier(NTKRegressor())  # not fitted


def test_a_fit_keeps_its_parameters(regression):
    X, y, X_new = regression
    model = NTKRegressor(time=20.0).fit(X, y)
    before = model.predict(X_new, return_std=True)
    model.set_params(depth=1, alpha=1.0, time=None, kernel="nngp")
    for a, b in zip(pickle.loads(pickle.dumps(model)).predict(X_new, return_std=True), before):
        np.testing.assert_array_equal(a, b)


# ---- errors


@pytest.mark.parametrize("call", [lambda m: m.predict([[0.0]]), lambda m: m.predict_at([[0.0]], [1.0]),
                                  lambda m: m.leave_one_out(), lambda m: m.spectrum(),
                                  lambda m: m.log_marginal_likelihood_value_])
@pytest.mark.parametrize("model", [NTKRegressor(), NTKClassifier()])
def test_not_fitted(model, call):
    with pytest.raises(NotFittedError):
        call(model)


@pytest.mark.parametrize("parameters, message", [
    ({"architecture": "serial(Dense(1), Rellu())"}, r"line 1, column 18: .*Relu[\s\S]*\n +\^"),
    ({"architecture": "Dense(1", "time": 1.0}, "column"),
    ({"activation": "rellu"}, "unknown activation.*Relu"), ({"depth": 0}, "depth"), ({"kernel": "rbf"}, "kernel"),
    ({"alpha": -1}, "alpha"), ({"alpha": np.nan}, "alpha"), ({"time": 0}, "time"), ({"dtype": "int32"}, "dtype"),
])
def test_wrong_parameters(regression, parameters, message):
    with pytest.raises(ValueError, match=message):
        NTKRegressor(**parameters).fit(*regression[:2])


def test_wrong_requests(regression):
    X, y, X_new = regression
    with pytest.raises(TypeError, match="architecture must be"):
        NTKRegressor(3).fit(X, y)
    with pytest.raises(TypeError, match="alpha must be a number, an array .n. or 'auto', got 'a'"):
        NTKRegressor(alpha="a").fit(X, y)
    with pytest.raises(TypeError, match="time must be a number or None, got 'a'"):
        NTKRegressor(time="a").fit(X, y)
    with pytest.raises(np.linalg.LinAlgError, match="samples 0 and 40 are equal.*try alpha"):
        NTKRegressor(alpha=0).fit(np.vstack([X, X[:1]]), np.append(y, 0))
    model = NTKRegressor(kernel="ntkgp", time=1.0).fit(X, y)
    with pytest.raises(ValueError, match="at most one"):
        model.predict(X_new, return_std=True, return_cov=True)
    with pytest.raises(ValueError, match="covariance at a finite time"):
        model.predict(X_new, return_cov=True)
    with pytest.raises(ValueError, match="t = infinity only"):
        model.predict(X_new, return_std=True)
    with pytest.raises(ValueError, match="time=None"):
        model.leave_one_out()
    with pytest.raises(ValueError, match="times"):
        model.predict_at(X_new, [-1.0])


# ---- the kernel

TEXT = "serial(Dense(1, W_std, b_std=b_std), Erf(), Dense(1, W_std=2*W_std), Relu(), Dense(1, W_std, b_std))"


def by_hand(k, X):
    """dK/dtheta by central differences of order eight with a large step."""
    def shifted(i, m):
        theta = k.theta
        theta[i] += 0.008 * m
        return k.clone_with_theta(theta)(X)

    weights = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
    return np.stack([sum(w * (shifted(i, m) - shifted(i, -m)) for m, w in weights.items()) / 0.008
                     for i in range(k.n_dims)], axis=-1)


@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
@pytest.mark.parametrize("how", [dict(architecture=TEXT), dict(depth=2), dict(depth=2, activation="tanh", b_std=0),
                                 dict(depth=10, W_std_bounds="fixed"),
                                 dict(architecture=lambda W_std, b_std: ntk.stax.fc(2, W_std=W_std, b_std=1 / b_std))],
                         ids=["text", "depth", "no bias", "fixed", "function"])
def test_kernel_gradient(regression, kernel, how):
    X = regression[0]
    k = NTKKernel(**{"b_std": 0.5, **how}, kernel=kernel)
    K, gradient = k(X, eval_gradient=True)
    assert gradient.shape == (40, 40, 1 if how.keys() & {"W_std_bounds", "b_std"} else 2)
    np.testing.assert_array_equal(K, k(X))
    np.testing.assert_allclose(gradient, by_hand(k, X), atol=1e-8 * abs(gradient).max(), rtol=0)
    np.testing.assert_allclose(k.diag(X), np.diag(K), rtol=1e-13)
    np.testing.assert_allclose(k(X[:5], X), K[:5], rtol=1e-12)


def test_kernel_values(regression):
    X = regression[0]
    expected = ntk.stax.parse(TEXT.replace("2*W_std", "2*1.3").replace("Dense(1, W_std,", "Dense(1, 1.3,")
                              .replace("b_std=b_std", "b_std=0.2").replace("b_std)", "0.2)"))[2](X, None, "ntk")
    np.testing.assert_array_equal(NTKKernel(TEXT, W_std=1.3, b_std=0.2)(X), expected)
    layer = ntk.stax.fc(depth=1)
    assert NTKKernel(layer).n_dims == 0
    np.testing.assert_array_equal(NTKKernel(layer)(X), layer[2](X, None, "ntk"))
    assert not NTKKernel().is_stationary()
    assert NTKKernel(CONV, input_shape=(1, 3, 1))(X).shape == (40, 40)


def test_marginal_likelihood_gradient(regression):
    X, y, _ = regression
    kernel = ConstantKernel(0.7) * NTKKernel(activation="erf", b_std=0.4) + WhiteKernel(0.1)
    gp = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True).fit(X, y)
    error = check_grad(gp.log_marginal_likelihood, lambda t: gp.log_marginal_likelihood(t, eval_gradient=True)[1],
                       gp.kernel_.theta, epsilon=1e-6)
    assert error < 1e-3

    def along(i, m):
        theta = gp.kernel_.theta
        theta[i] += 1e-3 * m
        return gp.log_marginal_likelihood(theta)

    central = [(8 * (along(i, 1) - along(i, -1)) - along(i, 2) + along(i, -2)) / 0.012 for i in range(4)]
    np.testing.assert_allclose(gp.log_marginal_likelihood(gp.kernel_.theta, eval_gradient=True)[1], central, rtol=1e-6)


def test_optimiser_improves_the_likelihood(regression):
    X, y, X_new = regression
    kernel = NTKKernel("serial(Dense(1, W_std, b_std), Erf(), Dense(1, W_std))", "nngp") + WhiteKernel(0.1)
    start = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True).fit(X, y)
    best = GaussianProcessRegressor(kernel, normalize_y=True).fit(X, y)
    assert best.log_marginal_likelihood_value_ > start.log_marginal_likelihood_value_ + 1
    assert best.kernel_.k1.W_std != kernel.k1.W_std
    at_best = NTKRegressor(best.kernel_.k1.net(), kernel="nngp", alpha=best.kernel_.k2.noise_level + 1e-10).fit(X, y)
    assert at_best.log_marginal_likelihood_value_ == pytest.approx(best.log_marginal_likelihood_value_, rel=1e-9)
    np.testing.assert_allclose(at_best.predict(X_new), best.predict(X_new), rtol=1e-7)


def test_kernel_in_classifiers(digits, labels, regression):
    x, y, x_test, y_test = (a.reshape(len(a), -1) for a in digits)
    kernel = NTKKernel(depth=3)
    svc = SVC(kernel=kernel, C=100).fit(x[:300], y[:300, 0])
    assert svc.score(x_test, y_test) > 0.88
    precomputed = SVC(kernel="precomputed", C=100).fit(kernel(x[:300]), y[:300, 0])
    np.testing.assert_array_equal(svc.predict(x_test), precomputed.predict(kernel(x_test, x[:300])))
    gp = GaussianProcessClassifier(NTKKernel(depth=1, b_std_bounds="fixed")).fit(regression[0], labels)
    assert gp.score(regression[0], labels) > 0.9


def test_kernel_is_one_of_scikit_learn():
    kernels = [NTKKernel(), NTKKernel(TEXT, "nngp", b_std_bounds="fixed"), NTKKernel(ntk.stax.fc(depth=1)),
               NTKKernel(depth=2, activation="erf", input_shape=(2, 4, 1))]
    for k in kernels:
        for other in (clone(k), pickle.loads(pickle.dumps(k))):
            assert other == k and repr(other) == repr(k)
        assert sum(k == other for other in kernels) == 1
    assert kernels[0] != RBF() and NTKKernel(W_std_bounds=np.array([0.1, 10])) == NTKKernel()
    assert "fc(depth=1)" in repr(kernels[2]) and "W_std=1.414" in repr(kernels[0])
    k = kernels[0].clone_with_theta(np.log([2, 0.5]))
    assert (k.W_std, k.b_std) == pytest.approx((2, 0.5))
    np.testing.assert_allclose(k.bounds, np.log([[0.1, 10], [1e-3, 10]]))
    assert [h.name for h in kernels[1].hyperparameters if not h.fixed] == ["W_std"]


def test_kernel_errors(regression):
    X = regression[0]
    with pytest.raises(ValueError, match=r"Relu[\s\S]*\^"):
        NTKKernel("serial(Dense(1, W_std), Rellu())")(X)
    with pytest.raises(ValueError, match="kernel must be"):
        NTKKernel(kernel="rbf")(X)
    with pytest.raises(ValueError, match="eval_gradient"):
        NTKKernel()(X, X, eval_gradient=True)
    with pytest.raises(ValueError, match="finite"):
        NTKKernel()(np.full((2, 2), np.nan))
    with pytest.raises(TypeError, match="architecture must be"):
        NTKKernel(3)(X)


def test_parameters_without_effect_are_named():
    X, y = np.random.default_rng(0).standard_normal((20, 3)), np.arange(20.0)
    with pytest.warns(UserWarning, match="depth, b_std: without effect"):
        ntk.NTKRegressor("fc(depth=3)", depth=5, b_std=0.2, alpha=1).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ntk.NTKRegressor("fc(depth=3)", alpha=1).fit(X, y)
        ntk.NTKRegressor(depth=5, alpha=1).fit(X, y)


# ---- landmarks


def test_all_samples_as_landmarks(regression):
    X, y, X_new = regression[:3]
    make = {"kernel": "nngp", "alpha": 1e-2}
    exact = NTKRegressor("fc(depth=2)", **make).fit(X, y)
    model = NTKRegressor("fc(depth=2)", solver="landmarks", landmarks=len(X), **make).fit(X, y)
    for got, wanted in zip(model.predict(X_new, return_std=True), exact.predict(X_new, return_std=True)):
        np.testing.assert_allclose(got, wanted, rtol=1e-8)
    np.testing.assert_allclose(model.dual_coef_, exact.dual_coef_, rtol=1e-6, atol=1e-8 * np.abs(exact.dual_coef_).max())
    with pytest.raises(NotImplementedError, match="needs the whole kernel matrix"):
        model.log_marginal_likelihood_value_


def test_landmarks_solve_the_normal_equations(regression):
    X, y, X_new = regression[:3]
    model = NTKRegressor("fc(depth=2)", solver="landmarks", landmarks=8, alpha=0.1, normalize_y=False).fit(X, y)
    at = np.flatnonzero(model.dual_coef_.any(axis=1))
    assert len(at) == 8
    kernel = ntk.stax.fc(depth=2)[2]
    K = kernel(X, X[at], "ntk")
    a = np.linalg.solve(K.T @ K + 0.1 * K[at], K.T @ y)
    np.testing.assert_allclose(model.dual_coef_[at].squeeze(), a.squeeze(), rtol=1e-6)
    np.testing.assert_allclose(model.predict(X_new), kernel(X_new, X[at], "ntk") @ a, rtol=1e-8)
    with pytest.raises(ValueError, match="need the NNGP matrix of all samples"):
        model.predict(X_new, return_std=True)


def test_files_of_landmarks(regression, tmp_path):
    X, y, X_new = regression[:3]
    model = NTKRegressor("fc(depth=2)", solver="landmarks", landmarks=8, alpha=0.1).fit(X, y)
    model.save(tmp_path / "m.h5")
    loaded = NTKRegressor.load(tmp_path / "m.h5")
    np.testing.assert_array_equal(loaded.predict(X_new), model.predict(X_new))
    assert (loaded.solver, loaded.landmarks, len(loaded.X_fit_)) == ("landmarks", 8, 8)
    with pytest.raises(ValueError, match="has no other samples"):
        pickle.loads(pickle.dumps(loaded)).predict(X_new)
    with pytest.raises(ValueError, match="has no other samples"):
        loaded.predict(X_new, return_std=True)


class Enough(Exception):
    pass


@pytest.mark.skipif("hdf5" not in ntk.info()["features"], reason="built without HDF5")
@pytest.mark.parametrize("solver, work, at, rtol", [("cg", "digits of the solution", 2, 1e-6), ("landmarks", "rows", 1100, 0)])
def test_a_fit_goes_on_from_its_checkpoint(solver, work, at, rtol, tmp_path):
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(1500, 4)), rng.normal(size=1500)
    make = {"solver": solver, "landmarks": 20 if solver == "landmarks" else None, "alpha": 0.1,
            "tolerance": 1e-9 if solver == "cg" else None}
    whole = NTKRegressor("fc(depth=2)", **make).fit(X, y)
    kept = NTKRegressor("fc(depth=2)", checkpoint=tmp_path / "c.h5", **make)
    first = []

    def stop(what, done, total):
        if what.partition(",")[0] == work:
            first.append(done)
            if done > at:
                raise Enough

    with ntk.progress(stop), pytest.raises(Enough):
        kept.fit(X, y)
    assert (tmp_path / "c.h5").exists()
    with pytest.raises(ValueError, match="it is of another .*: its rows: 1500 samples of 4"):
        kept.fit(X[:-1], y[:-1])
    first.clear()
    with ntk.progress(lambda what, done, total: first.append(done) if what == "rows" else None):
        kept.fit(X, y)
    assert not first or first[0] == 1024
    np.testing.assert_allclose(kept.dual_coef_, whole.dual_coef_, rtol=rtol, atol=rtol)
    assert not (tmp_path / "c.h5").exists()
    (tmp_path / "c.h5").write_text("no HDF5")
    with pytest.raises(OSError, match="remove it to begin anew"):
        kept.fit(X, y)
    with pytest.raises(TypeError, match="checkpoint must be a path or None"):
        NTKRegressor(solver=solver, checkpoint=3).fit(X, y)


def test_wrong_landmarks(regression):
    X, y = regression[:2]
    with pytest.raises(TypeError, match="landmarks must be an integer"):
        NTKRegressor(solver="landmarks", landmarks=2.5).fit(X, y)
    with pytest.raises(ValueError, match="landmarks must be at least 1"):
        NTKRegressor(solver="landmarks", landmarks=0).fit(X, y)
    with pytest.raises(ValueError, match="landmarks are of the solver 'landmarks'"):
        NTKRegressor(landmarks=5).fit(X, y)
