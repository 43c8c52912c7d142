# SPDX-License-Identifier: MIT
from typing import Any, TypeVar

from . import datasets as datasets
from . import lab as lab
from . import plot as plot
from . import predict as predict
from . import stax as stax
from ._kernel import Kernel as Kernel
from ._kernel import graph as graph
from ._kernel import kernels as kernels
from ._plan import plan as plan
from .empirical import NtkImplementation as NtkImplementation
from .empirical import empirical_kernel_fn as empirical_kernel_fn
from .empirical import empirical_nngp_fn as empirical_nngp_fn
from .empirical import empirical_ntk_fn as empirical_ntk_fn
from .empirical import empirical_ntk_vp_fn as empirical_ntk_vp_fn
from .empirical import linearize as linearize
from .empirical import monte_carlo_kernel_fn as monte_carlo_kernel_fn
from .empirical import taylor_expand as taylor_expand
from .finite import load_params as load_params
from .finite import save_params as save_params
from .finite import train as train
from .settings import info as info
from .settings import leave_mpi as leave_mpi
from .settings import progress as progress
from .settings import set_backend as set_backend
from .settings import set_isa as set_isa
from .settings import set_memory as set_memory
from .settings import set_threads as set_threads
from .settings import use_mpi as use_mpi
from .stax import *
from .store import open_store as open_store

_F = TypeVar("_F")

__version__: str
# Imported when they are first used, with scikit-learn.
NTKRegressor: Any
NTKClassifier: Any
NTKKernel: Any
NTKFeatures: Any
NTKFeaturesRegressor: Any
NTKFeaturesClassifier: Any

def batch(kernel_fn: _F, batch_size: int = 0, device_count: int = -1, store_on_device: bool = True) -> _F: ...
