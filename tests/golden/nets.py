#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes nets.json: NNGP and NTK matrices of whole fully connected networks in many digits.

The networks are written in the library's language, which is read here with Python's own eval. Each
layer is its textbook formula, entry by entry, in 60 digits; activations without a closed form are
integrated numerically (20 digits and more). Nothing is shared with the library. All numbers in a
network's text and all samples are the doubles that they denote.

    python3 tests/golden/nets.py           writes tests/golden/nets.json (one minute; needs mpmath)
    python3 tests/golden/nets.py --check   compares every closed form with a plain 2-D integral
"""
import functools
import json
import pathlib
import platform
import sys

import mpmath
from mpmath import acos, asin, atan2, cos, erf, exp, fac, inf, log, mp, mpf
from mpmath import ncdf, npdf, pi, quad, sin, sqrt, tanh

mp.dps = 60
QUADRATURE_DIGITS = 30

# --------------------------------------------------------------------------------- dual moments
#
# A dual gives F = E[f(u) f(v)] and D = E[f'(u) f'(v)] for (u, v) Gaussian with variances q1, q2 and
# covariance k. A correlation that is undefined, because a variance is zero, counts as zero.


def correlation(k, q1, q2):
    if q1 == 0 or q2 == 0:
        return mpf(0)
    return max(min(k / sqrt(q1 * q2), mpf(1)), mpf(-1))


def abrelu(a, b):
    def dual(k, q1, q2):
        theta = acos(correlation(k, q1, q2))
        c = mpf(b - a) ** 2 / (2 * pi)
        d = (mpf(a) ** 2 + mpf(b) ** 2) / 2 - c * theta
        return c * sqrt(q1 * q2) * sin(theta) + d * k, d

    return dual


def error_function(a, b, c):
    a, b, c = mpf(a), mpf(b), mpf(c)

    def dual(k, q1, q2):
        g1, g2, g = 1 + 2 * b**2 * q1, 1 + 2 * b**2 * q2, 2 * b**2 * k
        return (
            2 * a**2 / pi * asin(g / sqrt(g1 * g2)) + c**2,
            4 * a**2 * b**2 / pi / sqrt(g1 * g2 - g**2),
        )

    return dual


def gelu(k, q1, q2):
    m = (1 + q1) * (1 + q2)
    r = sqrt(m - k**2)
    phi = atan2(k, r)
    f = ((k**2 + q1 * q2 * r**2) / (m * r) + k * phi) / (2 * pi) + k / 4
    d = (1 / r**2 + (1 - q1 * q2) / m + 1) * k / (2 * pi * r) + mpf(1) / 4 + phi / (2 * pi)
    return f, d


def sine(a, b, c):
    a, b, c = mpf(a), mpf(b), mpf(c)

    def dual(k, q1, q2):
        minus = exp(-(b**2) * ((q1 + q2) / 2 - k))  # E[cos(b (u - v))]
        plus = exp(-(b**2) * ((q1 + q2) / 2 + k)) * cos(2 * c)  # E[cos(b (u + v) + 2 c)]
        return a**2 / 2 * (minus - plus), a**2 * b**2 / 2 * (minus + plus)

    return dual


def gaussian(a, b):
    a, b = mpf(a), mpf(b)

    def dual(k, q1, q2):
        m = (1 - 2 * b * q1) * (1 - 2 * b * q2) - 4 * b**2 * k**2
        return a**2 / sqrt(m), 4 * a**2 * b**2 * k / m ** mpf(1.5)

    return dual


def exponential(a, b):
    a, b = mpf(a), mpf(b)

    def dual(k, q1, q2):
        f = a**2 * exp(b**2 * ((q1 + q2) / 2 + k))
        return f, b**2 * f

    return dual


def sign(k, q1, q2):
    return 2 / pi * asin(correlation(k, q1, q2)), mpf(0)


def hermite(degree):
    """The normalised Hermite polynomial's dual for variances 1, whatever the variances are."""

    def dual(k, q1, q2):
        return k**degree, degree * k ** (degree - 1)

    return dual


