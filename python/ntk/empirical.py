# SPDX-License-Identifier: MIT
"""Finite networks' kernels: the empirical NTK and NNGP, linearisation, Monte-Carlo estimates.

The functions take an apply_fn that ntk.stax made; an arbitrary Python function has no structure to work with.
"""
import enum
from numbers import Integral

import numpy as np

from . import _core
from ._arrays import as_array, as_samples, named, names_of, pair, seed_of
from ._kernel import WANT
from ._net import flatten, nest, net_of

_TRACE, _DIAGONAL, _FULL = 0, 1, 2


class NtkImplementation(enum.IntEnum):
    """neural-tangents' ways to compute an empirical NTK, accepted everywhere; this library has one, its structured
    derivatives, with the cheaper contraction chosen layer by layer (Novak et al. 2022)."""

    AUTO = 0
    JACOBIAN_CONTRACTION = 1
    NTK_VECTOR_PRODUCTS = 2
    STRUCTURED_DERIVATIVES = 3


def _axes(axes):
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    if not set(axes) <= {-1, 1}:
        raise ValueError(f"trace_axes and diagonal_axes may have the outputs' axis, -1, only; got {axes}")
    return axes


def _form(trace_axes, diagonal_axes):
    trace, diagonal = _axes(trace_axes), _axes(diagonal_axes)
    if trace and diagonal:
        raise ValueError("an axis cannot be in trace_axes and in diagonal_axes")
    return _TRACE if trace else _DIAGONAL if diagonal else _FULL


def _kernel(net, which, form, x1, x2, params):
    x1, x2, dtype = pair(x1, x2)
    x1 = x1.astype(dtype, copy=False)
    if len(net.out_shape(x1.shape[1:])) > 1:
        raise ValueError("an empirical kernel needs a network whose output is a vector: end it with Flatten() or "
                         f"GlobalAvgPool(); an output of {net.text} has the shape {net.out_shape(x1.shape[1:])}")

    def use(network):
        c = network.outputs
        shape = (len(x1), len(x1 if x2 is None else x2)) + {_TRACE: (), _DIAGONAL: (c,), _FULL: (c, c)}[form]
        out = np.empty(shape, dtype)
        network.kernel(WANT[which], form, x1, x2, out)
        return out

    return net.with_theta(params, x1.shape[1:], dtype, use)


def empirical_ntk_fn(f, trace_axes=(-1,), diagonal_axes=(), vmap_axes=None,
                     implementation=NtkImplementation.STRUCTURED_DERIVATIVES):
    """ntk_fn(x1, x2, params) -> the tangent kernel df/dtheta(x1) df/dtheta(x2)' of a finite network.

    f: an apply_fn of ntk.stax. trace_axes=(-1,): mean over equal outputs, [n1][n2], what tends to the infinite NTK
    as width grows; trace_axes=(), diagonal_axes=(-1,): equal outputs, [n1][n2][c]; both empty: all pairs of
    outputs, [n1][n2][c][c]. x2 None: x1 with itself. vmap_axes and implementation are accepted and not needed.
    Jacot et al. 2018; Novak et al. 2022 (structured derivatives).
    """
    net, form = net_of(f, "f"), _form(trace_axes, diagonal_axes)

    def ntk_fn(x1, x2, params, **kwargs):
        return _kernel(net, "ntk", form, x1, x2, params)

    return ntk_fn


def empirical_nngp_fn(f, trace_axes=(-1,), diagonal_axes=()):
    """nngp_fn(x1, x2, params) -> f(x1) f(x2)' of a finite network; axes as in empirical_ntk_fn."""
    net, form = net_of(f, "f"), _form(trace_axes, diagonal_axes)

    def nngp_fn(x1, x2, params, **kwargs):
        return _kernel(net, "nngp", form, x1, x2, params)

    return nngp_fn


def _by_name(get, name, make):
    """make(name) for one name, a named tuple of a tuple of names; None: both kernels."""
    names = ("nngp", "ntk") if get is None else names_of(get, ("nngp", "ntk"))
    return make(get) if isinstance(get, str) else named(name, names, map(make, names))


def empirical_kernel_fn(f, trace_axes=(-1,), diagonal_axes=(), vmap_axes=None,
                        implementation=NtkImplementation.STRUCTURED_DERIVATIVES):
    """kernel_fn(x1, x2, get, params) -> empirical 'nngp', 'ntk', or a named tuple of both; see empirical_ntk_fn."""
    fns = {"nngp": empirical_nngp_fn(f, trace_axes, diagonal_axes),
           "ntk": empirical_ntk_fn(f, trace_axes, diagonal_axes)}

    def kernel_fn(x1, x2, get, params, **kwargs):
        return _by_name(get, "EmpiricalKernel", lambda name: fns[name](x1, x2, params))

    return kernel_fn


