#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes python_peer.npz: what neural-tangents says to the calls of tests/python/calls.py, in float64.

The environment is that of neural_tangents.py, with jax and jaxlib 0.4.23, with which empirical kernels work too:

    VENV/bin/python tests/golden/python_peer.py
"""
import os
import pathlib
import sys
import types
import warnings

HERE = pathlib.Path(__file__).resolve().parent
sys.path = [p for p in sys.path if pathlib.Path(p or ".").resolve() != HERE]  # neural_tangents.py is here
sys.path.insert(0, str(HERE.parent / "python"))
os.environ["JAX_PLATFORMS"] = "cpu"
# Its import would load TensorFlow.
sys.modules["neural_tangents.experimental"] = types.ModuleType("neural_tangents.experimental")

import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)

import calls  # noqa: E402
import neural_tangents as nt  # noqa: E402
import numpy as np  # noqa: E402
from jax import random  # noqa: E402


def stored_params(params):
    """Arrays, and the nest with each array's number in its place."""
    leaves, tree = jax.tree_util.tree_flatten(params)
    return leaves, str(jax.tree_util.tree_unflatten(tree, range(len(leaves))))


def main():
    warnings.simplefilter("ignore")  # its advice on every ElementwiseNumerical and FanIn
    data = calls.make_data(np.random.default_rng(0))
    out = dict(data)
    params = {}
    for i, (name, (net, x)) in enumerate(calls.finite_networks(nt.stax).items()):
        _, params[name] = net[0](random.PRNGKey(i), (-1, *data[x].shape[1:]))
        _, other = net[0](random.PRNGKey(100 + i), (-1, *data[x].shape[1:]))
        leaves, nest = stored_params(params[name])
        out[f"params/{name}"] = np.array(nest)
        for k, (leaf, new) in enumerate(zip(leaves, jax.tree_util.tree_leaves(other))):
            out[f"params/{name}/{k}"], out[f"params/{name}/new/{k}"] = leaf, new
        params[name] = params[name], other
    for group in (calls.kernels, calls.fields, calls.predictions):
        out.update(group(nt, data))
    out.update(calls.finite(nt, data, params))
    calls.save(HERE / "python_peer.npz", out)


if __name__ == "__main__":
    main()
