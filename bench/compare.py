#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares libntk with neural-tangents on this machine, case by case, in alternating runs.

    python3 bench/compare.py                 all cases, a table on standard output
    python3 bench/compare.py --write         the same, and the table into bench/RESULTS.md
    python3 bench/compare.py --peer-only     neural-tangents alone (no build needed)
    python3 bench/compare.py --cases relu    only cases whose name contains "relu"

Both sides compute the same thing from data in memory, on the cores that this process may use, with
nothing pinned. neural-tangents' kernels are jit-compiled as a whole, its predictions operation by
operation (they refuse more); compile time is not counted. A machine is never quiet, so every round
runs libntk, then the peer, each in a fresh process that repeats its work; a side's time is the
median of its rounds' medians, and the ratio is that of these two.

neural-tangents lives in a virtual environment that the first run makes (--venv; 600 MB of disk).
It needs Python 3.10 to 3.12: --python names one if this is another.
"""
import argparse
import json
import os
import pathlib
import platform
import shlex
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Environments that work, fastest first. No jax from 0.6 on can import neural-tangents.
PINS = [
    ["jax==0.5.3", "jaxlib==0.5.3", "numpy==1.26.4", "scipy==1.12.0", "frozendict==2.5.1"],
    ["jax==0.4.23", "jaxlib==0.4.23", "numpy==1.26.4", "scipy==1.12.0", "frozendict==2.5.1"],
]
PEER = "neural-tangents==0.6.5"
# Settings of a caller's shell that would slow one side only.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
BEGIN, END = "<!-- compare.py: begin -->", "<!-- compare.py: end -->"

# ------------------------------------------------------------------------------------- cases

KERNEL = {"n": 2000, "d": 784}
TABLES = [{"n": 2000, "d": 20}, {"n": 5000, "d": 20}]
PREDICT = {"n": 2000, "m": 1000, "outputs": 10, "times": 20}


def net(activation):
    return (
        "serial(" + f"Dense(512, W_std=2**0.5, b_std=0.1), {activation}(), " * 3 + "Dense(1))"
    )


def all_cases():
    """Each: name, arguments of the peer's worker, `ntk bench` arguments, key of its seconds."""
    cases = []
    for activation in ("Relu", "Erf", "Gelu"):
        for dtype in ("float32", "float64"):
            work = {"kind": "kernel", "net": net(activation), "dtype": dtype, **KERNEL}
            command = ["kernel", "--net", work["net"], "--dtype", dtype, *options(KERNEL)]
            cases.append((f"NTK, {activation.lower()}, {dtype}", work, command, "seconds"))
    for table in TABLES:
        work = {"kind": "kernel", "net": net("Relu"), "dtype": "float32", **table}
        command = ["kernel", "--net", work["net"], "--dtype", "float32", *options(table)]
        name = f"NTK, relu, float32, table of {table['n']:,} x {table['d']}"
        cases.append((name, work, command, "seconds"))
    predict = ["predict", *options(PREDICT)]
    for name, kind, key in (
        ("Cholesky fit + predict", "cholesky", "cholesky_fit_predict_seconds"),
        ("closed-form dynamics, 20 times", "dynamics", "dynamics_seconds"),
    ):
        work = {"kind": kind, "net": net("Relu"), "dtype": "float64", "d": 784, **PREDICT}
        cases.append((f"{name}, float64", work, predict, key))
    return cases


def options(sizes):
    return [word for name, value in sizes.items() for word in (f"--{name}", str(value))]


# --------------------------------------------------- the peer, run by its environment's Python


