"""Cases whose outputs or decisions are given, and the findings about them."""

from __future__ import annotations

from typing import Any

import numpy as np

import assay
from assay import diagnose
from assay.nouns.results.finding import Finding


def giving(outputs: Any, kind: str = "probabilities", classes: tuple[str, ...] = ()) -> Any:
    """A case whose row i gets the outputs ``outputs[i]``."""
    table = np.asarray(outputs, dtype=float)
    model = assay.wrap(lambda x: table[x[:, 0].astype(int)], output=kind, classes=classes)
    return assay.case(model, np.arange(len(table), dtype=float)[:, None])


def two(probability: Any) -> Any:
    return giving(np.stack([1 - probability, probability], axis=1), classes=("no", "yes"))


def performance_of(case: Any, labels: Any, **options: Any) -> dict[str, Finding]:
    return {f.code: f for f in diagnose.performance(case, labels, **options)}


def drawn(seed: int, rows: int, sharpness: float = 1.0) -> tuple[Any, Any]:
    """Probabilities on a coarse grid, so that many tie, and events; ``sharpness`` 1 is calibrated."""
    generator = np.random.default_rng(seed)
    odds = np.round(generator.normal(0, 1.5, rows), 1)
    event = (generator.random(rows) < 1 / (1 + np.exp(-odds))).astype(int)
    return 1 / (1 + np.exp(-sharpness * odds)), event


def three(seed: int, rows: int = 200) -> tuple[Any, Any]:
    generator = np.random.default_rng(seed)
    scores = np.round(generator.normal(size=(rows, 3)), 1)
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return chances, np.array([generator.choice(3, p=line) for line in chances])


def rule() -> Any:
    """Grants where the first number plus half the second is above 0; the third never matters."""
    return assay.model.function(
        lambda x: x[:, 0] + 0.5 * x[:, 1], gives="margin", classes=("refused", "granted"), name="rule"
    )


def disparity_of(x: Any, groups: Any, **options: Any) -> dict[str, Finding]:
    options = {"remove": assay.Constant(-1.0), "smallest": 1} | options
    case = assay.case(rule(), np.asarray(x, float))
    return {f.code: f for f in diagnose.disparity(case, groups, favourable="granted", **options)}


def table(grants: dict[str, tuple[int, int]]) -> tuple[Any, list[str]]:
    """Rows of three numbers of which so many of so many are granted in each group."""
    x, groups = [], []
    for name, (hits, trials) in grants.items():
        x += [[1.0, 0.0, 0.0]] * hits + [[-1.0, 0.0, 0.0]] * (trials - hits)
        groups += [name] * trials
    return np.array(x), groups


def planted(rows: int = 120, seed: int = 0) -> tuple[Any, Any]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, 3))
    groups = np.where(np.arange(rows) % 2, "women", "men")
    x[groups == "men", 0] += 1.5
    return x, groups
