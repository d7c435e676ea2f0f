"""Spearman's correlation, with ranks counted one comparison at a time."""

from typing import Any

from tests.oracles.random_removal import pearson


def ranks(values: Any) -> list[float]:
    """1 + how many are smaller + half of how many others are equal."""
    return [1.0 + sum(o < v for o in values) + (sum(o == v for o in values) - 1) / 2 for v in values]


def spearman(a: Any, b: Any) -> float:
    """Pearson's correlation of the ranks."""
    return pearson(ranks(list(a)), ranks(list(b)))
