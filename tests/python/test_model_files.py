# SPDX-License-Identifier: MIT
"""Estimators in the command line's model files: what one writes the other reads, with the same numbers and names."""
import csv
import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn", "1.3")
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import ntk
from ntk import NTKClassifier, NTKRegressor

# Arrays have no names of columns, which samples of a table had.
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")


def command(folder, *words):
    done = subprocess.run([sys.executable, "-m", "ntk", *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def regression():
    """X [40][3], Y [40][2], X_new [7][3]"""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((47, 3))
    Y = np.column_stack([5 + 3 * np.sin(X[:, 0]) + X[:, 1] * X[:, 2], 100 * X[:, 1] - 30])
    return X[:40], Y[:40], X[40:]


@pytest.fixture(scope="module")
def labels(regression):
    return np.array(["low", "middle", "h,igh \N{MICRO SIGN}"])[np.digitize(regression[1][:, 0], [4, 6])]


def table(path, names, columns):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *zip(*columns)])


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    return names, rows


# ---- from estimators to the command line


@pytest.mark.parametrize("kernel, factor, how", [
    ("nngp", False, {}), ("ntk", False, {}), ("ntk", True, {}), ("ntkgp", True, {}), ("ntk", False, {"normalize_y": False}),
    ("nngp", True, {"alpha": np.linspace(0.1, 1, 40)}), ("ntk", False, {"alpha": "auto"}),
    ("ntk", False, {"dtype": "float32", "alpha": 0.1, "alpha_relative": True}),
], ids=str)
def test_regression_is_predicted_by_the_command_line(regression, tmp_path, kernel, factor, how):
    X, Y, X_new = regression
    weights = np.arange(40) % 3 if "alpha" in how else None
    kept = slice(None) if weights is None else weights > 0
    for y in (Y, Y[:, 0]):
        model = NTKRegressor(kernel=kernel, **how).fit(X, y, weights)
        model.save(tmp_path / "m.h5", factor)
        np.save(tmp_path / "x.npy", X_new)
        command(tmp_path, "predict", "--model", "m.h5", "--x", "x.npy", "--std", "--out", "p.npz")
        found = np.load(tmp_path / "p.npz")
        mean, std = model.predict(X_new, return_std=True)
        outputs = y.reshape(40, -1).shape[1]
        np.testing.assert_allclose(found["mean"], mean.reshape(7, outputs), rtol=1e-9)
        np.testing.assert_allclose(found["std"], std if found["std"].ndim == std.ndim else std[:, 0], rtol=1e-6)
        assert found["std"].ndim == (2 if outputs == 2 and model.normalize_y else 1)

        again = NTKRegressor.load(tmp_path / "m.h5")
        for a, b in zip(again.predict(X_new, return_std=True), (mean, std)):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-12)
        assert again.normalize_y == model.normalize_y and again.kernel == kernel and again.dtype == model.dtype
        np.testing.assert_allclose(again.leave_one_out(), model.leave_one_out()[kept], rtol=1e-7)
        assert again.log_marginal_likelihood_value_ == pytest.approx(model.log_marginal_likelihood_value_, rel=1e-9)


@pytest.mark.parametrize("kind", ["words", "objects", "integers", "negative", "bools"])
def test_classes_are_predicted_by_the_command_line(regression, labels, tmp_path, kind):
    X, Y, X_new = regression
    y = {"words": labels, "objects": labels.astype(object), "integers": np.digitize(Y[:, 0], [4, 6]) * 7,
         "negative": np.digitize(Y[:, 0], [4, 6]) - 2,
         "bools": Y[:, 0] > 5}[kind]
    model = NTKClassifier(alpha=1e-2).fit(X, y)
    model.save(tmp_path / "m.h5")
    np.save(tmp_path / "x.npy", X_new)
    for proba, want in ((), model.predict_scores(X_new)), (("--proba",), model.predict_proba(X_new)):
        command(tmp_path, "predict", "--model", "m.h5", "--x", "x.npy", *proba, "--out", "p.csv")
        names, rows = rows_of(tmp_path / "p.csv")
        before = "proba_" if proba else "output_"
        known = [str(c) if kind != "bools" else str(int(c)) for c in model.classes_]
        assert names == ["class", *(before + name for name in known)]
        assert [row[0] for row in rows] == [known[list(model.classes_).index(c)] for c in model.predict(X_new)]
        np.testing.assert_allclose(np.array([row[1:] for row in rows], float), want, rtol=1e-9)

    again = NTKClassifier.load(tmp_path / "m.h5")
    np.testing.assert_array_equal(again.classes_, model.classes_)
    assert again.classes_.dtype.kind == {"objects": "U", "bools": "i"}.get(kind, model.classes_.dtype.kind)
    np.testing.assert_array_equal(again.predict(X_new), model.predict(X_new))
    np.testing.assert_array_equal(again.predict_proba(X_new), model.predict_proba(X_new))
    assert again.score(X, y) == model.score(X, y)


