#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes flow.json: dynamics of losses in function space by scipy's Radau, tolerance 1e-12.

usage: python flow.py > flow.json    (needs numpy and scipy)
"""
import json

import numpy as np
from scipy.integrate import solve_ivp

N, M, C = 6, 3, 3
TIMES = [0.0, 0.05, 0.7, 5.0, 40.0]


def softmax(f):
    e = np.exp(f - f.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def case(rng, loss, blocks, momentum, mean, moving=False):
    size = (N + M) * (C if blocks else 1)
    a = rng.normal(size=(size, size + 3)) * np.logspace(0, -2.5, size + 3)
    full = a @ a.T
    if blocks:
        full = full.reshape(N + M, C, N + M, C).transpose(0, 2, 1, 3)
    k_train, k_test = full[:N, :N], full[N:, :N]
    y = np.eye(C)[rng.integers(0, C, N)]
    if loss == "mse":
        y = y - 1 / C + 0.1 * rng.normal(size=y.shape)
    f0 = 0.3 * rng.normal(size=(N + M, C))
    scale = 1.0 if not mean else 1.0 / (N * C if loss == "mse" else N)
    k_all = np.concatenate([k_train, k_test])
    q0 = 0.2 * rng.normal(size=f0.shape) if moving else 0 * f0  # velocities at the start
    friction = None if momentum is None else (1 - momentum) / np.sqrt(0.25)

    def force(f):
        g = scale * ((softmax(f[:N]) if loss == "xent" else f[:N]) - y)
        return -np.einsum("ijab,jb->ia" if blocks else "ij,jb->ib", k_all, g)

    def rate(t, state):
        if friction is None:
            return force(state.reshape(N + M, C)).ravel()
        f, v = state.reshape(2, N + M, C)
        return np.concatenate([v, force(f) - friction * v]).ravel()

    start = f0.ravel() if friction is None else np.concatenate([f0.ravel(), q0.ravel()])
    s = solve_ivp(rate, (0, TIMES[-1]), start, "Radau", t_eval=TIMES, rtol=1e-12, atol=1e-13)
    assert s.success
    f = s.y.T[:, : (N + M) * C].reshape(len(TIMES), N + M, C)
    q = s.y.T[:, (N + M) * C :]
    return {
        "loss": loss,
        "blocks": int(blocks),
        "momentum": momentum,
        "mean": int(mean),
        "k_train": k_train.ravel().tolist(),
        "k_test": k_test.ravel().tolist(),
        "y": y.ravel().tolist(),
        "f0": f0.ravel().tolist(),
        "f": f.ravel().tolist(),
        **({} if momentum is None else {"q0": q0.ravel().tolist(), "q": q.ravel().tolist()}),
    }


def main():
    rng = np.random.default_rng(5)
    cases = [
        case(rng, *what)
        for what in [
            ("mse", False, None, False),
            ("mse", True, None, True),
            ("mse", False, 0.9, False),
            ("xent", False, None, False),
            ("xent", True, None, True),
            ("xent", False, 0.5, True),
            ("xent", True, 0.8, False),
            ("mse", True, 0.9, True, True),
            ("xent", False, 0.7, False, True),
        ]
    ]
    print(json.dumps({"n": N, "m": M, "c": C, "learning_rate": 0.25, "times": TIMES, "cases": cases}))


main()
