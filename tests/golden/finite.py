#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes finite.json: outputs and empirical tangent kernels of finite networks by neural-tangents in float64.

usage: python finite.py > finite.json    (neural-tangents 0.6.5, jax 0.4.23)

theta is in libntk's order: layers in order of the text, W [in][out] or [h][w][in][out], then b.
"""
import json
import sys
import types

sys.path.pop(0)  # beside this file is another neural_tangents.py
sys.modules["neural_tangents.experimental"] = types.ModuleType("neural_tangents.experimental")
import jax

jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp
import neural_tangents as nt
import numpy as np
from neural_tangents import stax

NETS = [
    ("serial(Dense(6, 1.3, 0.4), Erf(), Dense(3))", (5,)),
    ("serial(Dense(6, 1.3, 0.4), Relu(), Dense(5, W_std=1.2), Gelu(), Dense(2, b_std=0.5))", (5,)),
    ("serial(Dense(4, 1.2, 0.3, parameterization='standard', s=(1, 2)), Sin(), "
     "Dense(2, 1.1, 0.2, parameterization='standard', s=(2, 1)))", (5,)),
    ("serial(Dense(6), LayerNorm(), Rbf(), Dense(2))", (5,)),
    ("serial(Dense(5), FanOut(2), parallel(Identity(), serial(Erf(), Dense(5, b_std=0.2))), FanInSum(), "
     "Erf(), Dense(2))", (5,)),
    ("serial(FanOut(2), parallel(serial(Dense(3), Erf()), Dense(2)), FanInConcat(-1), Dense(2))", (5,)),
    ("serial(FanOut(2), parallel(Dense(4), serial(Dense(4), Erf())), FanInProd(), Dense(2))", (5,)),
    ("serial(Conv(3, (3, 3), padding='SAME', W_std=1.4, b_std=0.2), Erf(), AvgPool((2, 2), strides=(2, 2)), "
     "Conv(4, (2, 1)), Gelu(), GlobalAvgPool(), Dense(2))", (5, 4, 2)),
    ("serial(Conv(3, (3, 2), strides=(2, 1), padding='CIRCULAR'), Erf(), SumPool((2, 2), padding='SAME'), "
     "Conv(3, (2, 2), padding='SAME', b_std=0.1, parameterization='standard'), Sin(), Flatten(), Dense(2))",
     (5, 4, 2)),
    ("serial(Conv(3, (3,), padding='SAME', b_std=0.2), Erf(), AvgPool((2,), strides=(2,)), Flatten(), Dense(2))",
     (6, 3)),
]
N = 3


def arrays(params):
    """W and b of every layer in order; None where there is none."""
    if isinstance(params, (tuple, list)):
        if len(params) == 2 and hasattr(params[0], "shape") and (params[1] is None or hasattr(params[1], "shape")):
            yield from (p for p in params if p is not None and p.size)
        else:
            for p in params:
                yield from arrays(p)
    elif hasattr(params, "shape") and params.size:
        yield params


def case(net, shape, seed):
    init, apply, _ = eval(net, {"__builtins__": {}, **vars(stax)})
    x = np.random.default_rng(seed).standard_normal((N, *shape))
    _, params = init(jax.random.PRNGKey(seed), x.shape)
    params = jax.tree_util.tree_map(lambda p: p.astype(jnp.float64), params)
    theta = np.concatenate([np.asarray(p).ravel() for p in arrays(params)])
    kernel = nt.empirical_ntk_fn(apply, trace_axes=(), implementation=1)(x, None, params)
    f = apply(params, x)
    return {"net": net, "shape": list(shape), "x": x.ravel().tolist(), "theta": theta.tolist(),
            "f": np.asarray(f).ravel().tolist(), "ntk": np.asarray(kernel).ravel().tolist()}


print(json.dumps([case(net, shape, seed + 1) for seed, (net, shape) in enumerate(NETS)]))
