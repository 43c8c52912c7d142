#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes near.json: kernels of almost parallel samples in many digits, with the formulas of nets.py.

Every activation with two hidden layers, and every other layer of vectors, on samples of one or two numbers
with norms up to 100 and relative distances from 1e-1 to 1e-12. The samples of the sets `line` and
`plane` are float32 numbers, those of `close` and `turned` need float64. Closed forms also on samples of
norms from 1e-140 to 1e140, and of all these in one set.

    python3 tests/golden/near.py     writes tests/golden/near.json (ten minutes; needs mpmath)
"""
import functools
import json
import pathlib
import platform
import struct

import mpmath
import nets
from mpmath import mp, mpf, ncdf, npdf, pi, sqrt

# At a distance of 1e-12 the next layer's 1 - rho is some 1e-25; an error of 1e-29 in it is one of 1e-16 in
# the angle.
DIGITS = 33


def smooth(both, strip):
    """As nets.smooth; the inner rule's width grows as the samples come together."""

    @functools.cache
    def dual(k, q1, q2):
        s1, s2 = sqrt(q1), sqrt(q2)
        rho = nets.correlation(k, q1, q2)
        rest = sqrt(max(1 - rho**2, mpf(0)))
        with mp.workdps(DIGITS):
            outer = rule(strip / max(s1, s2))
            inner = rule(strip / (rest * s2)) if rest * s2 > mpf(10) ** -32 else [(mpf(0), mpf(1))]
            f_sum = d_sum = mpf(0)
            for z1, w1 in outer:
                f1, d1 = both(s1 * z1)
                values = [(w2, both(s2 * (rho * z1 + rest * z2))) for z2, w2 in inner]
                f_sum += w1 * f1 * mpmath.fsum(w2 * f2 for w2, (f2, _) in values)
                d_sum += w1 * d1 * mpmath.fsum(w2 * d2 for w2, (_, d2) in values)
            return f_sum, d_sum

    return dual


@functools.cache
def trapezoid(h):
    steps = int(11.6 / h)
    return [(i * h, h * npdf(i * h)) for i in range(-steps, steps + 1)]


def rule(width):
    """Trapezoidal rule for N(0, 1) and functions analytic within `width` of the line, to 29 digits."""
    width = min(width, mpf(5))
    return trapezoid(mpf(int(1024 * 2 * pi * width / (67 + width**2 / 2))) / 1024)


def elu(scale, alpha):
    """As nets.elu, with intervals around the kink that shrink with the angle."""

    def point(x):
        return (x, mpf(1)) if x > 0 else (alpha * (mpmath.exp(x) - 1), alpha * mpmath.exp(x))

    def conditional(mean, tau):
        if tau == 0:
            return point(mean)
        if abs(mean) > 12 * tau:
            if mean > 0:
                return mean, mpf(1)
            tail = alpha * mpmath.exp(mean + tau**2 / 2)
            return tail - alpha, tail
        above, below = ncdf(mean / tau), ncdf(-mean / tau)
        tail = alpha * mpmath.exp(mean + tau**2 / 2) * ncdf(-mean / tau - tau)
        return mean * above + tau * npdf(mean / tau) + tail - alpha * below, above + tail

    @functools.cache
    def dual(k, q1, q2):
        s1, s2 = sqrt(q1), sqrt(q2)
        rho = nets.correlation(k, q1, q2)
        tau = s2 * sqrt(max(1 - rho**2, mpf(0)))
        with mp.workdps(DIGITS):
            # v's mean is rho s2 z, and tau wide around 0
            bend = min(tau / (s2 * max(abs(rho), mpf("0.1"))), mpf(1))
            inside = [bend * 12 * mpf(j) / 6 for j in range(1, 7)] if bend > 0 else []
            outside = [c for c in (mpf(1) / 16, mpf(1) / 4, 1, 2, 4, 9.5) if not inside or c > inside[-1]]
            half = inside + outside
            cuts = [-c for c in reversed(half)] + [0] + half
            f = d = mpf(0)
            for a, b in zip(cuts, cuts[1:]):
                for x, w in legendre():
                    z = a + (b - a) * x
                    (f1, d1), (f2, d2) = point(s1 * z), conditional(rho * s2 * z, tau)
                    f += (b - a) * w * npdf(z) * f1 * f2
                    d += (b - a) * w * npdf(z) * d1 * d2
            return scale**2 * f, scale**2 * d

    return dual