def product_moment(i, j, k, q1, q2):
    """E[u^i v^j]: the sum over pairings with l mixed pairs (Isserlis)."""
    total = mpf(0)
    for l in range(i % 2, min(i, j) + 1, 2):
        if (j - l) % 2 == 0:
            a, b = (i - l) // 2, (j - l) // 2
            ways = fac(i) * fac(j) / (fac(a) * fac(b) * fac(l) * mpf(2) ** (a + b))
            total += ways * q1**a * q2**b * k**l
    return total


def polynomial(coef):
    f = [mpf(c) for c in coef]
    df = [i * c for i, c in enumerate(f)][1:]

    def moment(p, *cov):
        terms = [(i, j) for i in range(len(p)) for j in range(len(p))]
        return sum((p[i] * p[j] * product_moment(i, j, *cov) for i, j in terms), mpf(0))

    return lambda k, q1, q2: (moment(f, k, q1, q2), moment(df, k, q1, q2))


def arc_cosine(n, k, q1, q2):
    """E[max(u, 0)^n max(v, 0)^n] (Cho and Saul 2009, eq. 4 to 7; n = 3 by integration)."""
    t = acos(correlation(k, q1, q2))
    s, c = sin(t), cos(t)
    j = [
        pi - t,
        s + (pi - t) * c,
        3 * s * c + (pi - t) * (1 + 2 * c**2),
        s * (4 + 11 * c**2) + (pi - t) * (9 * c + 6 * c**3),
    ][n]
    return sqrt(q1 * q2) ** n * j / (2 * pi)


def rectified_monomial(degree):
    return lambda k, q1, q2: (
        arc_cosine(degree, k, q1, q2),
        degree**2 * arc_cosine(degree - 1, k, q1, q2),
    )


# ------------------------------------------------------------------- dual moments by quadrature


def smooth(both, strip):
    """For f analytic within `strip` of the real axis: both(x) = (f(x), f'(x)). The trapezoidal rule
    in independent N(0, 1) variables converges like exp(-2 pi d / h), d the strip's width there."""

    @functools.cache
    def dual(k, q1, q2):
        with mp.workdps(QUADRATURE_DIGITS):
            s1, s2 = sqrt(q1), sqrt(q2)
            rho = correlation(k, q1, q2)
            rest = sqrt(max(1 - rho**2, mpf(0)))
            width = min(strip / max(s1, s2), mpf(5)) if max(s1, s2) > 0 else mpf(5)
            h = 2 * pi * width / (50 + width**2 / 2)
            steps = int(10.4 / h)
            at = [i * h for i in range(-steps, steps + 1)]
            weight = [h * npdf(z) for z in at]
            inner = at if rest * s2 > mpf(10) ** -25 else [mpf(0)]
            inner_weight = weight if len(inner) > 1 else [mpf(1)]
            f_sum = d_sum = mpf(0)
            for z1, w1 in zip(at, weight):
                f1, d1 = both(s1 * z1)
                f2 = d2 = mpf(0)
                for z2, w2 in zip(inner, inner_weight):
                    if w1 * w2 > mpf(10) ** -25:
                        value, slope = both(s2 * (rho * z1 + rest * z2))
                        f2 += w2 * value
                        d2 += w2 * slope
                f_sum += w1 * f1 * f2
                d_sum += w1 * d1 * d2
            return f_sum, d_sum

    return dual


def logistic_family(shape):
    """Functions of x, e^x and the logistic function of x, from one exponential."""

    def both(x):
        power = exp(x)
        return shape(x, power, power / (1 + power))

    return both


def mish_of(x, power, p):
    t = power * (power + 2) / (power * (power + 2) + 2)  # tanh(log(1 + e^x))
    return x * t, t + x * p * (1 - t * t)


def tanh_of(x):
    t = tanh(x)
    return t, 1 - t * t


SMOOTH = {
    "Tanh": (tanh_of, pi / 2),
    "Sigmoid": (logistic_family(lambda x, power, p: (p, p * (1 - p))), pi),
    "Silu": (logistic_family(lambda x, power, p: (x * p, p + x * p * (1 - p))), pi),
    "Softplus": (logistic_family(lambda x, power, p: (log(1 + power), p)), pi),
    "Mish": (logistic_family(mish_of), 3 * pi / 4),
}


