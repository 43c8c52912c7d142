# SPDX-License-Identifier: MIT
"""What training does to outputs, from kernels: closed forms for the squared loss, a flow for other losses.

Names, arguments and scales are those of neural-tangents' predict: the squared loss is 1/2 of the mean over all
entries of y, and time t is in steps of learning_rate, so that f(t) runs with exp(-K learning_rate t / y.size).
Lee et al. 2019 (eqs. 9 to 16), He et al. 2020 (NTKGP). Everything is computed in float64 with LAPACK.

Eigenvalues of a kernel are known down to rounding error of its dtype: (4 eps(dtype) + n eps(float64)) of the largest,
or minus the smallest if that is larger. At finite times, and t = inf, directions that are not above it, ridge included,
do not move, and do not reach test samples; a RuntimeWarning counts them. LinAlgError if the smallest eigenvalue is
below -10 times the first of these.
"""
from collections import namedtuple
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from . import _core
from ._arrays import as_array, named, names_of

Gaussian = namedtuple("Gaussian", "mean covariance")
Gaussian.__doc__ = "mean [m][outputs] and covariance [m][m] of predictions, the same for each output."


@dataclass
class ODEState:
    """Outputs [n][c] and, with momentum, their velocities, at one time or (leading axis) several."""

    fx_train: np.ndarray = None
    fx_test: np.ndarray = None
    qx_train: np.ndarray = None
    qx_test: np.ndarray = None


# ---- kernels as matrices


def _given(a, name):
    """a as an array of finite float64 numbers."""
    a = as_array(a, name, np.float64)
    finite = np.isfinite(a)
    if not finite.all():
        place = tuple(map(int, np.unravel_index(finite.argmin(), a.shape)))
        raise ValueError(f"{name}{list(place) if place else ''} is {a[place]}: all numbers must be finite")
    return a


def _number(x, name, least, most=np.inf, above=False):
    """x as a float, if it is from least (or above it) to below most."""
    number = float(x)
    if not (least < number if above else least <= number) or not number < most:
        to = "and finite" if most == np.inf else f"to below {most}"
        raise ValueError(f"{name} must be {'above' if above else 'from'} {least} {to}, got {number}")
    return number


def _matrix(k, name):
    """A kernel as a matrix: [n1][n2], or [n1][n2][c][c] with its blocks as [n1 c][n2 c]."""
    k = _given(k, name)
    if k.ndim == 4:
        return np.ascontiguousarray(k.transpose(0, 2, 1, 3).reshape(k.shape[0] * k.shape[2], -1))
    if k.ndim != 2:
        raise ValueError(f"{name} must have the shape [n1][n2] or [n1][n2][c][c], got {k.shape}")
    return k


class _Targets:
    """y [n][c], and how it meets a kernel: a column for each output, or one column for a kernel with blocks."""

    def __init__(self, k, y, trace_axes):
        y = _given(y, "y_train")
        if y.ndim not in (1, 2):
            raise ValueError(f"y_train must have the shape [n][outputs], got {y.shape}")
        self.y, self.size = y, y.size
        axes = (trace_axes,) if isinstance(trace_axes, int) else tuple(trace_axes)
        self.blocks = not axes and y.ndim == 2
        want = y.size if self.blocks else len(y)
        if y.ndim == 2 and axes not in ((), (-1,), (1,)):
            raise ValueError("trace_axes must be (-1,), a kernel between samples, or (), one with blocks [c][c]; got "
                             f"{axes}")
        if k.shape != (want, want):
            kind = "[n][n][c][c] (trace_axes=())" if self.blocks else "[n][n]"
            raise ValueError(f"k_train_train must have the shape {kind} for {len(y)} rows of y_train, got "
                             f"{k.shape[0]} x {k.shape[1]} numbers")

    def columns(self, f):
        """[n][c] as columns for the kernel's matrix; numbers are spread over the shape of y."""
        f = np.broadcast_to(np.asarray(f, np.float64), self.y.shape)
        return f.reshape(-1, 1) if self.blocks or f.ndim == 1 else f

    def rows(self, columns, times=()):
        """Columns [times][rows][.] as outputs [times][n][c]."""
        tail = self.y.shape[1:]
        return columns.reshape((*times, -1, *tail))


_LEARNED, _GAIN, _LEFT = range(3)  # forms of _core.spectral: 1 - e^{-w t}, (1 - e^{-w t}) / w, e^{-w t}