def empirical_ntk_vp_fn(f, x1, x2, params, **apply_fn_kwargs):
    """vp_fn(v) -> Theta(x1, x2) v without the matrix: v [n2][c] to [n1][c], one vjp and one jvp a call."""
    net = net_of(f, "f")
    x1, x2, dtype = pair(x1, x2)
    x1 = x1.astype(dtype, copy=False)

    def vp_fn(v):
        def use(network):
            c = network.outputs
            rows = len(x1 if x2 is None else x2)
            tangent = as_array(v, "v", dtype)
            if tangent.shape != (rows, c):
                raise ValueError(f"v must have the shape {(rows, c)}, got {tangent.shape}")
            out = np.empty((len(x1), c), dtype)
            network.ntk_product(x1, x2, tangent, out)
            return out

        return net.with_theta(params, x1.shape[1:], dtype, use)

    return vp_fn


def linearize(f, params):
    """f_lin(new_params, x) -> f(params, x) + df/dtheta (new_params - params), the network linearised at params.

    f: an apply_fn of ntk.stax. Lee et al. 2019, eq. 5.
    """
    net = net_of(f, "f")

    def f_lin(new_params, x, **kwargs):
        x = as_samples(x, "x")

        def use(network):
            new, old = (flatten(p, network).astype(np.float64) for p in (new_params, params))
            value, change = _jvp(net, network, x, new - old)
            return value + change

        return net.with_theta(params, x.shape[1:], x.dtype, use)

    return f_lin


def taylor_expand(f, params, degree):
    """The Taylor expansion of a network in its parameters: degree 0 or 1 (linearize); higher ones are a
    NotImplementedError."""
    if degree == 0:
        return lambda new_params, x, **kwargs: f(params, x)
    if degree != 1:
        raise NotImplementedError(f"taylor_expand has degrees 0 and 1, got {degree}")
    return linearize(f, params)


def _jvp(net, network, x, tangent):
    value, change = (np.empty((len(x), *net.out_shape(x.shape[1:])), x.dtype) for _ in range(2))
    network.jvp(x, tangent.astype(x.dtype), value, change)
    return value, change


def jvp(f, params, tangent, x):
    """(f(x), df/dtheta tangent), of f(x)'s shape; tangent is nested as params are."""
    net, x = net_of(f, "f"), as_samples(x, "x")

    def use(network):
        return _jvp(net, network, x, flatten(tangent, network))

    return net.with_theta(params, x.shape[1:], x.dtype, use)


def vjp(f, params, cotangent, x):
    """The gradient of sum(cotangent * f(x)) with respect to params, nested as they are; cotangent [n][c]."""
    net, x = net_of(f, "f"), as_samples(x, "x")

    def use(network):
        gradient = np.empty(network.count, x.dtype)
        network.vjp(x, as_array(cotangent, "cotangent", x.dtype), gradient)
        return nest(network, gradient)

    return net.with_theta(params, x.shape[1:], x.dtype, use)


def monte_carlo_kernel_fn(init_fn, apply_fn, key, n_samples, batch_size=0, device_count=-1, store_on_device=True,
                          trace_axes=(-1,), diagonal_axes=(), vmap_axes=None,
                          implementation=NtkImplementation.STRUCTURED_DERIVATIVES):
    """kernel_fn(x1, x2=None, get=None) -> mean of empirical kernels over n_samples random networks.

    init_fn, apply_fn: of ntk.stax. key: a seed, as init_fn's rng; estimates of different keys have no network in
    common. n_samples: a number, or several in ascending order, for which kernel_fn is a generator of estimates.
    Other arguments are accepted and not needed; kernels are means over equal outputs (trace_axes=(-1,)). get as in
    kernel_fn of ntk.stax.
    """
    net, seed = net_of(apply_fn, "apply_fn"), seed_of(key)
    one = isinstance(n_samples, Integral)
    counts = [n_samples] if one else list(n_samples)
    if _form(trace_axes, diagonal_axes) != _TRACE:
        raise ValueError("monte_carlo_kernel_fn computes the mean over outputs: trace_axes must be (-1,)")

    def estimate(x1, x2, which, first, count):
        x1, x2, dtype = pair(x1, x2)
        mean = np.empty((len(x1), len(x1 if x2 is None else x2)))
        _core.monte_carlo(net.text, WANT[which], x1, x2, dtype.char, first, count, seed, mean, None)
        return mean

    def kernel_fn(x1, x2=None, get=None, **kwargs):
        whole = _by_name(get, "MonteCarloKernel",
                         lambda name: _running(lambda *a: estimate(x1, x2, name, *a), counts))
        if one:
            return next(whole) if isinstance(get, str) else type(whole)(*map(next, whole))
        return whole if isinstance(get, str) else (type(whole)(*values) for values in zip(*whole))

    return kernel_fn


def _running(estimate, counts):
    """Means over ever more networks."""
    done, total = 0, 0
    for n in counts:
        if n <= done:
            raise ValueError(f"n_samples must be positive and ascending, got {counts}")
        total = total + (n - done) * estimate(done, n - done)
        done = n
        yield total / done
