#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes neural_tangents.json: what neural-tangents says to the cases of nets.json and predict.json.

A second witness in float64, beside the many-digit values: it guards the meaning of layers and of
predictions, not the last digits. Prints where the two differ; README.md quotes that table.

It needs an environment of its own, because no jax from 0.6 on can import neural-tangents 0.6.5:

    python3.11 -m venv VENV
    VENV/bin/pip install 'jax==0.5.3' 'jaxlib==0.5.3' 'numpy==1.26.4' 'scipy==1.12.0' \\
                         'frozendict==2.5.1'
    VENV/bin/pip install --no-deps 'neural-tangents==0.6.5'
    VENV/bin/python tests/golden/neural_tangents.py
"""
import functools
import importlib.metadata
import inspect
import json
import math
import os
import pathlib
import platform
import sys
import types
import warnings

HERE = pathlib.Path(__file__).resolve().parent
sys.path = [p for p in sys.path if pathlib.Path(p or ".").resolve() != HERE]  # we have its name
os.environ["JAX_PLATFORMS"] = "cpu"
# Its import would load TensorFlow.
sys.modules["neural_tangents.experimental"] = types.ModuleType("neural_tangents.experimental")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

jax.config.update("jax_enable_x64", True)

import neural_tangents as nt  # noqa: E402
import numpy as np  # noqa: E402
from neural_tangents import stax  # noqa: E402

TOLERANCE = 1e-6
QUADRATURE_DEGREE = 25  # the degree that neural-tangents' own documentation uses


class Unsupported(Exception):
    pass


def dense(*args, trainable=True, **keywords):
    if not trainable:
        raise Unsupported("trainable=False")
    return stax.Dense(*args, **keywords)


def residual(*layers):
    return stax.serial(
        stax.FanOut(2), stax.parallel(stax.Identity(), stax.serial(*layers)), stax.FanInSum()
    )


def numerical(f):
    return lambda: stax.ElementwiseNumerical(f, deg=QUADRATURE_DEGREE)


NUMERICAL = {
    "Tanh": jnp.tanh,
    "Sigmoid": jax.nn.sigmoid,
    "Silu": jax.nn.silu,
    "Softplus": jax.nn.softplus,
    "Mish": lambda x: x * jnp.tanh(jax.nn.softplus(x)),
    "Elu": jax.nn.elu,
    "Selu": jax.nn.selu,
}
LANGUAGE = {
    **{name: f for name, f in inspect.getmembers(stax, callable) if not name.startswith("_")},
    **{name: numerical(f) for name, f in NUMERICAL.items()},
    "Dense": dense,
    "residual": residual,
    "Elementwise": lambda name: LANGUAGE[name.capitalize()](),
}


def kernel_fn(text):
    return eval(text, {"__builtins__": {}, **LANGUAGE})[2]


def listed(a):
    """Nested lists, NaN as None (JSON has no NaN)."""
    if isinstance(a, list):
        return [listed(v) for v in a]
    if isinstance(a, float):
        return None if math.isnan(a) else a
    return listed(np.asarray(a).tolist())


def worst(got, want):
    """Largest |got - want| in units of sqrt(K_ii K_jj), where it is, and the number of NaNs."""
    got, want = np.asarray(got, float), np.asarray(want, float)
    scale = np.sqrt(np.diag(want))
    scale = np.where(np.outer(scale, scale) > 0, np.outer(scale, scale), 1)
    nans = np.isnan(got)
    error = np.where(nans, 0, np.abs(got - want) / scale)
    at = np.unravel_index(np.argmax(error), error.shape)
    return float(error[at]), [int(i) for i in at], int(nans.sum())


def net_case(case):
    out = {"net": case["net"]}
    try:
        k = kernel_fn(case["net"])(jnp.array(case["x"]), None, ("nngp", "ntk"))
    except (Unsupported, NotImplementedError, ValueError) as e:
        return {**out, "unsupported": str(e).splitlines()[0]}
    for which in ("nngp", "ntk"):
        got = getattr(k, which)
        got = np.broadcast_to(got, np.shape(case[which])) if np.ndim(got) == 0 else got
        out[which] = listed(got)
        error, at, nans = worst(got, case[which])
        out[which + "_difference"] = {"largest": error, "at": at, "nan": nans}
    return out


def report(case):
    for which in ("nngp", "ntk"):
        d = case.get(which + "_difference")
        if d and (d["largest"] > TOLERANCE or d["nan"]):
            nans = f"{d['nan']} NaN" if d["nan"] else ""
            print(f"| `{case['net']}` | {which} | {d['largest']:.1e} at {d['at']} | {nans} |")
    if "unsupported" in case:
        print(f"| `{case['net']}` | | | {case['unsupported']} |")


def predictions(reference):
    """gradient_descent_mse_ensemble without a ridge. Its loss is 1/2 mean (f - y)^2, so its time is
    the "mean" time of predict.json, and n * outputs times that of the summed loss."""
    data = {name: jnp.array(v) for name, v in reference["data"].items()}
    wanted = {
        (c["net"], c["posterior"]): c["dynamics"]
        for c in reference["cases"]
        if c["diag_reg"] == 0 and "dynamics" in c
    }
    out = []
    for net in dict.fromkeys(net for net, _ in wanted):
        predict = nt.predict.gradient_descent_mse_ensemble(
            kernel_fn(net), data["x_train"], data["y"], diag_reg=0.0
        )
        for get in ("nngp", "ntk"):
            for point in wanted[net, get]:
                if point["loss"] == "mean":
                    out.append(prediction(predict, get, net, data["x_test"], point))
    return out


def prediction(predict, get, net, x_test, point):
    t = None if point["time"] == "inf" else point["time"]
    at_time = functools.partial(predict, t=t, get=get)
    test = at_time(x_test=x_test, compute_cov=True)
    train = at_time(x_test=None)
    variance = np.diag(test.covariance)
    pairs = (
        (test.mean, point["zero"]["test"]),
        (train, point["zero"]["train"]),
        (variance, point["variance"]),
    )
    return {
        "net": net,
        "posterior": get,
        "time": point["time"],
        "test": listed(test.mean),
        "train": listed(train),
        "covariance": listed(test.covariance),
        "difference": max(float(np.max(np.abs(np.asarray(a) - np.asarray(b)))) for a, b in pairs),
    }


def main():
    warnings.simplefilter("ignore")  # its advice on every ElementwiseNumerical and FanIn
    nets = json.loads((HERE / "nets.json").read_text())["nets"]
    cases = [net_case(case) for case in nets]
    print("| net | kernel | difference | remark |\n|---|---|---|---|")
    for case in cases:
        report(case)
    predicted = predictions(json.loads((HERE / "predict.json").read_text()))
    print("\nlargest difference of a prediction:", max(p["difference"] for p in predicted))
    made_by = {"script": "neural_tangents.py", "python": platform.python_version()}
    for name in ("neural-tangents", "jax", "jaxlib"):
        made_by[name] = importlib.metadata.version(name)
    out = {
        "made_by": made_by,
        "nets": cases,
        "predict": predicted,
    }
    lines = json.dumps(out, indent=1, allow_nan=False)
    (HERE / "neural_tangents.json").write_text(lines + "\n")


if __name__ == "__main__":
    main()
