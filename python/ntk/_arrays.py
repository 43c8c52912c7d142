# SPDX-License-Identifier: MIT
"""Arrays in: whatever NumPy can see without a copy, as contiguous float32 or float64; named tuples of results."""
from collections import namedtuple
from collections.abc import Iterable
from functools import cache

import numpy as np

_KINDS = "biuf"  # what converts to a real number: bool, integers, floats
# Objects that NumPy, too, converts, but which are none.
_OTHERS = (str, bytes, bytearray, complex, np.complexfloating, np.datetime64, np.timedelta64)


def as_array(x, name, dtype=None):
    """x as a C-contiguous, aligned array of float32 or float64, without a copy where it is one already.

    Accepts what numpy.asarray does, CPU tensors of torch among them, and objects with DLPack. float16 and bfloat16
    become float32; integers and longer floats become float64; `dtype` overrides.
    """
    if type(x) is np.ndarray and _is_ready(x) and (dtype is None or x.dtype == dtype):
        return x  # nothing to do, in a tenth of the time
    if x is None:
        raise ValueError(f"{name} must be an array, got None")
    check_whole(x, name)
    if hasattr(x, "detach"):  # a torch tensor may belong to a gradient's tape
        x = x.detach()
    try:
        if not hasattr(x, "__array__") and not hasattr(x, "__array_interface__") and hasattr(x, "__dlpack__"):
            x = np.from_dlpack(x)
        a = np.asarray(x)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        if "Tracer" in type(x).__name__:
            raise TypeError(f"{name} is traced by jax, which cannot look into this library: call it without jit, vmap "
                            "and grad") from None
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(_ragged(x, name) or f"{name} cannot be read as an array: {error}") from None
    if a.dtype.name == "bfloat16":  # of ml_dtypes, whose kind says nothing
        a = a.astype(np.float32)
    if a.dtype.kind not in _KINDS:
        a = _numbers_of(a, name, x)
    if dtype is None:
        dtype = np.float32 if a.dtype.type in (np.float32, np.float16) else np.float64
    return np.require(a, dtype, ("C", "ALIGNED", "ENSUREARRAY"))


def _is_ready(a):
    return a.dtype.char in "fd" and a.dtype.isnative and a.flags.c_contiguous and a.flags.aligned


def check_whole(x, name):
    """Refuses masked arrays, of which NumPy takes the hidden numbers for real ones: ValueError."""
    parts = x if isinstance(x, (list, tuple)) else (x,)
    if any(isinstance(part, np.ndarray) and np.any(getattr(part, "mask", False)) for part in parts):
        raise ValueError(f"{name} is a masked array, with numbers that are masked: fill them in with "
                         f"{name}.filled(value), or leave their rows out")


def check_readable(x, name):
    """Refuses what as_array would, of masked arrays and of lists, before another library takes x: ValueError."""
    check_whole(x, name)
    if isinstance(x, (list, tuple)):
        try:
            np.shape(x)
        except ValueError as error:
            raise ValueError(_ragged(x, name) or str(error)) from None


def check_numbers(x, name):
    """The same, and texts, dates and times, which another library would take for numbers, a date for its nanoseconds."""
    check_readable(x, name)
    if any(getattr(dtype, "kind", "O") in "mM" for _, dtype in _types(x)):
        raise ValueError(_other_columns(x, name))
    kinds = {getattr(dtype, "kind", None) for dtype in (getattr(x, "dtype", None), *(dtype for _, dtype in _types(x)))}
    if not isinstance(x, (list, tuple)) and not kinds & set("OmMSU"):
        return
    a = np.asarray(x)
    if a.dtype.kind in "mMSU":
        raise ValueError(f"{name} must have real numbers, got dtype {a.dtype}")
    if a.dtype.kind == "O":
        _check_objects(a, name, x)


def _check_objects(a, name, x):
    """Refuses objects that are no numbers in an array of objects, which was made of x: ValueError."""
    others = sorted(kind.__name__ for kind in set(map(type, a.flat)) if issubclass(kind, _OTHERS))
    if others:
        raise ValueError(_other_columns(x, name) or f"{name} must have real numbers, got objects: {', '.join(others)}")


def _ragged(x, name):
    """Which rows of nested lists differ in length; None: none do."""
    if not isinstance(x, (list, tuple)):
        return None
    shapes = []
    for i, row in enumerate(x):
        try:
            shapes.append(np.shape(row))
        except ValueError:
            return _ragged(row, f"{name}[{i}]")
        if shapes[i] != shapes[0]:
            return f"rows of {name} must be alike: row {i} has {_count(shapes[i])}, row 0 has {_count(shapes[0])}"
    return None