class _Solver:
    """Factorisations of a kernel matrix with its ridge, each made when it is first needed."""

    def __init__(self, k, diag_reg, absolute, name="k_train_train"):
        self.dtype = as_array(k, name).dtype
        self.k = _matrix(k, name).copy()
        if self.k.shape[0] != self.k.shape[1]:
            raise ValueError(f"{name} must be square, got {self.k.shape}")
        self.absolute, self.mean = bool(absolute), np.trace(self.k) / len(self.k)
        self.ridge = _number(diag_reg, "diag_reg", 0) * (1 if absolute else self.mean)

    @cached_property
    def _factor(self):
        from scipy.linalg import cho_factor

        k, n = self.k.copy(), len(self.k)
        k[np.diag_indices(n)] += self.ridge
        largest = k.diagonal().max()
        try:
            factor = cho_factor(k, lower=True, overwrite_a=True, check_finite=False)
        except np.linalg.LinAlgError:
            raise self._not_positive() from None
        if factor[0].diagonal().min() ** 2 <= n * np.finfo(float).eps * largest:  # a pivot of rounding error
            raise self._not_positive()
        return factor

    def _not_positive(self):
        from scipy.linalg import eigvalsh

        least, largest = eigvalsh(self.k, check_finite=False)[[0, -1]]
        hint = _core.ridge_for(len(self.k), self.dtype.char, least, largest, self.mean, self.absolute)
        scale = "with diag_reg_absolute_scale=True" if self.absolute else "times the mean of the diagonal"
        return np.linalg.LinAlgError(
            f"the kernel matrix is not positive definite: its eigenvalues are {least:.3g} to {largest:.3g}, to which "
            f"diag_reg adds {self.ridge:.3g}; equal samples do this"
            + f"; try diag_reg={hint:g} ({scale})" * (hint > 0))

    def check(self):
        """LinAlgError if the matrix is singular."""
        self._factor

    def solve(self, b):
        from scipy.linalg import cho_solve

        return cho_solve(self._factor, b, check_finite=False)

    @cached_property
    def eigen(self):
        """Weights [n], 0 of what does not move, and eigenvectors in columns."""
        rows, weights = self.k.copy(), np.empty(len(self.k))
        _core.decompose(rows, self.dtype.char, self.ridge, weights)
        return weights, rows.T

    def along(self, form, t):
        """What the flow does along each eigenvector: [times][n]."""
        weights, out = self.eigen[0], np.empty((len(t), len(self.k)))
        _core.spectral(form, weights, t, out)
        return out

    def decay(self, b, t):
        """(e^{-K t} - 1) b for each t: [times][n][columns]."""
        vectors = self.eigen[1]
        return vectors @ (-self.along(_LEARNED, t)[..., None] * (vectors.T @ b))

    def fraction(self, b, t):
        """K^-1 (1 - e^{-K t}) b for each t: [times][n][columns]."""
        vectors = self.eigen[1]
        return vectors @ (self.along(_GAIN, t)[..., None] * (vectors.T @ b))


def _times(t, scale):
    """t of any shape as scaled times [times], and its shape."""
    t = np.asarray(t, np.float64)
    wrong = ~(t >= 0)
    if wrong.any():
        place = tuple(map(int, np.unravel_index(wrong.argmax(), t.shape)))
        raise ValueError(f"times t must be 0 or more: t{list(place) if place else ''} is {t[place]}")
    return np.ascontiguousarray(t.ravel() * scale), t.shape


# ---- gradient descent on the squared loss


