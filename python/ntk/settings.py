# SPDX-License-Identifier: MIT
"""What holds for all calls: threads, memory, instruction set, backend, processes that share them, progress."""
import os
from collections.abc import Callable
from numbers import Real
from typing import Any

from . import _core

_now = {"threads": 0, "memory": 0, "isa": None, "backend": None, "force": False, "progress": None}


def _set(**changes):
    new = {**_now, **changes}
    _core.configure(new["threads"], new["memory"], new["isa"], new["backend"], new["force"], new["progress"])
    _now.update(changes)


def _try(**changes):
    """Sets them, unless a context cannot be made with them."""
    previous = {name: _now[name] for name in changes}
    _set(**changes)
    try:
        _core.info()
    except Exception:
        _set(**previous)
        raise


def set_threads(threads: int = 0) -> None:
    """Threads of a call, 1 to 1024; 0: one for each processor this process may use.

    A process that os.fork or multiprocessing's "fork" makes starts with 1, and can have more only if its parent has
    computed nothing; "spawn" and "forkserver" know no such bound.
    """
    _set(threads=threads)


def _alone():
    """A forked process does not have GNU OpenMP's threads, but OpenMP would wait for them forever; nor are its fits a rank's."""
    set_threads(1)
    _core.leave()


os.register_at_fork(after_in_child=_alone)


def set_memory(bytes: float = 0) -> None:
    """Bound on what a call may hold, in bytes, such as 8e9: work that needs more is a MemoryError before it starts.
    0: the memory that the machine has free then."""
    if not isinstance(bytes, Real):
        raise TypeError(f"bytes must be a number, got {bytes!r}")
    if not 0 <= bytes < 2**63:
        raise ValueError(f"bytes must be 0 to 2**63 - 1, got {bytes}")
    _set(memory=int(bytes))


def set_isa(name: str | None = None) -> None:
    """Instruction set of the hot loops: 'baseline', 'avx2', 'avx512' or 'neon'; None: the best.

    NotImplementedError, with those that work, if this machine or build does not have it. Models and networks with
    parameters that are in memory already keep theirs.
    """
    _try(isa=name)


def set_backend(name: str | None = None, *, force: bool = False) -> None:
    """Who computes kernels: 'cpu', this machine's processors (None, the default), or 'reference', which checks it: all
    pairs of positions in long double, activations integrated numerically.

    A slow backend refuses (ValueError) what takes more than a minute, unless `force`. ValueError, with those that there
    are, for another name. Models that are in memory already keep theirs.
    """
    _try(backend=name, force=bool(force))


def use_mpi(comm: Any = None) -> None:
    """From here on fits, and what their models predict, are work that all processes of a communicator of mpi4py share: its
    ranks. comm None: MPI.COMM_WORLD.

    All of them call this, and fit and predict with the same arrays, in the same order; results are on all of them, and those
    of one process, but for rounding. Kernels, features, networks and given matrices each process computes for itself.
    Threads and memory are its part of its host's, unless they are set. NotImplementedError in a build without MPI,
    ModuleNotFoundError without mpi4py. docs/howto/cluster.md has an example, and what happens when a rank fails.
    """
    if "mpi" not in info()["features"].split():
        raise NotImplementedError("this build of ntk has no MPI; one that has: pip install --force-reinstall --no-deps "
                                  "-Csetup-args=-Dmpi=enabled DIR, the directory of ntk's sources, with Open MPI and ScaLAPACK")
    try:
        from mpi4py import MPI
    except ModuleNotFoundError as error:
        if error.name != "mpi4py":
            raise
        raise ModuleNotFoundError("ntk.use_mpi needs mpi4py: pip install mpi4py", name="mpi4py") from None
    comm = MPI.COMM_WORLD if comm is None else comm
    if not isinstance(comm, MPI.Intracomm) or comm == MPI.COMM_NULL:
        raise TypeError(f"comm must be a communicator of a group, as mpi4py.MPI.COMM_WORLD, got {comm!r}")
    if not MPI.Is_initialized():
        raise ValueError("MPI has not begun: mpi4py.MPI.Init() begins it")
    host = comm.Split_type(MPI.COMM_TYPE_SHARED)
    shared_host = host.size > 1
    host.Free()
    _core.join(MPI._addressof(comm), shared_host)


def leave_mpi() -> None:
    """From here on this process works alone. Models that were fitted with others stay theirs."""
    _core.leave()


def info() -> dict[str, Any]:
    """What this build and machine can do: version, features, isa, isa_available, backend, backends, blas_core, threads,
    memory; and rank of ranks, 0 of 1 without use_mpi."""
    return _core.info()


class progress:
    """Shows the progress of long calls: progress() from here on, progress(False) no more, `with progress():` for
    a block. Bars are tqdm's; a function called with (what, done, total), in any thread, may be given instead; its
    exceptions end the work, and it cannot use ntk itself."""

    def __init__(self, show: bool | Callable[[str, float, float], Any] = True) -> None:
        if not isinstance(show, bool) and not callable(show):
            raise TypeError(f"progress takes True, False or a function, got {show!r}")
        self._before = _now["progress"]
        self._bars = _Bars() if show is True else None
        _set(progress=self._bars or show or None)

    def __enter__(self) -> "progress":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bars:
            self._bars.close()
        _set(progress=self._before)


class _Bars:
    """One bar for each piece of work, by tqdm."""

    def __init__(self):
        try:
            from tqdm.auto import tqdm
        except ModuleNotFoundError:
            raise ModuleNotFoundError("ntk.progress draws its bars by tqdm: pip install tqdm, or give a function",
                                      name="tqdm") from None

        self._tqdm, self._bar = tqdm, None

    def __call__(self, what, done, total):
        what, _, state = what.partition(", ")
        if self._bar is not None and (self._bar.desc != what or done < self._bar.n or self._bar.total != total):
            self.close()
        if self._bar is None and (done >= total or what == "preparations"):
            return  # too short for a bar, or nothing to measure
        if self._bar is None:
            self._bar = self._tqdm(total=total, desc=what, unit_scale=True, initial=done)  # work may go on from a file
            self._bar.desc = what
        if state:
            self._bar.set_postfix_str(state, refresh=False)
        self._bar.update(done - self._bar.n)
        if done >= total:
            self.close()

    def close(self):
        if self._bar is not None:
            self._bar.close()
        self._bar = None
