#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes conv.json: NNGP and NTK matrices of convolutional networks on small images and sequences.

Brute force: the state is the whole array Sigma[i, j, p, p'], Theta[i, j, p, p'] over all ordered
pairs of samples and of positions (p is a pair of axes for images), and each layer is its formula on
it, tap by tap. Nothing is shared with the library. The networks are written in the library's
language, read here with Python's own eval; numbers in their text are the doubles that they denote.

All in 80-bit long doubles (64-bit mantissa). acos near 1 would lose half of the digits, so sums
have one order for all pairs: equal inputs then give a covariance that equals both variances in
every bit, and there the correlation is exactly 1. `--check` repeats everything with 40 digits.

    python3 tests/golden/conv.py           writes tests/golden/conv.json (seconds; needs numpy)
    python3 tests/golden/conv.py --check   compares it with mpmath, 40 digits (six minutes)
"""
import functools
import itertools
import json
import math
import pathlib
import platform
import random
import string
import sys

import numpy as np

# ------------------------------------------------------------------------------------- arithmetic


class LongDouble:
    """The numbers and functions of this script; --check puts mpmath's in their place."""

    number = np.longdouble
    pi = np.longdouble("3.14159265358979323846264338327950288")
    sqrt, exp, cos = np.sqrt, np.exp, np.cos
    acos, asin, atan2 = np.arccos, np.arcsin, np.arctan2

    @staticmethod
    def array(a):
        return np.array(a, np.longdouble)


M = LongDouble


def exact(text):
    """A number of the text, a double, squared without rounding it first."""
    return M.number(text) * M.number(text)


# ----------------------------------------------------------------------------------- dual moments
#
# A dual gives F = E[f(u) f(v)] and D = E[f'(u) f'(v)] for (u, v) Gaussian with variances q1, q2 and
# covariance k (arrays). An undefined correlation, because a variance is zero, counts as zero.


def correlation(k, q1, q2):
    product = q1 * q2
    undefined = product == 0
    rho = np.where(undefined, 0 * k, k / M.sqrt(np.where(undefined, 1 + 0 * k, product)))
    rho = np.where((k == q1) & (k == q2) & ~undefined, 1 + 0 * k, rho)
    return np.clip(rho, -1, 1)


def abrelu(a, b):
    a, b = M.number(a), M.number(b)

    def dual(k, q1, q2):
        rho = correlation(k, q1, q2)
        c = (b - a) * (b - a) / (2 * M.pi)
        d = (a * a + b * b) / 2 - c * M.acos(rho)
        return c * M.sqrt(q1 * q2 * (1 - rho) * (1 + rho)) + d * k, d

    return dual


def error_function(a=1, b=1, c=0):
    a2, b2, c2 = exact(a), exact(b), exact(c)

    def dual(k, q1, q2):
        g1, g2, g = 1 + 2 * b2 * q1, 1 + 2 * b2 * q2, 2 * b2 * k
        f = 2 * a2 / M.pi * M.asin(g / M.sqrt(g1 * g2)) + c2
        return f, 4 * a2 * b2 / M.pi / M.sqrt(g1 * g2 - g * g)

    return dual


def gelu(k, q1, q2):
    m = (1 + q1) * (1 + q2)
    r = M.sqrt(m - k * k)
    phi = M.atan2(k, r)
    f = ((k * k + q1 * q2 * r * r) / (m * r) + k * phi) / (2 * M.pi) + k / 4
    d = (1 / (r * r) + (1 - q1 * q2) / m + 1) * k / (2 * M.pi * r)
    return f, d + phi / (2 * M.pi) + M.number(1) / 4


def sine(a=1, b=1, c=0):
    a2, b2, phase = exact(a), exact(b), 2 * M.number(c)

    def dual(k, q1, q2):
        minus = M.exp(-b2 * ((q1 + q2) / 2 - k))  # E[cos(b (u - v))]
        plus = M.exp(-b2 * ((q1 + q2) / 2 + k)) * M.cos(phase)  # E[cos(b (u + v) + 2 c)]
        return a2 / 2 * (minus - plus), a2 * b2 / 2 * (minus + plus)

    return dual


def radial(gamma=1):
    """f(x) = sqrt(2) sin(sqrt(2 gamma) x + pi / 4)"""
    gamma = M.number(gamma)

    def dual(k, q1, q2):
        f = M.exp(-gamma * (q1 + q2 - 2 * k))
        return f, 2 * gamma * f

    return dual