def gradient_descent_mse(k_train_train, y_train, learning_rate=1.0, diag_reg=0.0, diag_reg_absolute_scale=False,
                         trace_axes=(-1,)):
    """Predictions of gradient descent on the squared loss, in closed form (Lee et al. 2019, eqs. 10 and 11).

    k_train_train [n][n], or [n][n][c][c] with trace_axes=(). y_train [n][c]. diag_reg: added to the diagonal, times
    its mean, or as it is with diag_reg_absolute_scale. Returns predict_fn(t=None, fx_train_0=0., fx_test_0=None,
    k_test_train=None): t None is infinity, and may be an array of any shape; fx_..._0 are outputs [n][c] at the
    start, numbers or None for not wanted. It returns outputs at the training samples, at the test samples, or both
    as a pair, with t's shape in front. t None is by Cholesky: LinAlgError, with a ridge that helps, if the matrix is
    singular.
    """
    learning_rate = _number(learning_rate, "learning_rate", 0, above=True)
    solver = _Solver(k_train_train, diag_reg, diag_reg_absolute_scale)
    targets = _Targets(solver.k, y_train, trace_axes)

    def at_infinity(f_train, f_test, k_test):
        train = targets.y.copy()
        solver.check()
        if f_test is None:
            return train, None
        residual = targets.columns(targets.y - (0 if f_train is None else np.asarray(f_train)))
        return train, f_test + targets.rows(k_test @ solver.solve(residual))

    def at(t, f_train, f_test, k_test):
        times, shape = _times(t, learning_rate / targets.size)
        start = np.zeros_like(targets.y) if f_train is None else np.broadcast_to(f_train, targets.y.shape)
        residual = targets.columns(start - targets.y)
        train = None if f_train is None else start + targets.rows(solver.decay(residual, times), shape)
        if f_test is None:
            return train, None
        moved = k_test @ solver.fraction(residual, times)
        return train, f_test - targets.rows(moved, shape)

    def predict_fn(t=None, fx_train_0=0.0, fx_test_0=None, k_test_train=None):
        if fx_train_0 is None and fx_test_0 is None:
            raise ValueError("fx_train_0 and fx_test_0 are both None: nothing is to be predicted")
        k_test = _test_kernel(k_test_train, fx_test_0, solver)
        f_train = None if fx_train_0 is None else _given(fx_train_0, "fx_train_0")
        f_test = None if fx_test_0 is None else _given(fx_test_0, "fx_test_0")
        train, test = (at_infinity(f_train, f_test, k_test) if t is None else at(t, f_train, f_test, k_test))
        return _wanted(train, test, fx_train_0, fx_test_0)

    return predict_fn


def _test_kernel(k_test_train, fx_test_0, solver):
    if fx_test_0 is None:
        return None
    if k_test_train is None:
        raise ValueError("predictions at test samples (fx_test_0) need k_test_train")
    k = _matrix(k_test_train, "k_test_train")
    if k.shape[1] != len(solver.k):
        raise ValueError(f"k_test_train must have {len(solver.k)} columns, one for each training row, got {k.shape[1]}")
    return k


def _wanted(train, test, fx_train_0, fx_test_0):
    if fx_test_0 is None:
        return train
    return test if fx_train_0 is None else (train, test)


# ---- Gaussian processes


def _part(kernel, name, what):
    """A kernel of a Kernel, a named tuple, or an array that stands for any."""
    if hasattr(kernel, name):
        return getattr(kernel, name)
    if hasattr(kernel, "nngp") or hasattr(kernel, "ntk"):
        raise ValueError(f"{what} must have '{name}': compute it with get=('nngp', 'ntk')")
    return kernel


def _gaussians(get, values):
    if isinstance(get, str):
        return values[get]
    return named("Gaussians", get, [values[name] for name in get])


def gp_inference(k_train_train, y_train, diag_reg=0.0, diag_reg_absolute_scale=False, trace_axes=(-1,)):
    """Posterior mean and covariance of infinite networks (Lee et al. 2019, eqs. 13 to 16; He et al. 2020).

    k_train_train: an array [n][n], a Kernel, or a named tuple with nngp and ntk. Returns predict_fn(get=None,
    k_test_train=None, k_test_test=None), get of 'nngp' (Bayesian network), 'ntk' (ensemble of trained networks;
    its covariance needs both kernels), 'ntkgp' (Gaussian process with covariance NTK) or a tuple of these; None is
    ('nngp', 'ntk'). The result is the mean [m][c], with k_test_test a Gaussian(mean, covariance [m][m]).
    k_test_train None: at the training samples without a ridge, which are y_train.
    """
    y_train, solvers = _given(y_train, "y_train"), {}

    def solver(name):
        if name not in solvers:
            k = _part(k_train_train, name, "k_train_train")
            solvers[name] = _Solver(k, diag_reg, diag_reg_absolute_scale)
        return solvers[name]

    def covariance(regime, k_test_train, k_test_test):
        kernel = "nngp" if regime == "nngp" else "ntk"
        prior = "ntk" if regime == "ntkgp" else "nngp"
        if regime == "ntk" and not (hasattr(k_train_train, "nngp") and hasattr(k_test_train, "nngp")):
            raise ValueError("the covariance of 'ntk' needs both kernels, of train and test: compute them with "
                             "get=('nngp', 'ntk')")
        s_tt = _matrix(_part(k_test_test, prior, "k_test_test"), "k_test_test")
        s_td = _matrix(_part(k_test_train, prior, "k_test_train"), "k_test_train")
        rounding = 1e-6 * np.abs(s_tt.diagonal()).max()  # beyond it the kernels do not belong together
        if regime != "ntk":
            return _covariance(s_tt - s_td @ solver(kernel).solve(s_td.T), rounding)
        t_td = _matrix(k_test_train.ntk, "k_test_train")
        a = solver("ntk").solve(t_td.T).T
        cross = a @ s_td.T
        return _covariance(s_tt + a @ _matrix(k_train_train.nngp, "k_train_train") @ a.T - cross - cross.T, rounding)

    def one(regime, k_test_train, k_test_test):
        kernel = "nngp" if regime == "nngp" else "ntk"
        targets = _Targets(solver(kernel).k, y_train, trace_axes)
        if k_test_train is None:
            mean, n = targets.y.copy(), len(solver(kernel).k)
            cov = np.zeros((n, n))
        else:
            k = _matrix(_part(k_test_train, kernel, "k_test_train"), "k_test_train")
            mean = targets.rows(k @ solver(kernel).solve(targets.columns(targets.y)))
            cov = None if k_test_test is None else covariance(regime, k_test_train, k_test_test)
        if k_test_test is None:
            return mean
        return Gaussian(mean, _blocks(cov, targets))

    def predict_fn(get=None, k_test_train=None, k_test_test=None):
        get = ("nngp", "ntk") if get is None else get
        names = names_of(get, ("nngp", "ntk", "ntkgp"))
        return _gaussians(get, {name: one(name, k_test_train, k_test_test) for name in names})

    return predict_fn


