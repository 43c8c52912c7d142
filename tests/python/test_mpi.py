# SPDX-License-Identifier: MIT
"""Processes that fit together by mpi4py: results of one process, failures that all of them have, and what is missing."""
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ntk

ROOT = Path(__file__).resolve().parents[2]
BUILT = "mpi" in ntk.info()["features"].split()


def lacks():
    if not BUILT:
        return "this build has no MPI"
    if not shutil.which("mpirun"):
        return "mpirun is not installed"
    return None if importlib.util.find_spec("mpi4py") else "mpi4py is not installed"


together = pytest.mark.skipif(lacks() is not None, reason=lacks() or "")
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
               "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_hwloc_base_binding_policy": "none",
               "OMPI_MCA_btl_vader_single_copy_mechanism": "none", "OMP_NUM_THREADS": "1",
               "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

# What all programs begin with: the same samples on all ranks; say() prints for each rank, in a line of its own.
BEGIN = """
import sys
import numpy as np
import ntk
from mpi4py import MPI

rank = MPI.COMM_WORLD.rank
x, labels = ntk.datasets.load("digits/train")
x = x.reshape(len(x), -1)
x_test = x[300:400]
x, labels = x[:300], labels[:300]
y = ntk.datasets.one_hot(labels)

def say(*words):
    sys.stdout.write(" ".join(map(str, (f"rank {rank}:", *words))) + "\\n")
    sys.stdout.flush()

def fails(call, *arguments):
    try:
        call(*arguments)
    except Exception as error:
        say(type(error).__name__, error)
    else:
        say("no error")
"""


def run(ranks, program, *arguments, code=0):
    """What the ranks said, each's lines in its order."""
    command = ["mpirun", "-n", str(ranks), sys.executable, "-m", "mpi4py", "-c", BEGIN + program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=120)
    assert (done.returncode == 0) == (code == 0), done.stdout + done.stderr
    return sorted((line for line in done.stdout.splitlines() if line.startswith("rank ")), key=lambda line: line[:7])


FITS = """
def near(a, b, within):
    return "near" if np.abs(a - b).max() <= within * np.abs(b).max() else f"far: {np.abs(a - b).max()}"

def results():
    model = ntk.NTKRegressor("fc(depth=2)", alpha=1e-3).fit(x, y)
    float32 = ntk.NTKClassifier("fc(depth=2)", alpha=1e-2, dtype="float32").fit(x, labels)
    bayesian = ntk.NTKRegressor("fc(depth=2)", kernel="nngp", alpha=1e-3).fit(x, y)
    iterated = ntk.NTKRegressor("fc(depth=2)", alpha=1e-3, solver="cg", tolerance=1e-10).fit(x, y)
    mean, std = bayesian.predict(x_test, return_std=True)
    return [(model.predict(x_test), 1e-9), (float32.predict_scores(x_test), 1e-4), (mean, 1e-9), (std, 1e-6),
            (iterated.predict(x_test), 1e-6), (model.dual_coef_, 1e-9), (model.log_marginal_likelihood_value_, 1e-9)]

alone = results()
ntk.use_mpi()
assert (ntk.info()["rank"], ntk.info()["ranks"]) == (rank, MPI.COMM_WORLD.size)
shared = results()
say(*(near(a, b, within) for (a, within), (b, _) in zip(shared, alone)))
ntk.leave_mpi()
assert (ntk.info()["rank"], ntk.info()["ranks"]) == (0, 1)
say(*(near(a, b, 0) for (a, _), (b, _) in zip(results(), alone)))
"""


@together
def test_results_are_those_of_one_process():
    assert run(3, FITS) == [f"rank {rank}: {' '.join(['near'] * 7)}" for rank in range(3) for _ in range(2)]


PARTS = """
half = MPI.COMM_WORLD.Split(rank % 2)
model = ntk.NTKRegressor("fc(depth=1)", alpha=1e-3)
own = model.fit(x[rank % 2::2], y[rank % 2::2]).predict(x_test)
ntk.use_mpi(half)
shared = model.fit(x[rank % 2::2], y[rank % 2::2])
ntk.leave_mpi()  # the model stays its ranks'
say(ntk.info()["ranks"], np.abs(shared.predict(x_test) - own).max() < 1e-9)
"""


@together
def test_parts_of_the_processes():
    assert run(3, PARTS) == [f"rank {rank}: 1 True" for rank in range(3)]


OWN_WORK = """
ntk.use_mpi()
if rank == 0:  # which the others have no part in
    kernel_fn = ntk.stax.parse("fc(depth=1)")[2]
    predict_fn = ntk.predict.gradient_descent_mse_ensemble(kernel_fn, x, y, diag_reg=1e-3)
    mean, covariance = predict_fn(x_test=x_test, get="ntk", compute_cov=True)
    say(mean.shape, covariance.shape)
    ntk.NTKFeaturesRegressor("fc(depth=1)").fit(x, y)
say(ntk.info()["threads"] >= 1, ntk.info()["memory"] > 0)
"""


@together
def test_what_each_does_for_itself():
    assert run(2, OWN_WORK) == ["rank 0: (100, 10) (100, 100)", "rank 0: True True", "rank 1: True True"]


FILES = """
path = sys.argv[1]
ntk.use_mpi()
model = ntk.NTKRegressor("fc(depth=1)", alpha=1e-3).fit(x, y)
model.save(path)
mean = model.predict(x_test)
ntk.leave_mpi()
MPI.COMM_WORLD.Barrier()
say(np.abs(ntk.NTKRegressor.load(path).predict(x_test) - mean).max() < 1e-9)
"""


@together
def test_the_first_rank_saves(tmp_path):
    assert run(2, FILES, tmp_path / "model.h5") == ["rank 0: True", "rank 1: True"]
    assert [path.name for path in tmp_path.iterdir()] == ["model.h5"]


