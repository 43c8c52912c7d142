# SPDX-License-Identifier: MIT
"""scikit-learn estimators: regression and classification with the infinite networks of an architecture.

    NTKRegressor('fc(depth=3)').fit(X, y).predict(X_new, return_std=True)
    NTKClassifier(depth=3, alpha=1e-3).fit(X, labels).predict_proba(X_new)

The work is done by the C library's models: float64 solves, half of each symmetric matrix, test kernels streamed.
Estimators are saved in the command line's model files, and loaded from them. Needs scikit-learn 1.3 or newer.
"""
import os
import warnings
from collections import namedtuple

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from . import _core, stax
from ._arrays import as_array, check_numbers, check_readable
from ._kernel import variances
from ._net import net_of
from .datasets import one_hot
from .finite import Scaling

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # before scikit-learn 1.6 it was a method

    def validate_data(estimator, *args, **kwargs):
        return estimator._validate_data(*args, **kwargs)


Spectrum = namedtuple("Spectrum", "lambda_min lambda_max condition max_learning_rate")
Spectrum.__doc__ = """Extreme eigenvalues of the kernel matrix with its ridge, to 1e-3 relative or better, their
ratio, and the largest stable learning rate of gradient descent on the loss that `time` belongs to."""

Ridges = namedtuple("Ridges", "leave_one_out_mse log_marginal_likelihood")
Ridges.__doc__ = """What other ridges would give, [alphas] each: mean squared error of leave-one-out predictions, over
samples (by their weights) and outputs, and log p(y | X); nan where the matrix is not positive definite."""

_POSTERIORS = {"nngp": 0, "ntk": 1, "ntkgp": 2}
_RAW, _ONE_HOT, _CENTERED = range(3)  # ntk_targets
_FLOATS = [np.float64, np.float32]
_SHORTCUT = {"depth": 3, "activation": "relu", "W_std": 2**0.5, "b_std": 0.1}  # defaults

_PARAMETERS = """
    Parameters
    ----------
    architecture : str, layer of ntk.stax or None, default=None
        A text in the architecture language, such as 'fc(depth=3)' or 'serial(Dense(1), Erf(), Dense(1))', or what
        functions of ntk.stax return. None: the preset fc of the next four parameters, which are else ignored.
    depth : int, default=3
        Hidden layers, at least 1.
    activation : str, default='relu'
        Their activation.
    W_std, b_std : float, default=sqrt(2) and 0.1
        Standard deviations of all weights and biases, 0 or more.
    kernel : {'ntk', 'nngp', 'ntkgp'}, default='ntk'
        'ntk': the ensemble of networks trained by gradient flow; 'nngp': the Bayesian network, or one whose last
        layer alone is trained (Lee et al. 2019, eqs. 13 to 16); 'ntkgp': the Gaussian process with the NTK as its
        covariance (He et al. 2020). 'ntk' and 'ntkgp' differ in uncertainties only.
    alpha : float, array of shape (n,) or 'auto', default=1e-5
        Ridge, 0 or more: added as it is to the diagonal of the kernel matrix, as in scikit-learn's KernelRidge and
        GaussianProcessRegressor. For 'nngp' and 'ntkgp' it is the variance of noise on the (normalised) targets, for
        'ntk' weight decay towards the initial weights. With dtype='float32' use 1e-4 of the diagonal or more. An array
        has a ridge for each training sample (time=None only). 'auto': the best of 25 values, from 1e-9 to 10 times the
        mean of the diagonal, by the squared error of leave-one-out predictions; of equal ones the largest. An
        eigen-decomposition finds it, about 20 times the time of a fit.
    alpha_relative : bool, default=False
        True: alpha is times the mean of the kernel matrix's diagonal, as --diag-reg of the command line and
        diag_reg of neural-tangents.
    time : float or None, default=None
        Time of training by gradient flow, above 0; None: infinity. It is the learning rate times steps on the loss
        1/2 mean (f - y)^2 over all entries of y, from f = 0 (in normalised targets), as in
        ntk.predict.gradient_descent_mse. Finite times need an eigen-decomposition: about 20 times the time of a fit
        and 24 n^2 bytes.
    input_shape : tuple or None, default=None
        (w, c) or (h, w, c): rows of a 2-D X are sequences or images of this shape. For pipelines, whose steps pass
        rows; X may also be [n][w][c] or [n][h][w][c] itself. Samples are flattened for an architecture that does not
        use positions.
    dtype : {'float64', 'float32'}, default='float64'
        Type in which kernel entries are computed; solves are in float64.
    solver : {'cholesky', 'mixed', 'cg', 'eigen', 'lanczos', 'out-of-core', 'landmarks', 'scalapack'} or None, default=None
        How (K + alpha) c = y is solved at time=None. 'cholesky': a factor in float64, 4 n^2 bytes; 'mixed': one in
        float32, 2 n^2 bytes and half the time, refined to the same answer; 'cg': conjugate gradients to a tolerance, for
        many samples, 2 n^2 bytes with dtype='float32', or none where memory does not hold them. Of these only
        'cholesky' has likelihoods and leave-one-out. 'out-of-core': the factor of 'cholesky', of which memory holds a
        part, in a file of 4 n^2 bytes in $TMPDIR, or /var/tmp, that goes with the estimator. None: 'cholesky', or, where
        memory does not hold it, 'mixed' or 'cg'; 'eigen' with alpha='auto'. 'landmarks', for up to millions of samples: the
        best sum over some of them alone (Rudi et al. 2017), which is another function, of fewer parameters;
        leave-one-out is exact where they stay. alpha='auto' is then chosen by samples that are held out, about a tenth. With
        kernel='ntk' it has no standard deviations: 'nngp' and 'ntkgp' do (Rasmussen and Williams 2006, eq. 8.27).
        'scalapack', in builds with MPI: the factor of 'cholesky' without leave-one-out, of which each of several ranks
        (ntk.use_mpi), whose default it is, has a part.
    tolerance : float or None, default=None
        Largest residual of 'cg' (None: 1e-3) and 'lanczos' (1e-12), by the targets' norm; of 'landmarks', where it keeps
        the kernel in memory, of its preconditioned equations (1e-4).
    landmarks : int or None, default=None
        How many of solver='landmarks', chosen by randomly pivoted Cholesky; None: what memory allows, at most 5,000.
    checkpoint : str, path or None, default=None
        A file of 'cg', with its solution so far, or of 'landmarks', with them and its sums over the rows so far: a fit that
        was interrupted, or whose process was killed, goes on from there when it is done again, and removes it at its end.
        ValueError if it is of other samples, another architecture or another choice of landmarks; OSError if it is damaged.
    augment : str or None, default=None
        Of 'flip' (left and right), 'flip-rows' (upside down) and 'rotate' (quarter turns), several with commas: the fit to
        all these copies of the images, with equal targets, from one matrix of n rows: sums of kernels over copies.
        Predictions at an image and its copies are equal; standard deviations are those of the mean over them, and
        leave-one-out leaves all copies out. X has images, or input_shape says them; ValueError if the kernel of the
        architecture changes with them. Shifts are new samples: ntk.datasets.shifted."""

