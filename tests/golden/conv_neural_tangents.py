#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares conv.json with neural-tangents, a second witness in float64; writes nothing.

Prints for each net the largest difference of NNGP and NTK in units of sqrt(K_ii K_jj): between
different samples, and at equal ones (i = j or equal rows), where an angle from a rounded
correlation costs neural-tangents half of the digits. It does not know trainable=False. Without a
bias and in 'ntk' parameterization that is the 'standard' one with an infinite s[0]: its own term of
the tangent kernel is C_in prod(filter) / s[0] times the covariance.

    VENV/bin/python tests/golden/conv_neural_tangents.py       (two minutes)

VENV is the environment that the head of neural_tangents.py describes.
"""
import importlib.util
import json
import pathlib
import sys
import warnings

HERE = pathlib.Path(__file__).resolve().parent
TOLERANCE, EQUAL_TOLERANCE = 1e-11, 1e-6
INFINITE = 1e60


def load(path):
    """neural_tangents.py of this folder, by its path: it has the package's name."""
    spec = importlib.util.spec_from_file_location("witness", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


witness = load(HERE / "neural_tangents.py")

import numpy as np  # noqa: E402  (after the witness has cleared the path)


def freezable(layer):
    """The layer with trainable=, where neural-tangents can express it."""

    def make(*args, trainable=True, **keywords):
        if trainable:
            return layer(*args, **keywords)
        if keywords.get("b_std") is not None:
            raise witness.Unsupported("trainable=False with a bias")
        width = keywords.get("s", (1, 1))[1] if "parameterization" in keywords else 1
        frozen = {"parameterization": "standard", "s": (INFINITE, width)}
        return layer(*args, **{**keywords, **frozen})

    return make


for name in ("Conv", "Dense"):
    witness.LANGUAGE[name] = freezable(getattr(witness.stax, name))
# Its own is a scan, which refuses an odd number of Convs: each one swaps the axes of its state.
witness.LANGUAGE["repeat"] = lambda layer, n: witness.stax.serial(*[layer] * n)


def differences(got, want, x):
    """Largest |got - want| / sqrt(K_ii K_jj) between different and at equal samples."""
    n = len(x)
    want, got = np.reshape(want, (n, n)), np.broadcast_to(np.asarray(got, float), (n, n))
    scale = np.sqrt(np.diag(want))
    error = abs(got - want) / np.outer(scale, scale)
    error = np.where(np.isnan(error), np.inf, error)
    equal = np.array([[np.array_equal(a, b) for b in x] for a in x])
    return error[~equal].max(), error[equal].max()


def compare(case):
    x = np.reshape(case["x"], case["x_shape"])
    try:
        kernel = witness.kernel_fn(case["net"])(x, None, ("nngp", "ntk"))
    except (witness.Unsupported, NotImplementedError, ValueError) as e:
        print(f"{'unsupported':31} {case['net']}  # {str(e).splitlines()[0]}", flush=True)
        return True
    pairs = [differences(getattr(kernel, which), case[which], x) for which in ("nngp", "ntk")]
    far, equal = (max(side) for side in zip(*pairs))
    fine = far < TOLERANCE and equal < EQUAL_TOLERANCE
    numbers = " ".join(f"{v:7.0e}" for pair in pairs for v in pair)
    print(f"{numbers} {' ' if fine else '*'} {case['net']}", flush=True)
    return fine


def main():
    warnings.simplefilter("ignore")
    cases = json.loads((HERE / "conv.json").read_text())["nets"]
    print("NNGP: different, equal; NTK: different, equal samples; * if above the tolerance")
    wrong = sum(not compare(case) for case in cases)
    print(f"{wrong} of {len(cases)} above {TOLERANCE} ({EQUAL_TOLERANCE} at equal samples)")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