FAILURES = """
ntk.use_mpi()
model = ntk.NTKRegressor("fc(depth=1)", alpha=1e-3)
fails(model.fit, x[rank:], y[rank:])
fails(model.fit, x, np.roll(y, rank, axis=0))
fails(ntk.NTKRegressor("fc(depth=1)", alpha=1e-3 * (1 + rank)).fit, x, y)
if rank == 1:
    ntk.set_memory(1e5)
fails(model.fit, x, y)
ntk.set_memory()
model.fit(x, y)
fails(model.predict, x_test[rank:])
say(model.predict(x_test).shape)
spread = ntk.NTKRegressor("fc(depth=1)", kernel="nngp", alpha=1e-3).fit(x, y)
for words in ({"return_std": True}, {"return_cov": True}):
    fails(lambda: spread.predict(np.roll(x_test, rank, axis=0), **words))
"""


@together
def test_failures_of_one_are_of_all():
    said = run(2, FAILURES)
    for rank in range(2):
        words = [line.split(": ", 1)[1] for line in said if line.startswith(f"rank {rank}:")]
        assert words[0].startswith("ValueError rank 1 of 2: here 'rows: 299 samples of 64")
        assert words[1].startswith("ValueError rank 1 of 2: here 'targets: 10 columns")
        assert words[2].startswith("ValueError rank 1 of 2: here 'ridge 0.002")
        assert all("others than rank 0 has rank 1" in word for word in words[:3])
        assert words[3].startswith("MemoryError rank 1 of 2: a fit of 300 samples")
        assert words[4].startswith("ValueError rank 1 of 2: here '99 test samples")
        assert words[5] == "(100, 10)"
        assert len(words) == 8 and all(word.startswith("ValueError rank 1 of 2: here '100 test samples") for word in words[6:])


ALONE = """
ntk.use_mpi()
if rank == 1:
    raise OSError("its file is missing")
ntk.NTKRegressor("fc(depth=1)").fit(x, y)
say("fitted")
"""


@together
def test_a_rank_that_fails_alone_ends_all():
    assert run(2, ALONE, code=1) == []


ONE_PROCESS = """
ntk.use_mpi()
for words in ({"solver": "cholesky"}, {"solver": "out-of-core"}, {"solver": "landmarks"}, {"alpha": "auto"}, {"time": 3.0}):
    fails(ntk.NTKRegressor("fc(depth=1)", **words).fit, x, y)
model = ntk.NTKRegressor("fc(depth=1)").fit(x, y)
fails(lambda: model.predict(x_test, return_std=True))
fails(lambda: model.leave_one_out())
"""


@together
def test_what_one_process_has():
    said = run(2, ONE_PROCESS)
    errors = ["NotImplementedError the solver 'cholesky' is one process's: run it without mpirun",
              "NotImplementedError the solver 'out-of-core' is one process's",
              "NotImplementedError the solver 'landmarks' is one process's",
              "NotImplementedError the solver 'eigen', which finite times and the choice of a ridge need, is one process's",
              "NotImplementedError the solver 'eigen', which finite times and the choice of a ridge need, is one process's",
              "NotImplementedError covariances of the NTK's ensemble are one process's",
              "NotImplementedError the solver 'scalapack'"]
    for rank in range(2):
        words = [line.split(": ", 1)[1] for line in said if line.startswith(f"rank {rank}:")]
        assert len(words) == len(errors)
        for word, error in zip(words, errors):
            assert error in word


COMMUNICATORS = """
fails(ntk.use_mpi, 3)
fails(ntk.use_mpi, MPI.COMM_NULL)
half = MPI.COMM_WORLD.Split(rank)
fails(ntk.use_mpi, half.Create_intercomm(0, MPI.COMM_WORLD, 1 - rank))
ntk.use_mpi()
ntk.use_mpi(MPI.COMM_SELF)  # instead
say(ntk.info()["ranks"])
"""


@together
def test_communicators():
    wrong = "TypeError comm must be a communicator of a group, as mpi4py.MPI.COMM_WORLD, got"
    said = run(2, COMMUNICATORS)
    for rank in range(2):
        words = [line.split(": ", 1)[1] for line in said if line.startswith(f"rank {rank}:")]
        assert all(word.startswith(wrong) for word in words[:3]) and words[3:] == ["1"]


@together
def test_the_page_that_shows_it(tmp_path):
    sys.path.insert(0, str(ROOT / "docs"))
    import examples

    blocks = examples.blocks((ROOT / "docs" / "howto" / "cluster.md").read_text(encoding="utf-8"))
    (program,) = (block for block in blocks if block.file == "fit.py")
    (command,) = (block.text for block in blocks if "fit.py" in block.text and block.language == "sh")
    (tmp_path / "fit.py").write_text(program.text, encoding="utf-8")
    environment = {**ENVIRONMENT, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-e", "-c", command], capture_output=True, text=True, env=environment, cwd=tmp_path,
                          timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "2 ranks, accuracy 0.972\n"


@pytest.mark.skipif(BUILT, reason="this build has MPI")
def test_a_build_without_mpi():
    with pytest.raises(NotImplementedError, match=r"this build of ntk has no MPI.*-Csetup-args=-Dmpi=enabled"):
        ntk.use_mpi()
    ntk.leave_mpi()
    assert (ntk.info()["rank"], ntk.info()["ranks"]) == (0, 1)


@pytest.mark.skipif(not BUILT, reason="this build has no MPI")
def test_without_mpi4py(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ModuleNotFoundError, match="ntk.use_mpi needs mpi4py: pip install mpi4py"):
        ntk.use_mpi()
