# SPDX-License-Identifier: Apache-2.0
"""A torch net read as a chain of affine layers and rectifiers, in float64."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.cases.case import Case
from assay.model.layer_slices import ROWS
from assay.nouns.inputs.rows import to_floats

if TYPE_CHECKING:
    import torch as pt

TOLERANCE = 1e-4
"""Largest difference of the chain's outputs from the model's, as a share of the largest output."""


@dataclass(frozen=True, eq=False)
class Affine:
    """An affine layer ``layer``, and the same layer with absolute weights and no bias, ``absolute``."""

    layer: Any
    absolute: Any

    def __call__(self, x: pt.Tensor) -> pt.Tensor:
        """The layer's output."""
        out: pt.Tensor = self.layer(x)
        return out

    def transpose(self, weights: pt.Tensor, shape: tuple[int, ...], *, absolute: bool = False) -> pt.Tensor:
        """Wᵀ · ``weights`` (query, *out), as (query, *shape); |W|ᵀ with ``absolute``."""
        import torch

        with torch.enable_grad():
            x = torch.zeros((len(weights), *shape), dtype=weights.dtype, device=weights.device, requires_grad=True)
            out = (self.absolute if absolute else self.layer)(x)
            found: pt.Tensor = torch.autograd.grad((out * weights).sum(), x)[0]
        return found


@dataclass(frozen=True, eq=False)
class LayerChain:
    """Affine layers, with ``None`` for a rectifier between them."""

    steps: tuple[Affine | None, ...]

    def __call__(self, x: pt.Tensor) -> pt.Tensor:
        """The outputs (row, class)."""
        for step in self.steps:
            x = x.clamp(min=0) if step is None else step(x)
        return x


def read_chain(case: Case) -> LayerChain:
    """The net of a case as a chain; ``CapabilityError`` where a step is neither affine nor a rectifier.

    The chain's outputs are compared with the model's at the rows: ``preprocess`` or a head outside the net is refused.
    """
    import torch

    model = case.model
    if model.net is None or model.kind not in ("logits", "values") or model.input_layer != ROWS:
        raise CapabilityError(f"bounds need a torch net that returns scores or values; {model.name} is none.")
    net = copy.deepcopy(model.net).double().eval()
    try:
        graph = torch.fx.symbolic_trace(net).graph
    except Exception as error:  # tracing runs the user's code
        raise CapabilityError(f"bounds need a plain chain of layers; {model.name} cannot be traced: {error}") from error
    steps, last = [], None
    for node in graph.nodes:
        if node.op == "output":
            break
        if node.op == "placeholder":
            _refuse(last is not None, model.name, "several inputs")
        else:
            sources = list(node.all_input_nodes)
            _refuse(sources != [last], model.name, f"{node.name} does not read the layer before it alone")
            steps.append(_step(net, node, model.name))
        last = node
    chain = LayerChain(tuple(steps))
    with torch.no_grad():
        found = to_floats(chain(case.rows.x.double()))
    gap = float(np.abs(found - case.prediction).max()) if found.shape == case.prediction.shape else np.inf
    if not gap <= TOLERANCE * max(1.0, float(np.abs(case.prediction).max())):
        raise CapabilityError(
            f"bounds need the net's own outputs at the rows; those of {model.name} differ from its layers' by {gap:g}. "
            f"Put preprocess and output into the net."
        )
    return chain


def _step(net: Any, node: Any, name: str) -> Affine | None:
    """One node of the graph as an affine layer or a rectifier."""
    import torch
    from torch.nn import functional

    if node.op == "call_module":
        layer = net.get_submodule(node.target)
        if isinstance(layer, torch.nn.ReLU):
            return None
        return Affine(layer, _absolute(layer, name))
    if node.op == "call_function" and node.target in (torch.relu, functional.relu):
        return None
    if node.op == "call_method" and node.target == "relu":
        return None
    if node.target in (torch.flatten, "flatten") and node.args[1:] == (1,) and not node.kwargs:
        flatten = torch.nn.Flatten()
        return Affine(flatten, flatten)
    _refuse(True, name, f"{node.target} is neither an affine layer nor a rectifier")
    raise AssertionError


def _absolute(layer: Any, name: str) -> Any:
    """The layer with absolute weights and no bias; ``CapabilityError`` where it is not affine."""
    from torch import nn

    if isinstance(layer, nn.AvgPool1d | nn.AvgPool2d | nn.AdaptiveAvgPool2d | nn.Flatten | nn.Identity | nn.Dropout):
        return layer
    norms = nn.BatchNorm1d | nn.BatchNorm2d
    is_norm = isinstance(layer, norms) and layer.track_running_stats
    _refuse(
        not (isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d) or is_norm),
        name,
        f"{type(layer).__name__} is neither an affine layer nor a rectifier",
    )
    found = copy.deepcopy(layer)
    if found.weight is not None:
        found.weight.data = found.weight.data.abs()
    if found.bias is not None:
        found.bias.data = found.bias.data * 0
    if is_norm:
        found.running_mean = found.running_mean * 0
    return found


def _refuse(is_wrong: bool, name: str, why: str) -> None:
    if is_wrong:
        raise CapabilityError(
            f"bounds need a chain of linear, convolutional, batch-norm and average-pooling layers and rectifiers; in "
            f"{name} {why}."
        )
