# SPDX-License-Identifier: Apache-2.0
"""Points of a ball where the loss of a row is high, for adversarial training."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.types import Array
from assay.engine.search.ball import Ball
from assay.nouns.inputs.rows import Rows


def adversarial_rows(ball: Ball, steps: int, seed: Seed) -> Callable[[Callable[[Array], Array], Array], Array]:
    """A function (losses, rows) → rows: the last point of a projected ascent on the losses (row,), without a graph.

    From a random point of the ball, another in each call; each step has the length 2.5 / ``steps`` of the radius, 1.25
    radii where there is one step only.
    """
    calls, length = count(), (1.25 if steps == 1 else 2.5 / steps) * ball.radius

    def draw(losses: Callable[[Array], Array], x: Array) -> Array:
        pt = need("torch", extra="torch")
        names = tuple(map(str, range(len(x))))
        moved = ball.draw(Rows(x, names), seed.child("start", next(calls)))
        for _ in range(steps):
            moved = moved.detach().requires_grad_(True)
            slope = pt.autograd.grad(losses(moved).sum(), moved)[0]
            moved = ball.project(moved.detach() + length * ball.steepest(slope), x)
        return moved.detach()

    return draw
