# SPDX-License-Identifier: MIT
"""The same calls as neural-tangents' users write them give neural-tangents' numbers (tests/golden/python_peer.npz)."""
import ast
import inspect
import json
import math
import pathlib
from types import SimpleNamespace

import calls
import numpy as np
import pytest

import ntk
from ntk import predict, stax

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
PEER = calls.load(GOLDEN / "python_peer.npz")
NETS = json.loads((GOLDEN / "nets.json").read_text())["nets"]
EXACT, NOISE = 1e-9, 1e-6  # where neural-tangents takes an angle from a rounded correlation, it is off by up to 1e-8


def deviation(got, want):
    """Largest difference in units of the largest entry; numbers that neural-tangents does not have (NaN) left out."""
    got = np.asarray(got)
    assert got.shape == want.shape and np.isfinite(got).all()
    known = np.isfinite(want)
    return np.max(np.abs(got - want)[known], initial=0) / max(np.max(np.abs(want[known]), initial=0), 1e-300)


def equal_rows(x1, x2):
    return (x1[:, None] == x2).reshape(len(x1), len(x2), -1).all(-1)


@pytest.fixture(scope="module")
def kernels():
    return calls.kernels(ntk, PEER)


@pytest.mark.parametrize("name", calls.architectures(stax))
def test_kernels(name, kernels):
    x = PEER[calls.architectures(stax)[name][1]]
    equal = equal_rows(x, x)
    for which in ("nngp", "ntk"):
        got, want = kernels[f"kernels/{name}/pair/{which}"], PEER[f"kernels/{name}/pair/{which}"]
        assert deviation(got, want) < EXACT
        got, want = kernels[f"kernels/{name}/self/{which}"], PEER[f"kernels/{name}/self/{which}"]
        scale = np.abs(want[~equal]).max()
        assert np.abs(got - want)[~equal].max() < EXACT * scale
        if name != "rectified_monomial":  # there neural-tangents' value at equal samples is NaN, or wrong
            assert np.abs(got - want)[equal].max() < NOISE * scale


@pytest.mark.parametrize("name", calls.architectures(stax))
def test_equal_samples(name, kernels):
    """Rows 0 and 2 are equal: so are their kernels, with anything but themselves where Dropout acts."""
    for which in ("nngp", "ntk"):
        k = kernels[f"kernels/{name}/self/{which}"]
        assert np.array_equal(k, k.T)
        assert np.allclose(k[0, [1, 3]], k[2, [1, 3]], rtol=1e-13, atol=0)
        if name not in ("dropout", "normalised_images"):
            assert np.allclose([k[0, 2], k[2, 2]], k[0, 0], rtol=1e-13, atol=0)


def test_relu_variances():
    """Two hidden layers of ReLU at equal samples, where q -> q / 2 and the angle is 0: NNGP q / 4, NTK 3 q / 4."""
    x = PEER["vector"]
    k = calls.arch.readme(stax)[2](x, None, ("nngp", "ntk"))
    q = (x**2).mean(-1)
    assert np.allclose(np.diag(k.nngp), q / 4, rtol=1e-14)
    assert np.allclose(np.diag(k.ntk), 3 * q / 4, rtol=1e-14)
    assert np.allclose(k.ntk[0, 2], 3 * q[0] / 4, rtol=1e-14)


@pytest.mark.parametrize("case", NETS, ids=[f"{i}" for i in range(len(NETS))])
def test_many_digits(case):
    """Networks of nets.json, built by the functions of stax, against 50 digits."""
    x = np.array(case["x"])
    k = eval(case["net"], vars(stax).copy())[2](x, None, ("nngp", "ntk"))
    for which in ("nngp", "ntk"):
        want = np.array(case[which])
        scale = np.sqrt(np.diag(want))
        scale = np.maximum(np.outer(scale, scale), 1e-300)
        error = np.abs(getattr(k, which) - want) / scale
        assert error[~almost_parallel(x)].max() < 1e-12 and error.max() < 1e-4


