# SPDX-License-Identifier: MIT
"""Calls as users of neural-tangents write them, as functions of `nt`, which is neural_tangents or ntk.

Each gives {name: array}; tests/golden/python_peer.py stores neural-tangents' answers.
"""
import json

import architectures as arch
import numpy as np


def save(path, arrays):
    """Numbers in one array and names in another: a member of the archive for each would triple the file."""
    arrays = {name: np.asarray(a) for name, a in arrays.items()}
    numbers = {name: a for name, a in arrays.items() if a.dtype.kind != "U"}
    np.savez_compressed(path, shapes=json.dumps({name: a.shape for name, a in numbers.items()}),
                        texts=json.dumps({name: str(a) for name, a in arrays.items() if a.dtype.kind == "U"}),
                        numbers=np.concatenate([a.ravel() for a in numbers.values()]))


def load(path):
    with np.load(path) as f:
        shapes, texts, numbers = json.loads(str(f["shapes"])), json.loads(str(f["texts"])), f["numbers"]
    ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes.values()])
    parts = np.split(numbers, ends[:-1])
    return texts | {name: part.reshape(shape) for part, (name, shape) in zip(parts, shapes.items())}


def make_data(rng):
    """Samples of every kind, two equal ones among each, and targets."""
    shapes = {"vector": (5,), "sequence": (8, 2), "image": (8, 8, 2), "small": (6, 6, 2)}
    data = {}
    for name, shape in shapes.items():
        x1, x2 = rng.standard_normal((4, *shape)), rng.standard_normal((3, *shape))
        x1[2] = x1[0]
        data[name], data[name + "/2"] = x1, x2
    data["x_train"], data["x_test"] = rng.standard_normal((8, 3)), rng.standard_normal((4, 3))
    data["y_train"] = rng.standard_normal((8, 2))
    data["f_train"], data["f_test"] = rng.standard_normal((8, 2)), rng.standard_normal((4, 2))
    return data


def architectures(stax):
    """{name: (network, name of its samples)}"""
    return {f.__name__: (f(stax), x) for fs, x in
            ((arch.VECTORS, "vector"), (arch.SEQUENCES, "sequence"), (arch.IMAGES, "image")) for f in fs}


def kernels(nt, data):
    """Of each architecture: x1 with x2, and x1 with itself."""
    out = {}
    for name, ((_, _, kernel_fn), x) in architectures(nt.stax).items():
        for what, x2 in (("pair", data[x + "/2"]), ("self", None)):
            k = kernel_fn(data[x], x2, ("nngp", "ntk"))
            out[f"kernels/{name}/{what}/nngp"], out[f"kernels/{name}/{what}/ntk"] = k.nngp, k.ntk
    return out


def fields(nt, data):
    """kernel_fn's other results, on samples and on kernels."""
    x1, x2, out = data["vector"], data["vector/2"], {}
    first = nt.stax.serial(nt.stax.Dense(8, 1.3, 0.2), nt.stax.Erf(), nt.stax.Dense(5, 1.2, 0.1))[2]
    second = nt.stax.serial(nt.stax.Relu(), nt.stax.Dense(3))[2]
    for name, k in (("pair", first(x1, x2)), ("after", second(first(x1, x2)))):
        for field in ("nngp", "ntk", "cov1", "cov2", "x1_is_x2", "shape1", "shape2"):
            out[f"fields/{name}/{field}"] = getattr(k, field)
    self = first(x1)
    out["fields/self/ntk"], out["fields/self/cov1"], out["fields/self/x1_is_x2"] = self.ntk, self.cov1, self.x1_is_x2
    cov2, nngp, shape1 = first(x1, x2, ("cov2", "nngp", "shape1"))
    out["fields/tuple/cov2"], out["fields/tuple/nngp"], out["fields/tuple/shape1"] = cov2, nngp, shape1
    out["fields/one"] = first(x1, x2, "cov1")
    # Equal arrays are one set of samples, which Dropout notices.
    out["fields/copy"] = arch.dropout(nt.stax)[2](x1, x1.copy(), "ntk")
    return out


TIMES = {"infinity": None, "one": 30.0, "several": np.array([[0.0, 1.0, 10.0], [1e2, 1e3, 1e5]])}
RIDGES = {"none": {}, "relative": {"diag_reg": 1e-2}, "absolute": {"diag_reg": 1e-2, "diag_reg_absolute_scale": True}}