def _covariance(cov, rounding=np.inf):
    """Symmetric, without variances in (-rounding, 0): what rounding has left of a covariance [...][m][m]."""
    cov = (cov + np.swapaxes(cov, -1, -2)) / 2
    diagonal = np.einsum("...ii->...i", cov)
    diagonal[(diagonal < 0) & (diagonal > -rounding)] = 0
    return cov


def _blocks(cov, targets):
    """[m c][m c] as [m][m][c][c] for kernels with blocks; times in front stay."""
    if not targets.blocks:
        return cov
    c = targets.y.shape[1]
    m = cov.shape[-1] // c
    return np.swapaxes(cov.reshape((*cov.shape[:-2], m, c, m, c)), -3, -2)


def gradient_descent_mse_ensemble(kernel_fn, x_train, y_train, learning_rate=1.0, diag_reg=0.0,
                                  diag_reg_absolute_scale=False, trace_axes=(-1,), **kernel_fn_train_train_kwargs):
    """Mean and covariance of infinitely many networks trained on the squared loss, at any time (Lee et al. 2019).

    kernel_fn: of ntk.stax, or any with kernel_fn(x1, x2, get). Returns predict_fn(t=None, x_test=None, get=None,
    compute_cov=False): t None is infinity (gp_inference), an array of any shape gives a leading axis each; get
    'nngp' (only the last layer trains) or 'ntk' (all do) or a tuple. x_test None: the training samples.
    """
    learning_rate, y_train = _number(learning_rate, "learning_rate", 0, above=True), _given(y_train, "y_train")
    cache = {}

    def train_kernels(names):
        missing = tuple(name for name in names if name not in cache)
        if missing:
            found = kernel_fn(x_train, None, missing, **kernel_fn_train_train_kwargs)
            cache.update(zip(missing, found))
        return named("Kernels", cache, cache.values())

    solvers, inferences = {}, {}  # which keep their factorisations

    def solver(name):
        if name not in solvers:
            solvers[name] = _Solver(getattr(train_kernels((name,)), name), diag_reg, diag_reg_absolute_scale)
        return solvers[name]

    def infer(k_dd, *args):
        if k_dd._fields not in inferences:
            inferences[k_dd._fields] = gp_inference(k_dd, y_train, diag_reg, diag_reg_absolute_scale, trace_axes)
        return inferences[k_dd._fields](*args)

    def at(regime, times, shape, k_td, k_tt):
        s = solver(regime)
        targets = _Targets(s.k, y_train, trace_axes)
        scaled = times / targets.size
        if k_td is None:
            mean = -s.decay(targets.columns(targets.y), scaled)
        else:
            mean = _matrix(getattr(k_td, regime), "k") @ s.fraction(targets.columns(targets.y), scaled)
        mean = targets.rows(mean, shape)
        if k_tt is None:
            return mean
        cov = _ensemble_covariance(regime, s, scaled, train_kernels(("nngp",)).nngp, k_td, k_tt)
        return Gaussian(mean, _blocks(_covariance(cov).reshape((*shape, *cov.shape[1:])), targets))

    def predict_fn(t=None, x_test=None, get=None, compute_cov=False, **kwargs):
        get = ("nngp", "ntk") if get is None else get
        names = names_of(get, ("nngp", "ntk"))
        need = tuple(n for n in ("nngp", "ntk") if n in names or (compute_cov and n == "nngp"))
        kwargs = {**kernel_fn_train_train_kwargs, **kwargs}
        k_dd = train_kernels(need)
        k_td = None if x_test is None else kernel_fn(x_test, x_train, need, **kwargs)
        k_tt = None
        if compute_cov:
            k_tt = True if x_test is None else kernel_fn(x_test, None, "nngp", **kwargs)
        if t is None:
            return infer(k_dd, get, k_td, k_tt)
        times, shape = _times(t, learning_rate)
        return _gaussians(get, {name: at(name, times, shape, k_td, k_tt) for name in names})

    return predict_fn


