# SPDX-License-Identifier: MIT
"""Stores of kernels: the same numbers as kernels in memory, by rows and as arrays; unfinished and damaged files."""
import subprocess
import sys

import numpy as np
import pytest

import ntk
from ntk import _core

NET = "serial(Dense(64), Relu(), Dense(1))"
N, M = 700, 90


def _command(folder, *words, code=0):
    run = subprocess.run([sys.executable, "-m", "ntk", "kernel", *words, "--quiet"], cwd=folder, capture_output=True)
    assert run.returncode == code, run.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    rng = np.random.default_rng(0)
    x, test = rng.normal(size=(N, 5)), rng.normal(size=(M, 5))
    np.save(folder / "x.npy", x)
    np.save(folder / "t.npy", test)
    # Tiles of 256 x 256, of which a matrix has six.
    words = "--net", NET, "--train", "x.npy", "--test", "t.npy", "--memory", "20M"
    _command(folder, *words, "--get", "both", "--out", "both.h5")
    _command(folder, *words, "--dtype", "float32", "--out", "single.h5")
    return folder, x, test


def test_rows_and_arrays(made):
    folder, x, test = made
    kernel_fn = ntk.stax.parse(NET)[2]
    for name in "nngp", "ntk":
        k, want = ntk.open_store(folder / "both.h5", name), kernel_fn(x, None, name)
        assert k.shape == (N, N) and k.dtype == np.float64 and k.symmetric and k.name == name and len(k) == N
        np.testing.assert_array_equal(np.asarray(k), want)
        np.testing.assert_array_equal(k[250:260], want[250:260])
        np.testing.assert_array_equal(k[-1], want[-1])
        np.testing.assert_array_equal(k[690:, ::3], want[690:, ::3])
        assert k[5, 6] == want[5, 6] and k[5:5].shape == (0, N)
        t = ntk.open_store(folder / "both.h5", name, test=True)
        assert t.shape == (M, N) and not t.symmetric
        np.testing.assert_array_equal(t[:], kernel_fn(test, x, name))
    k = ntk.open_store(folder / "single.h5")
    assert k.dtype == np.float32 and "Relu" in k.net
    np.testing.assert_array_equal(np.asarray(k, np.float64), kernel_fn(x.astype("f4"), None, "ntk"))


def test_other_readers_see_the_lower_half(made):
    h5py = pytest.importorskip("h5py")
    folder, x, _ = made
    want = ntk.stax.parse(NET)[2](x.astype("f4"), None, "ntk")
    with h5py.File(folder / "single.h5") as file:
        k = file["K"][:]
        lower = np.tril_indices(N)
        np.testing.assert_array_equal(k[lower], want[lower])
        assert np.isnan(k[0, 600]) and file["ntk"] == file["K"] and file["K_test"].shape == (M, N)


def test_refusals(made):
    folder, _, _ = made
    with pytest.raises(KeyError, match="several matrices: name one of nngp, ntk"):
        ntk.open_store(folder / "both.h5")
    with pytest.raises(KeyError, match="has no matrix '0.ntk'; it has ntk"):
        ntk.open_store(folder / "single.h5", "0.ntk")
    with pytest.raises(OSError, match="No such file"):
        ntk.open_store(folder / "none.h5")
    k = ntk.open_store(folder / "single.h5")
    with pytest.raises(IndexError, match="row 700 of 700"):
        k[N]
    with pytest.raises(TypeError, match="a number or a slice, got list"):
        k[[1, 2]]
    with pytest.raises(ValueError, match="a step of 2"):
        k[::2]


def test_unfinished_and_damaged(made, tmp_path):
    folder, _, _ = made
    path = tmp_path / "K.h5"
    whole = bytearray((folder / "both.h5").read_bytes())
    at = len(whole) - 5_000_000
    whole[at] ^= 1
    path.write_bytes(whole)
    k = ntk.open_store(path, "nngp", test=True), ntk.open_store(path, "ntk"), ntk.open_store(path, "nngp")
    with pytest.raises(OSError, match="is not what was written: its checksum is another"):
        [np.asarray(each) for each in k]
    _command(tmp_path, "--verify", "K.h5", code=1)
    _command(tmp_path, "--mend", "K.h5")
    with pytest.raises(OSError, match="is not finished: it has 5 of 6 tiles of "):
        [ntk.open_store(path, name) for name in ("nngp", "ntk")]


def test_texts_that_are_damaged(made, tmp_path):
    folder, _, _ = made
    path = tmp_path / "K.h5"
    whole = bytearray((folder / "single.h5").read_bytes())
    whole[whole.index(b"serial(")] = 0xff
    path.write_bytes(whole)
    k = ntk.open_store(path)
    assert "\ufffderial(" in k.net
    assert _core.store_about(str(path))[0].startswith("rows: ")
    whole[whole.index(b"libntk store")] = 0xff
    path.write_bytes(whole)
    with pytest.raises(OSError, match="its format is '\ufffdibntk store"):
        ntk.open_store(path)
