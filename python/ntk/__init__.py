# SPDX-License-Identifier: MIT
"""Neural tangent kernels: the exact kernels of infinitely wide networks, and finite networks.

    import numpy as np, ntk

    init_fn, apply_fn, kernel_fn = ntk.stax.serial(ntk.stax.Dense(512), ntk.stax.Relu(), ntk.stax.Dense(1))
    k = kernel_fn(x1, x2, 'ntk')                       # [n1][n2]
    model = ntk.NTKRegressor('fc(depth=3)').fit(x, y)  # scikit-learn's interface

Names, arguments and meanings are neural-tangents' (Novak et al. 2020) where there is one to follow.
"""
import os as _os

from . import _blas

# What OpenMP and OpenBLAS read once, when they are loaded; child processes need not see it. Idle OpenMP threads spin for
# milliseconds by default, which beside any other load slows small work; OpenBLAS does not know the newest processors.
_settings = {
    "GOMP_SPINCOUNT": None if "OMP_WAIT_POLICY" in _os.environ else "10000",
    "OPENBLAS_CORETYPE": _blas.CORE,
}
_settings = {name: value for name, value in _settings.items() if value and name not in _os.environ}
_os.environ.update(_settings)
try:
    from . import _core
finally:
    for _name in _settings:
        del _os.environ[_name]

from . import predict, stax
from ._kernel import Kernel, graph, kernels
from ._plan import plan
from .empirical import (NtkImplementation, empirical_kernel_fn, empirical_nngp_fn, empirical_ntk_fn,
                        empirical_ntk_vp_fn, linearize, monte_carlo_kernel_fn, taylor_expand)
from .finite import load_params, save_params, train
from .settings import info, leave_mpi, progress, set_backend, set_isa, set_memory, set_threads, use_mpi
from .stax import *
from .store import open_store

__version__ = _core.info()["version"]

_LAZY = {
    "NTKRegressor": "estimators",
    "NTKClassifier": "estimators",
    "NTKKernel": "gp_kernel",
    "NTKFeatures": "features",
    "NTKFeaturesRegressor": "features",
    "NTKFeaturesClassifier": "features",
}
_LAZY_MODULES = ("datasets", "estimators", "features", "gp_kernel", "lab", "plot")


def batch(kernel_fn, batch_size=0, device_count=-1, store_on_device=True):
    """kernel_fn itself: work is tiled and threaded by the library. For neural-tangents' sake."""
    return kernel_fn


def __getattr__(name):
    import importlib

    if name in _LAZY:
        try:
            return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "sklearn":
                raise
            raise ModuleNotFoundError(f"ntk.{name} needs scikit-learn: pip install scikit-learn",
                                      name="sklearn") from None
    if name in _LAZY_MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'ntk' has no attribute '{name}'")


def __dir__():
    return sorted({*globals(), *_LAZY, *_LAZY_MODULES})
