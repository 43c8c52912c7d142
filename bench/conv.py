#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares libntk with neural-tangents on kernels of images, and shows what libntk's cost grows with.

    python3 bench/conv.py                 all cases, tables on standard output
    python3 bench/conv.py --write         the same into bench/RESULTS.md, plots into bench/
    python3 bench/conv.py --cases gap     only cases whose name contains "gap"

Images are 32 x 32 x 3, random; nets are (Conv 3 x 3 SAME, ReLU) some times, then Flatten or
GlobalAvgPool, then Dense; float32; the whole symmetric NTK matrix. libntk computes each pair once and
mirrors it; neural-tangents has both orders computed, which is what its users wait for. With global
average pooling it takes seconds for a few images, so it runs on PEER_IMAGES of them and its time is
scaled by the number of ordered pairs. Rounds alternate, each in a fresh process; compile time is not
counted. The environment is that of compare.py. Plots need gnuplot.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

import compare

ROOT = compare.ROOT
PEER_IMAGES = 8
BEGIN, END = "<!-- conv.py: begin -->", "<!-- conv.py: end -->"


def net(convolutions, end):
    layer = "Conv(1, (3, 3), padding='SAME', W_std=2**0.5), Relu(), "
    return "serial(" + layer * convolutions + end + ", Dense(1))"


GAP, VANILLA = "GlobalAvgPool()", "Flatten()"
CASES = [
    ("GAP, 3 convolutions, 16 images", net(3, GAP), 16, PEER_IMAGES),
    ("GAP, 3 convolutions, 32 images", net(3, GAP), 32, PEER_IMAGES),
    ("vanilla, 3 convolutions, 64 images", net(3, VANILLA), 64, 64),
    ("vanilla, 3 convolutions, 256 images", net(3, VANILLA), 256, 256),
    ("vanilla, 11 convolutions, 64 images", net(11, VANILLA), 64, 64),
    ("vanilla, 11 convolutions, 256 images", net(11, VANILLA), 256, 256),
]

# --------------------------------------------------- the peer, run by its environment's Python


def worker(work):
    import types

    sys.modules["neural_tangents.experimental"] = types.ModuleType("neural_tangents.experimental")
    import jax
    import numpy as np
    from neural_tangents import stax

    kernel_fn = eval(work["net"], {"__builtins__": {}, **vars(stax)})[2]
    x = np.random.default_rng(1).standard_normal((work["n"], 32, 32, 3)).astype(np.float32)
    fn = jax.jit(lambda a: kernel_fn(a, None, "ntk"))
    jax.block_until_ready(fn(x))
    times = []
    for _ in range(3):
        start = time.perf_counter()
        jax.block_until_ready(fn(x))
        times.append(time.perf_counter() - start)
    print(json.dumps({"seconds": times}))


# ------------------------------------------------------------------------------------ cases


def ours(ntk, text, n, *more, repeat=5):
    command = [ntk, "bench", "conv", "--net", text, "--n", str(n), "--repeat", str(repeat), *more]
    return compare.run_json([*command, "--json"])


def measure(case, rounds, ntk, python):
    name, text, n, peer_n = case
    mine, theirs = [], []
    for _ in range(rounds):
        mine.append(ours(ntk, text, n)["seconds"])
        work = json.dumps({"net": text, "n": peer_n})
        peer = compare.run_json([python, __file__, "--worker", work])
        theirs.append(statistics.median(peer["seconds"]) * (n / peer_n) ** 2)
    return {"case": name, "seconds": statistics.median(mine), "rounds": mine,
            "peer_seconds": statistics.median(theirs), "peer_rounds": theirs, "pairs": n * n}


def table(rows, peer):
    lines = [f"| case | libntk s (rounds) | {peer} s (rounds) | ratio |", "|---|---|---|---|"]
    for r in rows:
        spread = [f"{min(x):.3g} to {max(x):.3g}" for x in (r["rounds"], r["peer_rounds"])]
        lines.append(f"| {r['case']} | {r['seconds']:.3g} ({spread[0]}) "
                     f"| {r['peer_seconds']:.3g} ({spread[1]}) "
                     f"| **{r['peer_seconds'] / r['seconds']:.0f}** |")
    return "\n".join(lines)


RATES = [
    ("NNGP and NTK, 20 convolutions, GAP", net(20, GAP), []),
    ("NNGP alone", net(20, GAP), ["--get", "nngp"]),
    ("NNGP and NTK, AVX2", net(20, GAP), ["--isa", "avx2"]),
    ("3 convolutions, GAP", net(3, GAP), []),
]