def elu(scale, alpha):
    """The mean over v given u in closed form, that over u by quadrature beside the kink."""

    def point(x):
        return (x, mpf(1)) if x > 0 else (alpha * (exp(x) - 1), alpha * exp(x))

    def conditional(mean, tau):
        if tau < mpf(10) ** -25:
            return point(mean)
        above, below = ncdf(mean / tau), ncdf(-mean / tau)
        tail = alpha * exp(mean + tau**2 / 2) * ncdf(-mean / tau - tau)
        return mean * above + tau * npdf(mean / tau) + tail - alpha * below, above + tail

    @functools.cache
    def dual(k, q1, q2):
        with mp.workdps(QUADRATURE_DIGITS):
            if q1 == 0:  # f(0) = 0, and a zero variance counts as the limit from above
                return mpf(0), scale**2 * ((1 + alpha) / 2) * elu_slope(q2, alpha)
            if q2 == 0:
                return dual(k, q2, q1)
            s1, s2 = sqrt(q1), sqrt(q2)
            rho = correlation(k, q1, q2)
            tau = s2 * sqrt(max(1 - rho**2, mpf(0)))
            bend = tau / (s2 * max(abs(rho), mpf(0.1)))
            inside = [b for b in (bend, 4 * bend, 16 * bend) if mpf(10) ** -6 < b < 5]
            cuts = [-inf] + [-b for b in reversed(inside)] + [0] + inside + [inf]

            def integrand(which, z):
                u = s1 * z
                return point(u)[which] * conditional(rho * s2 * z, tau)[which] * npdf(z)

            f, d = (quad(functools.partial(integrand, i), cuts) for i in (0, 1))
            return scale**2 * f, scale**2 * d

    return dual


def elu_slope(q, alpha):
    """E[elu'(v)]"""
    return (1 + alpha) / 2 if q == 0 else mpf(1) / 2 + alpha * exp(q / 2) * ncdf(-sqrt(q))


# ---------------------------------------------------------------------------------- the language
#
# A layer is a function of a field, or of a list of fields between FanOut and FanIn.


class Field:
    """Covariance and tangent kernel of all pairs of samples, and the number of channels."""

    def __init__(self, sigma, theta, width):
        self.sigma, self.theta, self.width = sigma, theta, width


def entries(n, rule):
    """The symmetric matrix with entries rule(i, j), i <= j."""
    m = [[None] * n for _ in range(n)]
    for i in range(n):
        for j in range(i, n):
            m[i][j] = m[j][i] = rule(i, j)
    return m


def update(field, rule, width=None):
    """A new field from rule(S, T, i, j) -> (S', T') of each pair."""
    n = len(field.sigma)
    both = entries(n, lambda i, j: rule(field.sigma[i][j], field.theta[i][j], i, j))
    return Field(
        *([[both[i][j][m] for j in range(n)] for i in range(n)] for m in (0, 1)),
        width or field.width,
    )


def Dense(out_dim, W_std=1.0, b_std=None, parameterization="ntk", s=(1, 1), trainable=True):
    w2, b2 = mpf(W_std) ** 2, mpf(b_std or 0) ** 2

    def layer(field):
        def rule(sigma, theta, i, j):
            out = w2 * sigma + b2
            if not trainable:
                own = 0
            elif parameterization == "ntk":
                own = out
            else:
                own = field.width / mpf(s[0]) * sigma + (0 if b_std is None else 1)
            return out, w2 * theta + own

        return update(field, rule, out_dim * (1 if parameterization == "ntk" else s[1]))

    return layer


def Nonlinearity(dual):
    def layer(field):
        q = [field.sigma[i][i] for i in range(len(field.sigma))]

        def rule(sigma, theta, i, j):
            f, d = dual(sigma, q[i], q[j])
            return f, theta * d

        return update(field, rule)

    return layer


def LayerNorm(eps=1e-12):
    def layer(field):
        scale = [1 / sqrt(field.sigma[i][i] + mpf(eps)) for i in range(len(field.sigma))]
        return update(field, lambda s, t, i, j: (s * scale[i] * scale[j], t * scale[i] * scale[j]))

    return layer


def Dropout(rate, mode="train"):
    def rule(sigma, theta, i, j):
        factor = 1 / mpf(rate) if mode == "train" and i == j else 1
        return sigma * factor, theta * factor

    return lambda field: update(field, rule)


def Identity():
    return lambda field: field


