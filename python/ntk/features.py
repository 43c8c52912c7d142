# SPDX-License-Identifier: MIT
"""Random features of the kernels of fully connected networks, at a cost that is linear in the number of samples.

    phi = NTKFeatures('fc(depth=3)', n_components=4096).fit_transform(X)           # phi @ phi.T is about K(X, X)
    model = NTKFeaturesClassifier('fc(depth=3)', n_components=4096)
    for X, y in batches:
        model.partial_fit(X, y, classes=range(10))

Features are those of an equivalent network of one hidden layer (Simon et al. 2021), in orthogonal directions (Yu et al.
2016). Needs scikit-learn 1.3 or newer.
"""
from collections import namedtuple

import numpy as np
from sklearn.base import (BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClassifierMixin, MultiOutputMixin, RegressorMixin,
                          TransformerMixin)
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from . import _core
from ._arrays import check_numbers, check_readable
from .datasets import one_hot
from .estimators import _architecture_net, validate_data

KernelError = namedtuple("KernelError", "frobenius largest")
KernelError.__doc__ = """How far phi @ phi.T is from the exact kernel K: the Frobenius norm of the difference over that of K,
and the largest entry of |phi phi' - K|_ij / sqrt(K_ii K_jj)."""

_WHICH = {"nngp": 1, "ntk": 2}
_FLOATS = [np.float64, np.float32]

_PARAMETERS = """
    Parameters
    ----------
    architecture : str, layer of ntk.stax or None, default=None
        As in NTKRegressor; without layers that use positions (Conv, pools) and without Dropout. None: the preset fc of the
        next but one four parameters, which are else ignored.
    n_components : int, default=2048
        Number of features, from 1. Errors fall with its root; the fit of a regression costs its square a sample.
    depth, activation, W_std, b_std
        As in NTKRegressor.
    kernel : {'ntk', 'nngp'}, default='ntk'
        Which kernel.
    random_state : int, RandomState or None, default=None
        Of the directions: an int gives the same features each time, for any number of threads."""

_SIZES = """
    Where the network is not homogeneous (as ReLU networks without biases are), samples must have mean squares from 1/100 of
    the least to 100 times the largest of those that it was fitted to (partial_fit: the first batch), or 0."""


class _Features(BaseEstimator):
    """What all three share: a map, made when it is first needed, of the least and the largest sample."""

    def __init__(self, architecture=None, *, n_components=2048, depth=3, activation="relu", W_std=2**0.5, b_std=0.1,
                 kernel="ntk", random_state=None):
        self.architecture = architecture
        self.n_components = n_components
        self.depth = depth
        self.activation = activation
        self.W_std = W_std
        self.b_std = b_std
        self.kernel = kernel
        self.random_state = random_state

    def __getstate__(self):
        return {name: value for name, value in super().__getstate__().items() if name != "_cache"}

    def __setstate__(self, state):
        super().__setstate__(state)
        self._cache = {}

    def _start(self, X):
        if self.kernel not in _WHICH:
            raise ValueError(f"kernel must be 'ntk' or 'nngp', got {self.kernel!r}")
        if not isinstance(self.n_components, (int, np.integer)):
            raise TypeError(f"n_components must be an integer, got {self.n_components!r}")
        self._net = _architecture_net(self.architecture, self.depth, self.activation, self.W_std, self.b_std)
        self._which = _WHICH[self.kernel]
        self._seed = int(check_random_state(self.random_state).randint(2**31))
        self._count = int(self.n_components)
        X = self._rows(X)
        rows = X.reshape(len(X), -1)
        size = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
        least = np.where(size > 0, size, np.inf).argmin()
        self._like = np.array(X[[least, size.argmax()]], order="C")
        self._cache = {}
        self._map()

    def _map(self):
        if "map" not in self._cache:
            self._cache["map"] = self._net.call(_core.FeatureMap.make, self._net.text, self._which, self._like, self._count,
                                                self._seed)
        return self._cache["map"]

    def _checked(self, X, **how):
        check_numbers(X, "X")
        return validate_data(self, X, dtype=_FLOATS, order="C", allow_nd=True, **how)

    def _rows(self, X):
        """Images as rows; where the net uses positions they stay, and are refused."""
        return X if _core.net_uses_positions(self._net.text) else X.reshape(len(X), -1)

    def _samples(self, X):
        check_is_fitted(self)
        return self._rows(self._checked(X, reset=False))

    def kernel_error(self, X, n_samples=500):
        """KernelError(frobenius, largest): how far the features are from the exact kernel on at most n_samples of X [n][d],
        drawn at random. NotFittedError before fit."""
        X = self._samples(X)
        return KernelError(*self._map().error(X, int(n_samples)))


class NTKFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _Features):
    __doc__ = f"""Random features of the NTK or NNGP: phi(x) . phi(z) is K(x, z), on average over random_state.

    The error is some 1 / sqrt(n_components) of sqrt(K(x, x) K(z, z)); kernel_error measures it.{_SIZES}
{_PARAMETERS}

    Raises
    ------
    ValueError
        A parameter or the architecture is wrong, or a sample's size is out of range.
    NotImplementedError
        From fit: a layer of which there are no features.

    Examples
    --------
    >>> import ntk
    >>> X, _ = ntk.datasets.load('digits/train')
    >>> features = ntk.NTKFeatures('fc(depth=3)', n_components=1000, random_state=0).fit(X)
    >>> features.transform(X).shape
    (1438, 1000)
    """

    # Features are of float32, whatever samples are.
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _more_tags(self):  # before scikit-learn 1.6
        return {"preserves_dtype": []}

    def fit(self, X, y=None):
        """Draws the features, for samples like X [n][d], or images, which are flattened; returns self. y is ignored."""
        self._start(self._checked(X))
        self._n_features_out = self._count
        return self

    def transform(self, X):
        """Features [n][n_components] of float32. A sample's are the same beside any others."""
        X = self._samples(X)
        phi = np.empty((len(X), self._count), np.float32)
        self._map().apply(X, phi)
        return phi


_RIDGE = """
    alpha : float or 'auto', default='auto'
        Ridge, 0 or more, as in kernel ridge regression with phi @ phi.T. 'auto': the best of 25 values, from 1e-9 to 10 times
        the mean of |phi(x)|^2, by the squared error on one of every ten samples, which is held out; the fit is then to all.
        That takes twice the memory, and 25 factorisations.
    alpha_relative : bool, default=False
        True: a number is times the mean of |phi(x)|^2.

    Attributes
    ----------
    coef_ : ndarray of shape (n_components, outputs)
        f(x) = phi(x) @ coef_.
    alpha_ : float
        The ridge that was used, times the mean of |phi(x)|^2 if it is relative or 'auto'.
    n_samples_seen_ : int
        How many samples there were.

    Batches of any sizes give what one fit gives, to the last bits if predictions come after the last batch. Memory is 8
    n_components^2 bytes (alpha='auto': 16; while it solves 8 more), whatever the number of samples. A pickle has no sums:
    partial_fit then raises ValueError."""


class _Ridge(_Features):
    def __init__(self, architecture=None, *, n_components=2048, depth=3, activation="relu", W_std=2**0.5, b_std=0.1,
                 kernel="ntk", random_state=None, alpha="auto", alpha_relative=False):
        super().__init__(architecture, n_components=n_components, depth=depth, activation=activation, W_std=W_std,
                         b_std=b_std, kernel=kernel, random_state=random_state)
        self.alpha = alpha
        self.alpha_relative = alpha_relative

    def __getstate__(self):
        if "sums" in self.__dict__.get("_cache", {}):
            self._solve()
        state = super().__getstate__()
        return state | {"_solution": self._cache["solution"]} if "solution" in self.__dict__.get("_cache", {}) else state

    def __setstate__(self, state):
        state = dict(state)
        solution = state.pop("_solution", None)
        super().__setstate__(state)
        if solution is not None:
            self._cache["solution"] = solution

    def _ridge(self):
        if isinstance(self.alpha, str) and self.alpha == "auto":
            return None
        if not isinstance(self.alpha, (int, float, np.number)) or isinstance(self.alpha, bool):
            raise TypeError(f"alpha must be a number or 'auto', got {self.alpha!r}")
        if not 0 <= self.alpha < np.inf:
            raise ValueError(f"alpha must be 0 or more and finite, got {self.alpha}")
        return float(self.alpha)

    def _begin(self, X, outputs):
        hold_out = self._ridge() is None
        self._start(X)
        self._outputs = outputs
        self._cache["sums"] = _core.FeatureRidge.start(self._map(), outputs, hold_out)

    def _add(self, X, targets):
        if "sums" not in self._cache:
            raise ValueError("a pickle has no sums of the samples before: fit again, or keep the estimator")
        self._cache.pop("solution", None)
        self._cache["sums"].add(self._rows(X), np.ascontiguousarray(targets, dtype=np.float64))
        self.n_samples_seen_ = self._cache["sums"].n

    def _solve(self):
        if "solution" not in self._cache:
            coef = np.empty((self._count, self._outputs))
            ridge = self._ridge()
            used = self._cache["sums"].solve(ridge, not self.alpha_relative, coef)
            self._cache["solution"] = coef, used
        return self._cache["solution"]

    @property
    def coef_(self):
        check_is_fitted(self)
        return self._solve()[0]

    @property
    def alpha_(self):
        check_is_fitted(self)
        return self._solve()[1]

    def _scores(self, X):
        X = self._samples(X)
        out = np.empty((len(X), self._outputs))
        self._map().predict(X, self._outputs, self.coef_, out)
        return out


