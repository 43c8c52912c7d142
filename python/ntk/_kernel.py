# SPDX-License-Identifier: MIT
"""Infinite-width kernels of a network: kernel_fn, Kernel."""
import numpy as np

from . import _core
from ._arrays import named, names_of, pair

WANT = {"nngp": 1, "ntk": 2}
_FIELDS = ("nngp", "ntk", "cov1", "cov2", "x1_is_x2", "shape1", "shape2")
_IGNORED = {"diagonal_batch", "diagonal_spatial", "rng"}  # of neural-tangents: how to compute, not what


def matrices(nets, x1, x2, want):
    """[{'nngp': [n1][n2], 'ntk': [n1][n2]}, ...] for each net, work in common done once; `want` is a set."""
    x1, x2, dtype = pair(x1, x2)
    names = [name for name in WANT if name in want]
    mask = sum(WANT[name] for name in names)
    n1, n2 = len(x1), len(x1 if x2 is None else x2)
    texts = tuple(net.text for net in nets)
    head = nets[0]
    outs = tuple(np.empty((n1, n2), dtype) for _ in range(len(nets) * len(names)))
    head.call(_core.kernel, texts, mask, dtype.char, x1, x2, outs)
    return [dict(zip(names, outs[i * len(names):])) for i in range(len(nets))]


def variances(net, x, which="nngp"):
    """K(x, x) of each sample, [n] of float64."""
    x, _, dtype = pair(x, None)
    out = np.empty(len(x))
    net.call(_core.diagonal, (net.text,), WANT[which], dtype.char, x, (out,))
    return out


class Kernel:
    """All kernels of a network between x1 and x2, as kernel_fn(x1, x2) gives them.

    nngp, ntk: [n1][n2]. cov1, cov2: the variances K(x, x) of the NNGP kernel, [n1] and [n2] (cov2 is None if x2 is
    x1). shape1, shape2: shapes of the outputs. Another kernel_fn applied to it is that of both networks, one after
    the other.
    """

    def __init__(self, net, x1, x2):
        self.net, self.x1, self.x2 = net, x1, x2
        self._matrices = matrices([net], x1, x2, {"nngp", "ntk"})[0]

    nngp = property(lambda self: self._matrices["nngp"])
    ntk = property(lambda self: self._matrices["ntk"])
    x1_is_x2 = property(lambda self: self.x2 is None)
    cov1 = property(lambda self: variances(self.net, self.x1))
    cov2 = property(lambda self: None if self.x2 is None else variances(self.net, self.x2))
    shape1 = property(lambda self: self._shape(self.x1))
    shape2 = property(lambda self: self._shape(self.x1 if self.x2 is None else self.x2))

    def _shape(self, x):
        return (len(x), *self.net.out_shape(np.shape(x)[1:]))

    def asdict(self):
        return {name: getattr(self, name) for name in _FIELDS}

    def __repr__(self):
        return f"Kernel({self.net.text}, nngp and ntk {self.nngp.shape} of {self.nngp.dtype})"


class KernelFn:
    """kernel_fn(x1, x2=None, get=None) -> the kernels between samples in the limit of infinite width.

    x1, x2: samples [n][c], [n][w][c] or [n][h][w][c]; x2 None: x1 with itself (half the work, and each sample with
    itself gets exactly its variance). get: 'nngp' or 'ntk' gives one array [n1][n2]; a tuple of names gives a named
    tuple; None gives a Kernel with both. Results are float32 if all samples are, else float64. ValueError if
    samples are not finite, shapes do not fit the network, or the theory does not cover it. Lee et al. 2018 (NNGP),
    Jacot et al. 2018 (NTK).
    """

    def __init__(self, net):
        self.net = net

    def __call__(self, x1, x2=None, get=None, **kwargs):
        unknown = {name for name, value in kwargs.items() if value is not None} - _IGNORED
        if unknown:
            name = sorted(unknown)[0]
            what = ("masks and patterns are not supported" if name in ("mask_constant", "pattern") else
                    "it has x1, x2 and get")
            raise TypeError(f"kernel_fn does not have the argument '{name}'; {what}")
        net = self.net
        if isinstance(x1, Kernel):
            net, x1, x2 = _after(x1.net, net), x1.x1, x1.x2
        if get is None:
            x1, x2, _ = pair(x1, x2)
            return Kernel(net, x1, x2)
        names = names_of(get, _FIELDS)
        if set(names) <= set(WANT):
            found = matrices([net], x1, x2, set(names))[0]
        else:
            found = Kernel(net, *pair(x1, x2)[:2]).asdict()
        return found[get] if isinstance(get, str) else named("AnalyticKernel", names, [found[name] for name in names])


def _after(first, second):
    from ._net import Layer

    return Layer(f"serial({first.text}, {second.text})")[2].net


def kernels(nets, x1, x2=None, get=("nngp", "ntk")):
    """Kernels of several networks at once: a list with what kernel_fn gives for each.

    nets: texts, layers or triples, 1 to 64; what their graphs have in common is computed once. Other arguments
    as kernel_fn's.
    """
    from ._net import net_of

    nets = [net_of(net) for net in nets]
    names = names_of(get, tuple(WANT))
    found = matrices(nets, x1, x2, set(names))
    if isinstance(get, str):
        return [f[get] for f in found]
    return [named("AnalyticKernel", names, [f[name] for name in names]) for f in found]


def graph(nets, shape, get=("nngp", "ntk"), dot=False):
    """The graph of operations by which kernels are computed, as a text; dot: for Graphviz.

    nets: a text, layer or triple, or a list of 1 to 64, whose graphs share what they have in common. shape: of a sample,
    (c,), (w, c) or (h, w, c). get: 'nngp', 'ntk' or a tuple of these. A line for each operation says which nets need it
    and which kernels are its result; lines below it, of which layer's parameter its numbers come from. ValueError
    if shapes do not fit the network, or the theory does not cover it.
    """
    from ._net import net_of

    nets = [net_of(net) for net in (nets if isinstance(nets, list) else [nets])]
    mask = sum(WANT[name] for name in names_of(get, tuple(WANT)))
    return nets[0].call(_core.graph, tuple(net.text for net in nets), mask, tuple(int(n) for n in shape), dot)