def serial(*layers):
    return lambda field: functools.reduce(lambda x, layer: layer(x), layers, field)


def repeat(layer, n):
    return serial(*[layer] * n)


def FanOut(n):
    return lambda field: [field] * n


def parallel(*layers):
    return lambda fields: [layer(field) for layer, field in zip(layers, fields, strict=True)]


def residual(*layers):
    return serial(FanOut(2), parallel(Identity(), serial(*layers)), FanInSum())


def join(rule, width):
    """A layer of several fields: rule([S_1, ...], [T_1, ...], [c_1, ...]) for each pair."""

    def layer(fields):
        widths = [f.width for f in fields]

        def pair(s, t, i, j):
            return rule([f.sigma[i][j] for f in fields], [f.theta[i][j] for f in fields], widths)

        return update(fields[0], pair, width(widths))

    return layer


def FanInSum():
    return join(lambda s, t, c: (sum(s), sum(t)), max)


def FanInProd():
    def rule(s, t, c):
        others = [mpmath.fprod(s[:i] + s[i + 1 :]) for i in range(len(s))]
        return mpmath.fprod(s), mpmath.fdot(t, others)

    return join(rule, max)


def FanInConcat(axis=-1):
    def mean(values, c):
        return mpmath.fdot(values, c) / sum(c)

    return join(lambda s, t, c: (mean(s, c), mean(t, c)), sum)


def Elementwise(name):
    return LANGUAGE[name.capitalize()]()


SELU = (mpf("1.0507009873554804934193349852946"), mpf("1.6732632423543772848170429916717"))
LANGUAGE = {
    layer.__name__: layer
    for layer in (Dense, LayerNorm, Dropout, Identity, serial, repeat, FanOut, parallel, residual)
    + (FanInSum, FanInProd, FanInConcat, Elementwise)
}
LANGUAGE["Flatten"] = Identity  # on vectors
DUALS = {
    "Relu": lambda: abrelu(0, 1),
    "LeakyRelu": lambda alpha: abrelu(alpha, 1),
    "ABRelu": abrelu,
    "Abs": lambda: abrelu(-1, 1),
    "Erf": lambda a=1, b=1, c=0: error_function(a, b, c),
    "Sigmoid_like": lambda: error_function(0.5, 1 / 2.4020563531719796, 0.5),
    "Gelu": lambda: gelu,
    "Sin": lambda a=1, b=1, c=0: sine(a, b, c),
    "Cos": lambda a=1, b=1, c=0: sine(a, b, mpf(c) + pi / 2),
    "Rbf": lambda gamma=1: sine(sqrt(2), sqrt(2 * mpf(gamma)), pi / 4),
    "Gaussian": lambda a=1, b=-1: gaussian(a, b),
    "Exp": lambda a=1, b=1: exponential(a, b),
    "Sign": lambda: sign,
    "Hermite": hermite,
    "Monomial": lambda degree: polynomial([0] * degree + [1]),
    "RectifiedMonomial": rectified_monomial,
    "Polynomial": polynomial,
    "Elu": lambda alpha=1: elu(mpf(1), mpf(alpha)),
    "Selu": lambda: elu(*SELU),
    **{name: (lambda f=f, strip=strip: smooth(f, strip)) for name, (f, strip) in SMOOTH.items()},
}


def activation(make):
    return lambda *args, **keywords: Nonlinearity(make(*args, **keywords))


LANGUAGE.update({name: activation(make) for name, make in DUALS.items()})


def kernels(text, x):
    """NNGP and NTK of the net `text` for the rows of x (floats), as matrices of mpf."""
    x = [[mpf(v) for v in row] for row in x]
    sigma = entries(len(x), lambda i, j: mpmath.fdot(x[i], x[j]) / len(x[0]))
    zero = entries(len(x), lambda i, j: mpf(0))
    out = eval(text, {"__builtins__": {}, **LANGUAGE})(Field(sigma, zero, len(x[0])))
    return out.sigma, out.theta


# --------------------------------------------------------------------------- samples and networks

