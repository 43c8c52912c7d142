#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares libntk's finite networks with neural-tangents (empirical kernels) and PyTorch (training steps).

    python3 bench/finite.py --jax VENV [--torch VENV] [--ntk build/ntk] [--rounds 3] [--write]

VENV are environments with neural-tangents 0.6.5 and jax 0.4.23 (where its structured derivatives work), and
with torch. Traced kernels of 10 outputs in float32; a multilayer perceptron 784-512-512-10 on 1,000 samples
and a small convolutional network on 100 images of 32 x 32 x 3; full-batch steps on the squared loss. Rounds
alternate, every measurement is a fresh process with two threads, compile time is not counted. --write puts
the table into bench/RESULTS.md.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- finite.py: begin -->", "<!-- finite.py: end -->"
MLP = "serial(Dense(512), Relu(), Dense(512), Relu(), Dense(10))"
CNN = (
    "serial(Conv(32, (3, 3), padding='SAME'), Relu(), Conv(32, (3, 3), strides=(2, 2), padding='SAME'), "
    "Relu(), Conv(64, (3, 3), strides=(2, 2), padding='SAME'), Relu(), GlobalAvgPool(), Dense(10))"
)
NETS = {"MLP": (MLP, 1000, (784,)), "CNN": (CNN, 100, (32, 32, 3))}


def peak():
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def timed(call, repeat):
    seconds = []
    for _ in range(repeat):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


# ------------------------------------------------------------ workers, run by the peers' Pythons


def neural_tangents(work):
    import types

    sys.modules["neural_tangents.experimental"] = types.ModuleType("neural_tangents.experimental")
    import jax
    import numpy as np
    import neural_tangents as nt
    from neural_tangents import stax

    init, apply, _ = eval(work["net"], {"__builtins__": {}, **vars(stax)})
    x = np.random.default_rng(1).standard_normal((work["n"], *work["shape"])).astype(np.float32)
    _, params = init(jax.random.PRNGKey(1), x.shape)
    fn = jax.jit(nt.empirical_ntk_fn(apply, vmap_axes=0, implementation=work["implementation"]))
    run = lambda: jax.block_until_ready(fn(x, None, params))
    run()
    return timed(run, work["repeat"])


def torch_steps(work):
    import torch

    torch.set_num_threads(2)
    n = torch.nn
    if work["name"] == "MLP":
        net = n.Sequential(n.Linear(784, 512), n.ReLU(), n.Linear(512, 512), n.ReLU(), n.Linear(512, 10))
        x = torch.randn(work["n"], 784)
    else:
        net = n.Sequential(
            n.Conv2d(3, 32, 3, padding=1), n.ReLU(), n.Conv2d(32, 32, 3, 2, padding=1), n.ReLU(),
            n.Conv2d(32, 64, 3, 2, padding=1), n.ReLU(), n.AdaptiveAvgPool2d(1), n.Flatten(), n.Linear(64, 10),
        )
        x = torch.randn(work["n"], 3, 32, 32).to(memory_format=torch.channels_last)
    y = torch.zeros(work["n"], 10)
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-9)

    def step():
        for _ in range(10):
            optimiser.zero_grad()
            (0.5 * ((net(x) - y) ** 2).sum()).backward()
            optimiser.step()

    step()
    return timed(step, work["repeat"]) / 10


WORKERS = {"neural_tangents": neural_tangents, "torch_steps": torch_steps}


def peer(python, worker, **work):
    work["worker"] = worker
    run = subprocess.run([python, __file__, "--work", json.dumps(work)], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{worker} failed: {run.stderr[-2000:]}")
    return json.loads(run.stdout.splitlines()[-1])


def own(ntk, what, net, n, repeat):
    run = subprocess.run(
        [ntk, "bench", what, "--net", net, "--n", str(n), "--repeat", str(repeat), "--threads", "2", "--json"],
        capture_output=True, text=True, check=True,
    )
    return json.loads(run.stdout)


# ---------------------------------------------------------------------------------- the table


def median(results):
    return {
        "seconds": statistics.median(r["seconds"] for r in results),
        "peak_bytes": max(r["peak_bytes"] for r in results),
    }


def rows(args):
    jax = args.jax and str(pathlib.Path(args.jax) / "bin/python")
    torch = args.torch and str(pathlib.Path(args.torch) / "bin/python")
    for name, (net, n, shape) in NETS.items():
        contenders = {"libntk": lambda: own(args.ntk, "empirical", net, n, 9)}
        if jax:
            for number, label in (3, "structured derivatives"), (1, "Jacobian contraction (its default)"):
                m = n if number == 3 else 100
                contenders[f"neural-tangents, {label}, {m} samples"] = lambda number=number, m=m: peer(
                    jax, "neural_tangents", net=net, n=m, shape=shape, implementation=number, repeat=5
                )
        yield from table(f"{name}, empirical NTK, {n} samples", contenders, args.rounds, n)
        contenders = {"libntk": lambda: own(args.ntk, "train", net, n, 9)}
        if torch:
            contenders["PyTorch"] = lambda: peer(torch, "torch_steps", name=name, n=n, repeat=9)
        yield from table(f"{name}, gradient step, batch {n}", contenders, args.rounds, None)


def table(title, contenders, rounds, n):
    results = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            results[name].append(run())
    base = None
    for name in contenders:
        m = median(results[name])
        pairs = n if "100 samples" not in name else 100
        each = m["seconds"] / pairs**2 * 1e6 if n else None
        cost = each if n else m["seconds"]
        base = base or cost
        unit = f"{each:.3f} us a pair" if n else ""
        yield f"| {title} | {name} | {1e3 * m['seconds']:.1f} ms | {unit} | {cost / base:.1f} | {m['peak_bytes'] / 1e6:.0f} MB |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jax")
    parser.add_argument("--torch")
    parser.add_argument("--ntk", default=str(ROOT / "build/ntk"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work = json.loads(args.work)
        print(json.dumps({"seconds": WORKERS[work["worker"]](work), "peak_bytes": peak()}))
        return
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    lines = ["| what | who | time | | times libntk's | peak memory |", "|---|---|---|---|---|---|", *rows(args)]
    text = "\n".join(lines)
    print(text)
    if args.write:
        path = ROOT / "bench/RESULTS.md"
        old = path.read_text()
        head, rest = old.split(BEGIN)
        path.write_text(head + BEGIN + "\n" + text + "\n" + END + rest.split(END)[1])


main()
