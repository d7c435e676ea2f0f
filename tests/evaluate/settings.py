"""Cases that the tests of scores share."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import RandomForestClassifier

from assay import examples, explain, model
from assay.cases.case import Case
from assay.cases.new_case import case
from assay.nouns.results.result import Explanation

MATRIX = np.random.default_rng(5).normal(size=(6, 6))
ROWS = np.random.default_rng(6).normal(size=(4, 6))


def curved(rows: Any = ROWS, **options: Any) -> Case:
    """A model whose six columns interact."""
    return examples.quadratic(MATRIX, rows, **options)


def curved_value(x: Any) -> float:
    """The same model, for the oracles: a row at a time."""
    return float(sum(x[i] * MATRIX[i, j] * x[j] for i in range(6) for j in range(6)))


def replace_values(explanation: Explanation, values: Any) -> Explanation:
    """The explanation with other values."""
    return replace(explanation, values=np.asarray(values, dtype=float))


def normalised(parts: int = 12) -> tuple[Case, Explanation, Explanation, Explanation]:
    """An additive model with its true, its shuffled and its reversed explanation."""
    effects = np.random.default_rng(7).uniform(0.2, 3.0, parts)
    case = examples.additive(effects)
    true = explain.integrated_gradients(case)
    shuffled = replace_values(true, np.random.default_rng(8).permutation(true.values[0])[None])
    reversed_order = replace_values(true, true.values.max() + true.values.min() - true.values)
    return case, true, shuffled, reversed_order


@cache
def digits_net() -> tuple[torch.nn.Module, Any, Any]:
    """A small net trained on the digits, test images (row, 1, 8, 8) and their labels."""
    x, y = load_digits(return_X_y=True)
    images, labels = torch.tensor(x, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16, torch.tensor(y)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = torch.nn.Sequential(
            torch.nn.Conv2d(1, 6, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(384, 10),
        )
        weights = list(net.parameters())
        for _ in range(60):
            loss = torch.nn.functional.cross_entropy(net(images[200:700]), labels[200:700])
            for weight, gradient in zip(weights, torch.autograd.grad(loss, weights)):
                weight.data -= 0.8 * gradient
    return net.eval(), images[:200], labels[:200]


def digits(rows: int = 6, **options: Any) -> Case:
    """A case of the first test digits."""
    net, images, _ = digits_net()
    return case(model.torch(net), images[:rows], **options)


@cache
def _forest() -> tuple[RandomForestClassifier, Any]:
    x, y = load_breast_cancer(return_X_y=True)
    return RandomForestClassifier(12, max_depth=4, random_state=0).fit(x[100:], y[100:]), x


def forest(rows: int = 3) -> tuple[Case, Any]:
    """A case of breast cancer rows, and a small background."""
    fitted, x = _forest()
    return case(model.sklearn(fitted), x[:rows]), x[100:110]