def predictions(nt, data):
    init_fn, apply_fn, kernel_fn = nt.stax.serial(
        nt.stax.Dense(512, W_std=1.5, b_std=0.05), nt.stax.Erf(), nt.stax.Dense(1, W_std=1.5, b_std=0.05))
    kernel_fn = nt.batch(kernel_fn, batch_size=4, device_count=0)
    x, x_test, y = data["x_train"], data["x_test"], data["y_train"]
    k_dd, k_td, k_tt = (kernel_fn(a, b, ("nngp", "ntk")) for a, b in ((x, None), (x_test, x), (x_test, None)))
    out = {}
    for ridge, kwargs in RIDGES.items():
        mse(out, f"mse/{ridge}", nt.predict.gradient_descent_mse(k_dd.ntk, y, 0.7, **kwargs), data, k_td.ntk)
        inference(out, f"gp/{ridge}", nt.predict.gp_inference(k_dd, y, **kwargs), k_td, k_tt)
        ensemble(out, f"ensemble/{ridge}",
                 nt.predict.gradient_descent_mse_ensemble(kernel_fn, x, y, learning_rate=0.7, **kwargs), x_test)
    out["gp/array"] = nt.predict.gp_inference(k_dd.ntk, y)(get="ntk", k_test_train=k_td.ntk)
    out["gp/train"] = nt.predict.gp_inference(k_dd, y)(get="nngp")
    blocks(out, nt, data, k_dd.ntk, k_td.ntk)
    return out


def mse(out, name, predict_fn, data, k_test_train):
    f_train, f_test = data["f_train"], data["f_test"]
    for when, t in TIMES.items():
        at = f"{name}/{when}"
        out[f"{at}/train"] = predict_fn(t)
        out[f"{at}/train/start"] = predict_fn(t, f_train)
        out[f"{at}/test"] = predict_fn(t=t, fx_train_0=None, fx_test_0=0.0, k_test_train=k_test_train)
        both = predict_fn(t, 0.0, 0.0, k_test_train)
        given = predict_fn(t, f_train, f_test, k_test_train)
        out[f"{at}/both/train"], out[f"{at}/both/test"] = both
        out[f"{at}/given/train"], out[f"{at}/given/test"] = given


def inference(out, name, predict_fn, k_td, k_tt):
    for regime in ("nngp", "ntk", "ntkgp"):
        out[f"{name}/{regime}/mean"] = predict_fn(get=regime, k_test_train=k_td)
        g = predict_fn(regime, k_td, k_tt)
        out[f"{name}/{regime}/cov/mean"], out[f"{name}/{regime}/cov"] = g.mean, g.covariance
    both = predict_fn(None, k_td, k_tt)
    out[f"{name}/both/nngp"], out[f"{name}/both/ntk"] = both.nngp.covariance, both.ntk.covariance


def ensemble(out, name, predict_fn, x_test):
    for when, t in TIMES.items():
        for regime in ("nngp", "ntk"):
            at = f"{name}/{when}/{regime}"
            out[f"{at}/mean"] = predict_fn(t=t, x_test=x_test, get=regime)
            out[f"{at}/train"] = predict_fn(t, None, regime)
            for place, x in (("test", x_test), ("train", None)):
                g = predict_fn(t=t, x_test=x, get=regime, compute_cov=True)
                out[f"{at}/{place}/cov/mean"], out[f"{at}/{place}/cov"] = g.mean, g.covariance
        mean, _ = predict_fn(t=t, x_test=x_test, compute_cov=False)
        out[f"{name}/{when}/unpacked"] = mean


def blocks(out, nt, data, k_dd, k_td):
    """Kernels with blocks of outputs (trace_axes=()), as an empirical kernel has them."""
    c = np.array([[1.0, 0.3], [0.3, 0.7]])
    dd, td = np.einsum("ij,kl->ijkl", k_dd, c), np.einsum("ij,kl->ijkl", k_td, c)
    for ridge, kwargs in RIDGES.items():
        predict_fn = nt.predict.gradient_descent_mse(dd, data["y_train"], trace_axes=(), **kwargs)
        mse(out, f"blocks/{ridge}", predict_fn, data, td)
    g = nt.predict.gp_inference(dd, data["y_train"], 1e-3, trace_axes=())("nngp", td, np.zeros((4, 4, 2, 2)))
    out["blocks/gp"], out["blocks/gp/cov"] = g.mean, g.covariance
    out["learning_rate"] = learning_rate(nt, k_dd)


