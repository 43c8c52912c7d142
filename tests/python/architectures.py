# SPDX-License-Identifier: MIT
"""Networks as users of neural-tangents write them: each function takes its stax or ours.

Most follow one in neural-tangents' README, notebooks, examples or tests, with fewer layers; others use what these do
not. VECTORS, SEQUENCES and IMAGES name them by what they take.
"""
from functools import partial

import numpy as np

try:
    import jax.numpy as jnp
except ImportError:  # ours need no jax
    import numpy as jnp


def readme(stax):
    return stax.serial(stax.Dense(512), stax.Relu(), stax.Dense(512), stax.Relu(), stax.Dense(1))


def cookbook_erf(stax):
    dense = partial(stax.Dense, W_std=1.5, b_std=0.05)
    return stax.serial(dense(512), stax.Erf(), dense(512), stax.Erf(), dense(1))


def cookbook_residual(stax):
    block = stax.serial(
        stax.FanOut(2),
        stax.parallel(stax.serial(stax.Erf(), stax.Dense(512, W_std=1.1, b_std=0)), stax.Identity()),
        stax.FanInSum(),
    )
    return stax.serial(stax.Dense(512, W_std=1, b_std=0), block, block, stax.Erf(), stax.Dense(1, W_std=1.5, b_std=0))


def infinite_fcn(stax):
    return stax.serial(stax.Dense(1, 2.0, 0.05), stax.Relu(), stax.Dense(1, 2.0, 0.05))


def function_space(stax):
    return stax.serial(stax.Dense(512, 1.0, 0.05), stax.Erf(), stax.Dense(10, 1.0, 0.05))


def phase_diagram(stax, activation="Relu"):
    """Standard deviations come out of a computation, as NumPy's or jax's numbers."""
    W_std, b_std = jnp.sqrt(1.7), np.sqrt(np.array([0.01, 0.3]))[1]
    layers = []
    for _ in range(6):
        layers += [stax.Dense(1024, W_std, b_std), getattr(stax, activation)()]
    return stax.serial(*layers, stax.Dense(1, W_std, b_std))


def phase_diagram_erf(stax):
    return phase_diagram(stax, "Erf")


def elementwise_sine(stax):
    return stax.serial(stax.Dense(1), stax.Sin())


def gelu_layer_norm(stax):
    layers = [stax.Dense(64, 1.2, 0.1), stax.LayerNorm(), stax.Gelu()] * 3
    return stax.serial(*layers, stax.Dense(1))


def gelu_numerical(stax):
    gelu = stax.Gelu()[1]
    return stax.serial(stax.Dense(1), stax.ElementwiseNumerical(lambda x: gelu((), x), deg=64), stax.Dense(1))


def tanh_numerical(stax):
    return stax.serial(stax.Dense(1), stax.ElementwiseNumerical(jnp.tanh, deg=100), stax.Dense(1))


def features(stax):
    """Sums of networks of smooth activations."""
    branches = [
        stax.Sin(a=1.2, b=0.8, c=0.3), stax.Cos(), stax.Rbf(gamma=0.5), stax.Gaussian(a=0.7, b=-0.4),
        stax.Exp(a=0.5, b=0.3), stax.Sigmoid_like(), stax.Erf(a=2.0, b=0.5, c=0.1),
    ]
    return stax.serial(
        stax.FanOut(len(branches)),
        stax.parallel(*[stax.serial(stax.Dense(8, 1.3, 0.2), b, stax.Dense(8)) for b in branches]),
        stax.FanInSum(),
    )


def kinks(stax):
    return stax.serial(
        stax.Dense(8, 1.3, 0.2), stax.ABRelu(-0.5, 1.5), stax.Dense(8), stax.LeakyRelu(0.1), stax.Dense(8, b_std=0.1),
        stax.Abs(), stax.Dense(8), stax.Relu(do_stabilize=True), stax.Dense(8), stax.Sign(), stax.Dense(1),
    )


def polynomials(stax):
    return stax.serial(
        stax.Dense(8, 0.9, 0.1), stax.Polynomial([0.1, 0.7, -0.2, 0.05]), stax.Dense(8), stax.Monomial(3),
        stax.Dense(1),
    )


def rectified_monomial(stax):
    return stax.serial(stax.Dense(8, 1.2, 0.3), stax.RectifiedMonomial(degree=2), stax.Dense(1))


def hermite(stax):
    return stax.serial(stax.Dense(8), stax.LayerNorm(), stax.Hermite(3), stax.Dense(1))


def product(stax):
    return stax.serial(
        stax.FanOut(2),
        stax.parallel(stax.serial(stax.Dense(8, 1.1, 0.3), stax.Erf()), stax.serial(stax.Dense(8), stax.Relu())),
        stax.FanInProd(),
        stax.Dense(1),
    )


def concatenation(stax):
    """Widths are the weights of the branches."""
    return stax.serial(
        stax.FanOut(num=3),
        stax.parallel(
            stax.serial(stax.Dense(30, 1.1, 0.3), stax.Relu()),
            stax.serial(stax.Dense(10), stax.Sin()),
            stax.Identity(),
        ),
        stax.FanInConcat(axis=-1),
        stax.Dense(1, W_std=1.3),
    )


def standard(stax):
    dense = partial(stax.Dense, parameterization="standard", b_std=0.2)
    return stax.serial(
        dense(64, W_std=1.4, s=(2, 3)), stax.Relu(), dense(32, W_std=1.2, s=(3, 1)), stax.Erf(), dense(1),
    )


def repeated(stax):
    layer = stax.serial(stax.Dense(16, W_std=2**0.5, b_std=0.1), stax.Relu())
    return stax.serial(layer, stax.repeat(layer, 4), stax.repeat(stax.repeat(layer, 2), n=2), stax.Dense(1))


