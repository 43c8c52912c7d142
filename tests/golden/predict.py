#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes predict.json: kernel regression on a small data set, from the plain formulas in 60 digits.

Notation: S the NNGP and T the NTK kernel, d training and t test samples, K the kernel of a
posterior, R = K_dd + r I with r the ridge, B(t) = R^-1 (I - e^{-R t}).
    mean       K_td R^-1 y
    covariance S_tt - S_td R^-1 S_dt                    NNGP, and NTKGP with T for S
               S_tt + A S_dd A' - A S_dt - (A S_dt)'    NTK, A = T_td R^-1
    dynamics   f_t(z) = f_0(z) - K(z,d) B(t) (f_0(d) - y), z in training or test samples
    variance   diagonal of the NTK covariance with A = T_td B(t), and
               of S_tt - S_td B(2 t) S_dt               NNGP (last-layer training, Lee et al. 2019)
The mean loss 1/2 mean (f - y)^2 over n outputs entries divides time by n outputs. Sources: Lee et
al. 2019 (1902.06720), eqs. 10 to 16; Rasmussen and Williams 2006, eq. 2.30.

    python3 tests/golden/predict.py        writes tests/golden/predict.json (seconds; needs mpmath)
"""
import json
import pathlib

from mpmath import cholesky, diag, exp, eye, inf, inverse, log, matrix, mp, mpf, pi

import nets

N, M, D, OUTPUTS = 12, 5, 3, 2
TIMES = [0, mpf(0.1), 1, 10, inf]
RIDGES = [(0.0, False), (1e-2, False), (1e-2, True)]  # diag_reg, absolute
NETS = [
    "serial(Dense(512, W_std=2**0.5, b_std=0.1), Relu(), Dense(512, W_std=2**0.5, b_std=0.1), "
    "Relu(), Dense(1, W_std=2**0.5, b_std=0.1))",
    "serial(Dense(512, W_std=1.5, b_std=0.1), Erf(), Dense(1, W_std=1.5, b_std=0.1))",
]


def table(rows, columns, seed):
    """Numbers in [-2, 2) with three decimals, from a multiplicative congruential generator."""
    out = []
    for _ in range(rows * columns):
        seed = seed * 48271 % 2147483647
        out.append((seed // 1000 % 4000 - 2000) / 1000)
    return [out[i * columns : (i + 1) * columns] for i in range(rows)]


DATA = {
    "x_train": table(N, D, 11),
    "x_test": table(M, D, 22),
    "y": table(N, OUTPUTS, 33),
    "f0_train": table(N, OUTPUTS, 44),
    "f0_test": table(M, OUTPUTS, 55),
}


class Kernels:
    """Blocks of one kernel: train-train, test-train, test-test."""

    def __init__(self, whole):
        whole = matrix(whole)
        self.dd = whole[:N, :N]
        self.td = whole[N:, :N]
        self.tt = whole[N:, N:]


class Spectral:
    """Functions of a symmetric matrix through its eigenvalues, ascending."""

    def __init__(self, r):
        self.values, self.vectors = mp.eigsy(r)

    def apply(self, f):
        return self.vectors * diag([f(v) for v in self.values]) * self.vectors.T

    def b(self, t):
        """R^-1 (I - e^{-R t})"""
        return self.apply(lambda v: (1 - (0 if t == inf else exp(-v * t))) / v)


def ridge_of(k, diag_reg, absolute):
    return mpf(diag_reg) * (1 if absolute else sum(k[i, i] for i in range(N)) / N)


def ensemble_covariance(s, a):
    """Covariance of f_0(t) - A (f_0(d) - y), f_0 Gaussian with covariance S."""
    cross = a * s.td.T
    return s.tt + a * s.dd * a.T - cross - cross.T


def static(posterior, s, t, k, r):
    """Mean, covariance and evidence at t = infinity, leave-one-out by leaving out."""
    y = matrix(DATA["y"])
    inverted = inverse(k.dd + r * eye(N))
    if posterior == "ntk":
        covariance = ensemble_covariance(s, t.td * inverted)
    else:
        covariance = k.tt - k.td * inverted * k.td.T
    return {
        "mean": k.td * inverted * y,
        "covariance": covariance,
        **leave_one_out(k.dd, r, y),
        "log_likelihood": log_likelihood(k.dd + r * eye(N), y),
    }


def leave_one_out(k, r, y):
    """Each sample predicted from the others; the variance is that of the noisy target."""
    mean, variance = matrix(N, OUTPUTS), matrix(N, 1)
    for i in range(N):
        rest = [j for j in range(N) if j != i]
        k_rest = matrix([[k[a, b] + (r if a == b else 0) for b in rest] for a in rest])
        row = matrix([[k[i, b] for b in rest]])
        weights = row * inverse(k_rest)
        mean[i, :] = weights * matrix([[y[b, c] for c in range(OUTPUTS)] for b in rest])
        variance[i] = k[i, i] + r - (weights * row.T)[0]
    return {"loo_mean": mean, "loo_variance": variance}


def log_likelihood(r, y):
    """Sum over outputs of log N(y; 0, R)."""
    factor = cholesky(r)
    half_log_det = sum(log(factor[i, i]) for i in range(N))
    fit = y.T * inverse(r) * y
    quadratic = sum(fit[c, c] for c in range(OUTPUTS)) / 2
    return -quadratic - OUTPUTS * (half_log_det + mpf(N) / 2 * log(2 * pi))


def dynamics(k, b, start):
    """Predictions for training and test samples from f_0 given (start = 1) or zero (0)."""
    y = matrix(DATA["y"])
    f0_train = start * matrix(DATA["f0_train"])
    f0_test = start * matrix(DATA["f0_test"])
    moved = b * (f0_train - y)
    return {"train": f0_train - k.dd * moved, "test": f0_test - k.td * moved}


def variance_at(posterior, s, t, b, b_twice):
    if posterior == "ntk":
        covariance = ensemble_covariance(s, t.td * b)
    else:
        covariance = s.tt - s.td * b_twice * s.td.T
    return matrix([covariance[i, i] for i in range(M)])


def trajectories(posterior, s, t, k, spectral):
    out = []
    for loss, unit in (("sum", 1), ("mean", mpf(N * OUTPUTS))):
        for time in TIMES:
            b, b_twice = spectral.b(time / unit), spectral.b(2 * time / unit)
            out.append(
                {
                    "loss": loss,
                    "time": time,
                    "zero": dynamics(k, b, 0),
                    "given": dynamics(k, b, 1),
                    "variance": variance_at(posterior, s, t, b, b_twice),
                }
            )
    return out


def case(text, posterior, diag_reg, absolute, s, t):
    k = s if posterior == "nngp" else t
    r = ridge_of(k.dd, diag_reg, absolute)
    spectral = Spectral(k.dd + r * eye(N))
    low, high = spectral.values[0], spectral.values[N - 1]
    out = {
        "net": text,
        "posterior": posterior,
        "diag_reg": diag_reg,
        "absolute": absolute,
        "ridge": r,
        "eigenvalues": spectral.values,
        "condition": high / low,
        "max_learning_rate": {"sum": 2 / high, "mean": 2 * N * OUTPUTS / high},
        **static(posterior, s, t, k, r),
    }
    if posterior != "ntkgp":
        out["dynamics"] = trajectories(posterior, s, t, k, spectral)
    return out


def render(value, indent=""):
    """JSON text; a matrix with one column is a list, infinity the string "inf"."""
    if isinstance(value, dict):
        inner = indent + " "
        items = (f"{inner}{json.dumps(k)}: {render(v, inner)}" for k, v in value.items())
        return "{\n" + ",\n".join(items) + "}"
    if isinstance(value, matrix):
        if value.cols == 1:
            return "[" + ", ".join(nets.digits(v) for v in value) + "]"
        return render(value.tolist(), indent)
    if isinstance(value, list) and value and isinstance(value[0], (list, dict)):
        return "[" + (",\n" + indent).join(render(v, indent) for v in value) + "]"
    if isinstance(value, list):
        return "[" + ", ".join(render(v) for v in value) + "]"
    if isinstance(value, mpf):
        return '"inf"' if value == inf else nets.digits(value)
    return json.dumps(value)


def main():
    cases = []
    for text in NETS:
        s, t = (Kernels(k) for k in nets.kernels(text, DATA["x_train"] + DATA["x_test"]))
        for posterior in ("nngp", "ntk", "ntkgp"):
            for diag_reg, absolute in RIDGES:
                cases.append(case(text, posterior, diag_reg, absolute, s, t))
    path = pathlib.Path(__file__).with_suffix(".json")
    head = nets.made_by(path.with_suffix(".py").name)
    body = f'"data": {render(DATA, " ")},\n "cases": {render(cases, " ")}'
    path.write_text("{\n " + head + ",\n " + body + "}\n")


if __name__ == "__main__":
    main()
