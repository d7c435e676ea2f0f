# SPDX-License-Identifier: Apache-2.0
"""Gradients of many perceptrons at once: one batched matrix product for each layer, into buffers that are reused."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from assay.basics.optional import need

if TYPE_CHECKING:
    import torch as pt

    Gradients = Callable[[pt.Tensor, pt.Tensor, pt.Tensor], None]

Slope = Callable[[Any], Any]


def _activations(pt: Any) -> dict[type, tuple[Callable[[Any], Any], Slope]]:
    """Activations in place, and the derivative as a function of the value; by the class of the module."""
    return {
        pt.nn.ReLU: (lambda h: h.relu_(), lambda h: h > 0),
        pt.nn.Tanh: (lambda h: h.tanh_(), lambda h: 1 - h * h),
        pt.nn.Sigmoid: (lambda h: h.sigmoid_(), lambda h: h * (1 - h)),
    }


def is_perceptron(net: pt.nn.Module) -> bool:
    """Whether the net is linear layers with a bias in sequence, with at most one known activation after each."""
    pt = need("torch", extra="torch")
    modules = _modules(net)
    if not modules or type(net) is not pt.nn.Sequential:
        return False
    kinds = [type(module) for module in modules]
    linear = [place for place, kind in enumerate(kinds) if kind is pt.nn.Linear]
    if not linear or linear[0] != 0 or linear[-1] != len(kinds) - 1:
        return False
    if any(b - a > 2 for a, b in pairwise(linear)):
        return False
    others = [kind for kind in kinds if kind is not pt.nn.Linear]
    return set(others) <= set(_activations(pt)) and all(modules[place].bias is not None for place in linear)


def _modules(net: pt.nn.Module) -> list[Any]:
    """The modules of a sequence without a leading flattening of rows."""
    pt = need("torch", extra="torch")
    modules = list(net.children())
    flat = bool(modules) and type(modules[0]) is pt.nn.Flatten and modules[0].start_dim == 1
    return modules[1:] if flat else modules


def perceptron_gradients(net: pt.nn.Module, parameters: dict[str, pt.Tensor], loss: str) -> Gradients:
    """A function that writes the gradients of the weighted losses of stacked perceptrons into the parameters.

    ``parameters`` (model, *shape) by name. The function takes rows (model, batch, …), labels (model, batch) and weights
    (model, batch), and sets ``grad`` of each parameter to the derivative of Σ weight · loss, for each model its own.
    ``loss`` is cross_entropy (of class positions) or squared_error (the mean over outputs).
    """
    pt = need("torch", extra="torch")
    known = _activations(pt)
    names = {module: name for name, module in net.named_modules()}
    layers: list[tuple[Any, Any, Any]] = []
    for module in _modules(net):
        if type(module) is pt.nn.Linear:
            layers.append((parameters[f"{names[module]}.weight"], parameters[f"{names[module]}.bias"], None))
        else:
            layers[-1] = (*layers[-1][:2], known[type(module)])
    for weight, bias, _ in layers:
        weight.grad, bias.grad = pt.zeros_like(weight), pt.zeros_like(bias)
    buffers: dict[Any, list[Any]] = {}

    def gradients(x: Any, y: Any, weights: Any) -> None:
        with pt.no_grad():
            states = [x.reshape(*x.shape[:2], -1)]
            key = tuple(x.shape[:2])
            if key not in buffers:
                buffers[key] = [x.new_empty(*key, bias.shape[1]) for _, bias, _ in layers]
            for (weight, bias, activation), out in zip(layers, buffers[key]):
                pt.baddbmm(bias[:, None], states[-1], weight.mT, out=out)
                states.append(activation[0](out) if activation else out)
            slope = _loss_slope(states[-1], y, weights, loss)
            for place in reversed(range(len(layers))):
                weight, bias, activation = layers[place]
                if activation:
                    slope = slope * activation[1](states[place + 1])
                pt.bmm(slope.mT, states[place], out=weight.grad)
                pt.sum(slope, 1, out=bias.grad)
                slope = pt.bmm(slope, weight) if place else slope

    return gradients


def _loss_slope(outputs: pt.Tensor, y: pt.Tensor, weights: pt.Tensor, loss: str) -> pt.Tensor:
    """Derivative of Σ weight · loss by the outputs (model, batch, out)."""
    pt = need("torch", extra="torch")
    if loss == "squared_error":
        return 2 * (outputs - y.reshape(outputs.shape)) * weights[..., None] / outputs.shape[2]
    slope: Any = pt.softmax(outputs, 2)
    slope.scatter_add_(2, y[..., None], slope.new_full((1,), -1.0).expand(*y.shape, 1))
    return slope.mul_(weights[..., None])