def _ensemble_covariance(regime, solver, t, nngp_dd, k_td, k_tt):
    """[times][m][m]; Lee et al. 2019, eq. 16 (all layers) and its analogue for the last layer."""
    weights, vectors = solver.eigen
    if k_td is None:
        left = solver.along(_LEFT, t)[:, None, :] * vectors  # V e^{-w t}, [times][n][n]
        if regime == "nngp":
            return (left * weights) @ left.transpose(0, 2, 1)
        project = left @ vectors.T
        return project @ _matrix(nngp_dd, "k") @ project.transpose(0, 2, 1)
    s_td, s_tt = _matrix(k_td.nngp, "k"), _matrix(k_tt, "k")
    if regime == "nngp":
        rotated = s_td @ vectors
        return s_tt - (rotated * solver.along(_GAIN, 2 * t)[:, None, :]) @ rotated.T
    rotated = _matrix(k_td.ntk, "k") @ vectors
    a = (rotated * solver.along(_GAIN, t)[:, None, :]) @ vectors.T
    cross = a @ s_td.T
    return s_tt + a @ _matrix(nngp_dd, "k") @ a.transpose(0, 2, 1) - cross - cross.transpose(0, 2, 1)


# ---- gradient descent on any loss that the library has

LOSSES = {"mse": 0, "xent": 1}


def mse(fx, y):
    """1/2 of the mean over all entries of (fx - y)^2: neural-tangents' squared loss."""
    return 0.5 * float(np.mean((as_array(fx, "fx") - as_array(y, "y")) ** 2))


def cross_entropy(fx, y):
    """- mean over samples and classes of y log softmax(fx), as in neural-tangents' examples."""
    fx = as_array(fx, "fx")
    top = fx.max(-1, keepdims=True)
    log_softmax = fx - top - np.log(np.exp(fx - top).sum(-1, keepdims=True))
    return -float(np.mean(log_softmax * as_array(y, "y")))


_FX = np.sin(np.arange(12.0)).reshape(3, 4)
_Y = 0.6 * np.eye(3, 4) + 0.1  # rows of sum 1


def _name_of(loss):
    """The name of a loss(fx, y) that has the value of mse or of cross_entropy at a point, or None."""
    try:
        value = float(loss(_FX, _Y))
    except Exception:
        return None
    same = (name for name, own in (("mse", mse), ("xent", cross_entropy)) if np.isclose(value, own(_FX, _Y), 1e-5, 0))
    return next(same, None)


def _loss_of(loss):
    """The library's number of a loss, which may be a function loss(fx, y) with the values of mse or cross_entropy."""
    name = _name_of(loss) if callable(loss) else {"cross_entropy": "xent", "squared": "mse"}.get(loss, loss)
    if name not in LOSSES:
        raise ValueError("loss must be 'mse', 'xent' or a function with the values of ntk.predict.mse or "
                         "ntk.predict.cross_entropy, means over all entries: others cannot be differentiated; got "
                         f"{loss!r}")
    return LOSSES[name]