_ATTRIBUTES = """
    alpha_ : float or ndarray of shape (n,)
        The ridge that was used, in the scale of alpha_relative; with alpha='auto' the one that was chosen.
    dual_coef_ : ndarray of shape (n, outputs)
        c of the outputs K(x, X) c at x for time=None, in normalised targets; 0 for samples of weight 0.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn (for images and sequences, the first size of a sample).
    X_fit_ : ndarray
        The training samples as the kernel sees them. A pickle has these and the targets, and no factorisation: after
        unpickling, the first prediction fits again, with identical results (alpha='auto': but for rounding)."""


_SYMMETRIES = {"flip": 1, "flip-rows": 2, "rotate": 4}  # NTK_FLIP, ...


def _symmetry_of(augment):
    """The symmetries that augment names, as the library numbers them; 0: none."""
    if augment is None:
        return 0
    if not isinstance(augment, str) or not set(augment.split(",")) <= set(_SYMMETRIES):
        raise ValueError(f"augment must be of {', '.join(map(repr, _SYMMETRIES))} with commas between, or None, got {augment!r}")
    return sum(_SYMMETRIES[name] for name in set(augment.split(",")))


def _copies_of(symmetry):
    """How many copies of an image the symmetries make, itself among them."""
    flips = (symmetry & 1) + (symmetry >> 1 & 1)
    return 4 << (flips > 0) if symmetry & 4 else 1 << flips


def _architecture_net(architecture, depth, activation, W_std, b_std):
    """The Net of an architecture, or of the preset fc if it is None; ValueError with a caret if it is wrong."""
    if architecture is None:
        architecture = stax.fc(depth=depth, activation=activation, W_std=W_std, b_std=b_std)
    return net_of(architecture, "architecture")


def _as_inputs(X, net, input_shape):
    """Samples in the shape that the net wants: rows as images of input_shape, or images as rows."""
    if X.ndim == 2 and input_shape is not None:
        if np.prod(input_shape) != X.shape[1]:
            raise ValueError(f"input_shape {tuple(input_shape)} has {np.prod(input_shape)} numbers, "
                             f"X has {X.shape[1]} features")
        X = X.reshape(len(X), *input_shape)
    if X.ndim > 2 and not _core.net_uses_positions(net.text):
        X = X.reshape(len(X), -1)
    return X


def _names_of(y):
    """Names of targets that are columns of a table (of pandas), or one that has a name; else none."""
    names = list(y.columns) if hasattr(y, "columns") else [getattr(y, "name", None)]
    return tuple(names) if all(isinstance(name, str) for name in names) else ()


