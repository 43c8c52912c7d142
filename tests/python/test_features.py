# SPDX-License-Identifier: MIT
"""Random features, and regression and classification on them, batch by batch."""
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import ntk
from ntk import NTKFeatures, NTKFeaturesClassifier, NTKFeaturesRegressor

SMALL = {"depth": 1, "n_components": 100, "random_state": 0}
HOMOGENEOUS = SMALL | {"b_std": 0.0}  # made in a tenth of the time


@pytest.fixture(scope="module")
def digits():
    return (*ntk.datasets.load("digits/train"), *ntk.datasets.load("digits/test"))


@pytest.fixture(scope="module")
def table():
    """X [300][4], y [300]"""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((300, 4))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]


@parametrize_with_checks([NTKFeatures(**HOMOGENEOUS), NTKFeaturesRegressor(**HOMOGENEOUS), NTKFeaturesClassifier(**HOMOGENEOUS)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
def test_features_are_near_the_kernel(digits, kernel):
    X = digits[0][:200].reshape(200, -1)
    exact = ntk.stax.fc(depth=2)[2](X, None, kernel)
    errors = []
    for count in (500, 8000):
        features = NTKFeatures("fc(depth=2)", n_components=count, kernel=kernel, random_state=3).fit(X)
        phi = features.transform(X).astype(np.float64)
        errors.append(np.linalg.norm(phi @ phi.T - exact) / np.linalg.norm(exact))
        found = features.kernel_error(X, n_samples=200)
        assert found.frobenius == pytest.approx(errors[-1], rel=1e-3)
        assert found.largest >= found.frobenius / 10
    assert errors[1] < 0.03 and errors[1] < errors[0] / 2.5


def test_transformer(digits):
    X = digits[0][:100]
    features = NTKFeatures(**SMALL)
    phi = features.fit_transform(X)
    assert phi.shape == (100, 100) and phi.dtype == np.float32
    np.testing.assert_array_equal(features.transform(X[7:8]), phi[7:8])
    np.testing.assert_array_equal(clone(features).fit(X).transform(X), phi)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(features)).transform(X), phi)
    np.testing.assert_array_equal(NTKFeatures(**SMALL | {"random_state": np.random.RandomState(0)}).fit_transform(X), phi)
    assert (NTKFeatures(**SMALL | {"random_state": 1}).fit_transform(X) != phi).any()
    assert list(features.get_feature_names_out()[:2]) == ["ntkfeatures0", "ntkfeatures1"]
    pandas = pytest.importorskip("pandas")
    frame = features.set_output(transform="pandas").fit_transform(X)
    assert isinstance(frame, pandas.DataFrame) and list(frame.columns) == list(features.get_feature_names_out())


def test_pipeline(digits):
    X, y, X_test, y_test = digits
    model = make_pipeline(NTKFeatures("fc(depth=3)", n_components=2000, random_state=0), RidgeClassifier(1.0))
    assert model.fit(X, y).score(X_test, y_test) > 0.93


def test_regression_is_kernel_ridge_regression_with_the_features(table):
    X, y = table
    model = NTKFeaturesRegressor(**SMALL, alpha=0.3).fit(X, y)
    phi = NTKFeatures(**SMALL).fit_transform(X).astype(np.float64)
    want = KernelRidge(alpha=0.3, kernel="linear").fit(phi, y).predict(phi)
    np.testing.assert_allclose(model.predict(X), want, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(phi @ model.coef_[:, 0], want, rtol=1e-7, atol=1e-8)
    assert model.alpha_ == 0.3 and model.n_samples_seen_ == 300
    relative = NTKFeaturesRegressor(**SMALL, alpha=0.3 / np.square(phi).sum(1).mean(), alpha_relative=True).fit(X, y)
    np.testing.assert_allclose(relative.predict(X), want, rtol=1e-7, atol=1e-8)


def test_batches_are_one_fit(digits):
    X, y, X_test, _ = digits
    whole = NTKFeaturesClassifier(**SMALL).fit(X, y)
    for size in (1000, 77):
        parts = NTKFeaturesClassifier(**SMALL)
        for i in range(0, len(X), size):
            parts.partial_fit(X[i:i + size], y[i:i + size], classes=range(10))
        assert parts.n_samples_seen_ == len(X)
        np.testing.assert_allclose(parts.predict_scores(X_test), whole.predict_scores(X_test), atol=0.05)


def test_batches_of_a_homogeneous_net_are_one_fit_to_the_bit(digits):
    X, y, X_test, _ = digits
    net = "serial(Dense(1), Relu(), Dense(1))"  # the first batch's sizes do not matter
    whole = NTKFeaturesClassifier(net, n_components=100, random_state=0).fit(X, y)
    parts = NTKFeaturesClassifier(net, n_components=100, random_state=0)
    for i in range(0, len(X), 77):
        parts.partial_fit(X[i:i + 77], y[i:i + 77], classes=range(10))
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-9, atol=1e-12)
    assert parts.alpha_ == whole.alpha_


def test_classifier(digits):
    X, y, X_test, y_test = digits
    names = np.array(list("abcdefghij"))
    model = NTKFeaturesClassifier("fc(depth=3)", n_components=2000, random_state=0).fit(X, names[y.astype(int)])
    assert model.score(X_test, names[y_test.astype(int)]) > 0.94
    assert list(model.classes_) == list(names)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_scores(X_test), model.predict_scores(X_test))
    with pytest.raises(ValueError, match="a pickle has no sums"):
        again.partial_fit(X, names[y.astype(int)])


def test_what_is_wrong(digits):
    X, y = digits[:2]
    with pytest.raises(NotImplementedError, match="Conv: works on positions"):
        NTKFeatures("serial(Conv(1, (3, 3)), Relu(), Flatten(), Dense(1))").fit(X)
    with pytest.raises(NotImplementedError, match="Dropout: two equal samples"):
        NTKFeatures("serial(Dense(1), Relu(), Dropout(0.5), Dense(1))").fit(X)
    with pytest.raises(ValueError, match="1 to 1000000, got 0"):
        NTKFeatures(n_components=0).fit(X)
    with pytest.raises(TypeError, match="n_components must be an integer"):
        NTKFeatures(n_components=30.5).fit(X)
    with pytest.raises(ValueError, match="kernel must be 'ntk' or 'nngp'"):
        NTKFeatures(kernel="rbf").fit(X)
    with pytest.raises(ValueError, match=r"sample 0 has the mean square .*, and the features were made for"):
        NTKFeatures(**SMALL).fit(X).transform(1e3 * X)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        NTKFeaturesClassifier(**SMALL).partial_fit(X, y)
    with pytest.raises(ValueError, match="the label .* is none of classes"):
        NTKFeaturesClassifier(**SMALL).partial_fit(X, y, classes=range(3))
    with pytest.raises(ValueError, match="alpha must be 0 or more"):
        NTKFeaturesRegressor(**SMALL, alpha=-1.0).fit(X, y)
    with pytest.raises(ValueError, match="y must have 1 outputs, as the first batch, got 2"):
        NTKFeaturesRegressor(**SMALL).fit(X, y).partial_fit(X, np.stack([y, y], 1))
