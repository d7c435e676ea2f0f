# SPDX-License-Identifier: Apache-2.0
"""Pairs of functionally equivalent networks. Importing needs torch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.axioms.networks import Function, convolution_layer, linear_layer, mixed_sign_function
from assay.axioms.subjects import (
    NETWORK_LABELS,
    POSITION_WEIGHTS,
    START,
    InputKind,
    Subject,
    X,
    build_network,
    make_subject,
    row_shape,
)
from assay.axioms.torch_modules import AttentionNetwork, SelfAttention
from assay.basics.optional import need
from assay.basics.types import Floats

if TYPE_CHECKING:
    import torch as pt

    Module = pt.nn.Module
else:
    Module = need("torch", extra="torch").nn.Module

Tensor = Any


class FunctionalActivation(Module):
    """A first layer, an activation given as a function, and the remaining layers."""

    def __init__(self, first: Any, act: Callable[[Tensor], Tensor], rest: Any) -> None:
        super().__init__()
        self.first, self.rest = first, rest
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """The scores."""
        return self.rest(self.act(self.first(x)))


class Residual(Module):
    """Two ReLU layers with a skip connection.

    ``reused`` uses one ReLU module twice instead of two modules; ``concatenated`` adds by a linear layer on both
    layers' outputs.
    """

    def __init__(self, f: Function, *, reused: bool, concatenated: bool) -> None:
        super().__init__()
        pt = need("torch", extra="torch")
        units = len(f.v)
        self.first, self.second = linear_layer(f.w, f.c), linear_layer(SECOND_WEIGHTS, f.c)
        self.first_relu = pt.nn.ReLU()
        self.second_relu = self.first_relu if reused else pt.nn.ReLU()
        self.sum = linear_layer(np.hstack([np.eye(units), np.eye(units)])) if concatenated else None
        self.head = linear_layer(f.v[None], [f.b])

    def forward(self, x: Tensor) -> Tensor:
        """The scores."""
        pt = need("torch", extra="torch")
        a = self.first_relu(self.first(x))
        b = self.second_relu(self.second(a))
        return self.head(a + b if self.sum is None else self.sum(pt.cat([a, b], dim=1)))


SECOND_WEIGHTS = np.array([[0.5, -1.0, 0.25], [1.0, 0.5, -0.5], [-0.25, 0.75, 1.0]])


def relu_implementations() -> dict[str, Callable[[Tensor], Tensor]]:
    """max(0, x), in five implementations."""
    pt = need("torch", extra="torch")
    return {
        "ReLU as a function": pt.relu,
        "ReLU in place": pt.relu_,
        "ReLU as a clamp": lambda x: x.clamp(min=0),
        "ReLU as −min(−x, 0)": lambda x: -pt.minimum(-x, pt.zeros_like(x)),
        "ReLU as (x + |x|) / 2": lambda x: (x + x.abs()) / 2,
    }


def duplicate_units(f: Function) -> Function:
    """Each hidden unit twice, each with half the output weight."""
    return replace(f, w=np.vstack([f.w, f.w]), c=np.r_[f.c, f.c], v=np.r_[f.v, f.v] / 2)


def rescale_units(f: Function) -> Function:
    """Hidden units scaled by 2, with half the output weight; equivalent since ReLU is positively homogeneous."""
    return replace(f, w=2 * f.w, c=2 * f.c, v=f.v / 2)


def negate_units(f: Function) -> Function:
    """Hidden units and output weights negated; equivalent since tanh(−x) = −tanh(x)."""
    return replace(f, w=-f.w, c=-f.c, v=-f.v)


def add_cancelling_units(f: Function) -> Function:
    """Two more hidden units that are equal and have opposite output weights."""
    return f.weighted_sum(replace(f, w=f.w[[1, 1]], c=f.c[[1, 1]], v=np.array([2.0, -2.0]), b=0.0))


@functools.cache
def equivalent_pairs() -> list[tuple[str, Subject, Subject]]:
    """Pairs of equivalent networks: a description, the plain network, the other network."""
    layered = [pair for kind in ("numbers", "pooled", "flat") for pair in _layered_pairs(kind)]
    return [*layered, *_skip_connection_pairs(), *_attention_pairs(), _early_or_late_bias()]


def _early_or_late_bias() -> tuple[str, Subject, Subject]:
    """Figure 7 of Sundararajan et al. 2017: max(0, max(0, x₀) − 1 − max(0, x₁)), with the 1 in layer 1 or layer 2."""
    pt = need("torch", extra="torch")

    def network(first_bias: float, second_bias: float) -> Subject:
        first, second = linear_layer(np.eye(2), [first_bias, 0.0]), linear_layer([[1.0, -1.0]], [second_bias])
        net = pt.nn.Sequential(first, pt.nn.ReLU(), second, pt.nn.ReLU())
        return make_subject(net, [3.0, 1.0], 0.0, "max(0, max(0, x₀) − 1 − max(0, x₁))")

    return "1 subtracted before or after a ReLU", network(0.0, -1.0), network(-1.0, 0.0)


def _layered_pairs(kind: InputKind) -> list[tuple[str, Subject, Subject]]:
    f, smooth = mixed_sign_function(), mixed_sign_function("tanh")
    pt = need("torch", extra="torch")

    def subject_of(net: Module, name: str) -> Subject:
        start = START if kind == "numbers" else 0.0
        return make_subject(net, X, start, f"{name}, {NETWORK_LABELS[kind]}", shape=row_shape(kind))

    def plain(g: Function, name: str) -> Subject:
        return subject_of(build_network(kind, g, 4, POSITION_WEIGHTS), name)

    def layers() -> list[Any]:
        return list(build_network(kind, f, 4, POSITION_WEIGHTS).children())

    relu_subject, tanh_subject = plain(f, "ReLU"), plain(smooth, "tanh")
    pairs = []
    for name, act in relu_implementations().items():
        first, _, *rest = layers()
        net = FunctionalActivation(first, act, pt.nn.Sequential(*rest))
        pairs.append((name, relu_subject, subject_of(net, name)))
    pairs.append(
        ("one linear layer as two", relu_subject, subject_of(_split_first_layer(kind, layers()), "first layer split"))
    )
    for name, change in (
        ("units duplicated", duplicate_units),
        ("units rescaled", rescale_units),
        ("units that cancel", add_cancelling_units),
    ):
        pairs.append((name, relu_subject, plain(change(f), name)))
        if name != "units rescaled":
            pairs.append((f"{name}, tanh", tanh_subject, plain(change(smooth), f"{name}, tanh")))
    pairs.append(("tanh units negated", tanh_subject, plain(negate_units(smooth), "tanh units negated")))
    return [(f"{name}, {NETWORK_LABELS[kind]}", one, two) for name, one, two in pairs]


def _split_first_layer(kind: InputKind, layers: Sequence[Any]) -> Module:
    """The network with its first layer W as T (T⁻¹ W)."""
    pt = need("torch", extra="torch")
    weight, bias = layers[0].weight.detach().numpy(), layers[0].bias.detach().numpy()
    factor = FACTOR[: len(weight), : len(weight)]
    matrix = weight.reshape(len(weight), -1)
    layer = linear_layer if kind == "numbers" else convolution_layer
    return pt.nn.Sequential(layer(np.linalg.solve(factor, matrix)), layer(factor, bias), *layers[1:])


FACTOR = np.array([[1.0, 0.5, 0.0], [-1.0, 1.0, 0.25], [0.5, 0.0, 1.0]])


def _skip_connection_pairs() -> list[tuple[str, Subject, Subject]]:
    f = mixed_sign_function()

    def network(name: str, *, reused: bool, concatenated: bool) -> Subject:
        return make_subject(Residual(f, reused=reused, concatenated=concatenated), X, START, name)

    plain = network("a skip connection", reused=False, concatenated=False)
    reused = network("one ReLU used twice", reused=True, concatenated=False)
    concatenated = network("a skip connection as concatenation", reused=False, concatenated=True)
    return [
        ("one ReLU module used twice", plain, reused),
        ("a skip connection as concatenation and a layer", plain, concatenated),
    ]


def _attention_pairs() -> list[tuple[str, Subject, Subject]]:
    def network(name: str, *, act: Any = "tanh", attention: Module | None = None, f: Function | None = None) -> Subject:
        net = AttentionNetwork(mixed_sign_function(act) if f is None else f, np.full(4, 0.25), attention=attention)
        return make_subject(net, X, 0.0, f"{name}, {NETWORK_LABELS['tokens']}", shape=row_shape("tokens"))

    plain = network("tanh")
    unused_head = network("unused head", attention=SelfAttention((0.5, 0.0), (0.5, 0.0), (1.0, 0.0)))
    other_unused_head = network("other unused head", attention=SelfAttention((0.5, 2.0), (0.5, -1.0), (1.0, 0.0)))
    rescaled_keys = network("rescaled keys", attention=SelfAttention((1.0,), (0.25,), (1.0,)))
    two_heads = network("two heads", attention=SelfAttention((0.5,) * 2, (0.5,) * 2, (0.5,) * 2))
    return [
        ("queries doubled, keys halved", plain, rescaled_keys),
        ("a head duplicated, half each", plain, two_heads),
        ("other weights in a head of output weight 0", unused_head, other_unused_head),
        (
            "units after attention duplicated",
            plain,
            network("units duplicated", f=duplicate_units(mixed_sign_function("tanh"))),
        ),
        (
            "units after attention rescaled",
            network("ReLU", act="relu"),
            network("units rescaled", f=rescale_units(mixed_sign_function())),
        ),
    ]


def largest_difference(one: Subject, two: Subject) -> float:
    """The largest difference of two networks' outputs on 64 normal inputs (mean 0, standard deviation 2)."""
    pt = need("torch", extra="torch")
    generator = np.random.Generator(np.random.PCG64(0))
    inputs: Floats = generator.normal(0.0, 2.0, (64, *one.case.rows.shape))
    x = pt.as_tensor(inputs)
    which = np.zeros(64, dtype=np.int64)
    return float((one.case.outputs(x, which) - two.case.outputs(x, which)).abs().max())
