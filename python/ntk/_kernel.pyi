# SPDX-License-Identifier: MIT
from collections.abc import Sequence
from typing import Any, Literal, overload

from numpy.typing import ArrayLike, NDArray

from ._net import Net

class Kernel:
    net: Net
    x1: NDArray[Any]
    x2: NDArray[Any] | None
    def __init__(self, net: Net, x1: ArrayLike, x2: ArrayLike | None) -> None: ...
    @property
    def nngp(self) -> NDArray[Any]: ...
    @property
    def ntk(self) -> NDArray[Any]: ...
    @property
    def x1_is_x2(self) -> bool: ...
    @property
    def cov1(self) -> NDArray[Any]: ...
    @property
    def cov2(self) -> NDArray[Any] | None: ...
    @property
    def shape1(self) -> tuple[int, ...]: ...
    @property
    def shape2(self) -> tuple[int, ...]: ...
    def asdict(self) -> dict[str, Any]: ...

class KernelFn:
    net: Net
    def __init__(self, net: Net) -> None: ...
    @overload
    def __call__(
        self, x1: ArrayLike | Kernel, x2: ArrayLike | None = None, get: None = None, **kwargs: Any
    ) -> Kernel: ...
    @overload
    def __call__(
        self, x1: ArrayLike | Kernel, x2: ArrayLike | None, get: Literal["nngp", "ntk"], **kwargs: Any
    ) -> NDArray[Any]: ...
    @overload
    def __call__(
        self, x1: ArrayLike | Kernel, x2: ArrayLike | None = None, *, get: Literal["nngp", "ntk"], **kwargs: Any
    ) -> NDArray[Any]: ...
    @overload
    def __call__(
        self, x1: ArrayLike | Kernel, x2: ArrayLike | None = None, get: str | Sequence[str] = ..., **kwargs: Any
    ) -> Any: ...

@overload
def kernels(
    nets: Sequence[Any], x1: ArrayLike, x2: ArrayLike | None, get: Literal["nngp", "ntk"]
) -> list[NDArray[Any]]: ...
@overload
def kernels(
    nets: Sequence[Any], x1: ArrayLike, x2: ArrayLike | None = None, *, get: Literal["nngp", "ntk"]
) -> list[NDArray[Any]]: ...
@overload
def kernels(
    nets: Sequence[Any], x1: ArrayLike, x2: ArrayLike | None = None, get: Sequence[str] = ("nngp", "ntk")
) -> list[Any]: ...
def __getattr__(name: str) -> Any: ...
