#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes src/simd/polynomials.h: the polynomials of simd/vmath.h, for float and double.

Each is the minimax polynomial in the relative error, or the absolute one times a weight, (Remez' exchange in 50 digits) of an analytic
function on an interval, rounded to the element type at the end.

    python3 scripts/dual_polynomials.py > src/simd/polynomials.h       (needs mpmath)
"""
from mpmath import mp, mpf, acos, asin, cos, erfc, exp, expm1, lu_solve, matrix, pi, sin, sqrt

mp.dps = 50


def arccos_p(a):
    """acos(a) / (pi sqrt(1 - a))"""
    return sqrt(2) / pi if a == 1 else acos(a) / (pi * sqrt(1 - a))


def arcsine_turned(c):
    """(asin(x) - pi / 4) / s, s = x - t, c = x + t, t = sqrt(1 - x^2): acos(c / sqrt(2)) / sqrt(2 - c^2)"""
    return 1 / sqrt(mpf(2)) if c * c >= 2 else acos(c / sqrt(mpf(2))) / sqrt(2 - c * c)


def arcsine_turned_weight(c):
    """it is multiplied by s"""
    return sqrt(2 - c * c) if c * c < 2 else mpf("1e-12")


def arcsine_cosine(c):
    """asin(x) / x, c = sqrt(1 - x^2): acos(c) / sqrt(1 - c^2)"""
    return mpf(1) if c == 1 else acos(c) / sqrt(1 - c * c)


def arccos_w(a):
    """(sqrt(1 - a^2) - a acos(a)) / (pi (1 - a)^(3/2)): 2 E[u+ v+] at correlation -a"""
    if a == 1:
        return 2 * sqrt(2) / (3 * pi)
    with mp.workdps(90):
        return (sqrt(1 - a * a) - a * acos(a)) / (pi * (1 - a) * sqrt(1 - a))


def arcsine(z):
    """asin(x) / x at z = x^2"""
    return mpf(1) if z == 0 else asin(sqrt(z)) / sqrt(z)


def exponential(r):
    """(exp(r) - 1 - r) / r^2"""
    with mp.workdps(90):
        return mpf(1) / 2 + r / 6 if abs(r) < mpf(10) ** -25 else (expm1(r) - r) / r**2


def sine(z):
    """sin(x) / x at z = x^2"""
    return mpf(1) if z == 0 else sin(sqrt(z)) / sqrt(z)


def mills(p):
    """Phi(-p) / phi(p)"""
    return sqrt(pi / 2) * exp(p * p / 2) * erfc(p / sqrt(2))


def mills_drop(v):
    """(1 + p / 2) (M(0) - M(p)) / p at v = (2 - p) / (2 + p), M = mills"""
    if v == -1:
        return sqrt(pi / 2) / 2
    p = 2 * (1 - v) / (1 + v)
    if p == 0:
        return mpf(1)
    if p > 60:  # asymptotic series: exp(p^2 / 2) is out of reach
        term, m = 1 / p, 1 / p
        for i in range(1, 40):
            term *= -(2 * i - 1) / p**2
            m += term
        return (sqrt(pi / 2) - m) / p * (1 + p / 2)
    with mp.workdps(80):
        return (sqrt(pi / 2) - mills(p)) / p * (1 + p / 2)


def extrema(error, lo, hi, n, grid):
    """n + 2 alternating extrema of error on a grid dense at both ends, refined by parabolas"""
    x = [(lo + hi) / 2 - (hi - lo) / 2 * cos(pi * i / grid) for i in range(grid + 1)]
    e = [error(t) for t in x]
    runs = []
    for t, v in zip(x, e):
        if runs and (runs[-1][1] > 0) == (v > 0):
            if abs(v) > abs(runs[-1][1]):
                runs[-1] = (t, v)
        else:
            runs.append((t, v))
    while len(runs) > n + 2:
        runs.pop(0 if abs(runs[0][1]) < abs(runs[-1][1]) else -1)
    return runs


def remez(f, lo, hi, degree, weight=None):
    """coefficients from the constant up, and the largest error times weight, 1 / f if it is None"""
    lo, hi, m = mpf(lo), mpf(hi), degree + 2
    inner = [(i + mpf(1) / 2) / m for i in range(m)]  # a weight may be 0 at an end
    start = inner if weight else [mpf(i) / (m - 1) for i in range(m)]
    nodes = [(lo + hi) / 2 - (hi - lo) / 2 * cos(pi * t) for t in start]
    weight = weight or (lambda t: 1 / f(t))
    grid = 30 * m
    for _ in range(12):
        a, b = matrix(m, m), matrix(m, 1)
        for i, t in enumerate(nodes):
            b[i] = f(t)
            for j in range(degree + 1):
                a[i, j] = t**j
            a[i, m - 1] = (-1) ** i / weight(t)
        c = list(lu_solve(a, b))[: degree + 1]

        def error(t):
            return (sum(c[j] * t**j for j in range(degree + 1)) - f(t)) * weight(t)

        runs = extrema(error, lo, hi, degree, grid)
        if len(runs) < m:
            raise ValueError(f"{f.__name__}: {len(runs)} extrema, {m} needed")
        nodes = [t for t, _ in runs]
        sizes = [abs(v) for _, v in runs]
        if max(sizes) < min(sizes) * mpf("1.05"):
            break
    return c, max(sizes)


# name, function, interval, degree for float, degree for double, what it is
LN2_2 = mp.log(2) / 2
TABLE = [
    ("arccos_p", arccos_p, 0, 1, 6, 17, "acos(a) / (pi sqrt(1 - a)), a in [0, 1]"),
    ("arccos_w", arccos_w, 0, 1, 5, 16,
     "(sqrt(1 - a^2) - a acos a) / (pi (1 - a)^(3/2)), a in [0, 1]"),
    ("arcsine", arcsine, 0, mpf(1) / 2 + mpf(2) ** -10, 7, 18, "asin(x) / x in z = x^2 <= 1/2"),
    ("exponential", exponential, -LN2_2 * mpf("1.01"), LN2_2 * mpf("1.01"), 4, 9,
     "(exp(r) - 1 - r) / r^2, |r| <= log(2) / 2"),
    ("sine", sine, 0, (pi / 2) ** 2 * mpf("1.001"), 4, 8, "sin(x) / x in z = x^2, |x| <= pi / 2"),
    ("mills_drop", mills_drop, -1, 1, 9, 28,
     "(1 + p / 2) (M(0) - M(p)) / p in v = (2 - p) / (2 + p), M(p) = Phi(-p) / phi(p), p >= 0"),
]


# those of folds (activations/sweep.h), which go into other coefficients: double for both
FOLDS = [
    ("arcsine_turned", arcsine_turned, 1, sqrt(mpf(2)), 4, 10, arcsine_turned_weight,
     "(asin(x) - pi / 4) / (x - t) in c = x + t, t = sqrt(1 - x^2), x in [0, 1]", "error times |x - t|"),
    ("arcsine_cosine", arcsine_cosine, 0, 1, 9, 20, None, "asin(x) / x in c = sqrt(1 - x^2)", "relative error"),
]


def folds():
    for name, f, lo, hi, n32, n64, weight, what, error in FOLDS:
        for suffix, degree in (("f32", n32), ("f64", n64)):
            c, e = remez(f, lo, hi, degree, weight)
            print(f"\n/* {what}.\n * Largest {error} {mp.nstr(e, 2)} before rounding. */")
            print(f"#define {name.upper()}_{suffix.upper()} {degree}")
            print(c_table("double", suffix, 18, name, c))


def c_table(ctype, suffix, digits, name, c):
    body = ""
    line = "   "
    for v in c:
        word = " " + mp.nstr(v, digits, min_fixed=0, max_fixed=0, strip_zeros=False)
        word += ("f" if ctype == "float" else "") + ","
        if len(line) + len(word) > 96:
            body += line + "\n"
            line = "   "
        line += word
    return f"static const {ctype} {name}_{suffix}[] = {{\n{body}{line}\n}};"


def main():
    print("/* SPDX-License-Identifier: MIT")
    print(" *")
    print(" * polynomials.h - coefficients from the constant up, by scripts/dual_polynomials.py.")
    print(" */")
    print("#ifndef NTK_POLYNOMIALS_H\n#define NTK_POLYNOMIALS_H")
    for name, f, lo, hi, n32, n64, what in TABLE:
        c32, e32 = remez(f, lo, hi, n32)
        c64, e64 = remez(f, lo, hi, n64)
        print(f"\n/* {what}.")
        errors = f"{mp.nstr(e32, 2)} and {mp.nstr(e64, 2)}"
        print(f" * Largest relative error {errors} before rounding. */")
        print(c_table("float", "f32", 9, name, c32))
        print(c_table("double", "f64", 18, name, c64))
    folds()
    print("\n#endif")


if __name__ == "__main__":
    main()
