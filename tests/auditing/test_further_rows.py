"""The further rows that an undecided check asks for decide it in at least 80 % of runs, for every kind of estimate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pytest

from assay.auditing.joint_verdicts import further_rows_needed
from assay.basics.stats import Basis, auc
from assay.nouns.results.finding import Finding, judge

GENERATOR = np.random.default_rng(0)
LEAST = 0.8


@pytest.fixture(autouse=True)
def same_draws() -> None:
    GENERATOR.bit_generator.state = np.random.default_rng(0).bit_generator.state


@dataclass(frozen=True)
class Kind:
    """How data of one kind are drawn for a true ``effect``, and what is judged."""

    threshold: float
    direction: Literal["at most", "at least"]
    effect: Callable[[int], Any]
    draw: Callable[[Any, int], Any]
    join: Callable[[Any, Any], Any]
    read: Callable[[Any], tuple[float, Basis, int]]


def _means(values: Any) -> tuple[float, Basis, int]:
    return float(values.mean()), Basis("student", {"values": values}), len(values)


def _rate(counts: Any) -> tuple[float, Basis, int]:
    hits, trials = counts
    return hits / trials, Basis("rate", {"hits": np.array(hits), "trials": np.array(trials)}), int(trials)


def _area(sides: Any) -> tuple[float, Basis, int]:
    inside, outside = sides
    area = auc(inside, outside)
    sizes = {"count": len(inside), "other": len(outside)}
    return area, Basis("area", {"area": area, **sizes}), sum(sizes.values())


def _groups(how: str) -> Callable[[Any], tuple[float, Basis, int]]:
    def read(counts: Any) -> tuple[float, Basis, int]:
        rates = counts[0] / counts[1]
        estimate = np.ptp(rates) if how == "pairs" else rates.min() / max(rates.max(), 1e-9)
        return float(estimate), Basis(how, {"hits": counts[0], "trials": counts[1]}), int(counts[1].sum())

    return read


def _draw_groups(rates: Any, rows: int) -> Any:
    trials = np.full(len(rates), -(-rows // len(rates)))
    return np.stack([GENERATOR.binomial(trials, rates), trials])


def _draw_sides(effect: float, rows: int) -> Any:
    half = -(-rows // 2)
    return GENERATOR.normal(0, 1, half), GENERATOR.normal(effect, 1, half)


def _rates(groups: int) -> Callable[[int], Any]:
    return lambda _: np.clip(GENERATOR.uniform(0.1, 0.9) + GENERATOR.uniform(-0.15, 0.15, groups), 0.01, 0.99)


KINDS = {
    "a mean": Kind(
        0.0,
        "at least",
        lambda rows: GENERATOR.uniform(-6, 6) / np.sqrt(rows),
        lambda effect, rows: GENERATOR.normal(effect, 1, rows),
        lambda one, two: np.concatenate([one, two]),
        _means,
    ),
    "a rate": Kind(
        0.3,
        "at most",
        lambda rows: np.clip(0.3 + GENERATOR.uniform(-3, 3) / np.sqrt(rows), 0, 1),
        lambda effect, rows: np.array([GENERATOR.binomial(rows, effect), rows]),
        lambda one, two: one + two,
        _rate,
    ),
    "an area": Kind(
        0.65,
        "at most",
        lambda rows: 0.545 + GENERATOR.uniform(-14, 14) / np.sqrt(rows),
        _draw_sides,
        lambda one, two: tuple(np.concatenate(pair) for pair in zip(one, two)),
        _area,
    ),
    "a gap of two groups": Kind(0.1, "at most", _rates(2), _draw_groups, lambda one, two: one + two, _groups("pairs")),
    "a gap of four groups": Kind(0.1, "at most", _rates(4), _draw_groups, lambda one, two: one + two, _groups("pairs")),
    "a ratio of two groups": Kind(
        0.8, "at least", _rates(2), _draw_groups, lambda one, two: one + two, _groups("ratios")
    ),
}


def _finding(kind: Kind, data: Any, level: float) -> Finding:
    estimate, basis, rows = kind.read(data)
    interval = basis.at(level)
    verdict = judge(interval, kind.threshold, kind.direction)
    found = Finding("FAI101", verdict, "", "m", estimate, interval, kind.threshold, kind.direction, n=rows)
    return replace(found, basis=basis)


@pytest.mark.parametrize("level", [0.95, 0.995])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_said_number_of_rows_decides(kind: Kind, level: float) -> None:
    rows, decided, asked = 120, 0, 0
    for _ in range(400):
        effect = kind.effect(rows)
        data = kind.draw(effect, rows)
        first = _finding(kind, data, level)
        more = further_rows_needed(first) if first.verdict == "undecided" else None
        if more is None or more > 300 * rows:
            continue
        asked += 1
        decided += _finding(kind, kind.join(data, kind.draw(effect, more)), level).verdict != "undecided"
        if asked == 80:
            break
    assert asked >= 40
    assert decided / asked >= LEAST - 2.5 * np.sqrt(LEAST * (1 - LEAST) / asked)


def test_a_number_that_only_narrows_the_interval_would_decide_less_often() -> None:
    kind, rows, decided = KINDS["a mean"], 60, []
    while len(decided) < 200:
        effect = kind.effect(rows)
        data = kind.draw(effect, rows)
        first = _finding(kind, data, 0.95)
        if first.verdict != "undecided" or first.interval is None:
            continue
        reach = (first.interval.high - first.interval.low) / 2
        more = int(np.ceil(rows * ((reach / abs(first.estimate)) ** 2 - 1)))
        if more <= 300 * rows:
            again = _finding(kind, kind.join(data, kind.draw(effect, max(more, 1))), 0.95)
            decided.append(again.verdict != "undecided")
    assert np.mean(decided) < 0.7