def worker(work):
    """Runs one case of neural-tangents and prints its times."""
    import types

    # Its import would load TensorFlow, which nothing here uses.
    sys.modules["neural_tangents.experimental"] = types.ModuleType("neural_tangents.experimental")
    import jax
    import numpy as np

    jax.config.update("jax_enable_x64", work["dtype"] == "float64")
    import neural_tangents as nt
    from neural_tangents import stax

    kernel_fn = eval(work["net"], {"__builtins__": {}, **vars(stax)})[2]
    random = np.random.default_rng(1)

    def normal(*shape):
        return jax.device_put(random.standard_normal(shape).astype(work["dtype"]))

    def ntk_of(a, b):
        return jax.block_until_ready(kernel_fn(a, b, "ntk"))

    x = normal(work["n"], work["d"])
    if work["kind"] == "kernel":
        times = repeat(jax.jit(lambda a: kernel_fn(a, None, "ntk")), x)
    else:
        y = normal(work["n"], work["outputs"])
        train, test = ntk_of(x, None), ntk_of(normal(work["m"], work["d"]), x)
        at = None if work["kind"] == "cholesky" else np.logspace(-1, 4, work["times"])

        def fit_predict(k, targets, k_test):  # cannot be traced by jit: it factorises eagerly
            return nt.predict.gradient_descent_mse(k, targets)(at, 0.0, 0.0, k_test)

        times = repeat(fit_predict, train, y, test)
    print(json.dumps({"seconds": times, "jax": jax.__version__}))


def repeat(fn, *args, at_least=1.0, most=15):
    """Times of fn(*args) after a first call that compiles: 5, or more if they are short."""
    import jax

    jax.block_until_ready(fn(*args))
    times = []
    while len(times) < 5 or (sum(times) < at_least and len(times) < most):
        start = time.perf_counter()
        jax.block_until_ready(fn(*args))
        times.append(time.perf_counter() - start)
    return times


# ------------------------------------------------------------------------ running both sides


def environment():
    return {name: value for name, value in os.environ.items() if name not in UNSET}


def fail(text):
    sys.exit(f"compare.py: {text}")