def _weights_of(sample_weight, n):
    """Weights [n], or None: ValueError if they are none."""
    if sample_weight is None:
        return None
    weights = as_array(sample_weight, "sample_weight", np.float64)
    if weights.ndim == 0:
        weights = np.full(n, weights)
    if weights.shape != (n,):
        raise ValueError(f"sample_weight must have the shape ({n},), one for each sample, got {weights.shape}")
    wrong = ~((weights >= 0) & (weights < np.inf))
    if wrong.any():
        raise ValueError(f"sample_weight must be 0 or more and finite, that of sample {wrong.argmax()} is "
                         f"{weights[wrong][0]}")
    if not weights.any():
        raise ValueError("sample_weight must not be zero for all samples")
    return weights


class _NTKEstimator(BaseEstimator):
    """What regression and classification share: a model of normalised targets [n][outputs]."""

    # Of estimators that were pickled before there were weights, files and solvers.
    _weights = _noise = _scaling = solver = tolerance = landmarks = checkpoint = augment = _image = None
    _part, _rows, _alpha_unit, _target_names, _kind, _symmetry = False, False, 1, (), _CENTERED, 0

    def __init__(self, architecture=None, *, depth=3, activation="relu", W_std=2**0.5, b_std=0.1, kernel="ntk",
                 alpha=1e-5, alpha_relative=False, time=None, input_shape=None, dtype="float64", solver=None, tolerance=None,
                 landmarks=None, checkpoint=None, augment=None):
        self.architecture = architecture
        self.depth = depth
        self.activation = activation
        self.W_std = W_std
        self.b_std = b_std
        self.kernel = kernel
        self.alpha = alpha
        self.alpha_relative = alpha_relative
        self.time = time
        self.input_shape = input_shape
        self.dtype = dtype
        self.solver = solver
        self.tolerance = tolerance
        self.landmarks = landmarks
        self.checkpoint = checkpoint
        self.augment = augment

    def __getstate__(self):
        return {name: value for name, value in super().__getstate__().items() if name != "_cache"}

    def __setstate__(self, state):
        super().__setstate__(state)
        self._cache = {}

    # ---- models

    def _check_parameters(self):
        if self.kernel not in _POSTERIORS:
            raise ValueError(f"kernel must be one of {sorted(_POSTERIORS)}, got {self.kernel!r}")
        if np.dtype(self.dtype) not in _FLOATS:
            raise ValueError(f"dtype must be 'float64' or 'float32', got {self.dtype!r}")
        _symmetry_of(self.augment)
        if not isinstance(self.solver, str) and self.solver is not None:
            raise TypeError(f"solver must be a name, as 'cg', or None, got {self.solver!r}")
        if not isinstance(self.tolerance, (int, float, np.number)) and self.tolerance is not None:
            raise TypeError(f"tolerance must be a number or None, got {self.tolerance!r}")
        if self.landmarks is not None and not isinstance(self.landmarks, (int, np.integer)):
            raise TypeError(f"landmarks must be an integer or None, got {self.landmarks!r}")
        if self.landmarks is not None and self.landmarks < 1:
            raise ValueError(f"landmarks must be at least 1, or None, got {self.landmarks!r}")
        if not isinstance(self.checkpoint, (str, os.PathLike)) and self.checkpoint is not None:
            raise TypeError(f"checkpoint must be a path or None, got {self.checkpoint!r}")
        if not isinstance(self.time, (int, float, np.number)) and self.time is not None:
            raise TypeError(f"time must be a number or None, got {self.time!r}")
        if self.time is not None and not self.time > 0:
            raise ValueError(f"time must be above 0, or None for infinity, got {self.time!r}")

    def _warn_of_ignored(self):
        """A search over depth does nothing where the architecture says it all."""
        if self.architecture is None:
            return
        ignored = [name for name, value in _SHORTCUT.items() if getattr(self, name) != value]
        if ignored:
            warnings.warn(f"{', '.join(ignored)}: without effect, as architecture is given", UserWarning, stacklevel=4)

    def _ridge(self):
        """alpha as a ridge for all samples, None if it is to be chosen, and, beside it, one for each, [n] or None."""
        alpha = self.alpha
        if isinstance(alpha, str) and alpha == "auto":
            return None, None
        if isinstance(alpha, str) or alpha is None:
            raise TypeError(f"alpha must be a number, an array [n] or 'auto', got {alpha!r}")
        alpha = as_array(alpha, "alpha", np.float64)
        if alpha.shape not in ((), (len(self.X_fit_),)):
            raise ValueError(f"alpha must be a number, or one for each of the {len(self.X_fit_)} samples, got the shape "
                             f"{alpha.shape}")
        wrong = ~((alpha >= 0) & (alpha < np.inf))
        if wrong.any():
            raise ValueError(f"alpha must be 0 or more and finite, got {alpha[wrong][0]}")
        return (float(alpha), None) if alpha.ndim == 0 else (0.0, alpha * (self._unit() if self.alpha_relative else 1))

    def _unit(self):
        """The mean of the kernel matrix's diagonal."""
        x = self.X_fit_ if self._weights is None else self.X_fit_[self._weights > 0]
        return variances(self._net, x, "nngp" if self._posterior == _POSTERIORS["nngp"] else "ntk").mean()

    def _fit(self, X, targets, weights):
        """Fits normalised targets. What the fit depends on is kept, so that later fits are of the same model."""
        self._check_parameters()
        self._warn_of_ignored()
        self._net = _architecture_net(self.architecture, self.depth, self.activation, self.W_std, self.b_std)
        self._scaling, self._rows, self._part = None, False, False
        self._image = self.input_shape if X.ndim == 2 else X.shape[1:]
        # The library reads the samples later on: they must not change when X does.
        self.X_fit_ = np.array(_as_inputs(X, self._net, self.input_shape), order="C")
        self._targets = np.ascontiguousarray(targets, dtype=np.float64)
        self._posterior, self._dtype = _POSTERIORS[self.kernel], np.dtype(self.dtype).char
        self._weights, self._symmetry = weights, _symmetry_of(self.augment)
        self._alpha, self._noise = self._ridge()
        self._absolute, self._alpha_unit = not self.alpha_relative, 1  # the scale of _alpha; what alpha is in it
        self._time = np.inf if self.time is None else float(self.time)
        self._cache = {}
        chosen = self._model(self._time < np.inf).diag_reg
        self.alpha_ = self.alpha
        if self._alpha is None:  # what is found is relative
            self._alpha_unit = self._unit() if self._absolute else 1
            self._alpha, self._absolute = chosen, False
            self.alpha_ = chosen * self._alpha_unit
        return self

    def _model(self, finite_time=False, covariance=False):
        """The fitted model that can do this; fitted when it is first needed."""
        covariance = covariance or self._posterior != _POSTERIORS["ntk"]  # costs nothing with the other two
        model, has_covariance = self._cache.get(finite_time, (None, False))
        if model is None or covariance > has_covariance:
            model = self._fit_model(self._alpha, finite_time, covariance)
            self._cache[finite_time] = model, covariance
        return model

    def _fit_model(self, alpha, finite_time, covariance):
        if finite_time and (self._weights is not None or self._noise is not None):
            given = "sample_weight and class_weight" if self._weights is not None else "an array as alpha"
            raise ValueError(f"{given}: for time=None only; at finite times (time, predict_at) what is added to the diagonal "
                             "must be the same for all samples")
        if self._part:
            raise ValueError("this estimator is of a file with landmarks, which has no other samples: it predicts, and can be "
                             "fitted to all of them again")
        mean_loss = True
        return self._net.call(_core.Model.fit, self._net.text, self.X_fit_, self._targets, self._posterior,
                              self._dtype, alpha, self._absolute, finite_time, mean_loss, covariance, self._weights,
                              self._noise, False, self.solver, 0 if self.tolerance is None else float(self.tolerance),
                              0 if self.landmarks is None else int(self.landmarks), self._symmetry,
                              None if self._image is None else tuple(self._image),
                              None if self.checkpoint is None or finite_time else os.path.abspath(self.checkpoint))

    # ---- files

    def save(self, path, factor=False):
        """Writes a model file, as `ntk fit` does, which `ntk predict` and load read: HDF5, by its path.

        It has the samples, the solution, and the names of columns (of DataFrames) and classes, which are words or
        numbers. With factor=True the factorisation too, 4 n^2 bytes (kernel='ntk': 8), which standard deviations need
        and else compute again. Samples of weight 0 are left out. With kernel='ntk' it fits once more, as return_std
        does, unless that was done. Of several ranks (ntk.use_mpi) the first writes, and kernel='ntk' does without what
        standard deviations need. NotFittedError before fit; OSError if the file cannot be written; ValueError with a
        finite time, which such a file has not: pickle the estimator.
        """
        check_is_fitted(self)
        if self._time < np.inf:
            raise ValueError("a model file has no time of training, and this estimator has: pickle it")
        names, labels = self._names()
        now = _core.info()
        model = self._model(covariance=self.solver != "landmarks" and now["ranks"] == 1)
        if now["rank"] > 0:
            return
        if any(names):
            model.name(sum(names, ()), *map(len, names), labels)
        model.encode(*self._encoding(), self._scaling)
        model.save(os.fsdecode(path), factor)

    def _names(self):
        """Names of features, targets and classes, empty where they have none, and classes as numbers or None."""
        columns = tuple(getattr(self, "feature_names_in_", ()))
        columns = columns if len(columns) == self.X_fit_[0].size else ()
        targets = self._target_names if columns else ()
        return (columns, targets, ()), None

    @classmethod
    def load(cls, path):
        """The estimator in a model file of `ntk fit` or of save; fit again, it is as any other.

        It predicts what `ntk predict` does, of samples as they were before `ntk fit` standardised them: rows, in the
        order of the training data's columns, or images; of one target as [m].

        Parameters are those of the model: architecture is the net as a text (depth, activation and so on are in it),
        alpha and alpha_relative the ridge that was used: of 'auto' the number that was chosen; of an array,
        or of `ntk fit --noise`, the array, absolute and without samples of weight 0. class_weight is in the weights of the
        samples, which a new fit has not. OSError if the file cannot be read; ValueError if its targets are those of the
        other estimator.
        """
        path = os.fsdecode(path)
        model = _core.Model.load(path)
        text, posterior, dtype, alpha, absolute, _, covariance, weights, noise, landmarks = model.options()
        x, x_dtype, n, shape, y = model.samples()
        symmetry, image = model.symmetry()
        kernel = {number: name for name, number in _POSTERIORS.items()}[posterior]
        augment = ",".join(name for name, number in _SYMMETRIES.items() if symmetry & number) or None
        self = cls(text, kernel=kernel, alpha=alpha, alpha_relative=not absolute, augment=augment,
                   input_shape=image if symmetry else shape if len(shape) > 1 else None, dtype=np.dtype(dtype).name)
        self._symmetry, self._image = symmetry, image
        self.X_fit_ = np.frombuffer(x, x_dtype).reshape(n, *shape)
        self._targets = np.frombuffer(y).reshape(n, -1)
        self._net, self._posterior, self._dtype = net_of(text), posterior, dtype
        self._weights, self._noise = (None if a is None else np.frombuffer(a) for a in (weights, noise))
        self._alpha, self._absolute, self._time = alpha, absolute, np.inf
        if landmarks:
            self._part = True
            self.set_params(solver="landmarks", landmarks=landmarks)
        if noise is not None:
            self._alpha_unit = 1 if absolute else self._unit()
            self.set_params(alpha=self._noise + alpha * self._alpha_unit, alpha_relative=False)
        self.alpha_ = self.alpha
        self._cache = {False: (model, covariance)}
        self.n_features_in_, self._rows = int(np.prod(shape)), True
        targets, shift, scale, scaling = model.encoding()
        if scaling is not None:
            scaling = (*scaling[:2], *map(np.frombuffer, scaling[2:]))
        self._scaling = scaling
        features, *names = model.names()
        if features and not all(map(str.isdigit, features)):  # which a table without names has
            self.feature_names_in_ = np.array(features, dtype=object)
        self._restore(path, targets, shift, scale, *names)
        return self

    # ---- what they predict, in normalised targets

    def _samples(self, X):
        check_is_fitted(self)
        check_numbers(X, "X")
        if self._rows and np.ndim(X) > 2:
            X = np.reshape(X, (len(X), -1))
        X = validate_data(self, X, reset=False, allow_nd=True, dtype=_FLOATS)
        if self._scaling is not None:
            X = Scaling(*self._scaling[2:])(X)
        X = np.ascontiguousarray(_as_inputs(X, self._net, self.input_shape))
        if X.shape[1:] != self.X_fit_.shape[1:]:
            raise ValueError(f"samples have the shape {X.shape[1:]}, but {type(self).__name__} was fitted to "
                             f"{self.X_fit_.shape[1:]}")
        return X

    def _outputs(self, X, return_std=False, return_cov=False):
        """Mean [m][outputs], and standard deviations [m], covariance [m][m] or None."""
        if return_std and return_cov:
            raise ValueError("return_std and return_cov: at most one of them can be asked for")
        X = self._samples(X)
        if self._time < np.inf:
            if return_cov:
                raise ValueError("the covariance at a finite time is not available; return_std is")
            mean, std = self._outputs_at(X, np.array([self._time]), return_std)
            return mean[0], std[0] if return_std else None
        mean = np.empty((len(X), self._targets.shape[1]))
        variance = np.empty(len(X)) if return_std else None
        covariance = np.empty((len(X), len(X))) if return_cov else None
        self._model(covariance=return_std or return_cov).predict(X, mean, variance, covariance)
        return mean, np.sqrt(np.maximum(variance, 0)) if return_std else covariance

    def _outputs_at(self, X, times, return_std):
        """Mean [times][m][outputs] and standard deviations [times][m] or None."""
        mean = np.empty((len(times), len(X), self._targets.shape[1]))
        variance = np.empty((len(times), len(X))) if return_std else None
        self._model(True, return_std).dynamics(times, X, None, mean, variance)
        return mean, np.sqrt(np.maximum(variance, 0)) if return_std else None

    def _at(self, X, times, return_std):
        times = np.array(times, dtype=np.float64)
        if times.ndim != 1 or not (times >= 0).all():
            raise ValueError("times must be numbers of 0 or more in an array [times]")
        return self._outputs_at(self._samples(X), times, return_std)

    def _leave_one_out(self, model):
        mean, variance = np.empty(self._targets.shape), np.empty(len(self._targets))
        model.leave_one_out(mean, variance)
        return mean, np.sqrt(variance)

    def _loo(self):
        check_is_fitted(self)
        if self._time < np.inf:
            raise ValueError("leave-one-out predictions have a closed form for time=None only")
        return self._leave_one_out(self._model())

    # ---- diagnostics

    @property
    def log_marginal_likelihood_value_(self):
        """log p(y | X), natural log, summed over outputs, of the normalised targets under the Gaussian process with
        the kernel matrix plus ridge as covariance (Rasmussen and Williams 2006, eq. 2.30)."""
        check_is_fitted(self)
        return self._model(self._time < np.inf).evidence()

    @property
    def dual_coef_(self):
        check_is_fitted(self)
        out = np.empty(self._targets.shape)
        self._model().alpha(out)
        return out

    def ridges(self, alphas):
        """What other ridges would give, numbers [k] of 0 or more in the scale of alpha_relative, for time=None.

        Returns Ridges(leave_one_out_mse, log_marginal_likelihood), [k] each, of normalised targets: from one
        eigen-decomposition, with weights from a factorisation each. The estimator stays as it is. Where samples have
        ridges of their own, these are added to them. ValueError if a number is below 0 or not finite.
        """
        check_is_fitted(self)
        alphas = np.array(alphas, dtype=np.float64)
        if alphas.ndim != 1:
            raise ValueError(f"alphas must be numbers in an array [k], got the shape {alphas.shape}")
        found = Ridges(np.empty(len(alphas)), np.empty(len(alphas)))
        self._model(self._time < np.inf).ridges(alphas / self._alpha_unit, *found)
        return found

    def spectrum(self):
        """Spectrum(lambda_min, lambda_max, condition, max_learning_rate) of the kernel matrix with its ridge."""
        check_is_fitted(self)
        return Spectrum(*self._model(self._time < np.inf).spectrum())


