# SPDX-License-Identifier: MIT
"""A network as a text, and the triple (init_fn, apply_fn, kernel_fn) of a text."""
import re
import threading

import numpy as np

from . import _core
from ._arrays import as_array, as_samples, seed_of

_PLACE = re.compile(r"line (\d+), column (\d+): ")


def _with_caret(message, text):
    """The message, with the line of text that it is about and a caret under the place."""
    place = _PLACE.match(message)
    lines = text.split("\n")
    if not place or int(place[1]) > len(lines):
        return message
    line = lines[int(place[1]) - 1]
    column = len(line.encode()[:int(place[2]) - 1].decode(errors="ignore"))  # the library counts bytes
    start = max(0, column - 60)
    shown = line[start:start + 100].replace("\t", " ").rstrip()
    return f"{message}\n    {shown}\n    {' ' * (column - start)}^"


class Net:
    """A network: its text, and the finite networks that were made of it."""

    def __init__(self, text):
        self.text = text
        self._canonical = None
        self._finite = {}  # (shape, dtype) -> (Params, Lock)
        self._lock = threading.Lock()

    def __reduce__(self):
        return Net, (self.text,)

    def call(self, function, *args):
        """function(*args) of _core, its errors about the text with a caret under the place."""
        try:
            return function(*args)
        except (ValueError, NotImplementedError) as error:
            message = str(error)
            if not _PLACE.match(message):
                raise
            raise type(error)(_with_caret(message, self.text)) from None

    @property
    def canonical(self):
        """The text on one line with presets expanded; ValueError if it cannot be parsed."""
        if self._canonical is None:
            self._canonical = self.call(_core.net_print, self.text)
        return self._canonical

    def out_shape(self, shape):
        """Shape of an output for the shape of a sample."""
        return self.call(_core.net_shape, self.text, tuple(int(n) for n in shape))

    def network(self, shape, dtype, seed):
        """Parameters drawn from a seed, as a _core.Params."""
        return self.call(_core.Params.init, self.text, tuple(int(n) for n in shape), np.dtype(dtype).char, seed)

    def with_theta(self, params, shape, dtype, use):
        """use(network) with the finite network that has these parameters (nested as nest does)."""
        _core.check_may_work()  # a progress function would wait for a lock that the call around it has
        key = tuple(shape), np.dtype(dtype).char
        with self._lock:
            if key not in self._finite:
                if len(self._finite) == 8:  # sequences may have any number of lengths: the oldest goes
                    del self._finite[next(iter(self._finite))]
                self._finite[key] = self.network(shape, dtype, 0), threading.Lock()
            network, lock = self._finite[key]
        with lock:
            theta = np.frombuffer(network, network.dtype)
            theta[:] = flatten(params, network)
            return use(network)


# ---- parameters, nested as neural-tangents nests them


def _leaves(params):
    if params is None:
        return
    if isinstance(params, (list, tuple)):
        for p in params:
            yield from _leaves(p)
    else:
        yield params


def _without_ones(shape):
    """The sizes that matter: biases have axes of 1 in front, as many as their layer's outputs, or none."""
    return [n for n in shape if n != 1]


def flatten(params, network):
    """theta [count] of parameters as nest makes them; layers of a repeat may be a list of n as well."""
    arrays = network.arrays()
    leaves = [as_array(leaf, "params") for leaf in _leaves(params)]
    shapes = [_without_ones(leaf.shape) for leaf in leaves]
    if leaves and shapes == [_without_ones(shape) for _, shape, *_ in arrays]:
        return np.concatenate([leaf.ravel() for leaf in leaves])
    places = list(_leaves(nest(network, np.arange(network.count))))
    if shapes != [_without_ones(place.shape) for place in places]:
        want = ", ".join(f"{name} {shape}" for name, shape, *_ in arrays)
        raise ValueError("these parameters do not belong to this network: it has "
                         f"{len(arrays)} arrays ({want}), got shapes {[leaf.shape for leaf in leaves]}")
    theta = np.empty(sum(leaf.size for leaf in leaves), np.result_type(*leaves) if leaves else float)
    for place, leaf in zip(places, leaves):
        theta[place.ravel()] = leaf.ravel()
    return theta


