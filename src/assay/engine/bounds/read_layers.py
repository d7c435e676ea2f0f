# SPDX-License-Identifier: Apache-2.0
"""A torch net read as a graph of layers that can be bounded, in float64."""

from __future__ import annotations

import copy
import operator
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.cases.case import Case
from assay.engine.bounds.layer_graph import Activation, Affine, LayerGraph, MaxPool, Step, Sum
from assay.model.layer_slices import ROWS
from assay.nouns.inputs.rows import to_floats

TOLERANCE = 1e-4
"""Largest difference of the graph's outputs from the model's, as a share of the largest output."""

LAYERS = (
    "linear, convolutional, batch-norm, pooling and flattening layers, rectifiers, softplus, sigmoid and tanh, and "
    "sums of two branches"
)
"""What can be read, in words."""


def read_layers(case: Case) -> LayerGraph:
    """The net of a case as a graph; ``CapabilityError`` naming a step of another kind.

    The graph's outputs are compared with the model's at the rows: ``preprocess`` or a head outside the net is refused.
    """
    import torch

    model = case.model
    if model.net is None or model.kind not in ("logits", "values") or model.input_layer != ROWS:
        raise CapabilityError(f"bounds need a torch net that returns scores or values; {model.name} is none.")
    net = copy.deepcopy(model.net).double().eval()
    graph = read_graph(net, case.rows.x[:1].double(), model.name)
    with torch.no_grad():
        found = to_floats(graph(case.rows.x.double()))
    gap = float(np.abs(found - case.prediction).max()) if found.shape == case.prediction.shape else np.inf
    if not gap <= TOLERANCE * max(1.0, float(np.abs(case.prediction).max())):
        raise CapabilityError(
            f"bounds need the net's own outputs at the rows; those of {model.name} differ from its layers' by {gap:g}. "
            f"Put preprocess and output into the net."
        )
    return graph


def read_graph(net: Any, example: Any, name: str) -> LayerGraph:
    """The graph of a net's own layers, which change as the net does; ``example`` is at least one row like its input."""
    import torch
    from torch.fx.passes.shape_prop import ShapeProp

    try:
        traced = torch.fx.symbolic_trace(net)
        with torch.no_grad():
            ShapeProp(traced).propagate(example)
    except Exception as error:  # tracing runs the user's code
        raise CapabilityError(f"bounds need a graph of layers; {name} cannot be traced: {error}") from error
    steps: list[Step] = []
    sources: list[tuple[int, ...]] = []
    values: dict[Any, int] = {}
    last = -1
    for node in traced.graph.nodes:
        if node.op == "output":
            last = values.get(node.args[0], -1)
            break
        if node.op == "placeholder":
            _refuse(bool(values), name, "it has several inputs")
            values[node] = 0
        elif "tensor_meta" in node.meta and node.target != "size":
            steps.append(_step(net, node, name))
            read = tuple(values[one] for one in node.args if isinstance(one, torch.fx.Node) and one in values)
            _refuse(len(read) != (2 if isinstance(steps[-1], Sum) else 1), name, f"{node.name} reads other values")
            sources.append(read)
            values[node] = len(steps)
    _refuse(last != len(steps), name, "the output is not the last step")
    return LayerGraph(tuple(steps), tuple(sources))


def _step(net: Any, node: Any, name: str) -> Step:
    """One node of the graph as a step."""
    import torch
    from torch import nn
    from torch.nn import functional

    if node.op == "call_module":
        return _of_module(net.get_submodule(node.target), name)
    target, rest = node.target, node.args[1:]
    if target in (operator.add, operator.iadd, torch.add, "add", "add_") and not node.kwargs and len(rest) == 1:
        return Sum()
    if target in (torch.relu, functional.relu, "relu", "relu_", torch.relu_):
        return Activation("relu")
    if target in (torch.sigmoid, functional.sigmoid, "sigmoid"):
        return Activation("sigmoid")
    if target in (torch.tanh, functional.tanh, "tanh"):
        return Activation("tanh")
    if target is functional.softplus and not rest and not node.kwargs:
        return Activation("softplus")
    pooling = {functional.max_pool2d: nn.MaxPool2d, functional.avg_pool2d: nn.AvgPool2d,
               functional.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d}  # fmt: skip
    if target in pooling and not any(isinstance(one, torch.fx.Node) for one in (*rest, *node.kwargs.values())):
        return _of_module(pooling[target](*rest, **node.kwargs), name)
    flat = target in (torch.flatten, "flatten", "view", "reshape", torch.reshape)
    before: tuple[int, ...] = tuple(node.args[0].meta["tensor_meta"].shape) if flat else (0, 0)
    if flat and tuple(node.meta["tensor_meta"].shape) == (before[0], int(np.prod(before[1:]))):
        return Affine(nn.Flatten(), nn.Flatten())
    if target in (torch.mean, "mean") and rest in (((2, 3),), ([2, 3],), ((-2, -1),), ([-2, -1],)) and not node.kwargs:
        means = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return Affine(means, means)
    if target is functional.dropout and node.kwargs.get("training") is False:
        return Affine(nn.Identity(), nn.Identity())
    what = getattr(target, "__name__", target)
    _refuse(True, name, f"{what} is none of them")
    raise AssertionError


def _of_module(layer: Any, name: str) -> Step:
    from torch import nn

    if isinstance(layer, nn.ReLU):
        return Activation("relu")
    if isinstance(layer, nn.Softplus):
        return Activation("softplus", float(layer.beta))
    if isinstance(layer, nn.Sigmoid):
        return Activation("sigmoid")
    if isinstance(layer, nn.Tanh):
        return Activation("tanh")
    if isinstance(layer, nn.MaxPool2d):
        _refuse(layer.ceil_mode or layer.return_indices, name, "MaxPool2d has ceil_mode or return_indices")
        return MaxPool(_pair(layer.kernel_size), _pair(layer.stride), _pair(layer.padding), _pair(layer.dilation))
    return Affine(layer, _absolute(layer, name))


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


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
        f"{type(layer).__name__} is none of them",
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
        raise CapabilityError(f"bounds need a net of {LAYERS}; in {name} {why}.")
