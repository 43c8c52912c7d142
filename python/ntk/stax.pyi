# SPDX-License-Identifier: MIT
# Made by scripts/make_stubs.py.
"""The architecture language as functions; see help(ntk.stax.NAME) for formulas and sources."""
from collections.abc import Callable, Sequence
from typing import Any

from ._kernel import KernelFn
from ._net import ApplyFn, InitFn, Layer

_Network = tuple[InitFn, ApplyFn, KernelFn]

class Word:
    kind: str
    summary: str
    formula: str
    source: str
    cost: str
    parameters: tuple[tuple[str, str, str, str], ...]
    def __call__(self, *args: Any, **kwargs: Any) -> Layer: ...

WORDS: dict[str, Word]

def parse(text: str | _Network) -> Layer:
    """The layer (init_fn, apply_fn, kernel_fn) of an architecture text; ValueError with a caret under the place."""

def Dense(
    out_dim: int,
    W_std: float = 1.0,
    b_std: float | None = None,
    batch_axis: int = 0,
    channel_axis: int = -1,
    parameterization: str = 'ntk',
    s: int | Sequence[int] = (1, 1),
    trainable: bool = True,
) -> Layer:
    """Fully connected layer, applied at every position."""

def Conv(
    out_chan: int,
    filter_shape: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = 'VALID',
    W_std: float = 1.0,
    b_std: float | None = None,
    dimension_numbers: Sequence[str] | None = None,
    parameterization: str = 'ntk',
    s: int | Sequence[int] = (1, 1),
    trainable: bool = True,
) -> Layer:
    """Convolution over the positions of images or sequences."""

def AvgPool(
    window_shape: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = 'VALID',
    normalize_edges: bool = False,
    batch_axis: int = 0,
    channel_axis: int = -1,
) -> Layer:
    """The mean over windows of positions."""

def SumPool(
    window_shape: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = 'VALID',
    batch_axis: int = 0,
    channel_axis: int = -1,
) -> Layer:
    """The sum over windows of positions."""

def GlobalAvgPool(batch_axis: int = 0, channel_axis: int = -1) -> Layer:
    """The mean over all positions."""

def GlobalSumPool(batch_axis: int = 0, channel_axis: int = -1) -> Layer:
    """The sum over all positions."""

def LayerNorm(axis: int | Sequence[int] = -1, eps: float = 1e-12, batch_axis: int = 0, channel_axis: int = -1) -> Layer:
    """Normalises channels (and positions) of each sample to mean 0 and variance 1."""

def Dropout(rate: float, mode: str = 'train') -> Layer:
    """Keeps each activation with probability `rate` (neural-tangents' meaning)."""

def Flatten(batch_axis: int = 0, batch_axis_out: int = 0) -> Layer:
    """Makes one vector of a sample's positions and channels."""

def Identity() -> Layer:
    """Passes its input on, for shortcuts."""

def FanInSum() -> Layer:
    """Adds the branches of a parallel(...), which must be Gaussian and uncorrelated."""

def FanInProd() -> Layer:
    """Multiplies the branches of a parallel(...), which must be uncorrelated."""

def FanInConcat(axis: int = -1) -> Layer:
    """Puts the branches of a parallel(...) side by side along the channels."""

def Relu(do_stabilize: bool = False) -> Layer:
    """max(x, 0)."""

def LeakyRelu(alpha: float, do_stabilize: bool = False) -> Layer:
    """x for x > 0, alpha x for x < 0."""

def Abs(do_stabilize: bool = False) -> Layer:
    """|x|."""

def ABRelu(a: float, b: float, do_stabilize: bool = False) -> Layer:
    """b x for x > 0, a x for x < 0."""

def Erf(a: float = 1.0, b: float = 1.0, c: float = 0.0) -> Layer:
    """a erf(b x) + c."""

def Sigmoid_like() -> Layer:
    """erf(x / 2.402) / 2 + 1/2, close to the logistic function."""

def Gelu(approximate: bool = False) -> Layer:
    """x Phi(x), Phi the distribution function of N(0, 1)."""

def Gelu_tanh() -> Layer:
    """Gelu(approximate=True)."""

def Sin(a: float = 1.0, b: float = 1.0, c: float = 0.0) -> Layer:
    """a sin(b x + c)."""

def Cos(a: float = 1.0, b: float = 1.0, c: float = 0.0) -> Layer:
    """a cos(b x + c)."""

