# SPDX-License-Identifier: MIT
"""Files that cannot be written: an exception, the old file as it was, and an interpreter that ends as it should."""
import os
import resource
import subprocess
import sys
import warnings

import numpy as np
import pytest

import ntk

NET = "serial(Dense(64), Relu(), Dense(2))"
SAVE = """
import resource, sys
import ntk
init_fn, apply_fn, _ = ntk.stax.parse(sys.argv[1])
params = init_fn(0, (-1, 20))[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
for _ in range(2):
    try:
        ntk.save_params('p.h5', apply_fn, params, (20,))
        print('written')
    except OSError as error:
        print(error)
"""


def _save(folder, limit):
    return subprocess.run([sys.executable, "-c", SAVE, NET, str(limit)], cwd=folder, capture_output=True, text=True)


def test_a_full_disk_is_an_exception_and_no_more(tmp_path):
    file = tmp_path / "p.h5"
    file.write_text("old")
    for limit in 0, 100, 3000, 8000:
        run = _save(tmp_path, limit)
        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout == "cannot write p.h5: File too large\n" * 2
        assert file.read_text() == "old"
        assert os.listdir(tmp_path) == ["p.h5"]
    assert _save(tmp_path, resource.RLIM_INFINITY).stdout == "written\n" * 2
    assert ntk.load_params(file, ntk.stax.parse(NET)[1])[0][0].shape == (20, 64)


def test_links_and_modes_stay(tmp_path):
    target = tmp_path / "target.h5"
    os.symlink("target.h5", tmp_path / "p.h5")
    target.touch(0o600)
    target.chmod(0o604)
    assert _save(tmp_path, resource.RLIM_INFINITY).stdout == "written\n" * 2
    assert os.readlink(tmp_path / "p.h5") == "target.h5"
    assert target.stat().st_mode & 0o777 == 0o604
    assert target.stat().st_size > 10000


def _command(folder, *words):
    subprocess.run([sys.executable, "-m", "ntk", *words, "--quiet"], cwd=folder, check=True)


def test_parameters_say_how_samples_were_standardised(tmp_path):
    x = np.random.default_rng(1).normal(5, [1, 10, 0.1], size=(30, 3))
    table = np.column_stack([x, x[:, 0] > 5])
    np.savetxt(tmp_path / "t.csv", table, "%.17g", ",", header="a,b,c,y", comments="")
    _command(tmp_path, "train", "--net", NET, "--train", "t.csv", "--steps", "5", "--out", "p.h5")
    _command(tmp_path, "apply", "--params", "p.h5", "--x", "t.csv", "--out", "f.npz")
    apply_fn = ntk.stax.parse(NET)[1]
    params, scaling = ntk.load_params(tmp_path / "p.h5", apply_fn, scaling=True)
    np.testing.assert_allclose(scaling(x), (x - x.mean(0)) / x.std(0), rtol=1e-9, atol=1e-12)
    written = np.load(tmp_path / "f.npz")
    np.testing.assert_allclose(apply_fn(params, scaling(x)), written["f"], rtol=1e-9, atol=1e-12)
    assert written["classes"].tolist() == [0, 1]
    assert scaling(x.astype(np.float32)).dtype == np.float32
    with pytest.raises(ValueError, match="learned on 3 numbers, a sample has 4"):
        scaling(table)
    with pytest.warns(RuntimeWarning, match="p.h5 was trained on standardised samples"):
        ntk.load_params(tmp_path / "p.h5", apply_fn)
    ntk.save_params(tmp_path / "q.h5", apply_fn, params, (3,))
    _, same = ntk.load_params(tmp_path / "q.h5", apply_fn, scaling=True)
    np.testing.assert_array_equal(same(x), x)


def test_names_of_classes_are_arrays_of_text(tmp_path):
    (tmp_path / "k.csv").write_text('a,kind\n1,"größer, so"\n-1,日本\n2,"größer, so"\n-3,日本\n')
    _command(tmp_path, "fit", "--net", "fc()", "--train", "k.csv", "--diag-reg", "1e-2", "--out", "m.h5")
    _command(tmp_path, "predict", "--model", "m.h5", "--x", "k.csv", "--proba", "--out", "p.npz")
    found = np.load(tmp_path / "p.npz")
    assert found["classes"][found["proba"].argmax(1)].tolist() == ["größer, so", "日本"] * 2


def test_parameters_of_another_network(tmp_path):
    file = os.fsencode(tmp_path / "p.h5")
    net = "serial(Dense(8), Relu(), Dense(1))"
    apply_fn = ntk.stax.parse(net)[1]
    _command(tmp_path, "init", "--net", net, "--input-shape", "3", "--multiplier", "4", "--out", "p.h5")
    with pytest.warns(RuntimeWarning, match="p.h5 is of a network whose outputs are multiplied by 4"):
        params = ntk.load_params(file, apply_fn)
    ntk.save_params(file, apply_fn, params, (3,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ntk.load_params(file, apply_fn)
    with pytest.warns(RuntimeWarning, match=r"p.h5 is of another network, serial\(Dense\(8\), Relu\(\), Dense\(1\)\),"):
        ntk.load_params(file, ntk.stax.parse("serial(Dense(8, W_std=3), Erf(), Dense(1))")[1])
    with pytest.raises(ValueError, match=r"p.h5 has 01_Dense/W \(8, 1\) where the network has 01_Dense/W \(8, 2\)$"):
        ntk.load_params(file, ntk.stax.parse("serial(Dense(8), Relu(), Dense(2))")[1])
    with pytest.raises(ValueError, match=r"p.h5 has 01_Dense/W \(8, 1\) where the network has no more arrays$"):
        ntk.load_params(file, ntk.stax.parse("Dense(8)")[1])
    for path in None, 3:  # no files of these names
        with pytest.raises(TypeError, match="expected str"):
            ntk.save_params(path, apply_fn, params, (3,))