def almost_parallel(x):
    """Pairs of different rows whose angle has half of the digits; after two layers of Sign, a quarter."""
    norms = np.maximum(np.linalg.norm(x, axis=-1), 1e-100)
    return (np.abs(x @ x.T) / np.outer(norms, norms) > 1 - 1e-5) & ~equal_rows(x, x)


def test_fields():
    for name, got in calls.fields(ntk, PEER).items():
        assert deviation(got, PEER[name]) < (NOISE if "self" in name or "copy" in name else EXACT), name


def test_predictions():
    for name, got in calls.predictions(ntk, PEER).items():
        assert deviation(got, PEER[name]) < EXACT, name


def nest(tree, leaves):
    """neural-tangents' nest of arrays from the nest of their numbers."""
    if isinstance(tree, (list, tuple)):
        return type(tree)(nest(t, leaves) for t in tree)
    return None if tree is None else leaves[tree]


def params_of(name):
    tree = ast.literal_eval(PEER[f"params/{name}"])
    count = sum(key.startswith(f"params/{name}/new/") for key in PEER)
    return tuple(nest(tree, [PEER[f"params/{name}/{new}{k}"] for k in range(count)]) for new in ("", "new/"))


def test_finite_networks():
    params = {name: params_of(name) for name in calls.finite_networks(stax)}
    for name, got in calls.finite(ntk, PEER, params).items():
        assert deviation(got, PEER[name]) < EXACT, name


def test_flows():
    """neural-tangents integrates to 1.4e-8 a step, ours to 1e-7: both errors add up along the way."""
    for name, got in calls.flows(ntk, PEER, {"mse": predict.mse, "xent": predict.cross_entropy}).items():
        assert deviation(got, PEER[name]) < 2e-5, name


@pytest.mark.parametrize("name", calls.finite_networks(stax))
def test_params_have_the_same_nest(name):
    (init_fn, apply_fn, _), x = calls.finite_networks(stax)[name]
    out_shape, params = init_fn(np.random.default_rng(0), (-1, *PEER[x].shape[1:]))
    assert out_shape == (-1, 2)

    def shapes(p):
        return type(p)(map(shapes, p)) if isinstance(p, (list, tuple)) else np.squeeze(p).shape if p is not None else p

    # A Dense on positions has b [1][out] here, [1][1][1][out] there, hence squeeze.
    assert shapes(params) == shapes(params_of(name)[0])


def test_repeat_takes_stacked_and_listed_parameters():
    layer = stax.serial(stax.Dense(3, b_std=0.1), stax.Erf())
    init_fn, apply_fn, _ = stax.repeat(layer, 3)
    _, params = init_fn(1, (-1, 3))
    x = np.eye(3)
    W, b = params[0]
    assert W.shape == (3, 3, 3) and b.shape == (3, 1, 3)
    want = x
    for i in range(3):
        want = layer[1]([(W[i], b[i]), ()], want)
    assert np.allclose(apply_fn(params, x), want, rtol=1e-14)
    assert np.array_equal(apply_fn([[(W[i], b[i]), ()] for i in range(3)], x), apply_fn(params, x))
    gradient = ntk.empirical.vjp(apply_fn, params, np.ones((3, 3)), x)
    assert gradient[0][0].shape == W.shape
    # The first of these layers has another shape, so that they cannot be stacked.
    assert len(init_fn(1, (-1, 5))[1]) == 3
    assert apply_fn(init_fn(1, (-1, 5))[1], np.ones((2, 5))).shape == (2, 3)


def test_outputs_with_positions():
    init_fn, apply_fn, kernel_fn = stax.serial(stax.Conv(3, (2, 2), b_std=0.1), stax.Relu())
    x = PEER["small"]
    out_shape, params = init_fn(1, x.shape)
    f = apply_fn(params, x)
    assert f.shape == out_shape == (4, 5, 5, 3)
    assert np.allclose(ntk.linearize(apply_fn, params)(params, x), f, rtol=1e-13)
    assert ntk.empirical.vjp(apply_fn, params, np.ones_like(f), x)[0][0].shape == (2, 2, 2, 3)
    for function in (lambda: kernel_fn(x, None, "ntk"), lambda: ntk.empirical_ntk_fn(apply_fn)(x, None, params)):
        with pytest.raises(ValueError, match="Flatten"):
            function()