# -------------------------------------------------------------------------------------- the state


class Field:
    """sigma, theta: [n, n, *positions, *positions]; width: the number of channels."""

    def __init__(self, sigma, theta, width):
        self.sigma, self.theta, self.width = sigma, theta, width
        self.n, self.rank = sigma.shape[0], (sigma.ndim - 2) // 2
        self.size = sigma.shape[2 : 2 + self.rank]

    def update(self, rule, width=None):
        """The same linear rule for sigma and theta."""
        return Field(rule(self.sigma), rule(self.theta), width or self.width)

    def variances(self):
        """[n, *positions]: a sample's own entries at equal positions."""
        count = math.prod(self.size)
        own = self.sigma.reshape(self.n, self.n, count, count)
        i, p = np.arange(self.n)[:, None], np.arange(count)
        return own[i, i, p, p].reshape(self.n, *self.size)

    def sides(self, a):
        """An array [n, *positions] for the first and the second sample of each pair."""
        one = (1,) * self.rank
        return a.reshape(self.n, 1, *self.size, *one), a.reshape(1, self.n, *one, *self.size)


def first_field(x):
    """Covariances of the samples x [n, *positions, c]: sum over channels of x x' / c."""
    n, *size, c = x.shape
    zero = M.array(np.zeros((n, n, *size, *size)))
    one = (1,) * len(size)
    sigma = zero
    for k in range(c):
        channel = x[..., k]
        sigma = sigma + channel.reshape(n, 1, *size, *one) * channel.reshape(1, n, *one, *size)
    return Field(sigma / c, zero, c)


# ---------------------------------------------------------------------------------------- windows