def learning_rate(nt, k):
    return [nt.predict.max_learning_rate(k), nt.predict.max_learning_rate(k, y_train_size=16, momentum=0.9),
            nt.predict.max_learning_rate(np.einsum("ij,kl->ijkl", k, np.eye(2)))]


def finite_networks(stax):
    """{name: (network, name of its samples)}, narrow."""
    layer = stax.serial(stax.Dense(4, 1.4, 0.1), stax.Erf())
    return {
        "mlp": (stax.serial(stax.Dense(6, 1.5, 0.1), stax.Relu(), stax.Dense(5), stax.Gelu(), stax.Dense(2, 1.2, 0.3)),
                "vector"),
        "standard": (stax.serial(
            stax.Dense(6, 1.5, 0.1, parameterization="standard", s=(2, 3)), stax.Erf(),
            stax.Dense(2, parameterization="standard", s=(3, 1))), "vector"),
        "branches": (stax.serial(
            stax.Dense(4, b_std=0.2), stax.FanOut(2),
            stax.parallel(stax.Identity(), stax.serial(stax.Relu(), stax.Dense(4, 1.1))), stax.FanInSum(),
            stax.LayerNorm(), stax.Sin(), stax.Dense(2)), "vector"),
        "repeated": (stax.serial(stax.Dense(4), stax.repeat(stax.serial(layer, stax.repeat(layer, 2)), 3),
                                 stax.Dense(2, b_std=0.1)), "vector"),
        "images": (stax.serial(
            stax.Conv(3, (3, 3), b_std=0.1, padding="SAME"), stax.Relu(), stax.AvgPool((2, 2), (2, 2)),
            stax.Conv(3, (2, 2), (1, 1), "CIRCULAR"), stax.Erf(), stax.Dense(3, b_std=0.2), stax.Relu(),
            stax.Flatten(), stax.Dense(2)), "small"),
        "sequence": (stax.serial(
            stax.Conv(3, (3,), strides=(2,), b_std=0.1, parameterization="standard"), stax.Relu(),
            stax.GlobalAvgPool(), stax.Dense(2, 1.3, 0.1)), "sequence"),
    }


def finite(nt, data, params):
    """params: {name: (as init_fn makes them, others of the same shapes)}"""
    out = {}
    for name, ((_, apply_fn, _), x) in finite_networks(nt.stax).items():
        x1, x2 = data[x], data[x + "/2"]
        p, other = params[name]
        out[f"finite/{name}/apply"] = apply_fn(p, x1)
        out[f"finite/{name}/linear"] = nt.linearize(apply_fn, p)(other, x1)
        out[f"finite/{name}/taylor"] = nt.taylor_expand(apply_fn, p, 1)(other, x1)
        for form, axes in (("trace", {}), ("full", {"trace_axes": ()}),
                           ("diagonal", {"trace_axes": (), "diagonal_axes": (-1,)})):
            at = f"finite/{name}/{form}"
            ntk_fn = nt.empirical_ntk_fn(apply_fn, vmap_axes=0,
                                         implementation=nt.NtkImplementation.JACOBIAN_CONTRACTION, **axes)
            out[f"{at}/ntk"], out[f"{at}/ntk/self"] = ntk_fn(x1, x2, p), ntk_fn(x1, None, p)
            out[f"{at}/nngp"] = nt.empirical_nngp_fn(apply_fn, **axes)(x1, x2, p)
            both = nt.empirical_kernel_fn(apply_fn, vmap_axes=0, **axes)(x1, x2, ("nngp", "ntk"), p)
            out[f"{at}/both/nngp"], out[f"{at}/both/ntk"] = both.nngp, both.ntk
        v = np.linspace(-1, 1, 2 * len(x2)).reshape(len(x2), 2)
        if name == "mlp":
            predict_fn = nt.predict.gradient_descent_mse_ensemble(
                nt.empirical_kernel_fn(apply_fn), x1, data["y_train"][:4], diag_reg=0.1, params=p)
            for when, t in TIMES.items():
                g = predict_fn(t, x2, "ntk", True, params=p)
                out[f"finite/ensemble/{when}/mean"], out[f"finite/ensemble/{when}/cov"] = g.mean, g.covariance
        out[f"finite/{name}/product"] = nt.empirical_ntk_vp_fn(apply_fn, x1, x2, p)(v)
    return out
