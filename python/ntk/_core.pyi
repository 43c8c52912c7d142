# SPDX-License-Identifier: MIT
"""libntk's functions on contiguous buffers of float32 or float64; the package ntk is what to use.

Arrays named out, f, mean, ... are written to. dtype is 'f' or 'd'; which and want are 1 for NNGP, 2 for NTK, 3 for
both.
"""
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

_Array = NDArray[Any]
_Shape = tuple[int, ...]

def configure(
    threads: int,
    memory: int,
    isa: str | None,
    backend: str | None,
    force: bool,
    progress: Callable[[str, float, float], Any] | None,
) -> None: ...
def join(address: int, shared_host: bool, /) -> None: ...
def leave() -> None: ...
def check_may_work() -> None: ...
def info() -> dict[str, Any]: ...
def layers() -> tuple[tuple[str, str, str, str, str, str, tuple[tuple[str, str, str, str], ...]], ...]: ...
def net_print(text: str, /) -> str: ...
def net_shape(text: str, shape: _Shape, /) -> _Shape: ...
def net_uses_positions(text: str, /) -> bool: ...
def kernel(
    texts: tuple[str, ...], want: int, dtype: str, x1: _Array, x2: _Array | None, outs: tuple[_Array, ...], /
) -> None: ...
def graph(texts: tuple[str, ...], want: int, shape: _Shape, dot: bool, /) -> str: ...
def diagonal(texts: tuple[str, ...], want: int, dtype: str, x: _Array, outs: tuple[_Array, ...], /) -> None: ...
def monte_carlo(
    text: str,
    which: int,
    x1: _Array,
    x2: _Array | None,
    dtype: str,
    first: int,
    n_nets: int,
    seed: int,
    mean: _Array,
    error: _Array | None,
    /,
) -> None: ...
def flow(*args: Any) -> None: ...
def plan(
    text: str,
    shape: _Shape,
    n: int,
    m: int,
    outputs: int,
    posterior: int,
    dtype: str,
    solver: str | None,
    tolerance: float,
    rank: int,
    landmarks: int,
    finite_time: bool,
    covariance: bool,
    ranks: int,
    disk: float,
    x: _Array | None,
    /,
) -> dict[str, Any]: ...
def store_about(path: str, /) -> tuple[str, str, int, int, int, bool, str, int, int]: ...
def store_check(path: str, m: int, test: bool, /) -> None: ...
def store_rows(
    path: str, m: int, test: bool, first: int, count: int, columns: int, dtype: str, out: _Array, /
) -> None: ...
def load(
    source: str, dtype: str, limit: int, target: str | None, header: int, drop: str | None, features: str | None, /
) -> tuple[bytearray, int, _Shape, bytearray | None, int, list[str] | None]: ...

def shifted(x: _Array, image: _Shape | None, most: int, copies: int, seed: int, /) -> tuple[bytearray, int]: ...

class Params:
    outputs: int
    count: int
    shape: _Shape
    dtype: str
    net: str
    multiplier: float
    @staticmethod
    def init(text: str, shape: _Shape, dtype: str, seed: int, /) -> Params: ...
    @staticmethod
    def load(path: str, /) -> Params: ...
    def save(self, path: str, /) -> None: ...
    def arrays(self) -> tuple[tuple[str, _Shape, int, int, int], ...]: ...
    def layers(self) -> tuple[tuple[int | None, ...], ...]: ...
    def scaling(self) -> tuple[bytearray, bytearray] | None: ...
    def apply(self, x: _Array, f: _Array, /) -> None: ...
    def jvp(self, x: _Array, tangent: _Array, f: _Array, df: _Array, /) -> None: ...
    def vjp(self, x: _Array, cotangent: _Array, gradient: _Array, /) -> None: ...
    def kernel(self, which: int, form: int, x1: _Array, x2: _Array | None, k: _Array, /) -> None: ...
    def ntk_product(self, x1: _Array, x2: _Array | None, v: _Array, out: _Array, /) -> None: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

