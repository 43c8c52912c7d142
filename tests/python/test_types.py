# SPDX-License-Identifier: MIT
"""Type stubs: up to date with the package, and of use to a type checker."""
import ast
import importlib
import inspect
import os
import subprocess
import sys

import pytest

import ntk

PACKAGE = os.path.dirname(ntk.__file__)
MAKE_STUBS = os.path.join(os.path.dirname(__file__), "..", "..", "scripts", "make_stubs.py")

try:
    import mypy
except ImportError:
    mypy = None
needs_mypy = pytest.mark.skipif(mypy is None, reason="mypy is not installed")

RIGHT = """\
import numpy as np
import ntk

init_fn, apply_fn, kernel_fn = ntk.stax.serial(ntk.Dense(512, W_std=2**0.5), ntk.Relu(), ntk.stax.Dense(1, b_std=None))
x = np.ones((4, 3))
shape, params = init_fn(0, (-1, 3))
f = apply_fn(params, x)
k = kernel_fn(x, None, "ntk")
total: float = (k @ k).sum() + f.sum()
nngp = kernel_fn(x, x).nngp
ntk.kernels(["fc()", kernel_fn], x, get="ntk")[0].shape
ntk.train(apply_fn, params, x, x[:, :1], steps=3).loss.shape
with ntk.progress():
    ntk.set_memory(8e9)
mean = ntk.predict.gradient_descent_mse_ensemble(kernel_fn, x, x[:, :1])(None, x, "ntk")
ntk.plot.kernel_matrix(k, ax=None).set_title("kernel")
loaded, labels = ntk.datasets.load("digits")
found: list[dict[str, object]] = ntk.lab.run("init", quick=True)
ntk.stax.Conv(16, (3, 3), padding="SAME")
ntk.Elementwise(np.tanh)
ntk.NTKRegressor("fc(depth=3)")
"""

WRONG = [
    ('ntk.stax.Dense("x")', 'incompatible type "str"; expected "int"'),
    ("ntk.stax.Dense()", "Missing positional argument"),
    ("ntk.Dense(3, nope=1)", 'Unexpected keyword argument "nope"'),
    ("ntk.stax.Rlu()", 'maybe "Relu"'),
    ('ntk.stax.serial("Dense(3)")', 'incompatible type "str"'),
    ('ntk.set_threads("two")', 'incompatible type "str"; expected "int"'),
    ('ntk.stax.Relu()[2]([[1.0]], None, "ntk").nope', 'no attribute "nope"'),
]


def check(tmp_path, program):
    """mypy's lines about a program."""
    path = tmp_path / "program.py"
    path.write_text(program)
    command = [sys.executable, "-m", "mypy", "--follow-imports=silent", "--cache-dir", tmp_path / "cache", path]
    folder = os.path.dirname(PACKAGE)
    search = {} if "site-packages" in folder else {"MYPYPATH": folder}  # where it looks anyway, and does not want twice
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **search})
    return run.stdout.splitlines() + run.stderr.splitlines()


@needs_mypy
def test_programs(tmp_path):
    right = check(tmp_path, RIGHT)
    assert right == ["Success: no issues found in 1 source file"]
    lines = check(tmp_path, "import ntk\n" + "\n".join(line for line, _ in WRONG))
    for number, (line, says) in enumerate(WRONG, start=2):
        assert any(f":{number}: error" in found and says in found for found in lines), (line, lines)


@pytest.mark.skipif(not os.path.exists(MAKE_STUBS), reason="the scripts are not there")
def test_stax_stub_is_up_to_date():
    made = subprocess.run([sys.executable, MAKE_STUBS], capture_output=True, text=True, check=True).stdout
    with open(os.path.join(PACKAGE, "stax.pyi"), encoding="utf-8") as file:
        assert file.read() == made, "run build/venv/bin/python scripts/make_stubs.py > python/ntk/stax.pyi"


def test_installed():
    assert os.path.exists(os.path.join(PACKAGE, "py.typed"))


@pytest.mark.parametrize("name", ["ntk", "ntk._core", "ntk._kernel", "ntk._net", "ntk.stax"])
def test_what_stubs_name_exists(name):
    module = importlib.import_module(name)
    path = os.path.join(PACKAGE, "__init__" if name == "ntk" else name.split(".")[1]) + ".pyi"
    with open(path, encoding="utf-8") as file:
        compare(module, ast.parse(file.read()).body, name)


@pytest.mark.parametrize("name", ["ntk", "ntk._core"])
def test_what_exists_has_a_stub(name):
    path = os.path.join(PACKAGE, "__init__.pyi" if name == "ntk" else "_core.pyi")
    with open(path, encoding="utf-8") as file:
        body = ast.parse(file.read()).body
    named = {alias.asname for node in body if isinstance(node, ast.ImportFrom) for alias in node.names}
    named |= {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    public = {key for key, value in vars(importlib.import_module(name)).items() if not key.startswith("_")
              and not inspect.ismodule(value) and getattr(value, "__module__", "") != "ntk.stax"}
    assert public <= named


def compare(thing, body, where):
    for node in body:
        if isinstance(node, ast.ImportFrom) and where == "ntk":
            for alias in node.names:
                assert alias.name in ("*", "Any", "TypeVar") or hasattr(thing, alias.name), f"{where}.{alias.name}"
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or node.name == "__getattr__":
            continue
        if node.name == "__buffer__":  # a buffer in C, without a method before Python 3.12
            continue
        assert hasattr(thing, node.name), f"{where}.{node.name}"
        found = getattr(thing, node.name)
        if isinstance(node, ast.ClassDef):
            compare(found, node.body, f"{where}.{node.name}")
        elif inspect.isfunction(found):
            stub = {a.arg for a in node.args.posonlyargs + node.args.args + node.args.kwonlyargs}
            own = [p for p in inspect.signature(found).parameters.values()
                   if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
            assert stub == {p.name for p in own}, f"{where}.{node.name}"