@functools.cache
def legendre(n=36):
    """Nodes and weights on [0, 1], by Newton's method."""
    rule = []
    with mp.workdps(DIGITS + 5):
        for i in range(n):
            t = mpmath.cos(pi * (i + 0.75) / (n + 0.5))
            for _ in range(8):
                older, p = mpf(1), t
                for m in range(2, n + 1):
                    older, p = p, ((2 * m - 1) * t * p - (m - 1) * older) / m
                slope = n * (older - t * p) / (1 - t * t)
                t -= p / slope
            rule.append(((1 - t) / 2, 1 / ((1 - t * t) * slope * slope)))
    return rule


for name, (f, strip) in nets.SMOOTH.items():
    nets.LANGUAGE[name] = nets.activation(functools.partial(smooth, f, strip))
nets.LANGUAGE["Elu"] = nets.activation(lambda alpha=1: elu(mpf(1), mpf(alpha)))
nets.LANGUAGE["Selu"] = nets.activation(lambda: elu(*nets.SELU))


# --------------------------------------------------------------------------- samples and networks


def narrow(x):
    return struct.unpack("f", struct.pack("f", x))[0]


SAMPLES = {
    "line": [[narrow(v)] for v in (-31.4159, -30.1466, -31.4159 * (1 + 2e-7), 31.3845, 100, 0.37)],
    "plane": [
        [narrow(v) for v in row]
        for row in ([7, 0], [7, 7e-12], [8, 8e-8], [-7, 7e-6], [50, 0.05], [0.5, 0.05], [99, 9.5])
    ],
    "close": [[2.7 * (1 + d)] for d in (0, 1e-12, 1e-9, 1e-6, 1e-3, 1e-1)],
    "turned": [[1.3 + 0.4 * d, -0.7 + d] for d in (0, 1e-12, 1e-9, 1e-6, 1e-3, 1e-1)],
}

PAIRS = [[1.3, -0.7], [1.3 + 4e-13, -0.7 + 1e-12], [1.3 + 4e-9, -0.7 + 1e-9], [-1.3 - 4e-6, 0.7 + 1e-6]]
PAIRS += [[1.3 + 4e-4, -0.7 + 1e-3], [1.0, 0.2], [-2.6, 1.4], [3.9, -2.1], [3.9 + 2e-12, -2.1]]


def scaled(sizes):
    return [[size * v for v in x] for size, x in zip(sizes, PAIRS)]


EXTREME = {f"{size}": scaled([size] * 9) for size in (1e-140, 1e-60, 1e-20, 1e-5, 1e20, 1e60, 1e140)}
EXTREME["mixed"] = scaled([1e-60, 1e60, 1, 1e60, 1e-60, 1e40, 1e-40, 1, 1e-3])


def after(first, second, w="1.5", w2="1.5"):
    return f"serial(Dense(8, W_std={w}, b_std=0.05), {first}, Dense(8, W_std={w2}, b_std=0.05), {second}, Dense(1))"


def two(act, w="1.5", w2=None):
    return after(act, act, w, w2 or w)


SCALED = ["Relu()", "LeakyRelu(0.1)", "ABRelu(-0.5, 1.2)", "Abs()", "Sign()", "Erf()", "Gelu()"]
SCALED += ["Sin()", "Cos(1.0, 0.5, 0.3)", "Rbf(0.7)", "Gaussian()", "Sigmoid_like()", "Erf(1.2, 0.4, 0.3)"]
POWERS = ["Monomial(2)", "Monomial(3)", "RectifiedMonomial(0)", "RectifiedMonomial(1)"]
POWERS += ["RectifiedMonomial(2)", "RectifiedMonomial(3)", "Polynomial((0.3, 1.0, -0.4, 0.1))"]
SMALL = ["Tanh()", "Sigmoid()", "Silu()", "Softplus()", "Mish()", "Elu()", "Elu(0.4)", "Selu()"]