class Model:
    n: int
    outputs: int
    diag_reg: float
    @staticmethod
    def fit(
        text: str,
        x: _Array,
        y: _Array,
        posterior: int,
        dtype: str,
        diag_reg: float | None,
        absolute: bool,
        finite_time: bool,
        mean_loss: bool,
        covariance: bool,
        weights: _Array | None = None,
        noise: _Array | None = None,
        keep: bool = False,
        solver: str | None = None,
        tolerance: float = 0,
        landmarks: int = 0,
        symmetry: int = 0,
        image: _Shape | None = None,
        checkpoint: str | None = None,
        /,
    ) -> Model: ...
    @staticmethod
    def fit_matrix(
        k: _Array,
        nngp: _Array | None,
        y: _Array,
        posterior: int,
        dtype: str,
        diag_reg: float,
        absolute: bool,
        finite_time: bool,
        covariance: bool,
        /,
    ) -> Model: ...
    def refit(self, y: _Array | None, diag_reg: float, /) -> None: ...
    @staticmethod
    def load(path: str, /) -> Model: ...
    def save(self, path: str, with_factor: bool, /) -> None: ...
    def name(
        self, names: tuple[str, ...], n_features: int, n_targets: int, n_classes: int, labels: _Array | None, /
    ) -> None: ...
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], bytearray | None]: ...
    def encode(
        self,
        targets: int,
        shift: _Array | None,
        scale: _Array | None,
        scaler: tuple[int, _Shape, _Array, _Array] | None,
        /,
    ) -> None: ...
    def encoding(
        self,
    ) -> tuple[int, bytearray | None, bytearray | None, tuple[int, _Shape, bytearray, bytearray] | None]: ...
    def options(self) -> tuple[str, int, str, float, bool, bool, bool, bytearray | None, bytearray | None, int]: ...
    def samples(self) -> tuple[bytearray, str, int, _Shape, bytearray]: ...
    def symmetry(self) -> tuple[int, _Shape | None]: ...
    def predict(self, x: _Array, mean: _Array, variance: _Array | None, covariance: _Array | None, /) -> None: ...
    def predict_matrix(
        self,
        k: _Array | None,
        nngp: _Array | None,
        prior: _Array | None,
        times: _Array,
        f0_train: _Array | None,
        mean: _Array | None,
        covariance: _Array | None,
        /,
    ) -> None: ...
    def dynamics(
        self, times: _Array, x: _Array | None, train: _Array | None, test: _Array | None, variance: _Array | None, /
    ) -> None: ...
    def leave_one_out(self, mean: _Array, variance: _Array | None, /) -> None: ...
    def alpha(self, out: _Array, /) -> None: ...
    def ridges(self, diag_reg: _Array, loo_mse: _Array, log_likelihood: _Array, /) -> None: ...
    def evidence(self) -> float: ...
    def sharpness(self) -> float: ...
    def spectrum(self) -> tuple[float, float, float, float]: ...

class Train:
    step: int
    learning_rate: float
    @staticmethod
    def start(
        params: Params,
        x: _Array,
        y: _Array,
        loss: int,
        mean_loss: bool,
        learning_rate: float,
        fraction: float,
        momentum: float,
        batch: int,
        seed: int,
        /,
    ) -> Train: ...
    def run(self, steps: int, /) -> float: ...

class FeatureMap:
    @staticmethod
    def make(text: str, which: int, like: _Array, count: int, seed: int, /) -> FeatureMap: ...
    def apply(self, x: _Array, phi: _Array, /) -> None: ...
    def error(self, x: _Array, rows: int, /) -> tuple[float, float]: ...
    def predict(self, x: _Array, outputs: int, coef: _Array, f: _Array, /) -> None: ...

class FeatureRidge:
    n: int
    @staticmethod
    def start(map: FeatureMap, outputs: int, hold_out: bool, /) -> FeatureRidge: ...
    def add(self, x: _Array, y: _Array, /) -> None: ...
    def solve(self, ridge: float | None, absolute: bool, coef: _Array, /) -> float: ...
    def hold_out(self, ridges: _Array, absolute: bool, mse: _Array, /) -> None: ...