FIRST = [0.91, -1.32, 0.47, 1.08, -0.25]
SECOND = [-0.64, 0.35, 1.51, -0.88, 1.17]
NEAR = [FIRST[0] + 1e-3, *FIRST[1:]]
SAMPLES = {
    # equal rows 0 and 2, parallel rows 1 and 3, near-duplicates 0 and 4, a zero row
    "zero": [FIRST, SECOND, FIRST, [2 * v for v in SECOND], NEAR, [0.0] * 5],
    # the same with rows 1 and 3 opposite, and row 5 ordinary
    "opposite": [FIRST, SECOND, FIRST, [-v for v in SECOND], NEAR, [0.3, 0.82, -1.9, 0.44, 0.07]],
    # the same with norms from 1e-3 to 1e2
    "scales": [FIRST, [v / 512 for v in SECOND], FIRST, [64 * v for v in SECOND], NEAR]
    + [[0.03, -0.08, 0.19, 0.04, 0.07]],
}


def mlp(act, depth=1, w="2**0.5", b=None, last="Dense(1)"):
    """Text of `depth` times (Dense, act), then `last`."""
    dense = f"Dense(512, W_std={w}" + (f", b_std={b})" if b is not None else ")")
    return "serial(" + f"{dense}, {act}, " * depth + f"{last})"