def _count(shape):
    if not shape:
        return "no length, as it is one number"
    return f"{shape[0]} number{'' if shape[0] == 1 else 's'}" if len(shape) == 1 else f"the shape {shape}"


def _numbers_of(a, name, x):
    """Numbers that hide in an array of objects; other types are refused. x: what the array was made of."""
    if a.dtype.kind != "O":
        raise ValueError(f"{name} must have real numbers, got dtype {a.dtype}")
    _check_objects(a, name, x)
    try:
        return a.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        if hasattr(x, "toarray"):
            raise ValueError(f"{name} is a sparse matrix: give {name}.toarray()") from None
        raise ValueError(_ragged(a.tolist(), name) or _other_columns(x, name) or _missing(x, name) or
                         f"{name} must have real numbers, got objects: {error}") from None


def _types(x):
    """The columns of a table (of pandas) with their types; of anything else none."""
    return zip(x.columns, x.dtypes) if hasattr(x, "columns") and hasattr(x, "dtypes") else ()


def _other_columns(x, name):
    """Which columns of a table (of pandas) have no numbers; None: that is not known."""
    others = [str(column) for column, dtype in _types(x) if getattr(dtype, "kind", "O") not in _KINDS]
    if not others:
        return None
    shown = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
    return f"{name} must have real numbers: leave out or encode the column{'s' if len(others) > 1 else ''} {shown}"


def _missing(x, name):
    """Which columns of a table (of pandas) lack values; None: none, or that is not known."""
    if not hasattr(x, "isna") or not hasattr(x, "columns"):
        return None
    lacking = [str(column) for column, lacks in zip(x.columns, np.asarray(x.isna()).any(0)) if lacks]
    return f"{name} lacks values in {', '.join(lacking)}: fill them in, or leave their rows out" if lacking else None


def as_samples(x, name, dtype=None):
    """Samples [n][c], [n][w][c] or [n][h][w][c], at least one."""
    a = as_array(x, name, dtype)
    if a.ndim not in (2, 3, 4):
        hint = f"; one sample is {name}[None]" if a.ndim == 1 else ""
        raise ValueError(f"{name} must have the shape [n][c], [n][w][c] or [n][h][w][c], got {a.shape}{hint}")
    if a.size == 0:
        raise ValueError(f"{name} must not be empty, got the shape {a.shape}")
    return a


def pair(x1, x2):
    """Both sets of samples (x2 is None if it is None or equals x1), and the dtype of results: float32 if both are, else
    float64."""
    x1 = as_samples(x1, "x1")
    if x2 is None:
        return x1, None, x1.dtype
    x2 = as_samples(x2, "x2")
    if x1.shape[1:] != x2.shape[1:]:
        raise ValueError(f"samples of x1 and x2 must have one shape, got {x1.shape[1:]} and {x2.shape[1:]}")
    if x1.dtype == x2.dtype and np.array_equal(x1, x2):
        return x1, None, x1.dtype
    return x1, x2, np.result_type(x1, x2)


def seed_of(rng):
    """A seed, 0 to 2**64 - 1, from an integer, a numpy Generator, or an array of integers such as a jax key."""
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**63))
    if isinstance(rng, np.random.RandomState):
        return int(rng.randint(2**31))
    key = np.asarray(getattr(rng, "_base_array", rng))  # typed keys of jax wrap their numbers
    if key.dtype.kind not in "iu" or key.size not in (1, 2):
        raise TypeError("rng must be an integer, a numpy.random.Generator or a key of two integers, got "
                        f"{type(rng).__name__}")
    seed = 0
    for word in key.ravel():
        seed = seed << 32 ^ int(word)
    return seed % 2**64


@cache
def _named_class(name, fields):
    made = namedtuple(name, fields)
    made.__reduce__ = lambda self: (named, (name, fields, tuple(self)))  # pickle finds no class of that name
    return made


def named(name, fields, values):
    """A named tuple of a class that exists once for these fields."""
    return _named_class(name, tuple(fields))(*values)


def names_of(get, allowed):
    """What `get` asks for, as a tuple: one of the names that are allowed, or several; else ValueError."""
    names = tuple(get) if isinstance(get, Iterable) and not isinstance(get, (str, bytes)) else (get,)
    if not names or not all(isinstance(name, str) and name in allowed for name in names):
        raise ValueError(f"get must be {', '.join(map(repr, allowed))} or a tuple of these, got {get!r}")
    return names
