# SPDX-License-Identifier: MIT
"""The kernel of an infinite network as a kernel of scikit-learn's Gaussian processes, with hyper-parameters.

    GaussianProcessRegressor(ConstantKernel() * NTKKernel(depth=3, kernel='nngp') + WhiteKernel()).fit(X, y)
    SVC(kernel=NTKKernel('serial(Dense(1, W_std, b_std), Erf(), Dense(1, W_std, b_std))')).fit(X, labels)

Needs scikit-learn 1.3 or newer.
"""
import re

import numpy as np
from sklearn.gaussian_process.kernels import Hyperparameter, Kernel

from ._arrays import as_samples, check_numbers
from ._kernel import WANT, kernels, variances
from ._net import net_of
from .estimators import _architecture_net, _as_inputs

_NAMES = ("W_std", "b_std")

# Step in log(hyper-parameter). Entries are smooth in it up to rounding of 1e-15 or so: the rule's error, of order
# step**4, and rounding / step then both are below 1e-9 of the derivative for networks of up to some ten layers.
_STEP = 5e-4


def _name(name):
    """A name where it stands for a value: a keyword is followed by '='."""
    return re.compile(rf"(?<![\w.]){name}(?!\w)(?!\s*=)")


class NTKKernel(Kernel):
    """NTK or NNGP of an architecture whose deviations W_std and b_std are hyper-parameters.

    For GaussianProcessRegressor and GaussianProcessClassifier, alone or in sums and products with other kernels, and,
    as it is called with two sets of samples, for SVC(kernel=NTKKernel()) and pairwise_kernels.

    Parameters
    ----------
    architecture : str, callable, layer of ntk.stax or None, default=None
        A text in the architecture language with W_std and b_std as names for values: 'serial(Dense(1, W_std, b_std),
        Relu(), Dense(1, W_std=2 * W_std))'. Or a function (W_std, b_std) -> text or layer. None: the preset fc of
        depth and activation, which are else ignored. A deviation that does not occur is fixed.
    kernel : {'ntk', 'nngp'}, default='ntk'
        'nngp' is the covariance of the untrained network, of which Gaussian process regression is the Bayesian
        network (Lee et al. 2018); 'ntk' is that of He et al. 2020's NTKGP (Jacot et al. 2018).
    W_std, b_std : float, default=sqrt(2) and 0.1
        Deviations, above 0. b_std may be 0 and then is fixed, as it has no logarithm.
    W_std_bounds, b_std_bounds : pair of floats or 'fixed', default=(0.1, 10) and (1e-3, 10)
        Where they are searched.
    depth : int, default=3
        Hidden layers, at least 1.
    activation : str, default='relu'
        Their activation.
    input_shape : tuple or None, default=None
        (w, c) or (h, w, c): rows of X are sequences or images of this shape.

    Notes
    -----
    theta holds logarithms. Gradients by them are central differences of order four in float64, of networks that are
    computed in one pass, good to 1e-8 of the largest entry for networks of up to ten layers. For networks of
    ReLU layers without biases W_std only scales the kernel.

    Raises
    ------
    ValueError
        When called: the architecture is wrong (line, column and a caret) or does not fit the samples, or these are
        not finite.

    Examples
    --------
    >>> import numpy as np, ntk
    >>> from sklearn.gaussian_process import GaussianProcessRegressor
    >>> X = np.linspace(-1, 1, 20)[:, None]
    >>> gp = GaussianProcessRegressor(ntk.NTKKernel(depth=1, activation='erf', kernel='nngp'), alpha=1e-6)
    >>> gp.fit(X, np.sin(3 * X[:, 0])).predict(X).shape
    (20,)
    """

    def __init__(self, architecture=None, kernel="ntk", W_std=2**0.5, b_std=0.1, W_std_bounds=(1e-1, 1e1),
                 b_std_bounds=(1e-3, 1e1), depth=3, activation="relu", input_shape=None):
        self.architecture = architecture
        self.kernel = kernel
        self.W_std = W_std
        self.b_std = b_std
        self.W_std_bounds = W_std_bounds
        self.b_std_bounds = b_std_bounds
        self.depth = depth
        self.activation = activation
        self.input_shape = input_shape

    @property
    def hyperparameter_W_std(self):
        return Hyperparameter("W_std", "numeric", self._bounds("W_std"))

    @property
    def hyperparameter_b_std(self):
        return Hyperparameter("b_std", "numeric", self._bounds("b_std"))

    def _bounds(self, name):
        text = self._architecture()
        absent = isinstance(text, str) and not _name(name).search(text)
        return "fixed" if absent or getattr(self, name) == 0 else getattr(self, f"{name}_bounds")

    def net(self, W_std=None, b_std=None):
        """The network at these deviations (default: the kernel's own)."""
        values = {"W_std": float(self.W_std if W_std is None else W_std),
                  "b_std": float(self.b_std if b_std is None else b_std)}
        architecture = self.architecture
        if isinstance(architecture, str):
            for name, value in values.items():
                architecture = _name(name).sub(repr(value), architecture)
        elif self._is_function():
            architecture = architecture(**values)
        return _architecture_net(architecture, self.depth, self.activation, **values)

    def __call__(self, X, Y=None, eval_gradient=False):
        """K(X, Y), [n][m] of float64; Y None: X with itself. With eval_gradient also dK/dtheta, [n][n][n_dims]."""
        self._check()
        net = self.net()
        X = self._samples(X, net)
        if not eval_gradient:
            return kernels([net], X, None if Y is None else self._samples(Y, net), self.kernel)[0]
        if Y is not None:
            raise ValueError("gradients are of K(X, X): Y must be None with eval_gradient")
        free = [h.name for h in self.hyperparameters if not h.fixed]
        shifted = [self.net(**{name: getattr(self, name) * np.exp(k * _STEP)}) for name in free
                   for k in (-2, -1, 1, 2)]
        K, *K_shifted = kernels([net, *shifted], X, None, self.kernel)
        gradient = np.empty((*K.shape, len(free)))
        for i in range(len(free)):
            far_below, below, above, far_above = K_shifted[4 * i:4 * i + 4]
            gradient[..., i] = (8 * (above - below) - (far_above - far_below)) / (12 * _STEP)
        return K, gradient

    def diag(self, X):
        """K(x, x) of each sample, [n]."""
        self._check()
        net = self.net()
        return variances(net, self._samples(X, net), self.kernel)

    def is_stationary(self):
        """False: a network knows where its inputs are."""
        return False

    def _check(self):
        if self.kernel not in WANT:
            raise ValueError(f"kernel must be 'ntk' or 'nngp', got {self.kernel!r}")

    def _samples(self, X, net):
        check_numbers(X, "X")
        return _as_inputs(as_samples(np.atleast_2d(X), "X", np.float64), net, self.input_shape)

    def _architecture(self):
        """The architecture as a text, a function of the deviations, or None."""
        made = self.architecture is None or isinstance(self.architecture, str) or self._is_function()
        return self.architecture if made else net_of(self.architecture, "architecture").text

    def _is_function(self):
        return callable(self.architecture) and not hasattr(self.architecture, "net")

    def __eq__(self, other):
        if type(self) is not type(other):
            return False
        mine, others = ({**k.get_params(), "architecture": k._architecture()} for k in (self, other))
        return all(np.array_equal(mine[name], others[name]) for name in mine)

    def __repr__(self):
        what = f"depth={self.depth}, activation={self.activation!r}"
        if self.architecture is not None:
            what = f"architecture={self._architecture()!r}"
        return f"NTKKernel({what}, kernel={self.kernel!r}, W_std={self.W_std:.4g}, b_std={self.b_std:.4g})"