B01 = "Dense(1, W_std=1.5, b_std=0.1)"
# (text, samples, note); the note says what the case is there for
NETS = [
    ("Dense(1)", "zero", "linear, one layer"),
    ("Dense(3, W_std=1.3, b_std=0.1)", "opposite", "linear with bias"),
    ("serial(Flatten(), Dense(8), Identity(), Dense(1, b_std=0.5))", "zero", "deep linear"),
    (mlp("Relu()"), "zero", "zero, equal and parallel inputs without bias"),
    (mlp("Relu()", 2, b=0), "opposite", "bias of deviation 0; opposite inputs"),
    (mlp("Relu()", 3, b=0.1), "zero", "with bias"),
    (mlp("Relu()", 3), "scales", "norms from 1e-3 to 1e2"),
    (mlp("Relu()", 5, b=0.1), "opposite", "depth 5"),
    (
        "serial(Dense(512, W_std=2**0.5, b_std=0.1), "
        "repeat(serial(Relu(), Dense(512, W_std=2**0.5, b_std=0.1)), 12))",
        "opposite",
        "depth 12 by repeat",
    ),
    (
        "serial(Dense(512, W_std=2**0.5), repeat(serial(Relu(), Dense(512, W_std=2**0.5)), 12))",
        "scales",
        "depth 12 without bias",
    ),
    (mlp("LeakyRelu(0.1)", 2, b=0.1), "zero", ""),
    (mlp("LeakyRelu(alpha=-0.4)", 2), "opposite", "negative slope"),
    (mlp("ABRelu(-0.5, 1.5)", 3, w=1), "zero", ""),
    (mlp("Abs()", 2, w=1), "opposite", ""),
    (mlp("Erf()", 1), "zero", ""),
    (mlp("Erf()", 3, w=1.5, b=0.1, last=B01), "opposite", ""),
    (mlp("Erf(a=1.5, b=0.7, c=0.2)", 2, w=1.5), "zero", "all parameters"),
    (mlp("Erf()", 2, w=1.5), "scales", "saturated and linear inputs"),
    (mlp("Sigmoid_like()", 2, w=2, b=0.1), "zero", ""),
    (mlp("Gelu()", 1), "zero", ""),
    (mlp("Gelu()", 3, b=0.1), "opposite", ""),
    (mlp("Gelu()", 2), "scales", "variances from 1e-5 to 1e4"),
    (mlp("Sin()", 2, w=1.5, b=0.1), "zero", ""),
    (mlp("Sin(a=1.2, b=0.8, c=0.4)", 2, w=1.5), "opposite", "all parameters"),
    (mlp("Cos(a=1.2, b=0.8, c=0.4)", 2, w=1.5), "zero", "all parameters"),
    (mlp("Rbf(0.5)", 1, w=1), "zero", "the RBF kernel exactly"),
    (mlp("Rbf()", 2, w=0.7, b=0.1), "opposite", ""),
    (mlp("Gaussian()", 2, w=0.8), "zero", ""),
    (mlp("Gaussian(a=1.3, b=-0.3)", 2, w=1, b=0.1), "opposite", ""),
    (mlp("Gaussian(a=0.9, b=0.02)", 2, w=1), "zero", "growing: b > 0"),
    (mlp("Exp(a=0.5, b=0.4)", 2, w=1, b=0.1), "zero", ""),
    (mlp("Sign()", 2, w=1), "zero", "its tangent kernel is that of the last layer"),
    (mlp("Sign()", 1, w=1, b=0.1), "opposite", ""),
    (
        "serial(Dense(512), LayerNorm(), Hermite(3), Dense(512), LayerNorm(), Hermite(2), "
        "Dense(1))",
        "opposite",
        "variances 1 by LayerNorm",
    ),
    (mlp("Monomial(2)", 2, w=0.7, b=0.1), "zero", ""),
    (mlp("Monomial(3)", 1, w=0.7), "opposite", ""),
    (mlp("Monomial(5)", 1, w=0.6), "zero", ""),
    (mlp("RectifiedMonomial(1)", 2), "zero", "the same as Relu"),
    (mlp("RectifiedMonomial(2)", 2, w=0.8, b=0.1), "opposite", ""),
    (mlp("RectifiedMonomial(3)", 1, w=0.8), "zero", ""),
    (mlp("Polynomial([0.2, 1, -0.3, 0.1])", 2, w=0.8, b=0.1), "zero", ""),
    (mlp("Elementwise('tanh')", 2, w=1.5, b=0.1), "opposite", "quadrature"),
    (mlp("Tanh()", 1, w=1.2), "zero", "quadrature"),
    (mlp("Sigmoid()", 2, w=1.5), "zero", "quadrature"),
    (mlp("Silu()", 2, b=0.1), "opposite", "quadrature"),
    (mlp("Softplus()", 1), "zero", "quadrature"),
    (mlp("Mish()", 1), "zero", "quadrature"),
    (mlp("Elu()", 2, b=0.1), "opposite", "quadrature"),
    (mlp("Selu()", 1, w=1), "zero", "quadrature"),
    (
        "serial(Dense(64, W_std=1.5, b_std=0.1, parameterization='standard', s=(1, 3)), Relu(), "
        "Dense(32, W_std=1.5, b_std=0.1, parameterization='standard', s=(3, 2)), Erf(), "
        "Dense(1, parameterization='standard', s=(2, 1)))",
        "zero",
        "improved standard parameterisation: a layer has s[1] out_dim channels",
    ),
    (
        "serial(Dense(16, b_std=0, parameterization='standard'), Relu(), "
        "Dense(4, b_std=None, parameterization='standard'))",
        "opposite",
        "standard: a bias of deviation 0 still trains",
    ),
    (
        "serial(Dense(512, W_std=2**0.5, b_std=0.1, trainable=False), Relu(), "
        "Dense(512, W_std=2**0.5, b_std=0.1), Relu(), Dense(1, b_std=0.1, trainable=False))",
        "zero",
        "first and last layer frozen",
    ),
    (
        "serial(Dense(32, parameterization='standard'), Gelu(), Dense(16, b_std=0.1, "
        "parameterization='standard', trainable=False), Relu(), "
        "Dense(1, parameterization='standard'))",
        "opposite",
        "standard, middle layer frozen",
    ),
    (
        "serial(Dense(512, trainable=False), Relu(), Dense(1, trainable=False))",
        "zero",
        "nothing trained: the tangent kernel is zero",
    ),
    (
        "serial(Dense(512, W_std=1.2, b_std=0.1), LayerNorm(), Relu(), Dense(512, W_std=1.5), "
        "LayerNorm(eps=1e-3), Gelu(), Dense(1))",
        "scales",
        "LayerNorm, two values of eps",
    ),
    (
        "serial(Dense(512, W_std=2**0.5), Relu(), Dropout(0.8), Dense(512, W_std=2**0.5), Relu(), "
        "Dropout(rate=0.5, mode='test'), Dense(1))",
        "zero",
        "Dropout acts on a sample with itself, not with an equal one",
    ),
    (
        "serial(Dense(512), residual(Relu(), Dense(512, W_std=2**0.5, b_std=0.1)), "
        "residual(Relu(), Dense(512, W_std=2**0.5, b_std=0.1)), Relu(), Dense(1))",
        "zero",
        "residual",
    ),
    (
        "serial(Dense(512), repeat(serial(FanOut(2), parallel(serial(Erf(), "
        "Dense(512, W_std=1.5)), Identity()), FanInSum()), 4), Dense(1))",
        "opposite",
        "four equal blocks by repeat",
    ),
    (
        "serial(FanOut(3), parallel(Dense(512, b_std=0.1), serial(Dense(512), Relu(), Dense(512)), "
        "Dense(512, W_std=0.5)), FanInSum(), Gelu(), Dense(1))",
        "zero",
        "three branches of the input",
    ),
    (
        "serial(FanOut(2), parallel(serial(Dense(512), Relu(), Dense(512, b_std=0.1)), "
        "serial(Dense(512, b_std=0.3), Erf(), Dense(512))), FanInProd(), Dense(1))",
        "zero",
        "product of two branches",
    ),
    (
        "serial(FanOut(3), parallel(Dense(512), serial(Dense(512), Erf()), Dense(512, b_std=0.2)), "
        "FanInProd(), Dense(1, b_std=0.1))",
        "opposite",
        "product of three branches",
    ),
    (
        "serial(Dense(512), Relu(), FanOut(2), parallel(Dense(100, W_std=2**0.5), "
        "Dense(300, b_std=0.5)), FanInConcat(), Dense(64, b_std=0.1), Relu(), "
        "Dense(1, parameterization='standard'))",
        "zero",
        "concatenation weighs by width",
    ),
    (
        "serial(FanOut(2), parallel(Dense(10, parameterization='standard', s=(1, 3)), "
        "serial(Dense(20, W_std=1.2), Gelu())), FanInConcat(), "
        "Dense(8, b_std=0.2, parameterization='standard', s=(2, 1)), Erf(), Dense(1))",
        "opposite",
        "concatenation in standard parameterisation",
    ),
]