def test_names_of_columns(regression, tmp_path):
    pandas = pytest.importorskip("pandas")
    X, Y, X_new = regression
    frame, new = (pandas.DataFrame(x, columns=["a", "b,c", "\N{GREEK SMALL LETTER MU}"]) for x in (X, X_new))
    model = NTKRegressor(alpha=0.1).fit(frame, pandas.DataFrame(Y, columns=["first", "second"]))
    model.save(tmp_path / "m.h5")
    table(tmp_path / "new.csv", ["other", *reversed(new.columns)], [range(7), *X_new.T[::-1]])
    command(tmp_path, "predict", "--model", "m.h5", "--x", "new.csv", "--std", "--out", "p.csv")
    names, rows = rows_of(tmp_path / "p.csv")
    assert names == ["first", "second", "std_first", "std_second"]
    mean, std = model.predict(new, return_std=True)
    np.testing.assert_allclose(np.array(rows, float), np.c_[mean, std], rtol=1e-9)
    again = NTKRegressor.load(tmp_path / "m.h5")
    np.testing.assert_array_equal(again.feature_names_in_, frame.columns)
    np.testing.assert_array_equal(again.predict(new), mean)
    with pytest.raises(ValueError, match="feature names"):
        again.predict(new[reversed(new.columns)])
    again.save(tmp_path / "again.h5")
    assert NTKRegressor.load(tmp_path / "again.h5")._target_names == ("first", "second")


# ---- from the command line to estimators


@pytest.fixture
def tables(regression, labels, tmp_path):
    X, Y, X_new = regression
    table(tmp_path / "train.csv", ["a", "first", "b,c", "second", "d", "kind"],
          [X[:, 0], Y[:, 0], 1e3 * X[:, 1], Y[:, 1], X[:, 2], labels])
    table(tmp_path / "new.csv", ["d", "b,c", "a"], [X_new[:, 2], 1e3 * X_new[:, 1], X_new[:, 0]])
    return tmp_path, X * [1, 1e3, 1], X_new * [1, 1e3, 1]


@pytest.mark.parametrize("options", [(), ("--standardize", "none"), ("--get", "nngp"), ("--factor",)])
def test_a_fit_of_numbers_is_loaded(tables, options):
    folder, X, X_new = tables
    command(folder, "fit", "--net", "fc(depth=2)", "--train", "train.csv", "--target", "first,second", "--drop", "kind",
            "--targets", "raw", "--diag-reg", "1e-2", *options, "--out", "m.h5")
    command(folder, "predict", "--model", "m.h5", "--x", "new.csv", "--std", "--out", "p.npz")
    want = np.load(folder / "p.npz")
    model = NTKRegressor.load(folder / "m.h5")
    for other in (model, pickle.loads(pickle.dumps(model))):
        mean, std = other.predict(X_new, return_std=True)
        np.testing.assert_allclose(mean, want["mean"], rtol=1e-10)
        np.testing.assert_allclose(std[:, 0], want["std"], rtol=1e-7)
        np.testing.assert_array_equal(other.feature_names_in_, ["a", "b,c", "d"])
        other.save(folder / "again.h5")
        command(folder, "predict", "--model", "again.h5", "--x", "new.csv", "--out", "p.csv")
        names, rows = rows_of(folder / "p.csv")
        assert names == ["first", "second"]
        np.testing.assert_allclose(np.array(rows, float), want["mean"], rtol=1e-9)
    assert model.get_params()["kernel"] == ("nngp" if "nngp" in options else "ntk")
    assert model.alpha == 1e-2 and model.alpha_relative and not model.normalize_y and model.n_features_in_ == 3
    assert clone(model).fit(X, mean[:1].repeat(40, 0)).predict(X_new).shape == (7, 2)
    with pytest.raises(ValueError, match="m.h5 is a model of numbers: NTKRegressor.load reads it"):
        NTKClassifier.load(folder / "m.h5")
    with pytest.raises(ValueError, match="2 features"):
        model.predict(X_new[:, :2])


