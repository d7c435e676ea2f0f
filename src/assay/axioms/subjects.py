# SPDX-License-Identifier: Apache-2.0
"""Tiny nets with weights one can read, over numbers, pictures and tokens: what the axioms are measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from assay.basics.optional import need
from assay.basics.types import Floats
from assay.cases.case import Case, case
from assay.model.adapters.torch import torch as of_net
from assay.nouns.inputs.features import elements

if TYPE_CHECKING:
    import torch as pt

Act = Literal["relu", "tanh", "none"]
Kind = Literal["numbers", "pooled", "flat", "tokens"]
KINDS: tuple[Kind, ...] = ("numbers", "pooled", "flat", "tokens")
"""Numbers through linear layers; pictures of one channel through a 1 × 1 convolution, then averaged or flattened;
tokens of one dimension through self-attention. Each element is a part."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A case, the start that methods with one are given (*shape), and what it is in words."""

    case: Case
    start: Floats
    name: str


@dataclass(frozen=True, eq=False)
class Function:
    """f(x) = v · act(W x + c) + b over numbers, W (unit, part).

    The same weights make a function of pictures: W's first column is then a 1 × 1 convolution's weights, shared by all
    positions, and V = v ⊗ ``places`` its head's (``places`` are all 1/n where positions are averaged).
    """

    w: Floats
    c: Floats
    v: Floats
    b: float = 0.0
    act: Act = "relu"

    def plus(self, other: Function, a: float = 1.0, b: float = 1.0) -> Function:
        """a · f + b · g, hidden units side by side."""
        return Function(
            np.concatenate([self.w, other.w]),
            np.concatenate([self.c, other.c]),
            np.concatenate([a * self.v, b * other.v]),
            a * self.b + b * other.b,
            self.act,
        )


def function(w: Any, c: Any, v: Any, b: float = 0.0, act: Act = "relu") -> Function:
    """A function from plain lists."""
    weights, biases, above = _floats(w, c, v)
    return Function(weights, biases, above, b, act)


MIXED = [[1.0, -0.5, 0.25, 0.75], [-0.5, 1.0, 0.5, -1.0], [0.75, 0.5, -1.0, 0.5]]
"""Weights (unit, part) with both signs, for functions without a form of their own."""
X, START = np.array([1.45, 0.4, 2.1, 0.85]), np.array([0.25, 0.0, 0.5, -0.25])


def mixed(act: Act = "relu", bias: bool = True) -> Function:
    """A function of four parts with both signs in every place."""
    return function(MIXED, [0.25, 0.5, -0.25] if bias else [0.0] * 3, [1.0, -0.75, 1.25], 0.5 if bias else 0.0, act)


def other(act: Act = "relu") -> Function:
    """Another one."""
    return function([[0.5, 1.0, -0.5, 0.25], [1.0, -1.0, 0.75, 0.5]], [-0.5, 0.25], [0.5, 1.5], -0.25, act)


def subject(
    net: pt.nn.Module, x: Any, start: Any, name: str, *, shape: Sequence[int] = (), gives: Any = "values"
) -> Subject:
    """A net asked about rows ``x`` (row, part) or one row, laid out as ``shape``."""
    pt = need("torch", extra="torch")
    rows = np.atleast_2d(np.asarray(x, dtype=np.float64))
    laid = tuple(shape) or rows.shape[1:]
    asked = case(
        of_net(net.double(), gives=gives, name=name),
        pt.as_tensor(rows.reshape(len(rows), *laid)),
        label=None,
        features=elements(laid),
    )
    begun = np.broadcast_to(np.asarray(start, dtype=np.float64), rows.shape[1:])
    return Subject(asked, np.array(begun).reshape(laid), name)


def laid_out(kind: Kind, parts: int = 4) -> tuple[int, ...]:
    """The shape of a row."""
    return {"numbers": (parts,), "tokens": (parts, 1)}.get(kind, (1, 2, parts // 2))


def of(kind: Kind, f: Function, x: Any, start: Any, name: str, places: Any = None) -> Subject:
    """The function as a net over one kind of rows; built once."""
    shape = np.shape(x), np.shape(start)
    weights = tuple(np.asarray(one).tobytes() for one in (f.w, f.c, f.v, *_floats(x, start)))
    where = None if places is None else tuple(np.asarray(places, dtype=np.float64))
    key = kind, weights, shape, f.b, f.act, name, where
    if key not in _BUILT:
        parts = np.atleast_2d(np.asarray(x)).shape[1]
        net = built(kind, f, parts, places)
        _BUILT[key] = subject(net, x, start, f"{name}, {WORDS[kind]}", shape=laid_out(kind, parts))
    return _BUILT[key]


_BUILT: dict[Any, Subject] = {}
"""Subjects by their weights: each is asked by every method, and building nets takes as long as asking them."""


def _floats(*arrays: Any) -> list[Floats]:
    return [np.asarray(array, dtype=np.float64) for array in arrays]


WORDS: dict[Kind, str] = {
    "numbers": "a net over numbers",
    "pooled": "a convolution averaged over pixels",
    "flat": "a convolution with a weight for each pixel",
    "tokens": "self-attention over tokens",
}


def built(kind: Kind, f: Function, parts: int, places: Any = None, spare: Sequence[pt.nn.Module] = ()) -> pt.nn.Module:
    """The modules of a function; ``spare`` go first."""
    pt = need("torch", extra="torch")
    where = np.full(parts, 1.0 / parts) if places is None else np.asarray(places, dtype=np.float64)
    if kind == "numbers":
        return pt.nn.Sequential(*spare, linear(f.w, f.c), *activation(f.act), linear(f.v[None], [f.b]))
    if kind == "tokens":
        from assay.axioms.tokens import Reader

        return Reader(f, where, spare)
    first = convolution(f.w[:, :1], f.c)
    if kind == "pooled":
        pooling = pt.nn.AdaptiveAvgPool2d(1)
        head = linear(f.v[None], [f.b])
        return pt.nn.Sequential(*spare, first, *activation(f.act), pooling, pt.nn.Flatten(), head)
    return pt.nn.Sequential(
        *spare, first, *activation(f.act), pt.nn.Flatten(), linear(np.outer(f.v, where).reshape(1, -1), [f.b])
    )


def linear(weight: Any, bias: Any = None) -> pt.nn.Linear:
    """A linear layer with these weights (out, in)."""
    pt = need("torch", extra="torch")
    weight = np.asarray(weight, dtype=np.float64)
    layer = pt.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None).double()
    return _filled(layer, weight, bias)


def convolution(weight: Any, bias: Any = None, stride: tuple[int, int] = (1, 1)) -> pt.nn.Conv2d:
    """A 1 × 1 convolution with these weights (out, in)."""
    pt = need("torch", extra="torch")
    weight = np.asarray(weight, dtype=np.float64)
    layer = pt.nn.Conv2d(weight.shape[1], weight.shape[0], 1, stride=stride, bias=bias is not None).double()
    return _filled(layer, weight[:, :, None, None], bias)


def _filled(layer: Any, weight: Floats, bias: Any) -> Any:
    pt = need("torch", extra="torch")
    with pt.no_grad():
        layer.weight.copy_(pt.as_tensor(weight))
        if bias is not None:
            layer.bias.copy_(pt.as_tensor(np.asarray(bias, dtype=np.float64)))
    return layer.eval()


def activation(act: Act) -> list[pt.nn.Module]:
    """The module of an activation, if there is one."""
    nn = need("torch", extra="torch").nn
    return {"relu": [nn.ReLU()], "tanh": [nn.Tanh()]}.get(act, [])
