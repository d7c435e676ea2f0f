# SPDX-License-Identifier: Apache-2.0
"""Functions with one hidden layer, and the torch layers that compute them with given weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from assay.basics.optional import need
from assay.basics.types import Floats

if TYPE_CHECKING:
    import torch as pt

Act = Literal["relu", "tanh", "none"]


@dataclass(frozen=True, eq=False)
class Function:
    """f(x) = v · act(W x + c) + b on a vector x, with W (unit, feature).

    The same weights define a function of images. W's first column then holds the weights of a 1 × 1 convolution, shared
    by all positions; V = v ⊗ ``position_weights`` are the weights of the output layer (1/n each for an average).
    """

    w: Floats
    c: Floats
    v: Floats
    b: float = 0.0
    act: Act = "relu"

    def weighted_sum(self, other: Function, a: float = 1.0, b: float = 1.0) -> Function:
        """a · f + b · g: one network with the hidden units of both."""
        return Function(
            np.concatenate([self.w, other.w]),
            np.concatenate([self.c, other.c]),
            np.concatenate([a * self.v, b * other.v]),
            a * self.b + b * other.b,
            self.act,
        )


def make_function(w: Any, c: Any, v: Any, b: float = 0.0, act: Act = "relu") -> Function:
    """Make a function from plain lists of weights."""
    weights, biases, output_weights = to_float_arrays(w, c, v)
    return Function(weights, biases, output_weights, b, act)


MIXED = [[1.0, -0.5, 0.25, 0.75], [-0.5, 1.0, 0.5, -1.0], [0.75, 0.5, -1.0, 0.5]]
"""Weights (unit, feature) of both signs, for tests that need no special function."""


def mixed_sign_function(act: Act = "relu", bias: bool = True) -> Function:
    """A function of four features with weights of both signs in every layer."""
    biases = [0.25, 0.5, -0.25] if bias else [0.0] * 3
    return make_function(MIXED, biases, [1.0, -0.75, 1.25], 0.5 if bias else 0.0, act)


def second_function(act: Act = "relu") -> Function:
    """Another function of four features, for sums of two functions."""
    return make_function([[0.5, 1.0, -0.5, 0.25], [1.0, -1.0, 0.75, 0.5]], [-0.5, 0.25], [0.5, 1.5], -0.25, act)


def to_float_arrays(*arrays: Any) -> list[Floats]:
    """Each argument as an array of doubles."""
    return [np.asarray(array, dtype=np.float64) for array in arrays]


def linear_layer(weight: Any, bias: Any = None) -> pt.nn.Linear:
    """A linear layer with these weights (out, in)."""
    pt = need("torch", extra="torch")
    weight = np.asarray(weight, dtype=np.float64)
    layer = pt.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None).double()
    return _set_weights(layer, weight, bias)


def convolution_layer(weight: Any, bias: Any = None, stride: tuple[int, int] = (1, 1)) -> pt.nn.Conv2d:
    """A 1 × 1 convolution with these weights (out, in)."""
    pt = need("torch", extra="torch")
    weight = np.asarray(weight, dtype=np.float64)
    layer = pt.nn.Conv2d(weight.shape[1], weight.shape[0], 1, stride=stride, bias=bias is not None).double()
    return _set_weights(layer, weight[:, :, None, None], bias)


def _set_weights(layer: Any, weight: Floats, bias: Any) -> Any:
    pt = need("torch", extra="torch")
    with pt.no_grad():
        layer.weight.copy_(pt.as_tensor(weight))
        if bias is not None:
            layer.bias.copy_(pt.as_tensor(np.asarray(bias, dtype=np.float64)))
    return layer.eval()


def activation_layers(act: Act) -> list[pt.nn.Module]:
    """The module of an activation in a list; an empty list for "none"."""
    nn = need("torch", extra="torch").nn
    return {"relu": [nn.ReLU()], "tanh": [nn.Tanh()]}.get(act, [])