class NTKFeaturesRegressor(MultiOutputMixin, RegressorMixin, _Ridge):
    __doc__ = f"""Regression by random features of the NTK or NNGP, batch by batch: ridge regression, for any number of samples.

    Targets are taken as they are; images are flattened.{_SIZES}
{_PARAMETERS}{_RIDGE}
    """

    def fit(self, X, y):
        """Fits to samples X [n][d] and targets y [n] or [n][outputs]; returns self."""
        return self._fit(X, y, True)

    def partial_fit(self, X, y):
        """Adds samples; those of the first call are the first. Returns self."""
        return self._fit(X, y, not hasattr(self, "n_samples_seen_"))

    def _fit(self, X, y, first):
        check_numbers(y, "y")
        X, y = self._checked(X, y=y, multi_output=True, y_numeric=True, reset=first)
        targets = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        if first:
            self._one_output = y.ndim == 1
            self._begin(X, targets.shape[1])
        if targets.shape[1] != self._outputs:
            raise ValueError(f"y must have {self._outputs} outputs, as the first batch, got {targets.shape[1]}")
        self._add(X, targets)
        return self

    def predict(self, X):
        """Predictions at samples X [m][d]: [m], or [m][outputs] if y had two dimensions."""
        mean = self._scores(X)
        return mean[:, 0] if self._one_output else mean


class NTKFeaturesClassifier(ClassifierMixin, _Ridge):
    __doc__ = f"""Classification by random features of the NTK or NNGP, batch by batch: the squared loss on centred targets.

    A label's target is 1 - 1/classes for its class and -1/classes for the others; the predicted class is that of the
    largest output. Images are flattened.{_SIZES}
{_PARAMETERS}{_RIDGE}
    classes_ : ndarray of shape (classes,)
        The labels, sorted.

    Examples
    --------
    >>> import ntk
    >>> X, y = ntk.datasets.load('digits/train')
    >>> model = ntk.NTKFeaturesClassifier('fc(depth=3)', n_components=1000, random_state=0).fit(X, y)
    >>> X_test, y_test = ntk.datasets.load('digits/test')
    >>> bool(model.score(X_test, y_test) > 0.9)
    True
    """

    def fit(self, X, y):
        """Fits to samples X [n][d] and labels y [n] of any type; returns self."""
        return self._fit(X, y, None, True)

    def partial_fit(self, X, y, classes=None):
        """Adds samples. classes: all labels there are, which the first call needs. Returns self."""
        first = not hasattr(self, "n_samples_seen_")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit: all labels there are")
        return self._fit(X, y, classes, first)

    def _fit(self, X, y, classes, first):
        check_readable(y, "y")
        X, y = self._checked(X, y=y, reset=first)
        check_classification_targets(y)
        if first:
            self.classes_ = np.unique(y if classes is None else np.asarray(classes))
        elif classes is not None and not np.array_equal(np.unique(np.asarray(classes)), self.classes_):
            raise ValueError(f"classes must be those of the first call, {self.classes_}")
        unknown = ~np.isin(y, self.classes_)
        if unknown.any():
            raise ValueError(f"the label {y[unknown][0]!r} is none of classes, {self.classes_}")
        if first:
            self._begin(X, len(self.classes_))
        self._add(X, one_hot(np.searchsorted(self.classes_, y), len(self.classes_)))
        return self

    def predict_scores(self, X):
        """The outputs [m][classes] at samples X [m][d]."""
        return self._scores(X)

    def decision_function(self, X):
        """The outputs [m][classes]; with two classes [m], that of the second minus that of the first."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X):
        """The labels [m] with the largest outputs."""
        chosen = self._scores(X).argmax(1)
        return self.classes_[chosen]