@pytest.mark.parametrize("targets", ["centered", "onehot"])
def test_a_fit_of_classes_is_loaded(tables, labels, targets):
    folder, X, X_new = tables
    command(folder, "fit", "--net", "fc(depth=2)", "--train", "train.csv", "--target", "kind", "--drop", "first,second",
            "--targets", targets, "--diag-reg", "1e-2", "--out", "m.h5")
    command(folder, "predict", "--model", "m.h5", "--x", "new.csv", "--proba", "--out", "proba.npz")
    command(folder, "predict", "--model", "m.h5", "--x", "new.csv", "--out", "p.csv")
    model = NTKClassifier.load(folder / "m.h5")
    names, rows = rows_of(folder / "p.csv")
    for other in (model, pickle.loads(pickle.dumps(model))):
        assert list(other.predict(X_new)) == [row[0] for row in rows]
        assert names[1:] == ["output_" + name for name in other.classes_]
        np.testing.assert_allclose(other.predict_scores(X_new), np.array([row[1:] for row in rows], float), rtol=1e-9)
        np.testing.assert_allclose(other.predict_proba(X_new), np.load(folder / "proba.npz")["proba"], rtol=1e-7)
        assert other.score(X, labels) > 0.9
    with pytest.raises(ValueError, match="m.h5 is a model of classes: NTKClassifier.load reads it"):
        NTKRegressor.load(folder / "m.h5")


@pytest.mark.parametrize("net, standardize", [("fc(depth=1)", "none"), ("fc(depth=1)", "channel"), ("fc(depth=1)", "feature"),
                                              ("serial(Conv(1, (3, 3)), Relu(), GlobalAvgPool(), Dense(1))", "channel")])
def test_a_fit_of_images_is_loaded(tmp_path, net, standardize):
    command(tmp_path, "fit", "--net", net, "--train", "digits/train", "--train-limit", "60", "--diag-reg", "1e-3",
            "--standardize", standardize, "--out", "m.h5")
    command(tmp_path, "predict", "--model", "m.h5", "--x", "digits/test", "--test-limit", "20", "--out", "p.npz")
    x, y = ntk.datasets.load("digits/test", limit=20)
    model = NTKClassifier.load(tmp_path / "m.h5")
    for samples in (x, x.reshape(20, -1)):
        np.testing.assert_allclose(model.predict_scores(samples), np.load(tmp_path / "p.npz")["mean"], rtol=1e-9, atol=1e-13)
    np.testing.assert_array_equal(model.classes_, range(10))
    assert not hasattr(model, "feature_names_in_")
    model.save(tmp_path / "again.h5")
    command(tmp_path, "predict", "--model", "again.h5", "--x", "digits/test", "--test-limit", "20", "--out", "q.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "q.npz")["mean"], np.load(tmp_path / "p.npz")["mean"])
    model.fit(x, y)  # as any other: of these samples, which nobody standardises
    np.testing.assert_array_equal(model.predict_scores(x), clone(model).fit(x, y).predict_scores(x))


# ---- what cannot be


def test_refused(regression, labels, tmp_path):
    X, Y, X_new = regression
    path = tmp_path / "m.h5"
    with pytest.raises(NotFittedError):
        NTKRegressor().save(path)
    with pytest.raises(ValueError, match="no time of training"):
        NTKRegressor(time=1.0).fit(X, Y).save(path)
    with pytest.raises(ValueError, match="2.53"):
        NTKClassifier().fit(X, np.where(labels == "low", 2**60, 0)).save(path)
    with pytest.raises(ValueError, match="character 0"):
        NTKClassifier().fit(X, np.where(labels == "low", "a\0b", "c")).save(path)
    with pytest.raises(OSError, match="nowhere"):
        NTKRegressor().fit(X, Y).save(tmp_path / "nowhere" / "m.h5")
    assert not path.exists()
    with pytest.raises(OSError, match="m.h5"):
        NTKRegressor.load(path)
    path.write_text("no model")
    with pytest.raises(OSError, match="m.h5"):
        NTKRegressor.load(path)
