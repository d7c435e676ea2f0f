"""SAGE's permutation sampler, transcribed from Algorithm 1 of Covert, Lundberg and Lee 2020."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np


def sampled(
    f: Callable[[Any], Any],
    loss: Callable[[Any, Any], float],
    examples: Iterable[tuple[Any, Any]],
    orders: Iterable[Any],
    rest: Callable[[], Any],
    parts: int,
) -> Any:
    """Mean fall of the loss of the mean prediction as parts join, over examples (x, y) and their orders."""
    total, count = np.zeros(parts), 0
    for (x, y), order in zip(examples, orders):
        known: list[int] = []
        previous = loss(f(rest()).mean(axis=0), y)
        for part in order:
            known.append(int(part))
            filled = np.array(rest())
            filled[:, known] = x[known]
            now = loss(f(filled).mean(axis=0), y)
            total[part] += previous - now
            previous = now
        count += 1
    return total / count
