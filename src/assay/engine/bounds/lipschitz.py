# SPDX-License-Identifier: Apache-2.0
"""Proved upper bounds of the ℓ2 Lipschitz constants of a net's layers, and of the differences of its scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.types import Floats
from assay.engine.bounds.layer_graph import Activation, Affine, LayerGraph, MaxPool, Sum

if TYPE_CHECKING:
    import torch as pt

ALLOWANCE = 1e-10
"""Allowance for rounding in float64, as a share of each bound."""

MAX_MATRIX = 1_000_000
"""Affine layers of at most so many entries as a matrix have their spectral norm computed from it."""


def score_slopes(graph: LayerGraph, example: pt.Tensor) -> Floats:
    """Upper bounds (class, class) of the Lipschitz constants of the differences of two scores, anywhere.

    K_ij = ‖w_i − w_j‖ · L, where w are the rows of the last layer and L bounds what it reads; of nets whose last step
    is not affine √2 · L of the outputs. Of nets with one score K is that of the score, (1, 1).
    """
    import torch

    with torch.no_grad():
        values, bounds = [example], [1.0]
        for step, source in zip(graph.steps, graph.sources):
            values.append(step(*(values[one] for one in source)))
            bounds.append(_step_bound(step, values[source[0]], [bounds[one] for one in source]))
        classes = values[-1].shape[1]
        last, source = graph.steps[-1], graph.sources[-1]
        if not isinstance(last, Affine):
            unlike = np.sqrt(2.0) * (1 - np.eye(classes)) if classes > 1 else np.ones((1, 1))
            return np.asarray(unlike * bounds[-1])
        shape = tuple(values[source[0]].shape[1:])
        rows = last.transpose(torch.eye(classes, dtype=example.dtype, device=example.device), shape).flatten(1)
        gaps = rows[:, None] - rows if classes > 1 else rows[None]
        length = torch.linalg.vector_norm(gaps, dim=2).cpu().numpy()
        return np.asarray(length * bounds[source[0]] * (1 + ALLOWANCE))


def _step_bound(step: Any, x: pt.Tensor, before: list[float]) -> float:
    """The constant of a step's output from those of what it reads."""
    if isinstance(step, Sum):
        return sum(before)
    if isinstance(step, Activation):
        return before[0] * step.largest_slope
    if isinstance(step, MaxPool):
        return before[0] * float(np.sqrt(step.overlap))
    return before[0] * spectral_bound(step, x[:1]) * (1 + ALLOWANCE)


def spectral_bound(layer: Affine, x: pt.Tensor) -> float:
    """An upper bound of the spectral norm of an affine layer that reads one row like ``x`` (1, *shape).

    Small layers: the largest singular value of their matrix. Others: the least of √(‖A‖₁ ‖A‖∞), and for convolutions
    with padding by zeros the largest singular value over all frequencies of the kernel on a grid as large as the padded
    map and the kernel, in which the convolution is embedded. Power iteration would be a lower bound.
    """
    import torch
    from torch import nn

    with torch.no_grad():
        out = layer(x)
        size = x[0].numel() * out[0].numel()
        if isinstance(layer.layer, nn.Flatten | nn.Identity | nn.Dropout):
            return 1.0
        if isinstance(layer.layer, nn.BatchNorm1d | nn.BatchNorm2d):
            norm: Any = layer.layer
            scale = 1.0 if norm.weight is None else norm.weight.abs()
            return float((scale / (norm.running_var + norm.eps).sqrt()).max())
        if isinstance(layer.layer, nn.Linear) and x.ndim == 2:
            return float(torch.linalg.matrix_norm(layer.layer.weight, 2))
        if size <= MAX_MATRIX:
            matrix = layer.transpose(
                torch.eye(out[0].numel(), dtype=x.dtype, device=x.device).reshape(-1, *out.shape[1:]),
                tuple(x.shape[1:]),
            )
            return float(torch.linalg.matrix_norm(matrix.flatten(1), 2))
        rows = layer.absolute(torch.ones_like(x)).max()
        columns = layer.transpose(torch.ones_like(out), tuple(x.shape[1:]), absolute=True).max()
        found = float((rows * columns).sqrt())
        kernel = layer.layer
        if isinstance(kernel, nn.Conv2d) and kernel.padding_mode == "zeros" and not isinstance(kernel.padding, str):
            found = min(found, _by_frequency(kernel, tuple(x.shape[-2:])))
        return found


def _by_frequency(layer: Any, shape: tuple[int, ...]) -> float:
    """The largest singular value of a convolution's kernel over the frequencies of a grid that does not wrap around."""
    import torch

    weight, groups = layer.weight, layer.groups
    grid = [
        size + 2 * pad + (kernel - 1) * step
        for size, pad, kernel, step in zip(shape, layer.padding, weight.shape[-2:], layer.dilation)
    ]
    wide = torch.zeros(
        (*weight.shape[:2], *((k - 1) * d + 1 for k, d in zip(weight.shape[-2:], layer.dilation))), dtype=weight.dtype
    )
    wide[..., :: layer.dilation[0], :: layer.dilation[1]] = weight.cpu()
    spectrum = torch.fft.fft2(wide, s=grid).permute(2, 3, 0, 1)
    largest = 0.0
    for part in spectrum.chunk(groups, dim=2):
        largest = max(largest, float(torch.linalg.matrix_norm(part, 2).max()))
    return largest


def steepest_slopes(
    graph: LayerGraph, x: pt.Tensor, label: np.ndarray, other: np.ndarray, radius: Floats, draws: int, seed: Any
) -> Floats:
    """The largest ℓ2 norm (row,) of the gradient of score ``label`` − score ``other`` found within ``radius``.

    At the row, at random points of the ball, and at points that its gradients lead to: a lower bound of the local
    Lipschitz constant.
    """
    import torch

    best = np.zeros(len(x))
    generator = seed.generator()
    at = x
    for draw in range(draws + 1):
        point = at.detach().clone().requires_grad_()
        with torch.enable_grad():
            scores = graph(point)
            index = torch.arange(len(x), device=x.device)
            gap = scores[index, torch.as_tensor(label, device=x.device)]
            if scores.shape[1] > 1:
                gap = gap - scores[index, torch.as_tensor(other, device=x.device)]
            slope = torch.autograd.grad(gap.sum(), point)[0]
        length = torch.linalg.vector_norm(slope.flatten(1), dim=1)
        best = np.maximum(best, length.cpu().numpy())
        if draw % 2 == 0:
            sign = 1.0 if draw % 4 == 0 else -1.0
            move = sign * slope / length.clamp(min=1e-300).reshape(-1, *[1] * (x.ndim - 1))
        else:
            drawn = generator.standard_normal(tuple(x.shape))
            drawn /= np.linalg.norm(drawn.reshape(len(x), -1), axis=1).reshape(-1, *[1] * (x.ndim - 1))
            move = torch.as_tensor(drawn, dtype=x.dtype, device=x.device)
        reach = torch.as_tensor(radius * generator.random(len(x)), dtype=x.dtype, device=x.device)
        at = x + move * reach.reshape(-1, *[1] * (x.ndim - 1))
    return best
