"""Tables with clean and with wrong labels, and models of them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import assay


@cache
def digits() -> tuple[Any, Any]:
    """900 pictures of digits as rows of 64 numbers, and their classes."""
    x, y = load_digits(return_X_y=True)
    return x[:900] / 16, y[:900]


def swapped(y: Any, share: float, seed: int, classes: int = 10) -> tuple[Any, Any]:
    """Labels of which a share is that of the next class, and which."""
    wrong = np.random.default_rng(seed).random(len(y)) < share
    return np.where(wrong, (y + 1) % classes, y), wrong


def border(seed: int, rows: int, world: str = "logistic") -> tuple[Any, Any]:
    """Rows with a noisy border and no wrong label."""
    generator = np.random.default_rng(seed)
    if world == "clusters":
        y = generator.integers(3, size=rows)
        return generator.normal(size=(rows, 4)) + 2 * np.eye(3, 4)[y], y
    x = generator.normal(size=(rows, 4))
    if world == "strip":  # labels at random in a strip, and right outside
        inside = np.abs(x[:, 0]) < 0.5
        return x, np.where(inside, generator.integers(2, size=rows), x[:, 0] > 0).astype(int)
    odds = {"logistic": 2 * x[:, 0] + x[:, 1], "product": 5 * x[:, 0] * x[:, 1], "weak": 0.7 * x[:, 0] - 1.5}[world]
    return x, (generator.random(rows) < 1 / (1 + np.exp(-odds))).astype(int)


@cache
def digits_model() -> Any:
    x, y = digits()
    return assay.wrap(LogisticRegression(max_iter=50, C=0.1).fit(x, y))


def logistic_recipe(x: Any, y: Any) -> assay.Recipe:
    return assay.Recipe(lambda x, y, seed, strength: LogisticRegression(max_iter=200).fit(x, y), x, y)


def of_rows(x: Any, y: Any) -> Any:
    """A case of ten of these rows and a linear model of them."""
    return assay.case(assay.wrap(LogisticRegression(max_iter=200).fit(x, y)), x[:10])