def Rbf(gamma: float = 1.0) -> Layer:
    """sqrt(2) sin(sqrt(2 gamma) x + pi/4): its covariance is a Gaussian kernel."""

def Gaussian(a: float = 1.0, b: float = -1.0) -> Layer:
    """a exp(b x^2)."""

def Exp(a: float = 1.0, b: float = 1.0) -> Layer:
    """a exp(b x)."""

def Sign() -> Layer:
    """-1, 0 or 1."""

def Monomial(degree: int) -> Layer:
    """x^degree."""

def RectifiedMonomial(degree: int) -> Layer:
    """max(x, 0)^degree."""

def Elu(alpha: float = 1.0) -> Layer:
    """x for x > 0, alpha (exp(x) - 1) for x < 0."""

def Selu() -> Layer:
    """1.0507 x for x > 0, 1.7581 (exp(x) - 1) for x < 0."""

def Polynomial(coef: Sequence[float]) -> Layer:
    """coef[0] + coef[1] x + coef[2] x^2 + ...."""

def Hermite(degree: int) -> Layer:
    """Normalised Hermite polynomial, for inputs of variance 1."""

def Tanh() -> Layer:
    """tanh(x)."""

def Sigmoid() -> Layer:
    """1 / (1 + exp(-x)), the logistic function."""

def Silu() -> Layer:
    """x / (1 + exp(-x))."""

def Swish() -> Layer:
    """x / (1 + exp(-x)), another name of Silu."""

def Softplus() -> Layer:
    """log(1 + exp(x))."""

def Mish() -> Layer:
    """x tanh(log(1 + exp(x)))."""

def serial(*layers: _Network) -> Layer:
    """Layers one after the other."""

def parallel(*layers: _Network) -> Layer:
    """Layer i takes branch i of what FanOut made; a FanIn layer joins them again."""

def FanOut(num: int) -> Layer:
    """Copies its input into branches for parallel(...)."""

def repeat(layer: _Network, n: int) -> Layer:
    """The same layer n times, each time with weights of its own."""

def residual(*layers: _Network) -> Layer:
    """x + f(x): FanOut(2), parallel(Identity(), serial(*layers)), FanInSum()."""

def Elementwise(fn: str | Callable[..., Any], *arguments: Any, **kwargs: Any) -> Layer:
    """The activation of a name: Elementwise('tanh') is Tanh()."""

def ElementwiseNumerical(fn: str | Callable[..., Any], deg: int = ..., *arguments: Any, **kwargs: Any) -> Layer:
    """The same as Elementwise."""

def fc(
    depth: int = 3,
    width: int = 512,
    W_std: float = 2**0.5,
    b_std: float = 0.1,
    activation: str = 'relu',
    outputs: int = 1,
) -> Layer:
    """Fully connected network: `depth` hidden layers of one width and activation, and a linear output."""

def cntk(
    depth: int = 11,
    pool: str = 'none',
    frozen_ends: bool | str = 'gap',
    width: int = 128,
    outputs: int = 1,
) -> Layer:
    """Convolutional network of Arora et al. 2019: depth - 1 convolutions with ReLU, a pool, a linear output."""

def myrtle5(W_std: float = 2**0.5, b_std: float = 0.0, width: int = 128, outputs: int = 1) -> Layer:
    """Myrtle network of 5 layers for images of 32 x 32 (Shankar et al. 2020, as in neural-tangents)."""

def myrtle7(W_std: float = 2**0.5, b_std: float = 0.0, width: int = 128, outputs: int = 1) -> Layer:
    """Myrtle network of 7 layers for images of 32 x 32 (Shankar et al. 2020, as in neural-tangents)."""

def myrtle10(W_std: float = 2**0.5, b_std: float = 0.0, width: int = 128, outputs: int = 1) -> Layer:
    """Myrtle network of 10 layers for images of 32 x 32 (Shankar et al. 2020, as in neural-tangents)."""

def wide_resnet(blocks: int = 4, k: int = 1, outputs: int = 1) -> Layer:
    """Wide residual network for images of 32 x 32 (Zagoruyko and Komodakis 2016, as in neural-tangents' README)."""

def wide_resnet_group(blocks: int = 4, channels: int = 160, stride: int = 1) -> Layer:
    """Residual blocks of a wide residual network: the first may go down in resolution, its shortcut is a
    convolution."""
