# SPDX-License-Identifier: MIT
"""Plans: what follows from sizes, samples beside their number, and what is wrong."""
import numpy as np
import pytest

import ntk

NET = "fc(depth=2)"


def test_numbers_of_samples():
    p = ntk.plan(NET, 60000, 10000, input_shape=784, outputs=10, dtype=np.float32)
    assert p["pairs_train"] == 60000 * 60001 / 2 and p["pairs_test"] == 6e8
    assert p["samples_bytes"] == 70000 * 784 * 4
    assert [row["solver"] for row in p["solvers"]][:2] == ["cholesky", "eigen"]
    for row in p["solvers"]:
        assert row["fits"] == (row["bytes"] <= p["memory_bytes"])
        seconds = row["seconds"]
        assert seconds["all"] == pytest.approx(seconds["kernel"] + seconds["solve"] + seconds["predict"])
        assert seconds["kernel"] == pytest.approx(row["passes"] * p["pairs_train"] * p["rates"]["pair_seconds"])
    assert p["solver"] in str(p) and p["reason"] in str(p) and len(str(p).splitlines()) == len(p["solvers"]) + 2


def test_samples_are_timed():
    x = np.random.default_rng(0).normal(size=(300, 8, 8, 3))
    _, _, kernel_fn = ntk.stax.serial(ntk.Conv(1, (3, 3)), ntk.Relu(), ntk.Flatten(), ntk.stax.Dense(1))
    by_samples, by_number = ntk.plan(kernel_fn, x), ntk.plan(kernel_fn, 300, input_shape=(8, 8, 3))
    assert by_samples["positions"] == by_number["positions"] > 0
    assert by_samples["solvers"][0]["bytes"] == pytest.approx(by_number["solvers"][0]["bytes"], rel=0.2)
    assert ntk.plan(kernel_fn, x, x[:20])["pairs_test"] == 6000


def test_memory_chooses():
    ntk.set_memory(5e6)
    try:
        p = ntk.plan(NET, 1200, input_shape=4)
        assert p["solver"] == "cg" and "'cholesky' needs" in p["reason"]
        assert not p["solvers"][0]["fits"]
    finally:
        ntk.set_memory(0)
    assert [row["solver"] for row in ntk.plan(NET, 50, input_shape=4, finite_time=True)["solvers"]] == ["eigen"]
    few, many = (ntk.plan(NET, 1200, input_shape=4, solver="landmarks", landmarks=m) for m in (10, 100))
    assert few["solver"] == "landmarks" and few["solvers"][-1]["passes"] < many["solvers"][-1]["passes"] < 1


@pytest.mark.parametrize("error, message, words", [
    (ValueError, "input_shape is missing", {}),
    (ValueError, "have their own", {"train": np.ones((5, 3)), "input_shape": 3}),
    (ValueError, "get must be", {"input_shape": 3, "get": "both"}),
    (ValueError, "there is no solver 'gauss'", {"input_shape": 3, "solver": "gauss"}),
    (ValueError, "1 to", {"input_shape": 3, "train": 0}),
    (ValueError, "dtype must be", {"input_shape": 3, "dtype": "f2"}),
    (TypeError, "train must be a number of samples", {"train": "digits"}),
    (NotImplementedError, "is one process's: plan 1 rank", {"input_shape": 3, "solver": "out-of-core", "ranks": 2}),
])
def test_what_is_wrong(error, message, words):
    with pytest.raises(error, match=message):
        ntk.plan(NET, **{"train": 10, **words})