# ----------------------------------------------------------------------------------------- output


def digits(value, n=17):
    """A JSON number with n significant digits."""
    return mpmath.nstr(value, n, min_fixed=-3, max_fixed=9)


def matrix(m):
    return "[" + ",\n   ".join("[" + ", ".join(digits(v) for v in row) + "]" for row in m) + "]"


def made_by(script):
    return (
        f'"made_by": {{"script": "{script}", "mpmath": "{mpmath.__version__}", '
        f'"python": "{platform.python_version()}", "digits": {mp.dps}}}'
    )


def write():
    texts = []
    for text, samples, note in NETS:
        x = SAMPLES[samples]
        nngp, ntk = kernels(text, x)
        parts = [
            f'  {{"net": {json.dumps(text)}',
            f'   "note": {json.dumps(note)}',
            f'   "x": {json.dumps(x)}',
            f'   "nngp":\n   {matrix(nngp)}',
            f'   "ntk":\n   {matrix(ntk)}}}',
        ]
        texts.append(",\n".join(parts))
    path = pathlib.Path(__file__).with_suffix(".json")
    head = "{\n " + made_by(path.with_suffix(".py").name) + ',\n "nets": [\n'
    path.write_text(head + ",\n".join(texts) + "\n]}\n")


# Functions and their derivatives as they are, for the check of the duals above.
PLAIN = {
    "Relu()": (lambda x: max(x, 0), lambda x: mpf(x > 0)),
    "ABRelu(-0.5, 1.5)": (
        lambda x: x * (mpf(1.5) if x > 0 else mpf(-0.5)),
        lambda x: mpf(1.5) if x > 0 else mpf(-0.5),
    ),
    "Erf(1.5, 0.7, 0.2)": (
        lambda x: mpf(1.5) * erf(mpf(0.7) * x) + mpf(0.2),
        lambda x: mpf(1.5) * mpf(0.7) * 2 / sqrt(pi) * exp(-((mpf(0.7) * x) ** 2)),
    ),
    "Gelu()": (lambda x: x * ncdf(x), lambda x: ncdf(x) + x * npdf(x)),
    "Sin(1.2, 0.8, 0.4)": (
        lambda x: mpf(1.2) * sin(mpf(0.8) * x + mpf(0.4)),
        lambda x: mpf(1.2) * mpf(0.8) * cos(mpf(0.8) * x + mpf(0.4)),
    ),
    "Cos(1.2, 0.8, 0.4)": (
        lambda x: mpf(1.2) * cos(mpf(0.8) * x + mpf(0.4)),
        lambda x: -mpf(1.2) * mpf(0.8) * sin(mpf(0.8) * x + mpf(0.4)),
    ),
    "Rbf(0.5)": (
        lambda x: sqrt(2) * sin(x + pi / 4),
        lambda x: sqrt(2) * cos(x + pi / 4),
    ),
    "Gaussian(1.3, -0.3)": (
        lambda x: mpf(1.3) * exp(mpf(-0.3) * x * x),
        lambda x: 2 * mpf(1.3) * mpf(-0.3) * x * exp(mpf(-0.3) * x * x),
    ),
    "Exp(0.5, 0.4)": (
        lambda x: mpf(0.5) * exp(mpf(0.4) * x),
        lambda x: mpf(0.5) * mpf(0.4) * exp(mpf(0.4) * x),
    ),
    "Sign()": (mpmath.sign, lambda x: mpf(0)),
    "Monomial(3)": (lambda x: x**3, lambda x: 3 * x**2),
    "RectifiedMonomial(2)": (lambda x: max(x, 0) ** 2, lambda x: 2 * max(x, 0)),
    "RectifiedMonomial(3)": (lambda x: max(x, 0) ** 3, lambda x: 3 * max(x, 0) ** 2),
    "Polynomial([0.2, 1, -0.3, 0.1])": (
        lambda x: mpf(0.2) + x + mpf(-0.3) * x**2 + mpf(0.1) * x**3,
        lambda x: 1 + 2 * mpf(-0.3) * x + 3 * mpf(0.1) * x**2,
    ),
    "Tanh()": (tanh, lambda x: 1 / mpmath.cosh(x) ** 2),
    "Sigmoid()": (lambda x: 1 / (1 + exp(-x)), lambda x: 1 / (2 + exp(x) + exp(-x))),
    "Silu()": (
        lambda x: x / (1 + exp(-x)),
        lambda x: 1 / (1 + exp(-x)) + x / (2 + exp(x) + exp(-x)),
    ),
    "Softplus()": (lambda x: log(1 + exp(x)), lambda x: 1 / (1 + exp(-x))),
    "Mish()": (
        lambda x: x * tanh(log(1 + exp(x))),
        lambda x: mpmath.diff(lambda y: y * tanh(log(1 + exp(y))), x),
    ),
    "Elu(0.7)": (
        lambda x: x if x > 0 else mpf(0.7) * (exp(x) - 1),
        lambda x: mpf(1) if x > 0 else mpf(0.7) * exp(x),
    ),
}


