# SPDX-License-Identifier: MIT
"""Samples with mirror images and shifted copies: against fits of all copies, and NumPy's own shifts."""
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", "1.3")
import ntk
from ntk import NTKClassifier, NTKRegressor

CONV = "serial(Conv(1, (3, 3), padding='SAME'), Relu(), GlobalAvgPool(), Dense(1))"
DENSE = "serial(Dense(1, b_std=0.3), Relu(), Dense(1))"
STRIDED = "serial(Conv(1, (3, 3), strides=(2, 2)), Relu(), Flatten(), Dense(1))"
COPIES = {"flip": 2, "flip-rows": 2, "flip,flip-rows": 4, "rotate": 4, "flip,rotate": 8}


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    return generator.normal(size=(12, 5, 5, 2)), generator.normal(size=(12, 2)), generator.normal(size=(4, 5, 5, 2))


def copies_of(x, augment):
    all_copies = []
    for turns in range(4 if "rotate" in augment else 1):
        for rows in range(2 if "flip-rows" in augment else 1):
            for flip in range(2 if "flip" in augment.split(",") else 1):
                copy = np.rot90(x, turns, (1, 2))
                copy = copy[:, ::-1] if rows else copy
                all_copies.append(copy[:, :, ::-1] if flip else copy)
    return np.concatenate(all_copies)


@pytest.mark.parametrize("augment", COPIES)
@pytest.mark.parametrize("net", [DENSE, CONV])
@pytest.mark.parametrize("time", [None, 20.0])
@pytest.mark.parametrize("relative", [False, True])
def test_fits_are_those_of_all_copies(images, augment, net, time, relative):
    x, y, z = images
    settings = dict(alpha=0.1, alpha_relative=relative, time=time)
    model = NTKRegressor(net, augment=augment, **settings).fit(x, y)
    brute = NTKRegressor(net, **settings).fit(copies_of(x, augment), np.concatenate([y] * COPIES[augment]))
    np.testing.assert_allclose(model.predict(z), brute.predict(z), rtol=0, atol=1e-11)
    np.testing.assert_allclose(model.predict(copies_of(z, augment)), np.concatenate([model.predict(z)] * COPIES[augment]),
                               rtol=0, atol=1e-11)
    _, covariance = brute.predict(copies_of(z, augment), return_cov=True) if time is None else (None, None)
    if time is None:
        count, m = COPIES[augment], len(z)
        mean = covariance.reshape(count, m, count, m, -1).mean((0, 2))  # of means over copies
        np.testing.assert_allclose(model.predict(z, return_cov=True)[1], mean, rtol=0, atol=1e-11)


def test_rows_with_an_input_shape(images):
    x, y, z = images
    want = NTKRegressor(DENSE, alpha=0.1, augment="flip").fit(x, y).predict(z)
    rows = NTKRegressor(DENSE, alpha=0.1, augment="flip", input_shape=(5, 5, 2)).fit(x.reshape(12, -1), y)
    np.testing.assert_array_equal(rows.predict(z.reshape(4, -1)), want)
    with pytest.raises(ValueError, match="say which images they are"):
        NTKRegressor(DENSE, augment="flip").fit(x.reshape(12, -1), y)


def test_files_and_pickles(images, tmp_path):
    x, y, z = images
    model = NTKRegressor(DENSE, alpha=0.1, augment="flip,rotate").fit(x, y)
    mean, std = model.predict(z, return_std=True)
    model.save(tmp_path / "model.h5", factor=True)
    for other in (NTKRegressor.load(tmp_path / "model.h5"), pickle.loads(pickle.dumps(model))):
        assert other.augment == "flip,rotate"
        np.testing.assert_allclose(other.predict(z), mean, rtol=0, atol=1e-12)
        np.testing.assert_allclose(other.predict(z, return_std=True)[1], std, rtol=0, atol=1e-12)


def test_probabilities_of_finite_times(images):
    x, _, z = images
    labels = np.arange(12) % 2
    for augment, copies in ((None, 1), ("flip", 2)):
        model = NTKClassifier(DENSE, alpha=0.1, time=5.0, augment=augment).fit(x, labels)
        assert model._alpha_of_time() == pytest.approx(0.1 + copies * 12 * 2 / 5.0)
        np.testing.assert_allclose(model.predict_proba(z).sum(1), 1)


def test_wrong_symmetries(images):
    x, y, _ = images
    with pytest.raises(ValueError, match="augment must be of 'flip', 'flip-rows', 'rotate'"):
        NTKRegressor(DENSE, augment="flop").fit(x, y)
    with pytest.raises(ValueError, match="the net has no such symmetry"):
        NTKRegressor(STRIDED, augment="flip").fit(x[:, :4, :4], y)
    with pytest.raises(ValueError, match="not square"):
        NTKRegressor(DENSE, augment="rotate").fit(x[:, :4], y)


def moved(x, down, right):
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return padded[:, 1 - down:1 - down + x.shape[1], 1 - right:1 - right + x.shape[2]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shifted_against_numpy(images, dtype):
    x, y, _ = images
    x = x.astype(dtype)
    ways = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]
    all_x, all_y = ntk.datasets.shifted(x, y)
    assert all_x.dtype == dtype
    np.testing.assert_array_equal(all_x, np.concatenate([x] + [moved(x, *way) for way in ways]))
    np.testing.assert_array_equal(all_y, np.concatenate([y] * 9))
    flat, none = ntk.datasets.shifted(x.reshape(12, -1), image_shape=(5, 5, 2))
    np.testing.assert_array_equal(flat, all_x.reshape(108, -1))
    assert none is None


def test_some_shifts(images):
    x, _, _ = images
    words = np.array(["a", "b"] * 6)
    some, labels = ntk.datasets.shifted(x, words, copies=3, seed=4)
    again, other = (ntk.datasets.shifted(x, copies=3, seed=seed)[0] for seed in (4, 5))
    np.testing.assert_array_equal(some[:12], x)
    np.testing.assert_array_equal(some, again)
    assert (some != other).any()
    assert list(labels) == list(words) * 3
    ways = np.stack([moved(x, down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)])
    which = (ways[:, None] == some.reshape(1, 3, *x.shape)).all((3, 4, 5))
    assert (which.sum(0) == 1).all() and (which.sum(1) <= 1).all()  # each a shift, none twice
    for wrong, match in ((dict(most=0), "1 to 16"), (dict(most=5), "less than the image"), (dict(copies=10), "1 to 9")):
        with pytest.raises(ValueError, match=match):
            ntk.datasets.shifted(x, **wrong)
    with pytest.raises(ValueError, match="12 rows"):
        ntk.datasets.shifted(x, words[:5])


def test_shifts_help_on_digits():
    x, y = ntk.datasets.load("digits/train")
    z, labels = ntk.datasets.load("digits/test")
    plain = NTKClassifier("fc(depth=3)", alpha=1e-3, alpha_relative=True).fit(x, y).score(z, labels)
    some = NTKClassifier("fc(depth=3)", alpha=1e-3, alpha_relative=True).fit(*ntk.datasets.shifted(x, y, copies=3))
    assert some.score(z, labels) > plain