def max_learning_rate(ntk_train_train, y_train_size=None, momentum=0.0, eps=1e-12):
    """Largest learning rate with which gradient descent on the squared loss converges: 2 (1 + momentum) size over the
    largest eigenvalue.

    ntk_train_train [n][n], or [n][n][c][c]. y_train_size: number of entries of y_train; None: the rows of the
    matrix. Goh 2017 (momentum).
    """
    from scipy.linalg import eigh

    k = _matrix(ntk_train_train, "ntk_train_train")
    if k.shape[0] != k.shape[1]:
        raise ValueError(f"ntk_train_train must be square, got {k.shape}")
    _number(momentum, "momentum", 0, 1)
    largest = eigh(k, eigvals_only=True, subset_by_index=(len(k) - 1, len(k) - 1))[0]
    return 2 * (1 + momentum) * (len(k) if y_train_size is None else y_train_size) / (largest + eps)


def gradient_descent(loss, k_train_train, y_train, learning_rate=1.0, momentum=None, trace_axes=(-1,), rtol=1e-7,
                     atol=1e-9):
    """Predictions of gradient descent on a loss, with momentum or without, by integrating f' = -K grad L(f).

    loss: mse or cross_entropy of this module, or 'mse', 'xent'. k_train_train [n][n], or [n][n][c][c] with
    trace_axes=(). y_train [n][c]; for the cross-entropy its rows are distributions over classes. momentum: 0 to 1,
    the heavy ball's; None: none; with it time is in units of sqrt(learning_rate). rtol, atol: tolerances of each
    output. Returns predict_fn(t=None, fx_train_or_state_0=0., fx_test_0=None, k_test_train=None): t ascending, of
    any shape (None, infinity, only for the squared loss without momentum, by its closed form); a start that is an
    ODEState gives an ODEState. Lee et al. 2019, eq. 4; SUNDIALS' CVODE.
    """
    number = _loss_of(loss)
    k = _given(k_train_train, "k_train_train")
    targets = _Targets(_matrix(k, "k_train_train"), y_train, trace_axes)
    if targets.blocks and k.ndim != 4:
        raise ValueError(f"k_train_train must have the shape [n][n][c][c] (trace_axes=()), got {k.shape}")
    y = targets.y.reshape(len(targets.y), -1)
    n, c = y.shape
    kernel = k / targets.size  # both losses are means over all entries, the library's are sums
    learning_rate = _number(learning_rate, "learning_rate", 0, above=True)
    if momentum is not None:
        momentum = _number(momentum, "momentum", 0, 1)

    def rows(f, name, count):
        return None if f is None else np.ascontiguousarray(
            np.broadcast_to(_given(f, name), (count, *targets.y.shape[1:]))).reshape(count, c)

    def integrate(t, start, k_test_train):
        times, shape = _times(t, np.sqrt(learning_rate) if momentum is not None else learning_rate)
        test = None
        if start.fx_test is not None:
            test = _given(k_test_train, "k_test_train") / targets.size
        m = 0 if test is None else len(test)
        velocities = momentum is not None
        outs = [np.empty((len(times), count, c)) if wanted else None
                for count, wanted in ((n, True), (m, m > 0), (n, velocities), (m, velocities and m > 0))]
        _core.flow(number, float("nan") if momentum is None else momentum, learning_rate, targets.blocks, rtol, atol,
                   (n, m, c), times,
                   (kernel, test, y, rows(start.fx_train, "fx_train", n), rows(start.fx_test, "fx_test", m),
                    rows(start.qx_train, "qx_train", n), rows(start.qx_test, "qx_test", m), *outs))
        tail = targets.y.shape[1:]
        return ODEState(*[None if f is None else f.reshape(*shape, -1, *tail) for f in outs])

    def predict_fn(t=None, fx_train_or_state_0=0.0, fx_test_0=None, k_test_train=None):
        state = fx_train_or_state_0
        start = state if isinstance(state, ODEState) else ODEState(0.0 if state is None else state, fx_test_0)
        if start.fx_test is not None and k_test_train is None:
            raise ValueError("predictions at test samples need k_test_train")
        if momentum is None and (start.qx_train is not None or start.qx_test is not None):
            raise ValueError("velocities qx_train, qx_test need a momentum")
        if t is None or np.isinf(t).any():
            if number != LOSSES["mse"] or momentum is not None or isinstance(state, ODEState):
                raise ValueError("t must be finite: this flow is integrated numerically")
            closed = gradient_descent_mse(k_train_train, y_train, learning_rate, trace_axes=trace_axes)
            return closed(t, state, fx_test_0, k_test_train)
        found = integrate(t, start, k_test_train)
        if isinstance(state, ODEState):
            return found
        return _wanted(found.fx_train, found.fx_test, state, fx_test_0)

    return predict_fn
