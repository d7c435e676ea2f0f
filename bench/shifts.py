"""Does the shift check err as rarely as it says? Simulations behind tests/judge/test_shifts.py.

Tiny nets, v · tanh(Wx + b), trained by a few steps of stochastic gradient descent: seeds give another start and another
order of rows, so training again moves explanations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import assay
from assay import diagnose, explain
from assay.basics.seed import Seed
from assay.model.adapters.function import function

WEIGHTS = np.array([2.0, -1.5, 1.0, 0.7, -0.5, 0.3, 0.0, 0.0])
UNITS, STEPS, SLICE, RATE = 10, 60, 32, 0.2


@dataclass(frozen=True, eq=False)
class Net:
    """f(x) = v · tanh(Wx + b), and its gradient."""

    inner: np.ndarray
    shift: np.ndarray
    outer: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(np.tanh(x @ self.inner.T + self.shift) @ self.outer)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        bent = 1 - np.tanh(x @ self.inner.T + self.shift) ** 2
        return np.asarray((bent * self.outer) @ self.inner)

    @property
    def model(self) -> assay.Model:
        fingerprint = str(hash(self.inner.tobytes()))
        return function(self.__call__, gradient=self.gradient, name="tiny net", fingerprint=fingerprint)


def trained(x: np.ndarray, y: np.ndarray, seed: Seed, count: int) -> list[assay.Model]:
    """Nets trained side by side, each with its own start and its own order of rows."""
    generator = seed.generator()
    inner = generator.normal(size=(count, UNITS, x.shape[1])) / np.sqrt(x.shape[1])
    shift, outer = np.zeros((count, 1, UNITS)), generator.normal(size=(count, UNITS, 1)) / np.sqrt(UNITS)
    for _ in range(STEPS):
        rows = generator.integers(len(x), size=(count, SLICE))
        bent = np.tanh(x[rows] @ inner.transpose(0, 2, 1) + shift)
        error = (bent @ outer - y[rows][..., None]) / SLICE
        back = error * outer.transpose(0, 2, 1) * (1 - bent**2)
        outer = outer - RATE * bent.transpose(0, 2, 1) @ error
        inner = inner - RATE * back.transpose(0, 2, 1) @ x[rows]
        shift = shift - RATE * back.sum(axis=1, keepdims=True)
    return [Net(a, b[0], c[:, 0]).model for a, b, c in zip(inner, shift, outer)]


def sampled(generator: np.random.Generator, rows: int, weights: np.ndarray = WEIGHTS) -> tuple[Any, Any]:
    x = generator.normal(size=(rows, len(weights)))
    return x, np.tanh(x @ weights / 2) + 0.3 * x[:, 0] * x[:, 1] + 0.1 * generator.normal(size=rows)


def swapped() -> np.ndarray:
    """The planted shift: two columns change places in what makes the labels."""
    return WEIGHTS[[5, 1, 2, 3, 4, 0, 6, 7]]


@cache
def limits(
    runs: int, *, planted: bool, refits: int = 9, others: int = 1, rows: int = 30, clusters: int = 0
) -> dict[str, np.ndarray]:
    """Intervals (run, 2) of the excess by code; without a plant the others are trained on the same rows, as refits are.

    With ``clusters``, rows are that many points and small moves of them, named as clusters.
    """
    found: dict[str, list[tuple[float, float]]] = {"SHF101": [], "SHF102": []}
    for run in range(runs):
        generator, seed = Seed(run).child("shifts").generator(), Seed(run)
        x, y = sampled(generator, 300)
        after = sampled(generator, 300, swapped()) if planted else (x, y)
        own, *again = trained(x, y, seed.child("before"), 1 + refits)
        waiting = iter(again)
        recipe = assay.Recipe(lambda x, y, seed, strength, waiting=waiting: next(waiting), x, y)
        groups = np.arange(rows) % clusters if clusters else None
        seen = sampled(generator, clusters or rows)[0]
        seen = seen if groups is None else seen[groups] + 0.1 * generator.normal(size=(rows, seen.shape[1]))
        case = assay.case(own, seen, seed=run)
        other = trained(*after, seed.child("after"), others)
        for finding in diagnose.explanation_shift(
            case, explain.saliency(case, signed=True), other=other, recipe=recipe, k=3, refits=refits, clusters=groups
        )[:2]:
            assert finding.interval is not None
            found[finding.code].append((finding.interval.low, finding.interval.high))
    return {code: np.array(pairs) for code, pairs in found.items()}


def verdicts(runs: int, code: str, margin: float = 0.0, **setting: Any) -> dict[str, float]:
    """Shares of runs that pass, fail or stay undecided when the excess is held to this margin."""
    low, high = limits(runs, **setting)[code].T
    passed, failed = float(np.mean(high <= margin)), float(np.mean(low > margin))
    return {"pass": passed, "undecided": 1 - passed - failed, "fail": failed}


def main() -> None:
    settings: list[dict[str, Any]] = [
        {"refits": 9},
        {"refits": 3},
        {"refits": 9, "others": 4},
        {"refits": 9, "rows": 60, "clusters": 20},
    ]
    for setting in settings:
        for planted, runs in ((False, 1000), (True, 100)):
            for code in ("SHF101", "SHF102"):
                for margin in (0.0, 0.1):
                    found = verdicts(runs, code, margin, planted=planted, **setting)
                    print(f"{'planted' if planted else 'null'} {setting} {code} margin {margin}: {found}", flush=True)


if __name__ == "__main__":
    main()
