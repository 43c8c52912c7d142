# SPDX-License-Identifier: MIT
"""What goes in and out: kinds of arrays, copies, wrong arguments, threads, Ctrl-C, memory, pickles, imports."""
import copy
import gc
import pickle
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings

import numpy as np
import pytest

import ntk
from processes import started

NET = "fc(depth=2, width=16, outputs=2)"
X = np.random.default_rng(0).normal(size=(6, 4))
LAYER = ntk.stax.parse(NET)
init_fn, apply_fn, kernel_fn = LAYER
PARAMS = init_fn(0, (-1, 4))[1]
EXPECTED = kernel_fn(X, None, "ntk")
GAP = "cntk(depth=5, pool='gap')"  # seconds of work on a few images


@pytest.fixture(autouse=True)
def one_thread():
    """Small work on a busy machine waits for its threads much longer than it works."""
    ntk.set_threads(1)
    yield
    ntk.set_threads()
    ntk.set_memory()
    ntk.set_isa()
    ntk.set_backend()
    ntk.progress(False)


def same(k, dtype=np.float64, rtol=1e-12):
    assert type(k) is np.ndarray and k.dtype == dtype and k.flags.c_contiguous and k.flags.writeable
    np.testing.assert_allclose(k, EXPECTED, rtol=rtol)


# ---- kinds of arrays


@pytest.mark.parametrize("dtype, result, rtol", [
    ("float64", "float64", 1e-12), ("float32", "float32", 1e-5), ("float16", "float32", 2e-2),
    (">f8", "float64", 1e-12), (">f4", "float32", 1e-5), ("longdouble", "float64", 1e-12), ("object", "float64", 1e-12),
])
def test_floats(dtype, result, rtol):
    same(kernel_fn(X.astype(dtype), None, "ntk"), result, rtol)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64", "bool"])
def test_integers(dtype):
    x = np.abs(np.round(3 * X)).astype(dtype)
    k = kernel_fn(x, None, "ntk")
    assert k.dtype == np.float64
    np.testing.assert_array_equal(k, kernel_fn(x.astype(float), None, "ntk"))


def test_both_sets_decide_the_type():
    x32 = X.astype(np.float32)
    assert kernel_fn(x32, x32, "ntk").dtype == np.float32
    assert kernel_fn(x32, X, "ntk").dtype == kernel_fn(X, x32, "ntk").dtype == np.float64


def test_results_are_of_the_machines_byte_order():
    (W, _), (big, _) = (ntk.stax.Dense(3)[0](0, (-1, 4), dtype)[1] for dtype in ("f8", ">f8"))
    np.testing.assert_array_equal(big, W)
    np.testing.assert_array_equal(ntk.datasets.load("digits", ">f4", 3)[0], ntk.datasets.load("digits", "f4", 3)[0])