class NTKRegressor(MultiOutputMixin, RegressorMixin, _NTKEstimator):
    __doc__ = f"""Regression with infinitely wide networks: ridge regression with the NTK or NNGP, with uncertainties.
{_PARAMETERS}
    normalize_y : bool, default=True
        Shift and scale each target to mean 0 and variance 1 for the fit, as the prior's mean is 0 and its scale that of
        the kernel; predictions are in the units of y. False: targets as they are.

    Attributes
    ----------{_ATTRIBUTES}
    log_marginal_likelihood_value_ : float
        log p(y | X) of the normalised targets.

    Raises
    ------
    ValueError
        From fit: a parameter or the architecture is wrong (line, column and a caret), or does not fit the samples.
    numpy.linalg.LinAlgError
        From fit: the kernel matrix is not positive definite; says what alpha would help.
    MemoryError
        The work needs more memory than there is; raised before it starts.

    Examples
    --------
    >>> import numpy as np, ntk
    >>> X = np.linspace(-1, 1, 20)[:, None]
    >>> model = ntk.NTKRegressor('serial(Dense(1, b_std=0.5), Erf(), Dense(1))', alpha=1e-4).fit(X, X[:, 0] ** 2)
    >>> mean, std = model.predict(X[:3], return_std=True)
    >>> mean.shape, std.shape
    ((3,), (3,))
    """

    def __init__(self, architecture=None, *, depth=3, activation="relu", W_std=2**0.5, b_std=0.1, kernel="ntk",
                 alpha=1e-5, alpha_relative=False, time=None, input_shape=None, dtype="float64", solver=None, tolerance=None,
                 landmarks=None, checkpoint=None, augment=None, normalize_y=True):
        super().__init__(architecture, depth=depth, activation=activation, W_std=W_std, b_std=b_std, kernel=kernel,
                         alpha=alpha, alpha_relative=alpha_relative, time=time, input_shape=input_shape, dtype=dtype,
                         solver=solver, tolerance=tolerance, landmarks=landmarks, checkpoint=checkpoint, augment=augment)
        self.normalize_y = normalize_y

    def fit(self, X, y, sample_weight=None):
        """Fits to samples X [n][d], [n][w][c] or [n][h][w][c] and targets y [n] or [n][outputs]; returns self.

        sample_weight: [n] of 0 or more, not all 0; None: 1. The ridge of a sample is alpha over its weight, so that a
        weight of 2 is the sample twice, and one of 0 leaves it out. ValueError with a finite time.
        """
        check_numbers(X, "X")
        check_numbers(y, "y")
        self._target_names = _names_of(y)
        X, y = validate_data(self, X, y, allow_nd=True, dtype=_FLOATS, multi_output=True, y_numeric=True)
        y = np.asarray(y, dtype=np.float64)
        self._one_output = y.ndim == 1
        y, weights = y.reshape(len(y), -1), _weights_of(sample_weight, len(y))
        self._shift, self._scale = np.zeros(y.shape[1]), np.ones(y.shape[1])
        if self.normalize_y:
            self._shift = np.average(y, 0, weights)
            scale = np.sqrt(np.average((y - self._shift) ** 2, 0, weights))
            # A constant target has a deviation of rounding errors, and keeps its scale.
            self._scale = np.where(scale > 10 * np.finfo(float).eps * np.abs(self._shift), scale, 1)
        return self._fit(X, (y - self._shift) / self._scale, weights)

    def _encoding(self):
        scaled = (self._shift != 0).any() or (self._scale != 1).any()
        return (_RAW, self._shift, self._scale) if scaled else (_RAW, None, None)

    def _restore(self, path, targets, shift, scale, names, classes, labels):
        if targets != _RAW:
            raise ValueError(f"{path} is a model of classes: NTKClassifier.load reads it")
        outputs = self._targets.shape[1]
        self.normalize_y = shift is not None
        self._shift = np.zeros(outputs) if shift is None else np.frombuffer(shift)
        self._scale = np.ones(outputs) if scale is None else np.frombuffer(scale)
        self._one_output = outputs == 1
        self._target_names = names

    def predict(self, X, return_std=False, return_cov=False):
        """Predictions at samples X, at `time`.

        Returns the mean [m], or [m][outputs] if y had two dimensions; with return_std also the standard deviation of
        the function (without noise), of the same shape; with return_cov instead its covariance, [m][m] or
        [m][m][outputs] (time=None only). With kernel='ntk' the first of either fits once more, as the spread needs
        the NNGP too: 8 n^2 bytes instead of 4 n^2. NotFittedError before fit; ValueError if X does not fit.
        """
        mean, spread = self._outputs(X, return_std, return_cov)
        mean = self._in_units(mean)
        if spread is None:
            return mean
        return mean, self._spread(spread, self._scale**2 if return_cov else self._scale)

    def predict_at(self, X, times, return_std=False):
        """Predictions at several times of training, [times] of numbers in the units of `time`, 0 and inf among them.

        Returns means [times][m] or [times][m][outputs]; with return_std also standard deviations of the same shape.
        At finite times the spread is that of an ensemble in training, which 'ntkgp' does not have: ValueError. Lee et
        al. 2019, eqs. 10 to 16.
        """
        mean, std = self._at(X, times, return_std)
        return (self._in_units(mean), self._spread(std, self._scale)) if return_std else self._in_units(mean)

    def leave_one_out(self, return_std=False):
        """Predictions at each training sample by the model fitted to all others, [n] or [n][outputs], in closed form.

        With return_std also the standard deviations of the targets (noise included) under the Gaussian process with the
        kernel as covariance. A sample of weight 0 is predicted by the others, its deviation is infinite. Normalisation
        stays that of all samples. ValueError unless time is None. Rasmussen and Williams 2006, eq. 5.12.
        """
        mean, std = self._loo()
        return (self._in_units(mean), self._spread(std, self._scale)) if return_std else self._in_units(mean)

    def _in_units(self, mean):
        mean = mean * self._scale + self._shift
        return mean[..., 0] if self._one_output else mean

    def _spread(self, spread, scale):
        return spread * scale[0] if self._one_output else spread[..., None] * scale