@pytest.mark.parametrize("which", ["nngp", "ntk"])
@pytest.mark.parametrize("network", [
    "serial(Dense(64, 1.5, 0.1), Relu(), Dense(64, 1.2), Erf(), Dense(1))",
    "serial(Conv(32, (3,), padding='SAME'), Relu(), GlobalAvgPool(), Dense(1))",
])
def test_monte_carlo(network, which):
    init_fn, apply_fn, kernel_fn = stax.parse(network)
    x = PEER["sequence" if "Conv" in network else "vector"]
    exact = kernel_fn(x, None, which)
    counts = [100, 400]
    means = list(ntk.monte_carlo_kernel_fn(init_fn, apply_fn, 3, counts)(x, None, which))
    rough, fine = (np.abs(m - exact).max() / exact.max() for m in means)
    # Measured: up to 0.15 and 0.054, part of which is the bias of a finite width.
    assert len(means) == 2 and rough < 0.3 and fine < 0.1
    single = ntk.monte_carlo_kernel_fn(init_fn, apply_fn, 3, counts[1])(x, None, (which,))
    assert np.allclose(single[0], means[1], rtol=1e-12)


# ---- the interface

SIGNATURES = {
    ntk: {
        "batch": "kernel_fn, batch_size=0, device_count=-1, store_on_device=True",
        "empirical_kernel_fn": "f, trace_axes=(-1,), diagonal_axes=(), vmap_axes=None, implementation=1",
        "empirical_nngp_fn": "f, trace_axes=(-1,), diagonal_axes=()",
        "empirical_ntk_fn": "f, trace_axes=(-1,), diagonal_axes=(), vmap_axes=None, implementation=1",
        "empirical_ntk_vp_fn": "f, x1, x2, params, **apply_fn_kwargs",
        "linearize": "f, params",
        "monte_carlo_kernel_fn": "init_fn, apply_fn, key, n_samples, batch_size=0, device_count=-1, "
                                 "store_on_device=True, trace_axes=(-1,), diagonal_axes=(), vmap_axes=None, "
                                 "implementation=1",
        "taylor_expand": "f, params, degree",
    },
    predict: {
        "gp_inference": "k_train_train, y_train, diag_reg=0.0, diag_reg_absolute_scale=False, trace_axes=(-1,)",
        "gradient_descent": "loss, k_train_train, y_train, learning_rate=1.0, momentum=None, trace_axes=(-1,), "
                            "rtol=1e-07, atol=1e-09",
        "gradient_descent_mse": "k_train_train, y_train, learning_rate=1.0, diag_reg=0.0, "
                                "diag_reg_absolute_scale=False, trace_axes=(-1,)",
        "gradient_descent_mse_ensemble": "kernel_fn, x_train, y_train, learning_rate=1.0, diag_reg=0.0, "
                                         "diag_reg_absolute_scale=False, trace_axes=(-1,), "
                                         "**kernel_fn_train_train_kwargs",
        "max_learning_rate": "ntk_train_train, y_train_size=None, momentum=0.0, eps=1e-12",
        "ODEState": "fx_train=None, fx_test=None, qx_train=None, qx_test=None",
        "Gaussian": "mean, covariance",
    },
    stax: {
        "ABRelu": "a, b, do_stabilize=False",
        "Abs": "do_stabilize=False",
        "AvgPool": "window_shape, strides=None, padding='VALID', normalize_edges=False, batch_axis=0, channel_axis=-1",
        "Conv": "out_chan, filter_shape, strides=None, padding='VALID', W_std=1.0, b_std=None, "
                "dimension_numbers=None, parameterization='ntk', s=(1, 1)",
        "Cos": "a=1.0, b=1.0, c=0.0",
        "Dense": "out_dim, W_std=1.0, b_std=None, batch_axis=0, channel_axis=-1, parameterization='ntk', s=(1, 1)",
        "Dropout": "rate, mode='train'",
        "Elementwise": "fn=None, nngp_fn=None, d_nngp_fn=None",
        "ElementwiseNumerical": "fn, deg, df=None",
        "Erf": "a=1.0, b=1.0, c=0.0",
        "Exp": "a=1.0, b=1.0",
        "FanInConcat": "axis=-1",
        "FanInProd": "",
        "FanInSum": "",
        "FanOut": "num",
        "Flatten": "batch_axis=0, batch_axis_out=0",
        "Gaussian": "a=1.0, b=-1.0",
        "Gelu": "approximate=False",
        "GlobalAvgPool": "batch_axis=0, channel_axis=-1",
        "GlobalSumPool": "batch_axis=0, channel_axis=-1",
        "Hermite": "degree",
        "Identity": "",
        "LayerNorm": "axis=-1, eps=1e-12, batch_axis=0, channel_axis=-1",
        "LeakyRelu": "alpha, do_stabilize=False",
        "Monomial": "degree",
        "Polynomial": "coef",
        "Rbf": "gamma=1.0",
        "RectifiedMonomial": "degree",
        "Relu": "do_stabilize=False",
        "Sigmoid_like": "",
        "Sign": "",
        "Sin": "a=1.0, b=1.0, c=0.0",
        "SumPool": "window_shape, strides=None, padding='VALID', batch_axis=0, channel_axis=-1",
        "parallel": "*layers",
        "repeat": "layer, n",
        "serial": "*layers",
    },
}
# implementation: there is one, structured derivatives. trainable: ours, last. Elementwise: further arguments are those
# of the activation that fn names; neural-tangents' other arguments are taken by keyword and explained or not needed.
DIFFERENT = {
    "empirical_kernel_fn": ("implementation=1", "implementation=3"),
    "empirical_ntk_fn": ("implementation=1", "implementation=3"),
    "monte_carlo_kernel_fn": ("implementation=1", "implementation=3"),
    "Conv": ("s=(1, 1)", "s=(1, 1), trainable=True"),
    "Dense": ("s=(1, 1)", "s=(1, 1), trainable=True"),
    "Elementwise": ("fn=None, nngp_fn=None, d_nngp_fn=None", "fn, *arguments"),
    "ElementwiseNumerical": ("df=None", "*arguments"),
}