def test_tables(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("kind,a,b,c,name\nx,1,2,3,red\ny,4,5,6,blue\nz,7,8,9,red\n")
    x, y = ntk.datasets.load(path, drop="kind")
    np.testing.assert_array_equal(x, [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    assert y.tolist() == ["red", "blue", "red"]
    x, y = ntk.datasets.load(path, target=["c", 1], features=["b"])
    np.testing.assert_array_equal(x, [[2], [5], [8]])
    np.testing.assert_array_equal(y, [[3, 1], [6, 4], [9, 7]])
    with pytest.raises(ValueError, match="line 1, column 1: 'a' is not a number"):
        ntk.datasets.load(path, header=False, drop=0)
    path.write_text("0,1,2\n0,1,5\n1,2,5\n2,1,5\n")
    with pytest.warns(RuntimeWarning) as said:
        x, y = ntk.datasets.load(path)
    assert len(x) == 3 and len(said) == 2  # an index, and a constant target
    assert len(ntk.datasets.load(path, header=False)[0]) == 4


def test_names_of_columns_may_have_commas(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('"a,b",a,b,"""q""",y\n1,2,3,4,5\n6,7,8,9,10\n')
    for features, columns in [(["a", "b"], [1, 2]), (["a,b"], [0]), (["a,b", "b"], [0, 2]), ("a,b", [0]),
                              ('"a,b",a', [0, 1]), (['"q"'], [3]), (['"q"', "a"], [3, 1])]:
        x, _ = ntk.datasets.load(path, features=features)
        np.testing.assert_array_equal(x[0], np.array([1, 2, 3, 4])[columns])
    np.testing.assert_array_equal(ntk.datasets.load(path, drop=["a,b", '"q"'])[0], [[2, 3], [7, 8]])
    np.testing.assert_array_equal(ntk.datasets.load(path, target=["a,b", "y"])[1], [[1, 5], [6, 10]])


def test_one_hot():
    np.testing.assert_array_equal(ntk.datasets.one_hot([3, 200000002, 1], centered=False),
                                  [[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(ntk.datasets.one_hot([2, 0], 3), np.eye(3)[[2, 0]] - 1 / 3)
    np.testing.assert_array_equal(ntk.datasets.one_hot(["b", "a"], ["b", "c", "a"], False), [[1, 0, 0], [0, 0, 1]])


def test_layouts():
    wide = np.zeros((12, 8))
    wide[::2, ::2] = X
    same(kernel_fn(wide[::2, ::2], None, "ntk"))
    same(kernel_fn(np.asfortranarray(X), None, "ntk"))
    same(kernel_fn(X[::-1][::-1], None, "ntk"))
    same(kernel_fn(X.tolist(), None, "ntk"))
    same(kernel_fn(np.ndarray((6, 4), float, bytearray(b"\0" + X.tobytes()), 1), None, "ntk"))  # not aligned
    frozen = X.copy()
    frozen.flags.writeable = False
    same(kernel_fn(frozen, frozen, "ntk"))
    same(kernel_fn(memoryview(X), None, "ntk"))


def test_subclasses_give_plain_arrays():
    class Mine(np.ndarray):
        pass

    same(kernel_fn(X.view(Mine), None, "ntk"))
    assert type(apply_fn(PARAMS, X.view(Mine))) is np.ndarray


class Interface:
    """What a library's array may look like: an address, no copy."""

    def __init__(self, array):
        self.array = array
        self.__array_interface__ = array.__array_interface__


class Capsule:
    """An array of which only DLPack is known."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **kwargs):
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class Gradient(Interface):
    """A tensor that refuses until it is detached, as torch's do when they need a gradient."""

    def __init__(self, array):
        self.array = array

    def detach(self):
        return Interface(self.array)


class OtherDevice(Capsule):
    """An array that is not in the memory of the processor."""

    def __dlpack__(self, **kwargs):
        raise BufferError("on another device")


@pytest.mark.parametrize("kind", [Interface, Capsule, Gradient])
def test_other_libraries_arrays(kind):
    same(kernel_fn(kind(X), None, "ntk"))
    same(kernel_fn(X, kind(X), "ntk"))


def test_torch():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    tensor = torch.tensor(X, requires_grad=True)
    same(kernel_fn(tensor, None, "ntk"))
    same(kernel_fn(tensor.detach().float(), None, "ntk"), np.float32, 1e-5)


# ---- copies


def peak(f):
    """Most bytes that Python and NumPy hold while f works, in units of the argument's size."""
    f()
    gc.collect()
    tracemalloc.start()
    f()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.mark.parametrize("call", [
    lambda x: kernel_fn(x, None, "ntk"), lambda x: kernel_fn(x, x[:2], "nngp"), lambda x: apply_fn(PARAMS_WIDE, x),
])
def test_contiguous_arrays_are_not_copied_others_once(call):
    x = np.random.default_rng(1).normal(size=(100, 50_000)).astype(np.float32)
    assert peak(lambda: call(x)) < 0.5 * x.nbytes
    fortran = np.asfortranarray(x)
    assert 0.9 * x.nbytes < peak(lambda: call(fortran)) < 1.5 * x.nbytes


PARAMS_WIDE = init_fn(0, (-1, 50_000), np.float32)[1]


def test_arguments_are_not_changed():
    x, y = X.copy(), np.ones((6, 2))
    params = copy.deepcopy(PARAMS)
    ntk.train(apply_fn, params, x, y, steps=3)
    ntk.empirical_kernel_fn(apply_fn)(x, None, None, params)
    np.testing.assert_array_equal(x, X)
    assert repr(params) == repr(PARAMS)
    assert (y == 1).all()


# ---- wrong arguments


@pytest.mark.parametrize("x, kind, says", [
    (None, ValueError, "x1 must be an array, got None"),
    ("abc", ValueError, "x1 must have real numbers, got dtype <U3"),
    (X.astype(complex), ValueError, "x1 must have real numbers, got dtype complex128"),
    (X.astype("S3"), ValueError, "x1 must have real numbers"),
    (X.astype("M8[s]"), ValueError, "x1 must have real numbers"),
    (np.array([["a", 1]], object), ValueError, "x1 must have real numbers, got objects"),
    (np.array([[1j, 1]], object), ValueError, "x1 must have real numbers, got objects: complex$"),
    (np.array([["1", 1]], object), ValueError, "x1 must have real numbers, got objects: str$"),
    (np.array([[b"1", np.complex64(1)]], object), ValueError, "x1 must have real numbers, got objects: bytes, complex64$"),
    (np.array([[np.datetime64("2020-01-01"), 1]], object), ValueError, "got objects: datetime64$"),
    ({}, ValueError, "x1 must have real numbers, got objects"),
    (OtherDevice(X), TypeError, "x1 cannot be read as an array: on another device"),
    ([[1, 2], [3]], ValueError, "rows of x1 must be alike: row 1 has 1 number, row 0 has 2 numbers"),
    (3.0, ValueError, r"x1 must have the shape .*got \(\)"),
    (X[0], ValueError, r"got \(4,\); one sample is x1\[None\]"),
    (X[None, None, None], ValueError, "x1 must have the shape"),
    (X[:0], ValueError, r"x1 must not be empty, got the shape \(0, 4\)"),
    (X[:, :0], ValueError, r"x1 must not be empty, got the shape \(6, 0\)"),
    (np.where(X == X[2, 1], np.nan, X), ValueError, "sample 2, feature 1 is nan: values must be finite"),
    (np.where(X == X[3, 0], -np.inf, X), ValueError, "sample 3, feature 0 is -inf"),
])
def test_wrong_samples(x, kind, says):
    with pytest.raises(kind, match=says):
        kernel_fn(x, None, "ntk")
    with pytest.raises(kind, match=says.replace("x1 ", "x ").replace(r"x1\[", r"x\[")):
        apply_fn(PARAMS, x)
    same(kernel_fn(X, None, "ntk"))  # and all is well after it


def test_wrong_second_set():
    with pytest.raises(ValueError, match=r"one shape, got \(4,\) and \(3,\)"):
        kernel_fn(X, X[:, :3], "ntk")
    with pytest.raises(ValueError, match="x2 must have real numbers"):
        kernel_fn(X, X.astype(complex), "ntk")
    with pytest.raises(ValueError, match="sample 0, feature 0 is nan"):
        kernel_fn(X, X * np.nan, "ntk")


@pytest.mark.parametrize("call, kind, says", [
    (lambda: kernel_fn(X, None, "nope"), ValueError, "get must be 'nngp', 'ntk',.* or a tuple of these, got 'nope'$"),
    (lambda: kernel_fn(X, None, 3), ValueError, "get must be .*, got 3$"),
    (lambda: kernel_fn(X, None, b"ntk"), ValueError, "get must be .*, got b'ntk'$"),
    (lambda: kernel_fn(X, None, ()), ValueError, r"get must be .*, got \(\)$"),
    (lambda: ntk.kernels([kernel_fn], X, get=3), ValueError, "get must be 'nngp', 'ntk' or a tuple of these, got 3$"),
    (lambda: ntk.kernels([kernel_fn], X, get="cov1"), ValueError, "get must be 'nngp', 'ntk' or a tuple"),
    (lambda: ntk.empirical_kernel_fn(apply_fn)(X, None, 3, PARAMS), ValueError, "get must be .*, got 3$"),
    (lambda: ntk.predict.gp_inference(kernel_fn(X), X, 1e-3)(3), ValueError, "get must be .*'ntkgp' or .*, got 3$"),
    (lambda: kernel_fn(X, None, "ntk", mask=3), TypeError, "does not have the argument 'mask'"),
    (lambda: apply_fn(PARAMS[:1], X), ValueError, "do not belong to this network: it has 6 arrays"),
    (lambda: apply_fn(PARAMS, X[:, :3]), ValueError, "do not belong to this network"),
    (lambda: ntk.stax.Dense(3)[1]((np.ones((3, 4)), None), X), ValueError, r"W \(4, 3\)\), got shapes \[\(3, 4\)\]"),
    (lambda: init_fn("a", (-1, 4)), TypeError, "rng must be an integer"),
    (lambda: init_fn(1.5, (-1, 4)), TypeError, "rng must be an integer"),
    (lambda: init_fn(0, (4,)), ValueError, "input_shape must be"),
    (lambda: init_fn(0, 4), TypeError, r"a tuple with the batch first, such as \(-1, 4\), got 4"),
    (lambda: init_fn(0, (-1, -4)), ValueError, "is not a shape"),
    (lambda: init_fn(0, (-1, 2**70)), ValueError, "is too large"),
    (lambda: init_fn(0, (-1, 4), np.int32), ValueError, "dtype must be float32 or float64, got type code 'i'"),
    (lambda: ntk.train(apply_fn, PARAMS, X, np.ones((2, 6))), ValueError, r"y must have the shape \(6, 2\), got"),
    (lambda: ntk.train(apply_fn, PARAMS, X, np.ones((6, 2)), every=-1), ValueError, "every must be 1 or more"),
    (lambda: ntk.train(apply_fn, PARAMS, X, np.ones((6, 2)), learning_rate="auto"), TypeError, "a number, or None"),
    (lambda: ntk.train(apply_fn, PARAMS, X, np.ones((6, 2)), steps=-1), ValueError, "steps must be 0 or more"),
    (lambda: ntk.train(apply_fn, PARAMS, X, np.full((6, 2), np.nan)), ValueError, "targets must be finite"),
    (lambda: ntk.train(apply_fn, PARAMS, X, np.ones((6, 2)), seed="a"), TypeError, "must be an integer"),
    (lambda: ntk.train(apply_fn, PARAMS, X, np.ones((6, 2)), batch_size=7), ValueError, "batch must be from 1"),
    (lambda: ntk.train(apply_fn, PARAMS, X, np.ones((6, 2)), learning_rate=1e9, steps=99), np.linalg.LinAlgError,
     "training diverged"),
    (lambda: ntk.load_params("/no/such/file.h5", apply_fn), OSError, "cannot read .*file.h5"),
    (lambda: ntk.datasets.load("/no/such/file.csv"), OSError, "cannot open"),
    (lambda: ntk.datasets.load("digits", np.int32), ValueError, "dtype must be float32 or float64"),
    (lambda: ntk.datasets.load("digits", limit=-1), ValueError, "limit must be >= 0"),
    (lambda: ntk.datasets.one_hot([]), ValueError, "labels must be finite numbers or words"),
    (lambda: ntk.datasets.one_hot([None]), ValueError, "labels must be finite numbers or words"),
    (lambda: ntk.datasets.one_hot([np.nan]), ValueError, "labels must be finite numbers or words"),
    (lambda: ntk.datasets.one_hot(["a"], classes=["b"]), ValueError, "label a does not belong to 1 classes"),
    (lambda: ntk.datasets.one_hot([0, 5], classes=3), ValueError, "label 5 does not belong to 3 classes"),
    (lambda: ntk.set_threads(-1), ValueError, "threads must be 0"),
    (lambda: ntk.set_threads(2**80), ValueError, "threads must be 0"),
    (lambda: ntk.set_threads("two"), TypeError, "integer"),
    (lambda: ntk.set_memory(-1), ValueError, "bytes must be 0 to"),
    (lambda: ntk.set_memory("8G"), TypeError, "bytes must be a number"),
    (lambda: ntk.set_isa("avx3"), NotImplementedError, "'avx3' is not one of those that work here: .*baseline"),
    (lambda: ntk.set_isa("x" * 100), NotImplementedError, "is not one of those"),
    (lambda: ntk.set_backend("gpu"), ValueError, "no backend 'gpu'; there are: cpu, reference"),
    (lambda: ntk.set_backend(3), TypeError, "backend must be a name or None"),
    (lambda: ntk.set_isa(3), TypeError, "isa must be a name or None"),
    (lambda: ntk.set_isa("a\0b"), ValueError, "null"),
    (lambda: ntk.progress(3), TypeError, "progress takes True, False or a function"),
    (lambda: ntk.nothing, AttributeError, "no attribute 'nothing'"),
])
def test_wrong_calls(call, kind, says):
    with pytest.raises(kind, match=says):
        call()
    same(kernel_fn(X, None, "ntk"))


@pytest.mark.parametrize("text, says", [
    ("Dense(3, W_std=-1)", "line 1, column 1: Dense: W_std must be from 0.*\n    Dense[(]3, W_std=-1[)]\n    \\^$"),
    ("serial(\n  Dense(3),\n  Rlu(),\n)", "line 3, column 3: .*did you mean 'Relu'.\n      Rlu[(][)],\n      \\^$"),
    ("serial(Dense(3),\r\n\tRel())", "line 2, column 2: .*\n     Rel[(][)][)]\n     \\^$"),
    ("serial(Elementwise('é'))", "line 1, column 8: .*\n    serial.*\n           \\^$"),
    ("serial(Dense(3), Elementwise('é') +, Relu())", "line 1, column 36: .*\n.*\n {38}\\^$"),  # bytes, characters
    ("Dense(", "line 1, column 7: .*the end of the text\n    Dense[(]\n          \\^$"),
    ("", "line 1, column 1: expected a layer or a value, got the end of the text"),
    ("serial(" * 3000, "nested more than 200 deep\n    .{100}\n {64}\\^$"),
])
def test_parse_errors_show_the_place(text, says):
    with pytest.raises(ValueError, match=says):
        ntk.stax.parse(text)


def test_errors_about_shapes_show_the_place():
    net = ntk.stax.parse("serial(\n    Conv(8, (3, 3)),\n    Flatten(), Dense(1))")
    with pytest.raises(ValueError, match="line 2, column 5: .*\n        Conv.*\n        \\^$"):
        net[2](X, None, "ntk")


# ---- memory and settings


def test_huge_work_is_refused_before_it_starts():
    many = np.broadcast_to(np.float32(1), (30_000_000, 1))
    start = time.perf_counter()
    with pytest.raises(MemoryError, match="[GP]iB"):  # NumPy's, or the library's where NumPy can reserve so much
        kernel_fn(many, many, "ntk")
    with pytest.raises(MemoryError):
        ntk.stax.Dense(10**9)[0](0, (-1, 10**6))
    assert time.perf_counter() - start < 20


def test_set_memory():
    x = np.ones((1000, 4))
    ntk.set_memory(1e6)
    with pytest.raises(MemoryError, match="needs .*MiB, 0.95 MiB are allowed"):
        kernel_fn(x, None, "ntk")
    ntk.set_memory(1000)
    with pytest.raises(MemoryError):  # a network that was made before the bound was set
        apply_fn(PARAMS, x)
    ntk.set_memory()
    assert kernel_fn(x, None, "ntk").shape == (1000, 1000)


def test_threads_do_not_change_results():
    x = np.random.default_rng(2).normal(size=(300, 5))

    def results():
        trained = ntk.train(apply_fn, PARAMS2, x, x[:, :2], steps=3)
        return (kernel_fn(x, None, "ntk"), apply_fn(PARAMS2, x), trained.loss,
                ntk.empirical_ntk_fn(apply_fn)(x, None, PARAMS2))

    PARAMS2 = init_fn(1, (-1, 5))[1]
    for n in (1, 2, 3):
        ntk.set_threads(n)
        assert ntk.info()["threads"] == n
        found = results()
        first = found if n == 1 else first
        for a, b in zip(first, found):
            np.testing.assert_array_equal(a, b)


def test_set_isa():
    for isa in ntk.info()["isa_available"].split(", "):
        ntk.set_isa(isa)
        assert ntk.info()["isa"] == isa
        same(kernel_fn(X, None, "ntk"), rtol=1e-11)
    now = ntk.info()["isa"]
    with pytest.raises(NotImplementedError):
        ntk.set_isa("nothing")
    assert ntk.info()["isa"] == now


def test_set_backend():
    x = X[:3]
    want = kernel_fn(x, None, "ntk")
    ntk.set_backend("reference")
    assert ntk.info()["backend"] == "reference"
    np.testing.assert_allclose(kernel_fn(x, None, "ntk"), want, rtol=1e-12)
    with pytest.raises(ValueError, match="takes about .* more than 60 s"):
        kernel_fn(np.zeros((1000, *X.shape[1:])), None, "ntk")
    with pytest.raises(ValueError):
        ntk.set_backend("nothing")
    assert ntk.info()["backend"] == "reference"


# ---- progress


def test_progress_function():
    seen = []
    with ntk.progress(lambda *what: seen.append(what)):
        kernel_fn(np.ones((500, 4)), None, "ntk")
    assert seen and all(0 <= done <= total for _, done, total in seen)
    count = len(seen)
    kernel_fn(X, None, "ntk")
    assert len(seen) == count


def test_progress_exception_ends_the_work():
    class Enough(Exception):
        pass

    def stop(what, done, total):
        raise Enough(what)

    with ntk.progress(stop):
        with pytest.raises(Enough, match="tiles"):
            kernel_fn(np.ones((2000, 4)), None, "ntk")
        with pytest.raises(Enough, match="steps"):
            ntk.train(apply_fn, PARAMS, X, np.ones((6, 2)), steps=100)
        with pytest.raises(TypeError):
            with ntk.progress(lambda: None):
                kernel_fn(np.ones((2000, 4)), None, "ntk")
    same(kernel_fn(X, None, "ntk"))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["kernel", "model", "network", "training"])
def test_progress_functions_cannot_use_the_library(name, threads):
    """Neither by new objects nor by those that exist already: they would wait for the call that they are in."""
    program = f"""
import faulthandler, numpy as np, ntk
faulthandler.dump_traceback_later(30, exit=True)
ntk.set_threads({threads})
x = np.random.default_rng(0).normal(size=(1500, 4))
init_fn, apply_fn, kernel_fn = ntk.stax.parse("fc(depth=2, width=16)")
params = init_fn(0, (-1, 4))[1]
linear = ntk.linearize(apply_fn, params)
network = ntk._core.Params.init("fc()", (4,), "d", 0)
model = ntk._core.Model.fit("fc()", x, x, 1, "d", 1e-3, *[False] * 4)
training = ntk._core.Train.start(network, x[:9], x[:9, :1].copy(), 0, False, 0.1, 0.5, 0.0, 0, 0)
linear(params, x)
work = {{"kernel": lambda: kernel_fn(x), "model": lambda: model.predict(x, np.empty((1500, 4)), None, None),
        "network": lambda: linear(params, x), "training": lambda: training.run(1)}}["{name}"]
for call in (lambda: kernel_fn(x), lambda: ntk.empirical_ntk_fn(apply_fn)(x, None, params)):
    try:
        with ntk.progress(lambda *_: work()):
            call()
    except RuntimeError as error:
        print(error)
work()
"""
    assert run(program) == 2 * "a progress function cannot use ntk itself\n"


def test_times_of_another_type_are_refused():
    model = ntk._core.Model.fit("fc()", X, X, 1, "d", 1e-3, False, True, False, False)
    with pytest.raises(ValueError, match="times must be float64"):
        model.dynamics(np.ones(3, np.float32), None, np.empty((3, 6, 4)), None, None)
    with pytest.raises(ValueError, match="times must be float64"):
        ntk._core.flow(0, np.nan, 1.0, False, 1e-7, 1e-9, (6, 0, 4), np.ones(3, np.float32),
                       (np.eye(6), None, X, None, None, None, None, np.empty((3, 6, 4)), None, None, None))


@pytest.mark.parametrize("solver", [None, "cholesky", "eigen", "lanczos", "mixed", "cg", "out-of-core"])
@pytest.mark.parametrize("keep", [False, True])
def test_models_are_fitted_again(tmp_path, solver, keep):
    rng = np.random.default_rng(0)
    x, y, other = rng.standard_normal((30, 3)), rng.standard_normal((30, 2)), rng.standard_normal((30, 1))
    weights, noise = rng.integers(0, 3, 30).astype(float), rng.random(30)
    if solver == "eigen":  # which takes neither
        weights = noise = None
    kept = ... if weights is None else weights > 0

    def fit(diag_reg, y):
        return ntk._core.Model.fit("fc(depth=1)", x, y, 1, "d", diag_reg, False, False, False, False, weights, noise, keep,
                                   solver, 1e-14)

    def alpha(model):
        out = np.empty((model.n, model.outputs))
        model.alpha(out)
        return out

    model = fit(0.1, y)
    for diag_reg, targets in ((0.5, None), (0.5, other), (0.2, y)):
        model.refit(targets, diag_reg)
        assert model.diag_reg == diag_reg
        np.testing.assert_allclose(alpha(model), alpha(fit(diag_reg, y if targets is None else targets)), rtol=1e-9)
    path = str(tmp_path / "m.h5")
    model.save(path, False)
    loaded = ntk._core.Model.load(path)
    for diag_reg in (0.1, 0.3):
        loaded.refit(None, diag_reg)
        np.testing.assert_allclose(alpha(loaded), alpha(fit(diag_reg, y))[kept], rtol=1e-9)


def test_models_refuse_other_arrays():
    fit, ones = ntk._core.Model.fit, np.ones(6)
    with pytest.raises(ValueError, match="weights must have 6 numbers"):
        fit("fc()", X, X, 1, "d", 1e-3, *[False] * 4, ones[:5])
    with pytest.raises(ValueError, match="cholesky, eigen"):
        fit("fc()", X, X, 1, "d", 1e-3, *[False] * 4, None, None, False, "gauss")
    with pytest.raises(ValueError, match="k must be float64 .n..n."):
        ntk._core.Model.fit_matrix(np.ones((6, 5)), None, X, 1, "d", 0.1, False, False, False)
    with pytest.raises(ValueError, match="y must be float64"):
        ntk._core.Model.fit_matrix(np.eye(6), None, X[:5], 1, "d", 0.1, False, False, False)
    model = ntk._core.Model.fit_matrix(np.eye(6), None, X, 1, "d", 0.1, False, False, False)
    with pytest.raises(ValueError, match="k must be float64 .m..6."):
        model.predict_matrix(np.ones((2, 5)), None, None, ones[:1], None, None, None)
    with pytest.raises(ValueError, match="without samples"):
        model.predict(X, np.empty((6, 4)), None, None)
    with pytest.raises(ValueError, match="names"):
        model.name((), 0, 0, 0, None)


def test_callback_exception_ends_training():
    with pytest.raises(ZeroDivisionError):
        ntk.train(apply_fn, PARAMS, X, np.ones((6, 2)), steps=4, callback=lambda *a: 1 / 0)


def test_bars(capsys):
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    with ntk.progress():
        kernel_fn(np.ones((500, 4)), None, "ntk")
        ntk.train(apply_fn, PARAMS, X, np.ones((6, 2)), steps=20)
    shown = capsys.readouterr().err
    assert "tiles: 100%" in shown and "steps: 100%" in shown


# ---- threads


def test_two_threads():
    images = np.random.default_rng(3).normal(size=(4, 8, 8, 2))
    expected = ntk.stax.parse(GAP)[2](images, None, "ntk")
    wrong = []

    def work(i):
        for _ in range(20):
            if not np.array_equal(kernel_fn(X, None, "ntk"), EXPECTED):
                wrong.append((i, "kernel"))
            if not np.array_equal(apply_fn(PARAMS, X), first):
                wrong.append((i, "apply"))
        if not np.array_equal(ntk.stax.parse(GAP)[2](images, None, "ntk"), expected):
            wrong.append((i, "images"))

    first = apply_fn(PARAMS, X)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not wrong


def test_products_of_several_threads_do_not_mix():
    """Of matrices that BLAS would compute in several threads of its own."""
    x = np.random.default_rng(4).normal(size=(400, 6))
    expected = kernel_fn(x, None, "ntk")
    wrong = []

    def work():
        for _ in range(80):
            wrong.append(not np.array_equal(kernel_fn(x, None, "ntk"), expected))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(wrong) == 320 and not any(wrong)


def test_forked_process():
    program = """
import multiprocessing, numpy as np, ntk
ntk.set_threads(2)
x = np.random.default_rng(0).normal(size=(400, 4))
kernel_fn = ntk.stax.parse("fc()")[2]
k = kernel_fn(x, None, "ntk")
def same(_):
    return ntk.info()["threads"] == 1 and np.array_equal(kernel_fn(x, None, "ntk"), k)
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map_async(same, range(4)).get(30))
print(ntk.info()["threads"])
"""
    assert run(program) == "[True, True, True, True]\n2\n"


def test_the_interpreter_works_on_during_a_call():
    images = np.random.default_rng(3).normal(size=(16, 16, 16, 3))
    gap = ntk.stax.parse(GAP)[2]
    during, done = [], threading.Event()

    def count():
        while not done.is_set():
            during.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    start = time.perf_counter()
    gap(images, None, "ntk")
    end = time.perf_counter()
    done.set()
    thread.join()
    inside = sum(start + 0.1 * (end - start) < t < end - 0.1 * (end - start) for t in during)
    assert inside > 5, f"{inside} of {len(during)} in {end - start} s"


# ---- Ctrl-C

INTERRUPTED = """
import sys, time, numpy as np, ntk
ntk.set_threads(1)
rng = np.random.default_rng(0)
init_fn, apply_fn, kernel_fn = ntk.stax.parse("fc(depth=2, width=256)")
x = rng.normal(size=(6, 4))
expected = kernel_fn(x, None, "ntk")
{prepare}
print("ready", flush=True)
try:
    {work}
    print("finished")
except KeyboardInterrupt:
    print("interrupted", time.time())
assert (kernel_fn(x, None, "ntk") == expected).all()
"""

LONG = {
    "kernel": ("images = rng.normal(size=(200, 20, 20, 3)); gap = ntk.stax.parse(\"cntk(depth=6, pool='gap')\")[2]",
               "gap(images, None, 'ntk')"),
    "train": ("data = rng.normal(size=(300, 50)); params = init_fn(0, (-1, 50))[1]",
              "ntk.train(apply_fn, params, data, data[:, :1], steps=10**6, learning_rate=1e-3)"),
    "networks": ("data = rng.normal(size=(50, 50)); mean = ntk.monte_carlo_kernel_fn(init_fn, apply_fn, 0, 10**6)",
                 "mean(data, None, 'ntk')"),
    "fit": ("images = rng.normal(size=(200, 20, 20, 3)); y = np.ones((200, 1))",
            "ntk._core.Model.fit(\"cntk(depth=6, pool='gap')\", images, y, 1, 'd', 1e-3, *[False] * 4)"),
}


def interrupt(program):
    """Its lines, and when the signal was sent: after it said 'ready' and worked for a moment."""
    with started(program) as process:
        assert process.stdout.readline() == "ready\n", process.communicate(timeout=60)
        time.sleep(0.5)
        sent = time.time()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    return out.split(), err, process.returncode, sent


@pytest.mark.parametrize("name", LONG)
def test_interrupt(name):
    prepare, work = LONG[name]
    words, err, code, sent = interrupt(INTERRUPTED.format(prepare=prepare, work=work))
    assert words[0] == "interrupted" and code == 0, (words, err)
    assert float(words[1]) - sent < 4


def test_interrupt_that_nobody_catches():
    program = INTERRUPTED.replace("except KeyboardInterrupt", "except ZeroDivisionError").format(
        prepare=LONG["kernel"][0], work=LONG["kernel"][1])
    words, err, code, _ = interrupt(program)
    assert not words and err.endswith("KeyboardInterrupt\n") and code in (-signal.SIGINT, 130)


def test_interrupt_of_a_handler_that_does_not_raise():
    program = "import signal\nsignal.signal(signal.SIGINT, lambda *a: print('handled'))\n" + INTERRUPTED.format(
        prepare=LONG["kernel"][0], work=LONG["kernel"][1])
    words, err, code, _ = interrupt(program)
    assert words[:2] == ["handled", "interrupted"] and code == 0, (words, err)


# ---- memory over many calls


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def fails(call, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call()
        except kind:
            return
    raise AssertionError("it did not fail")


@pytest.mark.parametrize("call, times", [
    (lambda: kernel_fn(X, None, "ntk"), 10_000),
    (lambda: kernel_fn(X, X), 1000),
    (lambda: apply_fn(PARAMS, X), 1000),
    (lambda: ntk.empirical_kernel_fn(apply_fn)(X, None, None, PARAMS), 1000),
    (lambda: ntk.train(apply_fn, PARAMS, X, np.ones((6, 2)), steps=2, learning_rate=0.1), 1000),
    (lambda: ntk.stax.parse("fc()"), 1000),
    (lambda: init_fn(0, (-1, 4)), 1000),
    (lambda: ntk.datasets.load("digits", limit=5), 1000),
    (lambda: fails(lambda: kernel_fn(X * np.nan, None, "ntk"), ValueError), 1000),
    (lambda: fails(lambda: ntk.stax.parse("Dense("), ValueError), 1000),
    (lambda: fails(lambda: init_fn(0, (-1, 0)), ValueError), 1000),
    (lambda: fails(lambda: ntk.train(apply_fn, PARAMS, X, np.full((6, 2), np.inf)), ValueError), 1000),
])
def test_memory_does_not_grow(call, times):
    for _ in range(times // 5):
        call()
    grown = []
    for _ in range(3):  # what grows once, such as the allocator's own, is no leak
        gc.collect()
        before, blocks = resident(), sys.getallocatedblocks()
        for _ in range(times):
            call()
        gc.collect()
        grown.append((resident() - before, sys.getallocatedblocks() - blocks))
        if grown[-1][0] < 2**20 and grown[-1][1] < times / 4:  # not an object a call, however small
            return
    raise AssertionError(f"(bytes, objects) in {times} calls: {grown}")


# ---- objects


def test_pickle_and_copy():
    for original in (LAYER, kernel_fn, apply_fn, init_fn):
        for again in (pickle.loads(pickle.dumps(original)), copy.deepcopy(original), copy.copy(original)):
            assert type(again) is type(original)
    layer = pickle.loads(pickle.dumps(LAYER))
    assert str(layer) == str(LAYER)
    same(layer[2](X, None, "ntk"))
    same(copy.deepcopy(kernel_fn)(X, None, "ntk"))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(apply_fn))(PARAMS, X), apply_fn(PARAMS, X))
    same(pickle.loads(pickle.dumps(kernel_fn(X, None))).ntk)
    for both in (kernel_fn(X, None, ("nngp", "ntk")), ntk.predict.gp_inference(kernel_fn(X), X, 0.1)()):
        again = pickle.loads(pickle.dumps(both))
        assert type(again) is type(both) and again._fields == ("nngp", "ntk")
        np.testing.assert_array_equal(again.ntk, both.ntk)


def test_sequences_of_many_lengths():
    init, apply, _ = ntk.stax.parse("serial(Conv(3, (2,)), Relu(), GlobalAvgPool(), Dense(1))")
    params = init(0, (-1, 5, 2))[1]
    x = np.random.default_rng(5).normal(size=(2, 30, 2))
    first = apply(params, x[:, :5])
    for length in range(5, 30):
        apply(params, x[:, :length])
    assert len(apply.net._finite) == 8
    np.testing.assert_array_equal(apply(params, x[:, :5]), first)


def test_kernels_of_several_networks():
    nets = [NET, LAYER, "Dense(1)", ntk.stax.serial(ntk.stax.Dense(3), ntk.stax.Erf())]
    found = ntk.kernels(nets, X, X[:2], "ntk")
    for net, k in zip(nets, found):
        layer = ntk.stax.parse(net) if isinstance(net, str) else net
        np.testing.assert_allclose(k, layer[2](X, X[:2], "ntk"), rtol=1e-13)
    with pytest.raises(ValueError, match="1 to 64 nets"):
        ntk.kernels(["Dense(1)"] * 65, X)


def test_graph_of_several_networks():
    text = ntk.graph(["serial(Dense(8, W_std=3), Relu(), Dense(1))", ntk.stax.Dense(1, W_std=3)], (4,), "ntk")
    assert "\n  1  mix(0): 9 + 0" in text and "all nets" in text and text.count("-> net") == 2
    assert "9 = W_std^2 of net 1 layer 1 Dense, net 2 layer 1 Dense" in text
    assert ntk.graph("Dense(1)", (4,)) == "net 1: Dense(1)\n  0  input" + 40 * " " + "-> NNGP, NTK\n"
    assert ntk.graph(ntk.stax.Dense(1), (3,), dot=True).startswith("digraph ntk {")
    with pytest.raises(ValueError, match="still has positions"):
        ntk.graph("Conv(2, (3, 3))", (5, 6, 3))
    with pytest.raises(ValueError, match="unknown layer 'Dence'"):
        ntk.graph(["Dense(1)", "Dence(1)"], (3,))
    with pytest.raises(ValueError, match="get must be 'nngp', 'ntk' or a tuple"):
        ntk.graph("Dense(1)", (3,), get="both")


def test_a_kernel_as_argument():
    first, second = ntk.stax.serial(ntk.stax.Dense(3), ntk.stax.Relu()), ntk.stax.Dense(1)
    both = ntk.stax.serial(first, second)[2]
    for x2 in (None, X[:2]):
        k, expected = second[2](first[2](X, x2)), both(X, x2)
        np.testing.assert_array_equal(k.ntk, expected.ntk)
        np.testing.assert_array_equal(k.nngp, expected.nngp)
        assert k.shape1 == expected.shape1 == (6, 1)
    np.testing.assert_array_equal(second[2](first[2](X), get="ntk"), both(X, None, "ntk"))


# ---- import


def run(program):
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout


def test_import_is_small():
    loaded = run("import sys, ntk; print(*[m for m in ('scipy', 'sklearn', 'matplotlib', 'tqdm', 'mpmath', 'torch', "
                 "'IPython') if m in sys.modules])")
    assert loaded == "\n"


def test_import_is_fast():
    seconds = float(run("import numpy, time; t = time.perf_counter(); import ntk; print(time.perf_counter() - t)"))
    assert seconds < 2