def _stack(layers):
    """Equal nests of arrays as one nest of arrays with a leading axis, what neural-tangents' repeat has."""
    if isinstance(layers[0], (list, tuple)):
        return type(layers[0])(map(_stack, zip(*layers)))
    return None if layers[0] is None else np.stack(layers)


def nest(network, theta):
    """theta as nested lists and tuples: of each layer its arrays, (W, b) for Dense and Conv, b None without biases, ()
    without parameters; smaller ones have axes of 1 in front. A repeat has the nest of one layer, each array with a
    leading axis n; a list of n if their shapes differ."""
    import ast

    arrays = [theta[offset:offset + size].reshape(shape) for _, shape, offset, size, _ in network.arrays()]
    layers = iter(network.layers())

    def leaf():
        own = [None if k is None else arrays[k] for k in next(layers)]
        ndim = max((a.ndim for a in own if a is not None), default=0)
        return tuple(None if a is None else a.reshape((1,) * (ndim - a.ndim) + a.shape) for a in own)

    def walk(node):
        name = node.func.id
        if name in ("serial", "parallel"):
            return (list if name == "serial" else tuple)(map(walk, node.args))
        if name == "repeat":
            times = [a for a in node.args[1:]] + [k.value for k in node.keywords]
            layers = [walk(node.args[0]) for _ in range(times[0].value)]
            shapes = [[a.shape for a in _leaves(layer)] for layer in layers]
            return _stack(layers) if all(s == shapes[0] for s in shapes) else layers
        return leaf()

    return walk(ast.parse(network.net, mode="eval").body)


# ---- the triple


class InitFn:
    """init_fn(rng, input_shape, dtype=float64) -> (output_shape, params)

    rng: an integer seed, a numpy.random.Generator, or a key of two integers. input_shape: with the batch
    first, (-1, c), (-1, w, c) or (-1, h, w, c). params: (W, b) for each Dense and Conv, nested as the layers are,
    which is how neural-tangents nests them. Parameters are standard normal in the 'ntk' parameterization
    (Philox4x32-10), the same for a seed on every machine.
    """

    def __init__(self, net):
        self.net = net

    def __call__(self, rng, input_shape, dtype=np.float64):
        if not hasattr(input_shape, "__len__"):
            raise TypeError(f"input_shape must be a tuple with the batch first, such as (-1, {input_shape}), got "
                            f"{input_shape!r}")
        if not 2 <= len(input_shape) <= 4:
            raise ValueError("input_shape must be (n, c), (n, w, c) or (n, h, w, c) with n of any value, got "
                             f"{tuple(input_shape)}")
        network = self.net.network(input_shape[1:], dtype, seed_of(rng))
        theta = np.frombuffer(network, network.dtype).copy()
        params = nest(network, theta)
        return (input_shape[0], *self.net.out_shape(input_shape[1:])), params


class ApplyFn:
    """apply_fn(params, x) -> outputs [n][outputs], of x's dtype (float32 or float64)."""

    def __init__(self, net):
        self.net = net

    def __call__(self, params, x, rng=None):
        x = as_samples(x, "x")
        shape = self.net.out_shape(x.shape[1:])
        out = np.empty((len(x), *shape), x.dtype)
        self.net.with_theta(params, x.shape[1:], x.dtype, lambda network: network.apply(x, out))
        return out


class Layer(tuple):
    """The triple (init_fn, apply_fn, kernel_fn) of a network; `text` is its architecture."""

    def __new__(cls, text):
        from ._kernel import KernelFn

        net = Net(text)
        net.canonical  # errors in the text appear here
        return super().__new__(cls, (InitFn(net), ApplyFn(net), KernelFn(net)))

    @property
    def text(self):
        return self[2].net.text

    def __repr__(self):
        return self.text

    def __str__(self):
        return self.text

    def __reduce__(self):
        return Layer, (self.text,)


def net_of(thing, what="the network"):
    """The Net of a text, a layer, a triple or one of its three functions."""
    if isinstance(thing, Net):
        return thing
    if isinstance(thing, str):
        return Layer(thing)[2].net
    if hasattr(thing, "net"):
        return thing.net
    if isinstance(thing, tuple) and len(thing) == 3 and hasattr(thing[2], "net"):
        return thing[2].net
    raise TypeError(f"{what} must be a text in the architecture language, or made by ntk.stax, got "
                    f"{type(thing).__name__}")