def signature(f):
    words = []
    for p in inspect.signature(f).parameters.values():
        default = int(p.default) if isinstance(p.default, ntk.NtkImplementation) else p.default
        default = "" if default is p.empty else f"={default!r}"
        words.append({p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "") + p.name + default)
    return ", ".join(words)


@pytest.mark.parametrize("module, name", [(m, n) for m in SIGNATURES for n in SIGNATURES[m]])
def test_signatures(module, name):
    want = SIGNATURES[module][name].replace(*DIFFERENT.get(name, ("", "")))
    assert signature(getattr(module, name)) == want


def test_functions_that_factories_give():
    """What neural-tangents' kernel_fn, predict_fn, ... take, with the same names, order and defaults."""
    _, apply_fn, kernel_fn = stax.serial(stax.Dense(4), stax.Relu(), stax.Dense(1))
    x, y = PEER["x_train"], PEER["y_train"]
    k = kernel_fn(x, None, ("nngp", "ntk"))
    ensemble = predict.gradient_descent_mse_ensemble(kernel_fn, x, y)
    assert signature(kernel_fn) == "x1, x2=None, get=None, **kwargs"
    assert signature(predict.gradient_descent_mse(k.ntk, y)) == ("t=None, fx_train_0=0.0, fx_test_0=None, "
                                                                 "k_test_train=None")
    assert signature(predict.gp_inference(k, y)) == "get=None, k_test_train=None, k_test_test=None"
    assert signature(ensemble).startswith("t=None, x_test=None, get=None, compute_cov=False")
    assert signature(ntk.empirical_ntk_fn(apply_fn)) == "x1, x2, params, **kwargs"
    assert signature(ntk.empirical_kernel_fn(apply_fn)) == "x1, x2, get, params, **kwargs"
    assert kernel_fn(x, None, "nngp", pattern=None, mask_constant=None, diagonal_batch=True).shape == (8, 8)


