#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes duals.tsv: E[f(u) f(v)] and E[f'(u) f'(v)] by two-dimensional quadrature in 25 digits.

Nothing here knows a closed form: only f and f' are given. Smooth functions are integrated by the
trapezoidal rule in whitened coordinates, functions with a kink at 0 in polar coordinates wedge by
wedge (between the lines u = 0 and v = 0), both refined until two rules agree. Columns:
name, parameters, q1, q2, k, F, D; q1, q2 and k are the doubles that they are written as. At q = 0,
f and f' count as the mean of their one-sided limits.

    python3 tests/golden/duals.py > tests/golden/duals.tsv       (needs mpmath; 10 minutes)
    python3 tests/golden/duals.py NAME >> tests/golden/duals.tsv    adds an activation (a minute)
"""
import sys
from mpmath import acos, cos, erf, exp, expm1, log1p, mp, mpf, pi, sin, sqrt, tanh

mp.dps = 25
HALF = mpf(1) / 2
TWO_PI = 2 * pi


def normal(z):
    return exp(-z * z / 2) / sqrt(TWO_PI)


def sigmoid(x):
    return (1 + tanh(x / 2)) / 2


def softplus(x):
    return max(x, mpf(0)) + log1p(exp(-abs(x)))


def gelu_tanh(x):
    return x / 2 * (1 + tanh(sqrt(2 / pi) * (x + mpf("0.044715") * x**3)))


def gelu_tanh_d(x):
    t = tanh(sqrt(2 / pi) * (x + mpf("0.044715") * x**3))
    return (1 + t) / 2 + x / 2 * (1 - t * t) * sqrt(2 / pi) * (1 + 3 * mpf("0.044715") * x**2)


def mish_d(x):
    t = tanh(softplus(x))
    return t + x * (1 - t * t) * sigmoid(x)


def abrelu(a, b):
    return (lambda x: (b if x > 0 else a) * x), (lambda x: b if x > 0 else a)


def elu(scale, alpha):
    return ((lambda x: scale * x if x > 0 else scale * alpha * expm1(x)),
            (lambda x: scale if x > 0 else scale * alpha * exp(x)))


def rectified(n):
    return ((lambda x: x**n if x > 0 else mpf(0)),
            (lambda x: n * x ** (n - 1) if x > 0 and n else mpf(0)))


def erf_scaled(a, b, c):
    return (lambda x: a * erf(b * x) + c), (lambda x: 2 * a * b / sqrt(pi) * exp(-((b * x) ** 2)))


def wave(a, b, c):
    return (lambda x: a * sin(b * x + c)), (lambda x: a * b * cos(b * x + c))


def poly(coef):
    return ((lambda x: sum(c * x**i for i, c in enumerate(coef))),
            (lambda x: sum(i * c * x ** (i - 1) for i, c in enumerate(coef) if i)))


def hermite(n):
    he = [[mpf(1)], [mpf(0), mpf(1)]]
    while len(he) <= n:
        m = len(he)
        he.append([(he[-1][i - 1] if i else 0) - (m - 1) * (he[-2][i] if i < m - 1 else 0)
                   for i in range(m + 1)])
    return poly([c / sqrt(mp.factorial(n)) for c in he[n]])


M = mpf
SELU = (M("1.0507009873554804934193349852946"), M("1.6732632423543772848170429916717"))
R2 = mpf(2)

# name, parameters, (f, f')
KINKED = [
    ("Relu", "", abrelu(M(0), M(1))),
    ("LeakyRelu", "alpha=0.125", abrelu(M("0.125"), M(1))),
    ("Abs", "", abrelu(M(-1), M(1))),
    ("ABRelu", "a=-0.5,b=2", abrelu(M("-0.5"), M(2))),
    ("Sign", "", ((lambda x: M(1) if x > 0 else M(-1)), (lambda x: M(0)))),
    ("RectifiedMonomial", "degree=0", rectified(0)),
    ("RectifiedMonomial", "degree=1", rectified(1)),
    ("RectifiedMonomial", "degree=2", rectified(2)),
    ("RectifiedMonomial", "degree=5", rectified(5)),
    ("Elu", "", elu(M(1), M(1))),
    ("Elu", "alpha=0.25", elu(M(1), M("0.25"))),
    ("Selu", "", elu(*SELU)),
]
CLOSED = [
    ("Erf", "", erf_scaled(M(1), M(1), M(0))),
    ("Erf", "a=2,b=0.5,c=-0.75", erf_scaled(M(2), HALF, M("-0.75"))),
    ("Sigmoid_like", "", erf_scaled(HALF, 1 / M("2.4020563531719796"), HALF)),
    ("Gelu", "", ((lambda x: x * (1 + erf(x / sqrt(R2))) / 2),
                  (lambda x: (1 + erf(x / sqrt(R2))) / 2 + x * normal(x)))),
    ("Sin", "", wave(M(1), M(1), M(0))),
    ("Sin", "a=0.5,b=1.5,c=0.75", wave(HALF, M("1.5"), M("0.75"))),
    ("Cos", "", (cos, (lambda x: -sin(x)))),
    ("Rbf", "gamma=0.5", wave(sqrt(R2), M(1), pi / 4)),
    ("Gaussian", "", ((lambda x: exp(-x * x)), (lambda x: -2 * x * exp(-x * x)))),
    ("Gaussian", "a=2,b=0.0625", ((lambda x: 2 * exp(x * x / 16)),
                                  (lambda x: x / 4 * exp(x * x / 16)))),
    ("Exp", "a=-0.5,b=0.75", ((lambda x: -exp(x * M("0.75")) / 2),
                              (lambda x: -M("0.375") * exp(x * M("0.75"))))),
    ("Monomial", "degree=0", poly([M(1)])),
    ("Monomial", "degree=1", poly([M(0), M(1)])),
    ("Monomial", "degree=4", poly([M(0)] * 4 + [M(1)])),
    ("Monomial", "degree=7", poly([M(0)] * 7 + [M(1)])),
    ("Polynomial", "coef=0.5;-1;0.25;0.125", poly([HALF, M(-1), M("0.25"), M("0.125")])),
]
SERIES = [
    ("Tanh", "", (tanh, (lambda x: 1 - tanh(x) ** 2))),
    ("Sigmoid", "", (sigmoid, (lambda x: sigmoid(x) * sigmoid(-x)))),
    ("Silu", "", ((lambda x: x * sigmoid(x)),
                  (lambda x: sigmoid(x) + x * sigmoid(x) * sigmoid(-x)))),
    ("Softplus", "", (softplus, sigmoid)),
    ("Mish", "", ((lambda x: x * tanh(softplus(x))), mish_d)),
    ("Gelu", "approximate=True", (gelu_tanh, gelu_tanh_d)),
]
UNIT = [
    ("Hermite", "degree=0", hermite(0)),
    ("Hermite", "degree=1", hermite(1)),
    ("Hermite", "degree=6", hermite(6)),
]

NEAR = 1 - mpf(10) ** -8
# q1, q2, rho
POINTS = [(1, 1, "0.5"), (1, 1, "-0.3125"), (1, 1, 0), ("0.25", 1, 1), ("0.25", 1, -1),
          (1, 1, NEAR), (1, 1, -NEAR), (2, "0.5", "0.875"), ("0.0001", "1.5", "0.75"),
          ("0.001", "0.001", "0.6"), ("2.25", "2.25", 1), (0, "1.25", 0)]
UNIT_POINTS = [p for p in POINTS if p[0] == 1 and p[1] == 1]
FAR_POINTS = [(25, 4, "0.75"), (100, 100, "-0.5"), (64, "0.01", "0.99")]
# where products of two scales are no numbers; large ones only where f(c x) = c f(x) or f(x)
TINY_POINTS = [("1e-36", "1e-36", "0.5"), ("1e-36", 1, "0.75"), ("1e-300", "1e-300", "0.5"),
               ("1e-300", 1, "-0.75")]
HUGE_POINTS = [("1e36", "1e36", "0.5"), ("1e300", "1e-300", "-0.5")]
HUGE = ["Relu", "LeakyRelu", "Abs", "ABRelu", "Sign"]


def gauss_legendre(n, known={}):
    """nodes and weights on [0, 1]"""
    if n not in known:
        rule = []
        for i in range(n):
            x = cos(pi * (i + mpf("0.75")) / (n + HALF))
            for _ in range(20):
                older, p = mpf(1), x
                for m in range(2, n + 1):
                    older, p = p, ((2 * m - 1) * x * p - (m - 1) * older) / m
                d = n * (older - x * p) / (1 - x * x)
                step = p / d
                x -= step
                if abs(step) < mpf(10) ** -22:
                    break
            rule.append(((1 - x) / 2, 1 / ((1 - x * x) * d * d)))
        known[n] = rule
    return known[n]


def radial_rule(reach, known={}):
    if reach not in known:
        known[reach] = [((i + x) * HALF, w * HALF) for i in range(2 * reach)
                        for x, w in gauss_legendre(8)]
        known[reach] = [(r, w * r * exp(-r * r / 2) / TWO_PI) for r, w in known[reach]]
    return known[reach]


def wedges(g, rho, s1, s2, n):
    """E[g(u) g(v)]: u = s1 r cos t, v = s2 r cos(t - t0), cos t0 = rho"""
    t0 = acos(rho)
    edges = [-pi / 2, t0 - pi / 2, pi / 2, t0 + pi / 2, 3 * pi / 2]
    total = mpf(0)
    for lo, hi in zip(edges, edges[1:]):
        for x, w in gauss_legendre(n):
            t = lo + (hi - lo) * x
            a, b = s1 * cos(t), s2 * cos(t - t0)
            total += w * (hi - lo) * sum(wr * g(r * a) * g(r * b) for r, wr in radial_rule(13))
    return total


def line(g, s1, s2, kinked):
    """E[g(s1 z) g(s2 z)]; s2 may be negative"""
    if kinked:
        return sqrt(TWO_PI) * sum(w / r * (g(s1 * r) * g(s2 * r) + g(-s1 * r) * g(-s2 * r))
                                  for r, w in radial_rule(13))
    return refined(max(s1, abs(s2)), lambda h, n: add_up(
        h * normal(i * h) * g(s1 * i * h) * g(s2 * i * h) for i in range(-n, n + 1)))


def add_up(terms):
    """Their sum, and that of their sizes"""
    terms = list(terms)
    return sum(terms), sum(abs(x) for x in terms)


def refined(s, rule):
    """A trapezoidal rule's value, which rule(h, n) returns with its scale: 2 n + 1 points h apart. How fast it
    converges depends on how near to the real axis g has a pole; the finer of two rules that agree is far better."""
    h = min(mpf(1) / 4, mpf(1) / 4 / s)
    value, _ = rule(h, int(mpf(14) / h))
    while True:
        h *= mpf(3) / 4
        finer, scale = rule(h, int(mpf(14) / h))
        if abs(finer - value) <= mpf(10) ** -16 * scale:
            return finer
        value = finer


def plane(g, rho, s1, s2):
    """E[g(u) g(v)], g smooth"""
    rest = sqrt(1 - rho * rho)

    def rule(h, n):
        total = scale = mpf(0)
        for i in range(-n, n + 1):
            z = i * h
            left = int(sqrt(max(14 * 14 - z * z, 0)) / h)
            inner, size = add_up(normal(j * h) * g(s2 * (rho * z + rest * j * h)) for j in range(-left, left + 1))
            total += normal(z) * g(s1 * z) * inner
            scale += normal(z) * abs(g(s1 * z)) * size
        return total * h * h, scale * h * h

    return refined(max(s1, s2), rule)


def expectation(g, q1, q2, k, kinked):
    """E[g(u) g(v)]"""
    s1, s2 = sqrt(q1), sqrt(q2)
    if q1 == 0:
        at0 = (g(mpf(10) ** -60) + g(-mpf(10) ** -60)) / 2 if kinked else g(mpf(0))
        return at0 * line_mean(g, s2, kinked)
    rho = k / (s1 * s2)
    if abs(abs(rho) - 1) < mpf(10) ** -20:
        return line(g, s1, s2 if rho > 0 else -s2, kinked)
    if not kinked:
        return plane(g, rho, s1, s2)
    n, value = 24, wedges(g, rho, s1, s2, 16)
    while True:
        finer = wedges(g, rho, s1, s2, n)
        if abs(finer - value) <= mpf(10) ** -19 * abs(finer) or n > 200:
            return finer
        n, value = 2 * n, finer


def line_mean(g, s, kinked):
    if kinked:
        return sqrt(TWO_PI) * sum(w / r * (g(s * r) + g(-s * r)) for r, w in radial_rule(13))
    return refined(s, lambda h, n: add_up(h * normal(i * h) * g(s * i * h) for i in range(-n, n + 1)))


def row(name, params, functions, point, kinked):
    q1, q2 = (mpf(float(mpf(x))) for x in point[:2])
    k = mpf(float(mpf(point[2]) * sqrt(q1 * q2)))
    values = [expectation(g, q1, q2, k, kinked) for g in functions]
    print("\t".join([name, params] + [repr(float(x)) for x in (q1, q2, k)] +
                    [mp.nstr(x, 17) for x in values]), flush=True)


def main():
    if len(sys.argv) == 1:
        print("# made by duals.py: name, parameters, q1, q2, k, E[f f], E[f' f']")
    for group, points, kinked in ((KINKED, POINTS + FAR_POINTS + TINY_POINTS, True),
                                  (CLOSED, POINTS + TINY_POINTS, False),
                                  (SERIES, POINTS + TINY_POINTS, False),
                                  (UNIT, UNIT_POINTS, False)):
        for name, params, functions in group:
            if len(sys.argv) > 1 and name not in sys.argv[1:]:
                continue
            for point in points + (HUGE_POINTS if name in HUGE else []):
                row(name, params, functions, point, kinked)


if __name__ == "__main__":
    main()