def pads(n, size, stride, padding):
    """Low and high padding of an axis: XLA's for SAME, the same amounts wrapped for CIRCULAR."""
    if padding == "VALID":
        return 0, 0
    total = max((-(-n // stride) - 1) * stride + size - n, 0)
    return total // 2, total - total // 2


class Windows:
    """Window q of an axis is at positions q * stride - low ... q * stride - low + size - 1."""

    def __init__(self, size, strides, padding, positions):
        assert padding in ("VALID", "SAME", "CIRCULAR") and len(size) == len(positions)
        self.strides = tuple(strides or (1,) * len(size))
        self.padding = padding
        self.pads = [pads(*axis, padding) for axis in zip(positions, size, self.strides)]
        self.taps = list(itertools.product(*map(range, size)))
        self.out = [
            (n + low + high - k) // s + 1
            for n, k, s, (low, high) in zip(positions, size, self.strides, self.pads)
        ]

    def padded(self, a):
        """Both positions of a [n, n, *positions, *positions] padded, by zeros or around."""
        widths = [(0, 0), (0, 0), *self.pads, *self.pads]
        if self.padding == "CIRCULAR":
            return np.pad(a, widths, mode="wrap")
        return np.pad(a, widths, constant_values=0 * a.flat[0])

    def shifted(self, padded, left, right):
        """The entries at tap `left` of the first position's windows, `right` of the second's."""
        starts = zip(left + right, self.strides * 2, self.out * 2)
        at = tuple(slice(t, t + s * (out - 1) + 1, s) for t, s, out in starts)
        return padded[(slice(None), slice(None)) + at]

    def patches(self, a):
        """Mean over taps of the filter, the same tap on both sides."""
        padded = self.padded(a)
        return sum(self.shifted(padded, t, t) for t in self.taps) / len(self.taps)

    def pooled(self, a):
        """Sum over the windows of both sides."""
        padded = self.padded(a)
        pairs = itertools.product(self.taps, self.taps)
        return sum(self.shifted(padded, t, u) for t, u in pairs)

    def counts(self, positions):
        """[*windows]: the number of positions of each window that lie inside."""
        total = np.ones((), int)
        for n, (low, high), s, out, axis in zip(
            positions, self.pads, self.strides, self.out, zip(*self.taps)
        ):
            inside = [
                sum(0 <= q * s - low + t < n for t in range(max(axis) + 1)) for q in range(out)
            ]
            total = np.multiply.outer(total, np.array(inside))
        return total


# ---------------------------------------------------------------------------------------- layers
#
# A layer is a function of a field, or of a list of fields between FanOut and FanIn.


def affine(field, patches, taps, channels, W_std, b_std, parameterization, s, trainable):
    """Weights on `taps` positions whose mean is patches(state)."""
    before, carried = patches(field.sigma), exact(W_std) * patches(field.theta)
    sigma = exact(W_std) * before + exact(b_std or 0)
    if not trainable:
        own = 0 * sigma
    elif parameterization == "ntk":
        own = sigma
    else:
        own = field.width * taps / M.number(s[0]) * before + (0 if b_std is None else 1)
    width = channels * (1 if parameterization == "ntk" else s[1])
    return Field(sigma, own + carried, width)


def Dense(out_dim, W_std=1.0, b_std=None, parameterization="ntk", s=(1, 1), trainable=True):
    rest = (out_dim, W_std, b_std, parameterization, s, trainable)
    return lambda field: affine(field, lambda a: a, 1, *rest)


def Conv(
    out_chan,
    filter_shape,
    strides=None,
    padding="VALID",
    W_std=1.0,
    b_std=None,
    parameterization="ntk",
    s=(1, 1),
    trainable=True,
):
    rest = (out_chan, W_std, b_std, parameterization, s, trainable)

    def layer(field):
        windows = Windows(filter_shape, strides, padding, field.size)
        return affine(field, windows.patches, len(windows.taps), *rest)

    return layer


def SumPool(window_shape, strides=None, padding="VALID"):
    return lambda field: field.update(Windows(window_shape, strides, padding, field.size).pooled)


def AvgPool(window_shape, strides=None, padding="VALID", normalize_edges=False):
    def layer(field):
        windows = Windows(window_shape, strides, padding, field.size)
        if normalize_edges and padding == "SAME":
            counts = windows.counts(field.size)
            both = np.multiply.outer(counts, counts)
        else:
            both = len(windows.taps) ** 2
        return field.update(lambda a: windows.pooled(a) / both)

    return layer


def GlobalSumPool():
    return lambda field: field.update(lambda a: a.reshape(field.n, field.n, -1).sum(-1))


def GlobalAvgPool():
    def layer(field):
        count = math.prod(field.size)
        return field.update(lambda a: a.reshape(field.n, field.n, -1).sum(-1) / count**2)

    return layer


def Flatten():
    def layer(field):
        n, count = field.n, math.prod(field.size)

        def mean(a):
            return np.einsum("ijpp->ijp", a.reshape(n, n, count, count)).sum(-1) / count

        return field.update(mean, field.width * count)

    return layer


def Nonlinearity(dual):
    def layer(field):
        q1, q2 = field.sides(field.variances())
        f, d = dual(field.sigma, q1, q2)
        return Field(f, field.theta * d, field.width)

    return layer


def LayerNorm(axis=-1, eps=1e-12):
    def layer(field):
        last = field.rank + 1
        axes = {a % (last + 1) for a in ((axis,) if isinstance(axis, int) else axis)}
        assert last in axes and 0 not in axes
        q = field.variances()
        mean = q
        for a in sorted(axes - {last}):
            mean = mean.sum(a, keepdims=True) / q.shape[a]
        scale1, scale2 = field.sides(1 / M.sqrt(mean + M.number(eps) + 0 * q))
        return field.update(lambda a: a * scale1 * scale2)

    return layer


def Dropout(rate, mode="train"):
    def layer(field):
        count = math.prod(field.size)
        factor = 1 + M.array(np.zeros((field.n, field.n, count, count)))
        i, p = np.arange(field.n)[:, None], np.arange(count)
        factor[i, i, p, p] = 1 / M.number(rate)
        return field.update(lambda a: a * factor.reshape(a.shape))

    return Identity() if mode == "test" else layer


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


def FanInSum():
    def layer(fields):
        sigma, theta = sum(f.sigma for f in fields), sum(f.theta for f in fields)
        return Field(sigma, theta, max(f.width for f in fields))

    return layer


def FanInProd():
    def layer(fields):
        sigma = math.prod(f.sigma for f in fields)
        theta = sum(f.theta * math.prod(g.sigma for g in fields if g is not f) for f in fields)
        return Field(sigma, theta, max(f.width for f in fields))

    return layer


def FanInConcat(axis=-1):
    def layer(fields):
        assert axis in (-1, fields[0].rank + 1)
        width = sum(f.width for f in fields)
        sigma = sum(f.sigma * f.width for f in fields) / width
        return Field(sigma, sum(f.theta * f.width for f in fields) / width, width)

    return layer


LANGUAGE = {
    layer.__name__: layer
    for layer in (Dense, Conv, AvgPool, SumPool, GlobalAvgPool, GlobalSumPool, Flatten, LayerNorm)
    + (Dropout, Identity, serial, repeat, FanOut, parallel, residual, FanInSum, FanInProd)
    + (FanInConcat,)
}
DUALS = {
    "Relu": lambda: abrelu(0, 1),
    "LeakyRelu": lambda alpha: abrelu(alpha, 1),
    "Abs": lambda: abrelu(-1, 1),
    "Erf": error_function,
    "Gelu": lambda: gelu,
    "Sin": sine,
    "Rbf": radial,
}


def activation(make):
    return lambda *args, **keywords: Nonlinearity(make(*args, **keywords))


LANGUAGE.update({name: activation(make) for name, make in DUALS.items()})


def kernels(text, x):
    """NNGP and NTK [n, n] of the net `text` for the samples x [n, *positions, c]."""
    out = eval(text, {"__builtins__": {}, **LANGUAGE})(first_field(M.array(x)))
    assert out.rank == 0, text
    if "Dropout" not in text:  # rows 0 and 2 are equal, and all sums have the same order
        assert np.all(out.sigma[0, 0] == out.sigma[0, 2]), text
        assert np.all(out.theta[0, 0] == out.theta[0, 2]), text
    return out.sigma, out.theta


# ---------------------------------------------------------------------------------------- samples


def samples(shape, seed):
    """Rows 0 and 2 are equal, row 3 is row 0 with about 1e-3 added to each number."""
    draw = random.Random(seed)
    first, second, noise = (
        np.array([draw.gauss(0, 1) for _ in range(math.prod(shape))]) for _ in range(3)
    )
    rows = [first, second, first, first + 1e-3 * noise]
    return np.round(np.reshape(rows, (4, *shape)), 6)


def with_zeros(x):
    """Row 1 has a rectangle of zeros, so that some of its patches have variance 0."""
    x = x.copy()
    x[1, :4, :3] = 0
    return x


def with_pixel(x):
    """Row 3 is row 0 with 1e-3 added to one number, so that most of their patches are equal."""
    x = x.copy()
    x[3] = x[0]
    x[3, 2, 1, 0] = np.round(x[0, 2, 1, 0] + 1e-3, 6)
    return x


SAMPLES = {
    "image": samples((6, 5, 2), 1),
    "zeros": with_zeros(samples((6, 5, 2), 2)),
    "pixel": with_pixel(samples((6, 5, 2), 3)),
    "gray": samples((7, 6, 1), 4),
    "sequence": samples((9, 2), 5),
}

# --------------------------------------------------------------------------------------- networks


# In the table $NAME stands for:
SHORT = {
    "GAP": "GlobalAvgPool(), Dense(1)",
    "FLAT": "Flatten(), Dense(1)",
    "HALF": "Conv(8, (3, 3), strides=(2, 2), padding='SAME', W_std=2**0.5)",
    "RING": "Conv(8, (3, 3), padding='CIRCULAR', W_std=2**0.5)",
    "C": "Conv(8, (3, 3), padding='SAME', W_std=2**0.5)",
    "B": "Conv(8, (3, 3), padding='SAME', W_std=2**0.5, b_std=0.1)",
    "SEQ": "Conv(8, (3,), padding='SAME', W_std=2**0.5)",
    "SAME": "padding='SAME', W_std=2**0.5",
    "CIRCULAR": "padding='CIRCULAR', W_std=2**0.5",
    "VALID": "padding='VALID', W_std=2**0.5",
    "STANDARD": "parameterization='standard'",
}
# The set of samples, what the case is there for, and the network without its outer serial(...).
TABLE = """\
image: linear; VALID by default
    Conv(8, (3, 3)), Flatten()
image: vanilla CNTK, depth 3
    $C, Relu(), $C, Relu(), $FLAT
zeros: vanilla CNTK, depth 4; patches of zeros
    $C, Relu(), $C, Relu(), $C, Relu(), $FLAT
image: CNTK-GAP, depth 3, all trained
    $C, Relu(), $C, Relu(), $GAP
zeros: the same; patches of zeros
    $C, Relu(), $C, Relu(), $GAP
pixel: the same; equal patches in rows 0 and 3
    $C, Relu(), $C, Relu(), $GAP
image: CNTK-GAP of the published table, depth 4: the ends are not trained
    Conv(8, (3, 3), padding='SAME', W_std=1, trainable=False), Relu(), $C, Relu(), $C, Relu(),
    GlobalAvgPool(), Dense(1, trainable=False)
zeros: the same, depth 3
    Conv(8, (3, 3), $SAME, trainable=False), Relu(), $C, Relu(), GlobalAvgPool(),
    Dense(1, trainable=False)
gray: middle layer with bias not trained
    $B, Relu(), Conv(8, (3, 3), $SAME, b_std=0.3, trainable=False), Relu(), $B, Relu(), $FLAT
gray: global sum
    $B, Relu(), $B, Relu(), GlobalSumPool(), Dense(1, b_std=0.2)
image: depth 6 by repeat, bias
    $B, repeat(serial(Relu(), $B), 5), Relu(), $GAP
zeros: depth 6, no bias
    $C, repeat(serial(Relu(), $C), 5), Relu(), $FLAT
pixel: equal patches in rows 0 and 3
    $B, Relu(), $B, Relu(), $FLAT
image: even filter
    Conv(8, (2, 2), $SAME), Relu(), Conv(8, (2, 2), $SAME), Relu(), $GAP
image: even filters
    Conv(8, (4, 2), $SAME), Relu(), Conv(8, (2, 4), $SAME), Relu(), $FLAT
gray: VALID
    Conv(8, (3, 2), $VALID), Relu(), Conv(8, (2, 2), $VALID), Relu(), $GAP
image: to 1 x 1
    Conv(8, (4, 3), $VALID), Relu(), Conv(8, (3, 3), $VALID), Relu(), $FLAT
image: 6 divides, 5 does not
    $HALF, Relu(), $HALF, Relu(), $GAP
gray: 7 does not divide, 6 does
    $HALF, Relu(), $C, Relu(), $FLAT
zeros: stride after a layer of stride 1
    $C, Relu(), $HALF, Relu(), $GAP
image: a column is left over
    Conv(8, (3, 3), strides=(2, 2), $VALID), Relu(), $C, Relu(), $GAP
image: a column is left over
    Conv(8, (2, 2), strides=(2, 2), $VALID), Relu(), $C, Relu(), $FLAT
gray: stride above the size
    Conv(8, (2, 2), strides=(2, 3), $VALID), Relu(), $C, Relu(), $GAP
gray: a stride on one axis
    Conv(8, (3, 3), strides=(2, 1), $SAME), Relu(), Conv(8, (3, 3), strides=(1, 2), $SAME), Relu(),
    $GAP
image: even filters and a stride
    Conv(8, (4, 4), strides=(2, 2), $SAME), Relu(), Conv(8, (2, 2), $SAME), Relu(), $GAP
image: 1 x 1, stride
    $B, Relu(), Conv(8, (1, 1), strides=(2, 2), $SAME), Relu(), $C, Relu(), $FLAT
image: 1 x 1
    Conv(8, (1, 1), $SAME), Relu(), Conv(8, (1, 1), $SAME), Relu(), $GAP
image: filter larger than the image
    Conv(8, (7, 9), $SAME), Relu(), $C, Relu(), $GAP
image: CIRCULAR
    $RING, Relu(), $RING, Relu(), $GAP
zeros: CIRCULAR; patches of zeros
    $RING, Relu(), $RING, Relu(), $FLAT
image: even filters
    Conv(8, (2, 4), $CIRCULAR), Relu(), Conv(8, (4, 2), $CIRCULAR), Relu(), $GAP
image: stride divides
    Conv(8, (3, 3), strides=(2, 1), $CIRCULAR), Relu(), $RING, Relu(), $GAP
image: stride does not divide 5
    Conv(8, (3, 3), strides=(2, 2), $CIRCULAR), Relu(), $RING, Relu(), $GAP
gray: even filter; stride does not divide 7, divides 6
    $RING, Relu(), Conv(8, (2, 2), strides=(2, 3), $CIRCULAR), Relu(), $RING, Relu(), $FLAT
gray: even filters and a stride
    Conv(8, (4, 4), strides=(2, 2), $CIRCULAR), Relu(), Conv(8, (2, 2), $CIRCULAR), Relu(), $GAP
image: mixed
    $C, Relu(), $RING, Relu(), $C, Relu(), $GAP
gray: mixed
    $RING, Relu(), $B, Relu(), $RING, Relu(), $FLAT
gray: mixed, with strides
    Conv(8, (3, 3), strides=(2, 2), $CIRCULAR), Relu(), $HALF, Relu(), $GAP
image: mixed
    $C, Relu(), Conv(8, (2, 3), $CIRCULAR), Relu(), $HALF, Relu(), $GAP
image: wraps around an image of 2 x 2
    Conv(8, (3, 3), strides=(3, 3), $SAME), Relu(), Conv(8, (3, 5), $CIRCULAR), Relu(), $GAP
image: pool before an activation
    $C, AvgPool((2, 2), strides=(2, 2)), Relu(), $C, Relu(), $GAP
gray: as in Myrtle networks
    $C, Relu(), AvgPool((2, 2), strides=(2, 2)), $C, Relu(), AvgPool((2, 2), strides=(2, 2)), $C,
    Relu(), $FLAT
zeros: stride 1 by default
    $C, Relu(), AvgPool((2, 2)), $C, Relu(), $FLAT
pixel: equal patches in rows 0 and 3
    $C, Relu(), AvgPool((2, 2)), $C, Relu(), $GAP
image: even and odd windows, SAME
    $C, Relu(), AvgPool((3, 2), padding='SAME'), $C, Relu(), $GAP
image: stride does not divide 5
    $B, Relu(), AvgPool((3, 2), strides=(2, 2), padding='CIRCULAR'), $C, Relu(), $GAP
gray: stride does not divide 7, divides 6
    $RING, Relu(), AvgPool((2, 2), strides=(2, 3), padding='CIRCULAR'), $RING, Relu(), $FLAT
image: a column is left over
    $C, Relu(), SumPool((2, 2), strides=(2, 2)), Conv(8, (3, 3), padding='SAME', W_std=0.3), Relu(),
    $GAP
zeros: sum pool, SAME; patches of zeros
    $C, Relu(), SumPool((3, 2), padding='SAME'), Conv(8, (3, 3), padding='SAME', W_std=0.3), Relu(),
    $FLAT
gray: sum pool, CIRCULAR
    $C, Relu(), SumPool((2, 2), padding='CIRCULAR'), Conv(8, (3, 3), padding='SAME', W_std=0.3),
    Relu(), $GAP
image: normalize_edges
    $C, AvgPool((3, 3), padding='SAME', normalize_edges=True), Relu(), $C, Relu(), $GAP
gray: normalize_edges with strides
    $C, Relu(), AvgPool((2, 3), strides=(2, 2), padding='SAME', normalize_edges=True), $B, Relu(),
    $FLAT
image: two pools in a row
    $C, AvgPool((2, 2), padding='SAME'), AvgPool((3, 2), strides=(2, 1)), Relu(), $C, Relu(), $GAP
image: pool, then a strided convolution
    $C, Relu(), AvgPool((2, 2)), $HALF, Relu(), $GAP
gray: strided pool, then a strided convolution
    $C, Relu(), AvgPool((2, 2), strides=(2, 1)), $HALF, Relu(), $C, Relu(), $FLAT
image: pool of the input
    AvgPool((2, 2)), $C, Relu(), $C, Relu(), $GAP
zeros: pool of the input
    AvgPool((2, 2), strides=(2, 2), padding='SAME'), $C, Relu(), $FLAT
image: local average pooling (LAP), c = 2
    $C, Relu(), $C, Relu(), AvgPool((5, 5), padding='SAME'), $FLAT
gray: pool, then global average
    $C, Relu(), AvgPool((2, 2), strides=(2, 2)), $GAP
image: activation after a global average
    $C, Relu(), GlobalAvgPool(), Dense(64, W_std=2**0.5, b_std=0.1), Relu(), Dense(1)
gray: activation after a pool and a global sum
    $C, Relu(), AvgPool((2, 2)), $C, Relu(), GlobalSumPool(), Dense(64, W_std=0.1), Relu(),
    Dense(1, b_std=0.1)
zeros: activation after Flatten
    $B, Relu(), Flatten(), Dense(64, W_std=2**0.5), Relu(), Dense(1)
image: Dense at each position
    Dense(32, W_std=2**0.5, b_std=0.1), Relu(), $C, Relu(), Dense(8), Erf(), $GAP
image: Flatten first: fully connected
    Flatten(), Dense(64, W_std=2**0.5), Relu(), Dense(1, b_std=0.1)
image: global average first
    GlobalAvgPool(), Dense(64), Relu(), Dense(1)
image: residual blocks
    $C, residual(Relu(), $C, Relu(), $C), residual(Relu(), $C, Relu(), $C), Relu(), $GAP
image: wide residual network: strided shortcut
    $C, FanOut(2), parallel(serial(Relu(), $HALF, Relu(), $C),
    Conv(8, (1, 1), strides=(2, 2), padding='SAME', W_std=1)), FanInSum(), residual(Relu(), $C,
    Relu(), $C), $FLAT
zeros: strided shortcut, then a pool
    $RING, FanOut(2), parallel(serial(Relu(), $HALF, Relu(), $B), $HALF), FanInSum(),
    AvgPool((2, 2)), Relu(), $GAP
image: average pool in a branch
    $C, Relu(), FanOut(2), parallel($HALF, serial(AvgPool((2, 2), strides=(2, 2), padding='SAME'),
    $C)), FanInSum(), Relu(), $GAP
gray: average pool in a branch without weights
    $C, FanOut(2), parallel(AvgPool((3, 3), padding='SAME'), serial(Relu(), $C)), FanInSum(),
    Relu(), $C, Relu(), $FLAT
image: concatenation weighs by width
    $C, Relu(), FanOut(2), parallel(Conv(24, (3, 3), padding='SAME'),
    Conv(8, (1, 1), W_std=2.0, b_std=0.1)), FanInConcat(axis=-1), $B, Relu(), $GAP
image: product of two branches
    FanOut(2), parallel(serial($B, Relu(), $C), serial(Conv(8, (5, 5), $SAME), Erf())), FanInProd(),
    $C, Relu(), $GAP
zeros: product of three branches, one with a pool
    $B, Relu(), FanOut(3), parallel($C, $RING, serial($C, AvgPool((3, 3), padding='SAME'))),
    FanInProd(), $FLAT
image: over channels
    $B, LayerNorm(), Relu(), $C, LayerNorm(eps=1e-3), Relu(), $GAP
zeros: over channels and all positions
    $B, LayerNorm(axis=(1, 2, 3)), Relu(), $C, LayerNorm(axis=(1, 2, -1), eps=0.1), Relu(), $FLAT
gray: over channels and one axis of positions
    $B, LayerNorm(axis=(1, 3)), Relu(), $C, LayerNorm(axis=(-2, -1), eps=1e-3), Relu(), $GAP
image: LayerNorm after a pool
    $C, AvgPool((2, 2)), LayerNorm((1, 2, 3)), Relu(), $HALF, LayerNorm(), Relu(), $GAP
image: Dropout acts on a sample with itself at equal positions, not on an equal sample
    $C, Relu(), Dropout(0.8), $C, Relu(), Dropout(0.5, mode='test'), $GAP
gray: Dropout before a pool
    $C, Relu(), Dropout(0.7), AvgPool((2, 2)), $C, Relu(), Dropout(0.9), $FLAT
image: standard parameterisation
    Conv(8, (3, 3), $SAME, b_std=0.1, $STANDARD), Relu(),
    Conv(8, (2, 3), $VALID, $STANDARD, s=(2, 3)), Relu(), Flatten(),
    Dense(1, b_std=0.2, $STANDARD, s=(2, 1))
gray: standard: widths through a concatenation, one layer not trained
    Conv(8, (3, 3), strides=(2, 2), $SAME, b_std=0.0, $STANDARD, s=(1, 2)), Relu(), AvgPool((2, 2)),
    FanOut(2), parallel(Conv(8, (3, 3), $SAME, $STANDARD),
    Conv(8, (1, 1), $SAME, $STANDARD, s=(1, 3))), FanInConcat(),
    Conv(8, (3, 3), $SAME, $STANDARD, trainable=False), Relu(), GlobalAvgPool(), Dense(1, $STANDARD)
zeros: variance 0 with a trained bias: E[f' f'] = 1/4 there
    Conv(8, (3, 3), $SAME, b_std=0.0, $STANDARD), Relu(), $C, Relu(), $GAP
zeros: Erf
    Conv(8, (3, 3), padding='SAME', W_std=1.5), Erf(), Conv(8, (3, 3), padding='SAME', W_std=1.5),
    Erf(1.2, 0.7, 0.2), $GAP
image: Gelu
    $B, Gelu(), AvgPool((2, 2), strides=(2, 2)), $B, Gelu(), $GAP
zeros: LeakyRelu
    $C, LeakyRelu(0.1), $RING, LeakyRelu(alpha=-0.4), $FLAT
gray: Abs
    Conv(8, (3, 3), padding='SAME', W_std=1), Abs(), AvgPool((2, 2)),
    Conv(8, (3, 3), padding='SAME', W_std=1), Abs(), $GAP
image: Sin and Rbf
    $B, Sin(a=1.2, b=0.8, c=0.4), $C, Rbf(0.5), $C, Rbf(), $GAP
sequence: a sequence
    $SEQ, Relu(), $SEQ, Relu(), $GAP
sequence: stride, VALID
    Conv(8, (3,), strides=(2,), W_std=2**0.5, b_std=0.1), Relu(), $SEQ, Relu(), $FLAT
sequence: even filters, stride, wrapping pool
    Conv(8, (4,), strides=(2,), padding='SAME'), Relu(), Conv(8, (2,), $CIRCULAR), Relu(),
    AvgPool((2,), strides=(2,), padding='CIRCULAR'), $SEQ, Relu(), $GAP
sequence: LayerNorm over positions and channels
    $SEQ, SumPool((2,)), LayerNorm(axis=(1, 2)), Relu(),
    Conv(8, (3,), strides=(3,), padding='CIRCULAR', b_std=0.1), LayerNorm(), Gelu(), GlobalSumPool()
sequence: residual, then a pool
    $SEQ, residual(Relu(), $SEQ), AvgPool((3,), strides=(2,), padding='SAME', normalize_edges=True),
    Relu(), $FLAT
"""


def networks():
    """(text, set of samples, note) of each case."""
    cases = []
    for line in TABLE.splitlines():
        if line.startswith(" "):
            cases[-1][2].append(line.strip())
        else:
            name, note = line.split(":", 1)
            cases.append((name, note.strip(), []))
    expand = [string.Template(" ".join(lines)).substitute(SHORT) for _, _, lines in cases]
    return [(f"serial({t})", name, note) for t, (name, note, _) in zip(expand, cases)]


NETS = networks()

# ----------------------------------------------------------------------------------------- output


def digits(value):
    """A JSON number with 17 significant digits."""
    return np.format_float_scientific(value, 16, unique=False, trim="-")


def made_by(script):
    bits = np.finfo(np.longdouble).nmant + 1
    assert bits >= 64, "long double is too short on this machine"
    return (
        f'"made_by": {{"script": "{script}", "numpy": "{np.__version__}", '
        f'"python": "{platform.python_version()}", "mantissa_bits": {bits}}}'
    )


def case(text, x, note):
    parts = [
        f'  {{"net": {json.dumps(text)}',
        f'   "note": {json.dumps(note)}',
        f'   "x_shape": {json.dumps(x.shape)}',
        f'   "x": {json.dumps(x.ravel().tolist())}',
    ]
    for name, matrix in zip(("nngp", "ntk"), kernels(text, x)):
        rows = [", ".join(digits(v) for v in row) for row in matrix]
        parts.append(f'   "{name}": [' + ",\n    ".join(rows) + "]")
    return ",\n".join(parts) + "}"


def write():
    path = pathlib.Path(__file__).with_suffix(".json")
    head = "{\n " + made_by(path.with_suffix(".py").name) + ',\n "nets": [\n'
    cases = [case(text, SAMPLES[samples], note) for text, samples, note in NETS]
    path.write_text(head + ",\n".join(cases) + "\n]}\n")
    return 0


# ------------------------------------------------------------------------------------------ check


def many_digits():
    """LongDouble's members with mpmath's numbers, in arrays of objects."""
    import mpmath

    mpmath.mp.dps = 40

    class ManyDigits:
        number, pi = mpmath.mpf, +mpmath.pi

        @staticmethod
        def array(a):
            return np.frompyfunc(mpmath.mpf, 1, 1)(np.array(a, object))

    for name in ("sqrt", "exp", "cos", "acos", "asin", "atan2"):
        inputs = 2 if name == "atan2" else 1
        setattr(ManyDigits, name, np.frompyfunc(getattr(mpmath, name), inputs, 1))
    return ManyDigits


def check():
    """Largest relative difference of conv.json from the same formulas in 40 digits."""
    global M
    M = many_digits()
    cases = json.loads(pathlib.Path(__file__).with_suffix(".json").read_text())["nets"]
    worst = 0.0
    for c in cases:
        x = np.reshape(c["x"], c["x_shape"])
        for name, want in zip(("nngp", "ntk"), kernels(c["net"], x)):
            got = M.array(np.reshape(c[name], want.shape))
            error = float(np.max(abs(got - want)) / np.max(abs(want)))
            worst = max(worst, error)
            print(f"{error:8.1e} {name:4} {c['net']}", flush=True)
    print("worst:", worst)
    return 0 if worst < 2e-16 else 1


if __name__ == "__main__":
    sys.exit(check() if "--check" in sys.argv[1:] else write())