def test_numbers_of_numpy_are_arguments():
    layer = stax.Dense(np.int64(4), np.float64(1.5), np.float32(0.5), parameterization=np.str_("ntk"))
    assert str(layer) == "Dense(4, 1.5, 0.5, parameterization='ntk')"


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))


@pytest.mark.parametrize("function, name", [
    (np.tanh, "Tanh"), (lambda x: np.maximum(x, 0), "Relu"), (lambda x: 1 / (1 + np.exp(-x)), "Sigmoid"),
    (gelu_tanh, "Gelu_tanh"), (math.erf, "Erf"), (lambda x: x if x > 0 else 0, "Relu"),
    (np.sin, "Sin"), (lambda x: x / (1 + np.exp(-x)), "Silu"),
])
def test_functions_are_recognised_by_their_values(function, name):
    x = PEER["vector"]
    want = stax.serial(stax.Dense(1), getattr(stax, name)(), stax.Dense(1))[2](x, None, "ntk")
    for layer in (stax.ElementwiseNumerical(function, deg=25), stax.ElementwiseNumerical(function, 25, df=np.cos),
                  stax.Elementwise(function), stax.Elementwise(fn=function)):
        assert np.array_equal(stax.serial(stax.Dense(1), layer, stax.Dense(1))[2](x, None, "ntk"), want)


def test_functions_that_are_not_known():
    with pytest.raises(ValueError, match="none of the activations"):
        stax.ElementwiseNumerical(lambda x: x**2 + x, deg=25)
    with pytest.raises(TypeError, match="nngp_fn"):
        stax.Elementwise(nngp_fn=lambda cov12, var1, var2: cov12)
    with pytest.raises(TypeError, match="call it"):
        stax.serial(stax.Dense(1), stax.Relu)


def test_an_ensemble_is_factorised_once(monkeypatch):
    calls = []
    fit = ntk._core.Model.fit_matrix
    counted = SimpleNamespace(fit_matrix=lambda *args: calls.append(1) or fit(*args))
    monkeypatch.setattr(predict, "_core", SimpleNamespace(Model=counted))
    predict_fn = predict.gradient_descent_mse_ensemble(KERNEL, X, X[:, :1], diag_reg=1e-3)
    first, again = (predict_fn(x_test=X[:2], get="ntk", compute_cov=True) for _ in range(2))
    assert len(calls) == 1 and np.array_equal(first.covariance, again.covariance)


def log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def test_losses_are_recognised_by_their_values():
    assert predict._loss_of(lambda fx, y: 0.5 * np.mean((fx - y) ** 2)) == predict._loss_of("mse")
    assert predict._loss_of(lambda fx, y: -np.mean(log_softmax(fx) * y)) == predict._loss_of("xent")
    for loss in (lambda fx, y: np.mean((fx - y) ** 2), lambda fx, y: -np.sum(log_softmax(fx) * y), "hinge", max):
        with pytest.raises(ValueError, match="loss must be"):
            predict._loss_of(loss)


# ---- differences of docs/neural-tangents.md

X = np.linspace(-1, 1, 12).reshape(4, 3)
NET = stax.serial(stax.Dense(4), stax.Erf(), stax.Dense(2))
INIT, APPLY, KERNEL = NET
PARAMS = INIT(0, (-1, 3))[1]
ONES = np.ones((4, 4))


class Tracer:
    """What jax passes to a function under jit."""

    def __array__(self, *args, **kwargs):
        raise TypeError("traced")