class NTKClassifier(ClassifierMixin, _NTKEstimator):
    __doc__ = f"""Classification with infinitely wide networks, by the squared loss on centred one-hot targets.

    A label's target is 1 - 1/classes for its class and -1/classes for the others; the predicted class is that of the
    largest output.
{_PARAMETERS}
    class_weight : None, 'balanced' or dict, default=None
        Weights of the samples of each class, by its label, times sample_weight; classes that are not in the dict have 1.
        'balanced': n / (classes * number of the class's samples), which are counted by their weights. A weight
        divides the ridge, so that a small one says little where alpha is small.

    Attributes
    ----------
    classes_ : ndarray of shape (classes,)
        The labels, sorted; without those that samples of weight 0 alone have.{_ATTRIBUTES}
    log_marginal_likelihood_value_ : float
        log p(y | X) of the normalised targets.

    Raises
    ------
    ValueError, numpy.linalg.LinAlgError, MemoryError
        As NTKRegressor.

    Examples
    --------
    >>> import ntk
    >>> X, y = ntk.datasets.load('digits/train')
    >>> model = ntk.NTKClassifier('fc(depth=3)', alpha=1e-5).fit(X, y)
    >>> X_test, y_test = ntk.datasets.load('digits/test')
    >>> model.score(X_test, y_test)
    0.972
    """

    def __init__(self, architecture=None, *, depth=3, activation="relu", W_std=2**0.5, b_std=0.1, kernel="ntk",
                 alpha=1e-5, alpha_relative=False, time=None, input_shape=None, dtype="float64", solver=None, tolerance=None,
                 landmarks=None, checkpoint=None, augment=None, class_weight=None):
        super().__init__(architecture, depth=depth, activation=activation, W_std=W_std, b_std=b_std, kernel=kernel,
                         alpha=alpha, alpha_relative=alpha_relative, time=time, input_shape=input_shape, dtype=dtype,
                         solver=solver, tolerance=tolerance, landmarks=landmarks, checkpoint=checkpoint, augment=augment)
        self.class_weight = class_weight

    # scikit-learn expects of a class of weight 1e-4 that it is hardly predicted, which weights of a small ridge do not
    # do; the tag says that to its checks, and to nothing else.
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags

    def _more_tags(self):  # before scikit-learn 1.6
        return {"poor_score": True}

    def fit(self, X, y, sample_weight=None):
        """Fits to samples X [n][d], [n][w][c] or [n][h][w][c] and labels y [n] of any type; returns self.

        sample_weight: [n] of 0 or more, not all 0; None: 1. The ridge of a sample is alpha over its weight, so that a
        weight of 2 is the sample twice, and one of 0 leaves it out. ValueError with a finite time.
        """
        check_numbers(X, "X")
        check_readable(y, "y")
        X, y = validate_data(self, X, y, allow_nd=True, dtype=_FLOATS)
        check_classification_targets(y)
        weights = _weights_of(sample_weight, len(y))
        kept = np.ones(len(y), bool) if weights is None else weights > 0
        self.classes_, labels = np.unique(y[kept], return_inverse=True)
        targets = np.zeros((len(y), len(self.classes_)))
        targets[kept] = one_hot(labels, len(self.classes_))
        self._kind = _CENTERED
        return self._fit(X, targets, self._class_weights(y[kept], labels, weights, kept))

    def _class_weights(self, y, labels, weights, kept):
        """sample_weight times class_weight; y and labels, their numbers, of samples that are kept."""
        if self.class_weight is None:
            return weights
        weights = np.ones(len(kept)) if weights is None else weights.copy()
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            of_class = np.bincount(labels, weights[kept])
            of_class = of_class.sum() / (len(of_class) * of_class)
        else:
            of_class = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        weights[kept] *= of_class[labels]
        return weights

    def _encoding(self):
        return self._kind, None, None

    def _names(self):
        (columns, _, _), _ = super()._names()
        if self.classes_.dtype.kind in "biuf":
            labels = self.classes_.astype(np.float64)
            if (np.abs(labels) >= 2.0**53).any():
                raise ValueError("labels that are whole numbers from 2^53 on cannot be kept in a model file: number the "
                                 "classes from 0")
            return (columns, (), tuple(map(str, self.classes_))), labels
        if not all(isinstance(label, str) for label in self.classes_):
            raise ValueError("labels in a model file are numbers or words, these are of the type "
                             f"{type(self.classes_[0]).__name__}")
        return (columns, (), tuple(map(str, self.classes_))), None

    def _restore(self, path, targets, shift, scale, names, classes, labels):
        if targets == _RAW:
            raise ValueError(f"{path} is a model of numbers: NTKRegressor.load reads it")
        self._kind, self._target_names = targets, names
        if not classes:
            self.classes_ = np.arange(self._targets.shape[1])
        elif labels is None:
            self.classes_ = np.array(classes)
        else:
            labels = np.frombuffer(labels)
            whole = labels.astype(np.int64)
            self.classes_ = whole if (whole == labels).all() else labels

    def predict(self, X):
        """The labels [m] with the largest outputs at samples X, at `time`."""
        chosen = self.predict_scores(X).argmax(1)
        return self.classes_[chosen]

    def predict_scores(self, X, return_std=False, return_cov=False):
        """The outputs [m][classes] at samples X, at `time`.

        With return_std also the standard deviation [m], the same for each class; with return_cov instead their
        covariance [m][m] (time=None only).
        """
        mean, spread = self._outputs(X, return_std, return_cov)
        return mean if spread is None else (mean, spread)

    def predict_at(self, X, times, return_std=False):
        """Outputs at several times of training, [times] of numbers in the units of `time`, 0 and inf among them.

        Returns means [times][m][classes]; with return_std also standard deviations [times][m], which 'ntkgp' does
        not have at finite times: ValueError. Lee et al. 2019, eqs. 10 to 16.
        """
        mean, std = self._at(X, times, return_std)
        return (mean, std) if return_std else mean

    def decision_function(self, X):
        """The outputs [m][classes]; with two classes [m], that of the second minus that of the first."""
        scores = self.predict_scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X):
        """Probabilities of the classes, [m][classes]: softmax(b f) of the outputs f.

        The one number b > 0 makes the leave-one-out outputs at the training samples most likely (Guo et al. 2017's
        temperature scaling, on Rasmussen and Williams 2006, eq. 5.12, for which no sample is held out). So the
        probabilities are calibrated to label noise, which the posterior variance of the outputs does not know, and
        the most probable class is the predicted one. At a finite time, leave-one-out is that of the ridge
        alpha + n classes / time (n: of all copies, with augment), which training up to that time comes close to (Ali et al. 2019).
        """
        scores = self.predict_scores(X)
        return softmax(self._sharpness() * scores, axis=1)

    def predict_log_proba(self, X):
        """Logarithms of predict_proba, [m][classes]."""
        scores = self.predict_scores(X)
        return log_softmax(self._sharpness() * scores, axis=1)

    def leave_one_out(self, return_std=False):
        """Outputs at each training sample by the model fitted to all others, [n][classes], in closed form.

        With return_std also their standard deviations [n] (noise included) under the Gaussian process with the kernel
        as covariance. ValueError unless time is None. Rasmussen and Williams 2006, eq. 5.12.
        """
        mean, std = self._loo()
        return (mean, std) if return_std else mean

    def _alpha_of_time(self):
        """alpha with what training up to `time` is close to."""
        which = "nngp" if self.kernel == "nngp" else "ntk"
        unit = 1 if self._absolute else variances(self._net, self.X_fit_, which).mean()
        return self._alpha + _copies_of(self._symmetry) * self._targets.size / self._time / unit

    def _sharpness(self):
        if "sharpness" not in self._cache:
            model = self._model() if self._time == np.inf else self._fit_model(self._alpha_of_time(), False, False)
            self._cache["sharpness"] = model.sharpness()
        return self._cache["sharpness"]