def run_json(command):
    """Runs a command that prints one JSON object."""
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    if done.returncode != 0:
        fail(f"{shlex.join(map(str, command))} failed:\n{done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout)


def make_venv(path, python):
    """The environment's Python; builds the environment if it is not there yet."""
    inside = path / "bin" / "python"
    if (path / "ready").exists():
        return inside
    for pins in PINS:
        print(f"compare.py: making {path} with {pins[0]}, {PEER}", file=sys.stderr)
        steps = (
            [python, "-m", "venv", "--clear", path],
            [inside, "-m", "pip", "install", "--quiet", *pins],
            [inside, "-m", "pip", "install", "--quiet", "--no-deps", PEER],
            [inside, __file__, "--worker", json.dumps({"kind": "kernel", "net": net("Relu"),
                                                       "dtype": "float32", "n": 4, "d": 3})],
        )
        for step in steps:
            done = subprocess.run(step, env=environment(), capture_output=True, text=True)
            if done.returncode != 0:
                print(f"{shlex.join(map(str, step))}:\n{done.stderr[-1500:]}", file=sys.stderr)
                break
        else:
            (path / "ready").write_text("\n".join([*pins, PEER]) + "\n")
            return inside
    fail(f"no environment for {PEER} could be made; it needs Python 3.10 to 3.12 (--python), "
         f"this is {platform.python_version()}")


def measure(case, rounds, ntk, peer_python):
    """Alternates the two sides; medians of each round's median, and the raw rounds."""
    name, work, command, key = case
    ours, theirs = [], []
    for _ in range(rounds):
        if ntk:
            ours.append(run_json([ntk, "bench", *command, "--json"])[key])
        result = run_json([peer_python, __file__, "--worker", json.dumps(work)])
        theirs.append(statistics.median(result["seconds"]))
    row = {"case": name, "peer_seconds": statistics.median(theirs), "peer_rounds": theirs}
    if work["kind"] == "kernel":
        row["entries"] = work["n"] ** 2
    if ours:
        row["seconds"], row["rounds"] = statistics.median(ours), ours
        row["ratio"] = row["peer_seconds"] / row["seconds"]
    return row


# ------------------------------------------------------------------------------------ report


def processor():
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def cell(row, key):
    if key not in row:
        return "", ""
    rate = f"{row['entries'] / row[key] / 1e6:.1f}" if "entries" in row else ""
    return f"{row[key] * 1e3:.1f}", rate


def spread(rounds):
    return f"{min(rounds) * 1e3:.1f} to {max(rounds) * 1e3:.1f}" if rounds else ""


def table(rows, peer):
    """A Markdown table: times in ms, rates in millions of entries of the n x n matrix a second."""
    lines = [
        f"| case | libntk ms (rounds) | Mentries/s | {peer} ms (rounds) | Mentries/s | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        ours, our_rate = cell(row, "seconds")
        theirs, their_rate = cell(row, "peer_seconds")
        ours += f" ({spread(row['rounds'])})" if ours else ""
        ratio = f"**{row['ratio']:.2f}**" if "ratio" in row else ""
        lines.append(
            f"| {row['case']} | {ours} | {our_rate} "
            f"| {theirs} ({spread(row['peer_rounds'])}) | {their_rate} | {ratio} |"
        )
    return "\n".join(lines)


def report(rows, peer, rounds, command):
    k, p = KERNEL, PREDICT
    return f"""Measured {time.strftime('%Y-%m-%d')} on {cores()} cores of {processor()},
Python {platform.python_version()}, by

    {command}

Medians of {rounds} alternating rounds (smallest and largest in brackets); ratio = peer / libntk, so
above 1 libntk is faster. Kernels: the whole NTK matrix of n = {k['n']} samples of {k['d']} numbers,
`{net('ACT')}`;
entries are counted as n^2 on both sides. Prediction: n = {p['n']} training and {p['m']} test
samples, {p['outputs']} outputs, from given kernels, factorisation or eigen-decomposition included.

{table(rows, peer)}
"""


def write(text, path, begin=BEGIN, end=END, title="libntk and neural-tangents"):
    """Puts text between the markers of the file, which are made if they are not there."""
    block = f"{begin}\n{text}{end}"
    old = path.read_text() if path.exists() else "# Measured results\n"
    if begin in old and end in old:
        head, rest = old.split(begin, 1)
        new = head + block + rest.split(end, 1)[1]
    else:
        new = old.rstrip("\n") + f"\n\n## {title}\n\n" + block + "\n"
    path.write_text(new)


def arguments():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--ntk", type=pathlib.Path, default=ROOT / "build/ntk", help="our command")
    p.add_argument("--venv", type=pathlib.Path, default=ROOT / "build/bench-venv",
                   help="the peer's environment, made if missing")
    p.add_argument("--python", default=sys.executable, help="Python to make it with")
    p.add_argument("--rounds", type=int, default=5, help="alternating runs of a case (default 5)")
    p.add_argument("--cases", default="", help="only cases whose name contains this")
    p.add_argument("--peer-only", action="store_true", help="leave libntk out")
    p.add_argument("--json", action="store_true", help="print JSON in place of the table")
    p.add_argument("--write", action="store_true", help="put the table into bench/RESULTS.md")
    p.add_argument("--worker", help=argparse.SUPPRESS)
    return p.parse_args()


def main():
    args = arguments()
    if args.worker:
        return worker(json.loads(args.worker))
    cases = [case for case in all_cases() if args.cases.lower() in case[0].lower()]
    if not cases or args.rounds < 1:
        fail("nothing to do: cases are " + "; ".join(case[0] for case in all_cases()))
    if not args.peer_only and not args.ntk.exists():
        fail(f"{args.ntk} is not there: build first, name it with --ntk, or use --peer-only")
    python = make_venv(args.venv.absolute(), args.python)
    pins = (args.venv / "ready").read_text().split()
    peer = f"{pins[-1]}, {pins[0]}".replace("==", " ")
    rows = []
    for case in cases:
        print(f"compare.py: {case[0]}", file=sys.stderr)
        rows.append(measure(case, args.rounds, None if args.peer_only else args.ntk, python))
    text = report(rows, peer, args.rounds, "python3 bench/compare.py --write")
    if args.write:
        write(text, ROOT / "bench/RESULTS.md")
    print(json.dumps({"cores": cores(), "processor": processor(), "peer": peer, "results": rows},
                     indent=1) if args.json else text)


if __name__ == "__main__":
    main()