def dropout(stax):
    return stax.serial(
        stax.Dense(16, 1.5, 0.1), stax.Relu(), stax.Dropout(0.8), stax.Dense(16), stax.Erf(),
        stax.Dropout(rate=0.5, mode="test"), stax.Dense(1),
    )


def text(stax):
    """examples/imdb.py without its attention."""
    return stax.serial(
        stax.Conv(out_chan=1, filter_shape=(3,), strides=(1,), padding="VALID"), stax.Relu(),
        stax.Conv(1, (3,), (2,), "SAME", b_std=0.1), stax.Relu(), stax.GlobalAvgPool(), stax.Dense(out_dim=1),
    )


def sequence_flat(stax):
    return stax.serial(
        stax.Conv(4, (4,), padding="CIRCULAR", W_std=1.3, b_std=0.1), stax.Gelu(),
        stax.SumPool((2,), strides=(2,)), stax.Dense(4, b_std=0.2), stax.Relu(), stax.Flatten(), stax.Dense(1),
    )


def wide_resnet(stax, block_size=1, k=1, num_classes=10):
    def block(channels, strides=(1, 1), channel_mismatch=False):
        main = stax.serial(
            stax.Relu(), stax.Conv(channels, (3, 3), strides, padding="SAME"),
            stax.Relu(), stax.Conv(channels, (3, 3), padding="SAME"),
        )
        shortcut = stax.Conv(channels, (3, 3), strides, padding="SAME") if channel_mismatch else stax.Identity()
        return stax.serial(stax.FanOut(2), stax.parallel(main, shortcut), stax.FanInSum())

    def group(n, channels, strides=(1, 1)):
        blocks = [block(channels, strides, channel_mismatch=True)]
        blocks += [block(channels, (1, 1)) for _ in range(n - 1)]
        return stax.serial(*blocks)

    return stax.serial(
        stax.Conv(16, (3, 3), padding="SAME"),
        group(block_size, int(16 * k)),
        group(block_size, int(32 * k), (2, 2)),
        group(block_size, int(64 * k), (2, 2)),
        stax.AvgPool((2, 2)),
        stax.Flatten(),
        stax.Dense(num_classes, 1.0, 0.0),
    )


def wide_resnet_deeper(stax):
    return wide_resnet(stax, block_size=2)


def myrtle(stax, W_std=2**0.5, b_std=0.0):
    conv = partial(stax.Conv, W_std=W_std, b_std=b_std, padding="SAME")
    layers = []
    for n in (2, 1, 1):
        layers += [conv(1, (3, 3)), stax.Relu()] * n + [stax.AvgPool((2, 2), strides=(2, 2))]
    return stax.serial(*layers, stax.Flatten(), stax.Dense(10, W_std, b_std))


def convolutions(stax):
    """examples/empirical_ntk.py."""
    return stax.serial(
        stax.Conv(8, (3, 3)), stax.Relu(), stax.Conv(8, (3, 3)), stax.Relu(), stax.Conv(8, (3, 3)), stax.Flatten(),
        stax.Dense(10),
    )


def performance(stax):
    """The network with pooling of the README's table."""
    layers = []
    for _ in range(3):
        layers += [stax.Conv(1, (3, 3), (1, 1), "SAME"), stax.Relu()]
    return stax.serial(*(layers + [stax.GlobalAvgPool()]))


def strides_and_edges(stax):
    return stax.serial(
        stax.Conv(4, (3, 2), strides=(2, 1), padding="CIRCULAR", W_std=1.4, b_std=0.3), stax.Erf(),
        stax.Conv(4, (3, 3), padding="SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")), stax.LeakyRelu(0.2),
        stax.AvgPool((2, 3), (1, 2), "SAME", normalize_edges=True), stax.Dense(4, 1.1, 0.1), stax.Relu(),
        stax.AvgPool((2, 2), padding="CIRCULAR"), stax.Flatten(), stax.Dense(1),
    )


def standard_convolutions(stax):
    conv = partial(stax.Conv, parameterization="standard", b_std=0.1, s=(2, 2))
    return stax.serial(
        conv(6, (3, 3), W_std=1.4), stax.Relu(), conv(4, (3, 3), (2, 2), "SAME"), stax.Gelu(), stax.GlobalSumPool(),
        stax.Dense(1, parameterization="standard"),
    )


def normalised_images(stax):
    """Flatten after a pool, LayerNorm over positions, Dropout between positions, branches of one channel width each."""
    return stax.serial(
        stax.Conv(4, (3, 3), padding="SAME"), stax.LayerNorm(axis=(1, 2, 3)), stax.Relu(), stax.Dropout(0.7),
        stax.FanOut(2),
        stax.parallel(stax.Conv(6, (2, 2), (2, 2)), stax.serial(stax.AvgPool((2, 2), (2, 2)), stax.Conv(2, (1, 1)))),
        stax.FanInConcat(), stax.Dense(4), stax.LayerNorm(axis=-1), stax.Erf(), stax.GlobalAvgPool(), stax.Dense(1),
    )


VECTORS = [
    readme, cookbook_erf, cookbook_residual, infinite_fcn, function_space, phase_diagram, phase_diagram_erf,
    elementwise_sine, gelu_layer_norm, gelu_numerical, tanh_numerical, features, kinks, polynomials,
    rectified_monomial, hermite, product, concatenation, standard, repeated, dropout,
]
SEQUENCES = [text, sequence_flat]
IMAGES = [
    wide_resnet, wide_resnet_deeper, myrtle, convolutions, performance, strides_and_edges, standard_convolutions,
    normalised_images,
]