NETWORKS = [two(act) for act in SCALED]
NETWORKS += [two(act, "0.3") for act in POWERS]
NETWORKS += [two("Exp(0.5, 0.15)", "0.1"), two("Hermite(3)", "0.3")]
NETWORKS += [two(act, "0.05" if act == "Tanh()" else "0.06", "1.2") for act in SMALL]
MIXED = ["Erf()", "Gelu()", "Sin()", "Cos()", "Gaussian()", "Monomial(2)", "Sign()", "Exp(0.5, 0.02)"]
NETWORKS += [after(act, "Relu()") for act in MIXED]
NETWORKS += [after("Tanh()", "Abs()", "0.05")]
NETWORKS += [after(act, "Abs()", "0.06") for act in ("Silu()", "Selu()")]
NETWORKS += [
    "serial(Dense(8), Relu(), Dense(8), Relu(), Dense(1))",
    "serial(Dense(8, b_std=0.1), LayerNorm(), Relu(), Dense(8, b_std=0.2), LayerNorm(eps=0.1), Relu(), Dense(1))",
    "serial(Dense(8, W_std=1.5, b_std=0.05), residual(Relu(), Dense(8, W_std=1.2, b_std=0.1)), Abs(), Dense(1))",
    "serial(FanOut(2), parallel(Dense(8, b_std=0.3), serial(Dense(8, W_std=0.4, b_std=1.0), Relu(), Dense(8))), "
    "FanInProd(), Dense(8, b_std=0.1), Relu(), Dense(1))",
    "serial(FanOut(2), parallel(serial(Dense(8, b_std=0.3), Relu()), serial(Dense(4, b_std=1.0), Abs())), "
    "FanInConcat(), Dense(8, b_std=0.1), Relu(), Dense(1))",
    "serial(repeat(serial(Dense(8, W_std=2**0.5, b_std=0.05), Relu()), 20), Dense(1))",
    "serial(repeat(serial(Dense(8, W_std=1.3, b_std=0.1), Erf()), 20), Dense(1))",
    "serial(Dense(8, W_std=1.5, b_std=0.05, parameterization='standard'), Relu(), Dense(8, parameterization="
    "'standard', b_std=0.1), Relu(), Dense(1, parameterization='standard'))",
    "serial(Dense(8, W_std=1.5, b_std=0.05), Relu(), Dropout(0.9), Dense(8, b_std=0.05), Relu(), Dense(1))",
]

BRANCHES = "FanOut(2), parallel(Dense(8), serial(Relu(), Dense(8))), FanInSum()"
CLOSED = [("Erf()", "Erf()"), ("Erf()", "Relu()"), ("Erf(1.2, 0.4, 0.3)", "Gelu()"), ("Gelu()", "Gelu()")]
CLOSED += [("Gelu()", "Relu()"), ("Gaussian()", "Gaussian()"), ("Gaussian(1.5, -0.2)", "Erf()"), ("Abs()", "Erf()")]
CLOSED += [("Relu()", "Gaussian()"), ("Sin()", "Relu()"), ("Sin()", "Gelu()"), ("Cos()", "Erf()"), ("Rbf(0.7)", "Abs()")]
CLOSED += [("LayerNorm(), Erf()", "Relu()"), (BRANCHES, "Relu()")]
EXTREMES = [after(a, b) for a, b in CLOSED]
EXTREMES += [f"serial(Dense(8), {a}, Dense(8), {b}, Dense(1))" for a, b in CLOSED]


def digits(value):
    return float(mpmath.nstr(value, 17))


def entry(text, name, x):
    sigma, theta = nets.kernels(text, x)
    n = len(x)
    upper = [(i, j) for i in range(n) for j in range(i, n)]
    return {
        "net": text,
        "samples": name,
        "nngp": [digits(sigma[i][j]) for i, j in upper],
        "ntk": [digits(theta[i][j]) for i, j in upper],
    }


def extremes():
    with mp.workdps(1400):  # squares of 1e140, twice, and of distances
        return [entry(text, name, x) for text in EXTREMES for name, x in EXTREME.items()]


def write():
    out = []
    for text in NETWORKS:
        for name, x in SAMPLES.items():
            if any(act in text for act in SMALL) and name in ("plane", "turned"):
                continue  # by quadrature, which is slow
            out.append(entry(text, name, x))
        print(text, flush=True)
    out += extremes()
    made = f"near.py, mpmath {mpmath.__version__}, Python {platform.python_version()}"
    lines = ",\n".join(json.dumps(net) for net in out)
    text = f'{{"made_by": "{made}",\n"samples": {json.dumps(SAMPLES | EXTREME)},\n"nets": [\n{lines}\n]}}\n'
    pathlib.Path(__file__).with_suffix(".json").write_text(text)


if __name__ == "__main__":
    write()
