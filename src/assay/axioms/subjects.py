# SPDX-License-Identifier: Apache-2.0
"""Test cases of the axioms: small networks with readable weights on vectors, images and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from assay.axioms.networks import Function, activation_layers, convolution_layer, linear_layer, to_float_arrays
from assay.basics.optional import need
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.new_case import case
from assay.model.adapters.torch import torch as torch_model
from assay.nouns.inputs.features import elements

if TYPE_CHECKING:
    import torch as pt

InputKind = Literal["numbers", "pooled", "flat", "tokens"]
KINDS: tuple[InputKind, ...] = ("numbers", "pooled", "flat", "tokens")
"""Vectors through linear layers; images of one channel through a 1 × 1 convolution, then averaged or flattened; tokens
of one dimension through self-attention. Each element is one feature."""
NETWORK_LABELS: dict[InputKind, str] = {
    "numbers": "linear layers on a vector",
    "pooled": "a convolution averaged over pixels",
    "flat": "a convolution with one output weight per pixel",
    "tokens": "self-attention over tokens",
}
X, START = np.array([1.45, 0.4, 2.1, 0.85]), np.array([0.25, 0.0, 0.5, -0.25])
"""The input and the baseline that most axioms use."""
POSITION_WEIGHTS = np.array([0.5, -0.25, 1.0, 0.75])
"""Output weight of each position, where positions have different weights."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A case, the baseline ``start`` (*shape) for methods that have one, and a description ``name``."""

    case: Case
    start: Floats
    name: str


def make_subject(
    net: pt.nn.Module, x: Any, start: Any, name: str, *, shape: Sequence[int] = (), gives: Any = "values"
) -> Subject:
    """A subject of a network at rows ``x`` (row, feature), or one row (feature,), reshaped to ``shape``."""
    pt = need("torch", extra="torch")
    rows = np.atleast_2d(np.asarray(x, dtype=np.float64))
    shape = tuple(shape) or rows.shape[1:]
    network_case = case(
        torch_model(net.double(), gives=gives, name=name),
        pt.as_tensor(rows.reshape(len(rows), *shape)),
        label=None,
        features=elements(shape),
    )
    baseline = np.broadcast_to(np.asarray(start, dtype=np.float64), rows.shape[1:])
    return Subject(network_case, np.array(baseline).reshape(shape), name)


def row_shape(kind: InputKind, features: int = 4) -> tuple[int, ...]:
    """The shape of one row."""
    return {"numbers": (features,), "tokens": (features, 1)}.get(kind, (1, 2, features // 2))


def function_subject(
    kind: InputKind, f: Function, x: Any, start: Any, name: str, position_weights: Any = None
) -> Subject:
    """The subject of a function as a network on one kind of input; each is built once."""
    shape = np.shape(x), np.shape(start)
    weights = tuple(np.asarray(one).tobytes() for one in (f.w, f.c, f.v, *to_float_arrays(x, start)))
    position_key = None if position_weights is None else tuple(np.asarray(position_weights, dtype=np.float64))
    key = kind, weights, shape, f.b, f.act, name, position_key
    if key not in _SUBJECT_CACHE:
        features = np.atleast_2d(np.asarray(x)).shape[1]
        net = build_network(kind, f, features, position_weights)
        label = f"{name}, {NETWORK_LABELS[kind]}"
        _SUBJECT_CACHE[key] = make_subject(net, x, start, label, shape=row_shape(kind, features))
    return _SUBJECT_CACHE[key]


_SUBJECT_CACHE: dict[Any, Subject] = {}
"""Subjects by their weights: every method uses each of them, and building a network takes as long as explaining it."""


def build_network(
    kind: InputKind,
    f: Function,
    features: int,
    position_weights: Any = None,
    input_layers: Sequence[pt.nn.Module] = (),
) -> pt.nn.Module:
    """The network that computes a function on one kind of input, after ``input_layers``."""
    pt = need("torch", extra="torch")
    weights = np.full(features, 1.0 / features) if position_weights is None else to_float_arrays(position_weights)[0]
    if kind == "numbers":
        layers = [linear_layer(f.w, f.c), *activation_layers(f.act), linear_layer(f.v[None], [f.b])]
        return pt.nn.Sequential(*input_layers, *layers)
    if kind == "tokens":
        from assay.axioms.torch_modules import AttentionNetwork

        return AttentionNetwork(f, weights, input_layers)
    hidden = [convolution_layer(f.w[:, :1], f.c), *activation_layers(f.act)]
    if kind == "pooled":
        output = [pt.nn.AdaptiveAvgPool2d(1), pt.nn.Flatten(), linear_layer(f.v[None], [f.b])]
    else:
        output = [pt.nn.Flatten(), linear_layer(np.outer(f.v, weights).reshape(1, -1), [f.b])]
    return pt.nn.Sequential(*input_layers, *hidden, *output)


def even_attention_subject(f: Function, x: Floats, name: str, position_weights: Floats | None = None) -> Subject:
    """The subject of a function after self-attention with equal weights: each token plus the mean over tokens."""
    from assay.axioms.torch_modules import AttentionNetwork, SelfAttention

    weights = np.full(4, 0.25) if position_weights is None else position_weights
    net = AttentionNetwork(f, weights, attention=SelfAttention((0.0,), (0.0,)))
    label = f"{name}, {NETWORK_LABELS['tokens']} with equal weights"
    return make_subject(net, x, 0.0, label, shape=row_shape("tokens"))