def plain_integral(f, k, q1, q2):
    """E[f(u) f(v)] by the trapezoidal rule on the quadrants, x = exp(t - exp(-t)) on each axis."""
    rho, s1, s2 = k / sqrt(q1 * q2), sqrt(q1), sqrt(q2)
    step = mpf(1) / 16
    half = [(exp(t - exp(-t)), step * (1 + exp(-t))) for t in mpmath.arange(-3.9, 2.5, step)]
    nodes = [(sign * x, x * w) for x, w in half for sign in (-1, 1)]
    values = [(x, w * f(s1 * x), w * f(s2 * x)) for x, w in nodes]
    total = mpf(0)
    for x, fx, _ in values:
        for y, _, fy in values:
            total += fx * fy * exp((2 * rho * x * y - x * x - y * y) / (2 * (1 - rho**2)))
    return total / (2 * pi * sqrt(1 - rho**2))


def check():
    worst = mpf(0)
    for text, (f, df) in PLAIN.items():
        with mp.workdps(20):
            dual = eval(text, {"__builtins__": {}, **DUALS})
            for k, q1, q2 in ((mpf(0.3), mpf(1), mpf(0.8)), (mpf(-0.5), mpf(0.6), mpf(1.7))):
                got = dual(k, q1, q2)
                want = plain_integral(f, k, q1, q2), plain_integral(df, k, q1, q2)
                error = max(abs(g - w) / max(abs(w), 1) for g, w in zip(got, want))
                worst = max(worst, error)
                print(f"{text:34} {mpmath.nstr(error, 3)}", flush=True)
    return 0 if worst < mpf(10) ** -15 else 1


if __name__ == "__main__":
    sys.exit(check() if "--check" in sys.argv[1:] else write())
