# SPDX-License-Identifier: MIT
"""The architecture language as functions: layers, activations, combinators, presets.

Each function makes a triple (init_fn, apply_fn, kernel_fn), as neural-tangents' stax does, and each is generated
from the C library's table of that word: its arguments, defaults and documentation are those that `ntk layers`
shows. str(layer) is the architecture as a text; parse(text) is the layer of a text.
"""
from functools import cache

import numpy as np

from . import _core
from ._net import Layer, net_of


def _write(value, what):
    """A value as the architecture language writes it."""
    if isinstance(value, Word):
        raise TypeError(f"{what} needs a layer: call it, stax.{value.__name__}(...)")
    if value is None or type(value) in (bool, str, int, float):
        return repr(value)
    if isinstance(value, (tuple, list)) and not isinstance(value, Layer):
        if len(value) == 3 and hasattr(value[2], "net"):
            return value[2].net.text
        if len(value) == 3 and callable(value[2]):
            raise TypeError(f"{what} takes layers that ntk.stax made, not another library's")
        inner = ", ".join(_write(v, what) for v in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if hasattr(value, "net") or isinstance(value, Layer):
        return net_of(value).text
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        return _write(value.tolist(), what)
    if hasattr(value, "name"):  # an enumeration
        return repr(value.name)
    raise TypeError(f"{what} cannot be written in the architecture language: {value!r}")


_POINTS = np.linspace(-3, 3, 13)[:, None]


@cache
def _values():
    """{name: values at _POINTS} of the activations that need no arguments."""
    plain = [word.__name__ for word in WORDS.values() if word.kind == "activation"
             and not word.__name__.startswith("Elementwise") and all(value for _, _, value, _ in word.parameters)]
    return {name: Layer(f"{name}()")[1]((), _POINTS) for name in plain}


def _activation_of(f):
    """The name of the activation that a Python function computes: one with the same values, or, if it takes neither
    an array nor a number, one with its name. Names alone mislead: jax.nn.gelu is Gelu_tanh."""
    name = getattr(f, "__name__", str(f))
    for call in (f, np.vectorize(f, otypes=[float])):
        try:
            found = np.asarray(call(_POINTS), float)
        except Exception:
            continue
        for known, values in _values().items():
            if found.shape == values.shape and np.allclose(found, values, rtol=0, atol=1e-5):  # jax has float32
                return known
        raise ValueError(f"{name!r} is none of the activations of the architecture language; these are "
                         f"{', '.join(_values())}, and those with arguments, which have functions of their own")
    return name


def _elementwise(args, kwargs):
    """The arguments of neural-tangents' Elementwise and ElementwiseNumerical as those of the language."""
    if any(kwargs.pop(name, None) is not None for name in ("nngp_fn", "d_nngp_fn")) or any(map(callable, args[1:])):
        raise TypeError("nngp_fn and d_nngp_fn cannot be used: a kernel is computed from the name of the activation fn")
    kwargs.pop("df", None)  # the named activation has its own derivative
    args = [_activation_of(a) if callable(a) else a for a in args if a is not None]
    return args, {name: _activation_of(value) if callable(value) else value for name, value in kwargs.items()}


_CHANNELS_LAST = (None, ("NHWC", "HWIO", "NHWC"), ("NWC", "WIO", "NWC"))


class Word:
    """A function of this module: one word of the architecture language."""

    def __init__(self, name, kind, summary, formula, source, cost, parameters):
        self.__name__ = self.__qualname__ = name
        self.__module__ = "ntk.stax"
        self.kind, self.formula, self.source, self.cost = kind, formula, source, cost
        self.summary, self.parameters = summary, parameters
        self._names = [p[0] for p in parameters]
        self.__doc__ = self._document()

    def _document(self):
        lines = [f"{self.summary}.", ""]
        lines += [f"    {name} ({type_}{', default ' + value if value else ''}): {doc}"
                  for name, type_, value, doc in self.parameters]
        if self.formula:
            lines += ["", f"Infinite width: {self.formula}"]
        if self.source:
            lines += [f"Source: {self.source}"]
        if self.cost:
            lines += [f"Cost: {self.cost}"]
        return "\n".join(lines)

    @property
    def __signature__(self):
        import ast
        from inspect import Parameter, Signature

        if self.__name__ in ("serial", "parallel", "residual"):
            return Signature([Parameter("layers", Parameter.VAR_POSITIONAL)])
        parameters = []
        for name, _, value, _ in self.parameters:
            default = ast.literal_eval(value) if _is_literal(value) else value or Parameter.empty
            if name.startswith("*"):
                parameters.append(Parameter(name[1:], Parameter.VAR_POSITIONAL))
            else:
                parameters.append(Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default))
        return Signature(parameters)

    def __call__(self, *args, **kwargs):
        combines = self.kind == "combinator"
        if self.__name__.startswith("Elementwise"):
            args, kwargs = _elementwise(args, kwargs)
        if kwargs.get("dimension_numbers") in _CHANNELS_LAST:
            kwargs.pop("dimension_numbers", None)
        for name in kwargs:
            if name not in self._names:
                known = ", ".join(self._names) or "none"
                raise TypeError(f"{self.__name__}() has no argument '{name}'; it has: {known}")
        if not combines and len(args) > len(self._names) and not self.__name__.startswith("Elementwise"):
            raise TypeError(f"{self.__name__}() takes at most {len(self._names)} arguments, got {len(args)}")
        words = [_write(a, f"{self.__name__}()") for a in args]
        words += [f"{name}={_write(value, f'{self.__name__}({name}=...)')}" for name, value in kwargs.items()]
        text = f"{self.__name__}({', '.join(words)})"
        return Layer(text)

    def __repr__(self):
        return f"<ntk.stax.{self.__name__}>"


def _is_literal(value):
    return bool(value) and "*" not in value


def parse(text):
    """The layer (init_fn, apply_fn, kernel_fn) of an architecture text; ValueError with a caret under the place."""
    if not isinstance(text, str):
        return Layer(net_of(text).text)
    return Layer(text)


WORDS = {word[0]: Word(*word) for word in _core.layers()}
globals().update(WORDS)
__all__ = ["parse", *WORDS]

_ABSENT = ("ConvTranspose", "ConvLocal", "GlobalSelfAttention", "Aggregate", "DotGeneral", "ImageResize", "Index",
           "Slice", "Gabor", "ExpNormalized", "layer", "requires", "supports_masking", "unmask_fn", "MaskedArray",
           "Diagonal", "Bool", "Padding", "AttentionMechanism", "PositionalEmbedding", "AggregateImplementation")


def __getattr__(name):
    if name in _ABSENT:
        raise AttributeError(f"ntk.stax has no '{name}': this word of neural-tangents is not supported; "
                             "docs/neural-tangents.md lists the differences")
    raise AttributeError(f"module 'ntk.stax' has no attribute '{name}'")
