# SPDX-License-Identifier: Apache-2.0
"""Slopes of the differences of a net's scores, through which its weights can be trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from assay.basics.seed import Seed
from assay.engine.bounds.layer_graph import Activation, Affine, MaxPool, Sum
from assay.engine.bounds.read_layers import read_graph

if TYPE_CHECKING:
    import torch as pt

ITERATIONS = 2
"""Steps of power iteration of each layer in each call."""


class TrainedSlopes:
    """K (class, class) as ``engine.bounds.lipschitz.score_slopes`` bounds it, estimated and differentiable.

    Calling it gives K for the present weights: the spectral norm of each affine layer below the last comes from power
    iteration, whose vectors are kept from call to call, so that a few steps follow weights that change slowly. Power
    iteration approaches the norm from below: fit to train with, not to certify with. Of nets with one score K is that
    of the score, (1, 1).
    """

    def __init__(self, net: pt.nn.Module, example: pt.Tensor, name: str, seed: Seed) -> None:
        import torch

        self.graph = read_graph(net, example, name)
        self.one, self.vectors = example.new_ones(()), dict[int, Any]()
        with torch.no_grad():
            values = [example[:1]]
            for step, source in zip(self.graph.steps, self.graph.sources):
                values.append(step(*(values[one] for one in source)))
        self.shapes = [tuple(one.shape[1:]) for one in values]
        for place, step in enumerate(self.graph.steps):
            if isinstance(step, Affine):
                drawn = seed.child("power iteration", place).generator().standard_normal(self._shape_into(place))
                start = torch.as_tensor(drawn, dtype=example.dtype, device=example.device)[None]
                self.vectors[place] = start / start.norm()

    def __call__(self) -> pt.Tensor:
        """K (class, class) at the present weights, with a graph to them."""
        import torch

        last, bounds = len(self.graph.steps) - 1, [self.one]
        for place, (step, source) in enumerate(zip(self.graph.steps, self.graph.sources)):
            if place == last and isinstance(step, Affine):
                return self._score_gaps(step, place) * bounds[source[0]]
            bounds.append(self._bound(step, place, [bounds[one] for one in source]))
        classes = self.shapes[-1][0]
        unlike = 2**0.5 * (1 - torch.eye(classes)) if classes > 1 else torch.ones((1, 1))
        return unlike.to(self.one) * bounds[-1]

    def _shape_into(self, place: int) -> tuple[int, ...]:
        return self.shapes[self.graph.sources[place][0]]

    def _score_gaps(self, step: Affine, place: int) -> pt.Tensor:
        """‖w_i − w_j‖ of the rows of the last layer; ‖w‖ of a single one."""
        import torch

        example = self.vectors[place]
        classes = self.shapes[-1][0]
        with torch.enable_grad():
            x = example.new_zeros((classes, *self._shape_into(place)), requires_grad=True)
            unit = torch.eye(classes, dtype=x.dtype, device=x.device)
            rows = torch.autograd.grad((step(x) * unit).sum(), x, create_graph=True)[0].flatten(1)
        if classes == 1:
            return rows.norm(dim=1, keepdim=True)
        gaps = (rows[:, None] - rows).square().sum(dim=2)
        return torch.sqrt(gaps + torch.eye(classes, dtype=gaps.dtype, device=gaps.device)) * (1 - unit)

    def _bound(self, step: Any, place: int, before: list[pt.Tensor]) -> pt.Tensor:
        """The constant of a step's output from those of what it reads."""
        from torch import nn

        if isinstance(step, Sum):
            return before[0] + before[1]
        if isinstance(step, Activation):
            return before[0] * step.largest_slope
        if isinstance(step, MaxPool):
            return before[0] * step.overlap**0.5
        layer = step.layer
        if isinstance(layer, nn.Flatten | nn.Identity | nn.Dropout):
            return before[0]
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            norm: Any = layer
            scale = (norm.running_var + norm.eps).rsqrt()
            return before[0] * (scale if norm.weight is None else scale * norm.weight.abs()).max()
        return before[0] * self._norm(step, place)

    def _norm(self, step: Affine, place: int) -> pt.Tensor:
        """‖W u‖ after some steps of power iteration, differentiable by the weights."""
        import torch

        u = self.vectors[place]
        zero = torch.zeros_like(u)
        for _ in range(ITERATIONS):
            with torch.enable_grad():
                x = u.detach().requires_grad_(True)
                out = step(x) - step(zero)
                u = torch.autograd.grad((out * out.detach()).sum(), x)[0]
            u = u / u.norm().clamp_min(1e-30)
        self.vectors[place] = u.detach()
        norm: pt.Tensor = (step(self.vectors[place]) - step(zero)).norm()
        return norm