def rates(ntk):
    """The loop's speed beside the processor's rate of multiply-adds in the same run; one thread."""
    lines = ["| 16 images, 1 thread | ms a pair | entry-layers/s | multiply-adds/s | slots |",
             "|---|---|---|---|---|"]
    for name, text, more in RATES:
        r = ours(ntk, text, 16, *more, "--threads", "1", repeat=3)
        lines.append(f"| {name} | {1e3 * r['seconds'] / r['pairs']:.2f} "
                     f"| {r['positions_per_second']:.3g} "
                     f"| {r['multiply_adds_per_second']:.3g} of {r['lanes']} | {r['slots']:.1f} |")
    return "\n".join(lines)


# ------------------------------------------------------------------------------------ growth

DEPTHS, SIDES = (3, 6, 11, 16, 21), (8, 12, 16, 24, 32)


def growth(ntk):
    """Milliseconds a pair by number of layers, and by number of positions."""
    def cost(depth, side):
        r = ours(ntk, net(depth - 1, GAP), 16, "--d", str(side), "--threads", "1", repeat=3)
        return 1e3 * r["seconds"] / r["pairs"]

    return [(d, cost(d, 32)) for d in DEPTHS], [(s * s, cost(11, s)) for s in SIDES]


def plot(points, path, x, title, log):
    data = "\n".join(f"{a} {b}" for a, b in points)
    top = "f(x) = a * x" if not log else "f(x) = a * x**2"
    script = f"""set terminal svg size 560,380 font 'sans-serif,13' background '#ffffff'
set output '{path}'
set title "{title}"
set xlabel "{x}"
set ylabel "milliseconds a pair, one core"
set grid lc '#dddddd'
set key left top
{"set logscale xy" if log else "set xrange [0:*]; set yrange [0:*]"}
$measured << END_OF_DATA
{data}
END_OF_DATA
a = {points[-1][1] / points[-1][0] ** (2 if log else 1)}
{top}
plot $measured using 1:2 with points pt 7 ps 0.9 lc '#1f5fa8' title 'measured', \\
     f(x) with lines lc '#999999' dt 2 title '{"quadratic" if log else "linear"}'
"""
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def report(parts):
    depth, positions = parts["growth"]
    return f"""Measured {time.strftime('%Y-%m-%d')} on {compare.cores()} cores of {compare.processor()}, by

    python3 bench/conv.py --write

Whole symmetric NTK matrices of images of 32 x 32 x 3 in float32, medians of {parts['rounds']} alternating
rounds; ratio = peer / libntk. With GAP the peer ran on {PEER_IMAGES} images, scaled by ordered pairs.

{parts['table']}

An entry-layer is an entry of a pair of positions that goes through one activation and one 3 x 3
convolution; slots are the multiply-adds of whole vectors that the processor could have done in the
time of a vector of entry-layers, from its rate in the same run.

{parts['rates']}

Milliseconds a pair of one core grow linearly in depth (GAP, 32 x 32:
{', '.join(f'{d}: {t:.2f}' for d, t in depth)}) and quadratically in positions (depth 11:
{', '.join(f'{p}: {t:.3f}' for p, t in positions)}):

![cost by depth](conv-depth.svg) ![cost by positions](conv-positions.svg)
"""


def arguments():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--ntk", type=pathlib.Path, default=ROOT / "build/ntk", help="our command")
    p.add_argument("--venv", type=pathlib.Path, default=ROOT / "build/bench-venv",
                   help="the peer's environment, made if missing")
    p.add_argument("--python", default=sys.executable, help="Python to make it with")
    p.add_argument("--rounds", type=int, default=3, help="alternating runs of a case (default 3)")
    p.add_argument("--cases", default="", help="only cases whose name contains this")
    p.add_argument("--write", action="store_true", help="put all into bench/")
    p.add_argument("--worker", help=argparse.SUPPRESS)
    return p.parse_args()


def main():
    args = arguments()
    if args.worker:
        return worker(json.loads(args.worker))
    cases = [c for c in CASES if args.cases.lower() in c[0].lower()]
    if not args.ntk.exists():
        compare.fail(f"{args.ntk} is not there: build first, or name it with --ntk")
    python = compare.make_venv(args.venv.absolute(), args.python)
    pins = (args.venv / "ready").read_text().split()
    rows = []
    for case in cases:
        print(f"conv.py: {case[0]}", file=sys.stderr)
        rows.append(measure(case, args.rounds, args.ntk, python))
    peer = f"{pins[-1]}, {pins[0]}".replace("==", " ")
    parts = {"rounds": args.rounds, "table": table(rows, peer), "rates": rates(args.ntk),
             "growth": growth(args.ntk)}
    text = report(parts)
    if args.write:
        bench = ROOT / "bench"
        plot(parts["growth"][0], bench / "conv-depth.svg", "layers", "GAP, 32 x 32", False)
        plot(parts["growth"][1], bench / "conv-positions.svg", "positions", "GAP, depth 11", True)
        compare.write(text, bench / "RESULTS.md", BEGIN, END, "Images: libntk and neural-tangents")
    print(text)


if __name__ == "__main__":
    main()
