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
import re
from collections import namedtuple
from dataclasses import dataclass

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


def _training_matrix(k, name):
    """A kernel between training samples as a matrix of its own, and the dtype that it was computed in. Rounding keeps
    float32 kernels of other programs from being symmetric to the last digit, which the library asks for: they are made so."""
    dtype = as_array(k, name).dtype
    k = _matrix(k, name)
    if k.shape[0] != k.shape[1]:
        raise ValueError(f"{name} must be square, got {k.shape}")
    if dtype == np.float32:
        half = (k - k.T) / 2
        if np.abs(half).max(initial=0) <= 50 * np.finfo(dtype).eps * np.abs(k).max(initial=0):
            return k - half, dtype
    return k.copy(), dtype


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
        return np.ascontiguousarray(f.reshape(-1, 1) if self.blocks or f.ndim == 1 else f)


_POSTERIORS = {"nngp": 0, "ntk": 1, "ntkgp": 2}


class _Fits:
    """The library's models of one kernel matrix with its ridge and targets, each made when it is first needed."""

    def __init__(self, k, y, diag_reg, absolute, trace_axes):
        self.k, self.dtype = _training_matrix(k, "k_train_train")
        self.targets = _Targets(self.k, y, trace_axes)
        self.diag_reg, self.absolute = _number(diag_reg, "diag_reg", 0), bool(absolute)
        self._models = {}

    def model(self, regime="ntk", finite_time=False, nngp=None):
        """nngp: gives the NNGP matrix, which covariances of 'ntk' need; None: none. LinAlgError if it is singular."""
        found, has_nngp = self._models.get((regime, finite_time), (None, False))
        if found is None or (nngp is not None and not has_nngp):
            y = self.targets.columns(self.targets.y)
            covariance = regime != "ntk" or nngp is not None
            try:
                found = _core.Model.fit_matrix(self.k, nngp and nngp(), y, _POSTERIORS[regime], self.dtype.char,
                                               self.diag_reg, self.absolute, finite_time, covariance)
            except np.linalg.LinAlgError as error:
                scale = "(with diag_reg_absolute_scale=True)"
                raise np.linalg.LinAlgError(str(error).replace("(absolute)", scale)) from None
            except ValueError as error:
                raise ValueError(re.sub("^(k|nngp) ", "k_train_train ", str(error))) from None
            self._models[regime, finite_time] = found, nngp is not None
        return found

    def at_training(self, model, times, start=None, cov=False):
        """Outputs [times][n][c] from start [n][c] (None: 0), and their covariance [times][N][N] or None: N is n, or n c
        for kernels with blocks."""
        columns = None if start is None else self.targets.columns(start)
        return self._predict(model, times, len(self.k), (None, None, None), columns, cov)

    def at_test(self, model, times, k, start=None, nngp=None, prior=None):
        """The same of test samples, from 0, for their kernels with the training samples, and prior [M][M] if the
        covariance is wanted; start is that of the training samples."""
        columns = None if start is None else self.targets.columns(start)
        return self._predict(model, times, len(k), (k, nngp, prior), columns, prior is not None)

    def _predict(self, model, times, rows, kernels, start, cov):
        mean = np.empty((len(times), rows, model.outputs))
        cov = np.empty((len(times), rows, rows)) if cov else None
        model.predict_matrix(*kernels, times, start, mean, cov)
        y = self.targets.y
        return mean.reshape(len(times), rows * model.outputs * len(y) // y.size, *y.shape[1:]), cov


_INFINITY = np.array([np.inf])


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
    fits = _Fits(k_train_train, y_train, diag_reg, diag_reg_absolute_scale, trace_axes)
    y = fits.targets.y

    def at(t, f_train, f_test, k_test):
        times, shape = (_INFINITY, ()) if t is None else _times(t, learning_rate / y.size)
        model = fits.model(finite_time=t is not None)
        train = test = None
        if f_train is not None and t is None:
            train = y.copy()
        elif f_train is not None:
            train = fits.at_training(model, times, f_train)[0].reshape(*shape, *y.shape)
        if f_test is not None:
            moved = fits.at_test(model, times, k_test, f_train)[0]
            test = f_test + moved.reshape(*shape, *moved.shape[1:])
        return train, test

    def predict_fn(t=None, fx_train_0=0.0, fx_test_0=None, k_test_train=None):
        if fx_train_0 is None and fx_test_0 is None:
            raise ValueError("fx_train_0 and fx_test_0 are both None: nothing is to be predicted")
        k_test = _test_kernel(k_test_train, fx_test_0, len(fits.k))
        f_train = None if fx_train_0 is None else _given(fx_train_0, "fx_train_0")
        f_test = None if fx_test_0 is None else _given(fx_test_0, "fx_test_0")
        train, test = at(t, f_train, f_test, k_test)
        return _wanted(train, test, fx_train_0, fx_test_0)

    return predict_fn


def _test_kernel(k_test_train, fx_test_0, n):
    if fx_test_0 is None:
        return None
    if k_test_train is None:
        raise ValueError("predictions at test samples (fx_test_0) need k_test_train")
    return _test_matrix(k_test_train, "k_test_train", n)


def _test_matrix(k, name, n):
    k = _matrix(k, name)
    if k.shape[1] != n:
        raise ValueError(f"{name} must have {n} columns, one for each training row, got {k.shape[1]}")
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
    y_train, fits = _given(y_train, "y_train"), {}

    def fits_of(kernel):
        if kernel not in fits:
            k = _part(k_train_train, kernel, "k_train_train")
            fits[kernel] = _Fits(k, y_train, diag_reg, diag_reg_absolute_scale, trace_axes)
        return fits[kernel]

    def nngp():
        return _training_matrix(k_train_train.nngp, "k_train_train")[0]

    def one(regime, k_test_train, k_test_test):
        own = fits_of("nngp" if regime == "nngp" else "ntk")
        if k_test_train is None:
            mean, cov = own.targets.y.copy(), np.zeros(own.k.shape)
        else:
            spread = regime == "ntk" and k_test_test is not None
            if spread and not (hasattr(k_train_train, "nngp") and hasattr(k_test_train, "nngp")):
                raise ValueError("the covariance of 'ntk' needs both kernels, of train and test: compute them with "
                                 "get=('nngp', 'ntk')")
            kernels = _test_kernels(regime, k_test_train, k_test_test, len(own.k))
            (mean,), cov = own.at_test(own.model(regime, nngp=nngp if spread else None), _INFINITY, **kernels)
            cov = None if cov is None else cov[0]
        if k_test_test is None:
            return mean
        return Gaussian(mean, _blocks(cov, own.targets))

    def predict_fn(get=None, k_test_train=None, k_test_test=None):
        get = ("nngp", "ntk") if get is None else get
        names = names_of(get, ("nngp", "ntk", "ntkgp"))
        return _gaussians(get, {name: one(name, k_test_train, k_test_test) for name in names})

    return predict_fn


def _test_kernels(regime, k_test_train, k_test_test, n):
    """What _Fits.at_test needs of test samples; k_test_test None: no covariance."""
    k = _test_matrix(_part(k_test_train, "nngp" if regime == "nngp" else "ntk", "k_test_train"), "k_test_train", n)
    if k_test_test is None:
        return {"k": k}
    prior = _matrix(_part(k_test_test, "ntk" if regime == "ntkgp" else "nngp", "k_test_test"), "k_test_test")
    if prior.shape != (len(k), len(k)):
        raise ValueError(f"k_test_test must be square with {len(k)} rows, those of k_test_train, got {prior.shape}")
    nngp = _test_matrix(k_test_train.nngp, "k_test_train", n) if regime == "ntk" else None
    return {"k": k, "nngp": nngp, "prior": prior}


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

    fits, inferences = {}, {}  # which keep their factorisations

    def fits_of(name):
        if name not in fits:
            k = getattr(train_kernels((name,)), name)
            fits[name] = _Fits(k, y_train, diag_reg, diag_reg_absolute_scale, trace_axes)
        return fits[name]

    def nngp():
        return _training_matrix(train_kernels(("nngp",)).nngp, "k_train_train")[0]

    def infer(k_dd, *args):
        if k_dd._fields not in inferences:
            inferences[k_dd._fields] = gp_inference(k_dd, y_train, diag_reg, diag_reg_absolute_scale, trace_axes)
        return inferences[k_dd._fields](*args)

    def at(regime, times, shape, k_td, k_tt):
        own = fits_of(regime)
        model = own.model(regime, True, nngp if regime == "ntk" and k_tt is not None else None)
        times = times / own.targets.y.size
        if k_td is None:
            mean, cov = own.at_training(model, times, cov=k_tt is not None)
        else:
            mean, cov = own.at_test(model, times, **_test_kernels(regime, k_td, k_tt, len(own.k)))
        mean = mean.reshape(*shape, *mean.shape[1:])
        return mean if cov is None else Gaussian(mean, _blocks(cov.reshape(*shape, *cov.shape[1:]), own.targets))

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
    k, _ = _training_matrix(ntk_train_train, "ntk_train_train")
    _number(momentum, "momentum", 0, 1)
    largest = np.linalg.eigvalsh(k)[-1]
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