@pytest.mark.parametrize("call, error, match", [
    (lambda: KERNEL(Tracer(), None, "ntk"), TypeError, "without jit"),
    (lambda: APPLY([(Tracer(), None)], X), TypeError, "without jit"),
    (lambda: KERNEL(X, None, "ntk", mask_constant=1.0), TypeError, "mask_constant"),
    (lambda: KERNEL(X, None, "ntk", pattern=X), TypeError, "pattern"),
    (lambda: KERNEL(np.full((2, 3), np.nan)), ValueError, "sample 0, feature 0"),
    (lambda: KERNEL(np.ones((2, 3, 3, 3, 3))), ValueError, "shape"),
    (lambda: stax.GlobalSelfAttention, AttributeError, "not supported"),
    (lambda: stax.Conv(1, (3, 3), dimension_numbers=("NCHW", "OIHW", "NCHW")), ValueError, "dimension_numbers"),
    (lambda: stax.Dense(1, channel_axis=1), ValueError, "channel_axis"),
    (lambda: stax.FanInConcat(axis=0), ValueError, "axis"),
    (lambda: stax.repeat(stax.Dense(3), 0), ValueError, "from 1"),
    (lambda: stax.serial((None, None, len), stax.Relu()), TypeError, "another library"),
    (lambda: stax.serial(stax.Dense(1), stax.residual(stax.Identity()))[2](X), ValueError, "same random field"),
    (lambda: stax.serial(stax.FanOut(2), stax.parallel(stax.Dense(1), stax.Dense(1)))[2](X), ValueError, "branches"),
    (lambda: stax.serial(stax.Dense(1), stax.Dropout(0.5))[0](0, (-1, 3)), NotImplementedError, "mode='test'"),
    (lambda: predict.gp_inference(ONES, np.ones((4, 1)))("ntk", ONES), np.linalg.LinAlgError, "positive definite"),
    (lambda: predict.gradient_descent_mse(ONES, np.ones((4, 1)))(-1.0), ValueError, "0 or more"),
    (lambda: predict.gradient_descent_mse(ONES, np.ones((4, 1)))(1.0, None), ValueError, "both None"),
    (lambda: predict.gradient_descent_mse(ONES, np.ones((4, 2, 2))), ValueError, "y_train"),
    (lambda: predict.gradient_descent("mse", ONES, np.ones((2, 2)), trace_axes=()), ValueError, "n..n..c..c"),
    (lambda: ntk.empirical_ntk_fn(lambda params, x: x), TypeError, "ntk.stax"),
    (lambda: ntk.empirical_ntk_fn(APPLY, trace_axes=(0,)), ValueError, "trace_axes"),
    (lambda: ntk.taylor_expand(APPLY, PARAMS, 2), NotImplementedError, "degrees 0 and 1"),
    (lambda: ntk.monte_carlo_kernel_fn(INIT, APPLY, 0, 2, trace_axes=()), ValueError, "trace_axes"),
])
def test_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_dtypes_follow_samples():
    x = X.astype(np.float32)
    assert KERNEL(x, None, "ntk").dtype == KERNEL(x.astype(np.float16), None, "ntk").dtype == np.float32
    assert KERNEL(x, X, "ntk").dtype == KERNEL(X, None, "ntk").dtype == np.float64
    assert PARAMS[0][0].dtype == np.float64 and INIT(0, (-1, 3), np.float32)[1][0][0].dtype == np.float32
    assert APPLY(PARAMS, x).dtype == ntk.linearize(APPLY, PARAMS)(PARAMS, x).dtype == np.float32
    assert predict.gradient_descent_mse(KERNEL(x, None, "ntk"), np.ones((4, 1), np.float32))(1.0).dtype == np.float64


def test_eigenvalue_zero_at_a_finite_time():
    k = np.diag([1.0, 0.0])
    with pytest.warns(RuntimeWarning, match="1 of 2 eigenvalues"):
        train, test = predict.gradient_descent_mse(k, np.ones((2, 1)))(1.0, 0.0, 0.0, k)
    want = np.array([[-np.expm1(-0.5)], [0]])
    assert np.allclose(train, want, rtol=1e-14) and np.allclose(test, want, rtol=1e-14)


def test_seeds():
    key = np.array([0, 7], np.uint32)  # jax's PRNGKey(7)
    assert np.array_equal(INIT(key, (-1, 3))[1][0][0], INIT(7, (-1, 3))[1][0][0])
    assert not np.array_equal(INIT(8, (-1, 3))[1][0][0], INIT(7, (-1, 3))[1][0][0])
