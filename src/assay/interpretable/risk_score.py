# SPDX-License-Identifier: Apache-2.0
"""Risk scores: whole-number points for few conditions, with a proved gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import expit
from sklearn.utils.validation import check_is_fitted

from assay.basics.errors import InputError
from assay.basics.stats import Interval, wilson
from assay.basics.types import Floats, Masks
from assay.engine.distinct.risk_scores import PointsProblem, affordable_nodes, best_points
from assay.engine.distinct.table import DistinctRows
from assay.interpretable.certificate import OptimalityCertificate
from assay.interpretable.estimator import InterpretableClassifier

MULTIPLIERS = (1.0, 2.0, 3.0, 4.0, 5.0)
"""The divisors of a score among which ``multiplier="search"`` chooses."""


@dataclass(frozen=True)
class ScoreRisk:
    """One total score: the risk that the model states, and the share of the second class among rows with this score."""

    score: int
    risk: float
    rows: int
    positives: int
    observed: Interval

    @property
    def text(self) -> str:
        """The score, its risk, and what was observed, in words."""
        seen = f"{self.positives / self.rows:.0%} of {self.rows} rows" if self.rows else "no rows"
        return (
            f"score {_signed(self.score)}: risk {self.risk:.0%} (observed {seen}, 95 % interval "
            f"{self.observed.low:.0%} to {self.observed.high:.0%})"
        )


class RiskScore(InterpretableClassifier):
    """Points for conditions, added up; the sum gives the risk of the second class by a logistic curve.

    Minimises the mean log loss + ``penalty`` · number of conditions with points, over whole numbers from −``points`` to
    ``points`` and a whole-number intercept without a limit or penalty, with at most ``items`` conditions. The risk is
    1 / (1 + e^(−(score + intercept) / multiplier)). ``multiplier="search"`` chooses the best of 1, 2, 3, 4 and 5, which
    is another, larger class of models: its losses are not comparable with those of ``multiplier=1`` at equal points.
    ``certificate_`` holds the lower bound; the search ends at a relative gap of ``tolerance``, or after ``nodes``
    boxes (by default at most 5,000, fewer for large tables, about 10 seconds). ``calibration_`` has one line for each
    score that training rows got (``ScoreRisk``, with Wilson's intervals); ``calibration`` measures the same on other
    rows, which alone says whether the risks hold there.

    RiskSLIM (Ustun and Rudin, 2019) solves the problem of ``multiplier=1`` by cutting planes, FasterRisk (Liu et al.,
    2022) searches multipliers without a bound. Not for more than about 40 conditions, or continuous interactions.
    """

    def __init__(
        self,
        penalty: float = 0.005,
        *,
        items: int = 10,
        points: int = 10,
        multiplier: Literal[1, "search"] = 1,
        tolerance: float = 1e-3,
        least: float = 0.01,
        cuts: int | Mapping[str, Sequence[float]] = 4,
        most: int = 40,
        nodes: int | None = None,
    ) -> None:
        self.penalty = penalty
        self.items = items
        self.points = points
        self.multiplier = multiplier
        self.tolerance = tolerance
        self.least = least
        self.cuts = cuts
        self.most = most
        self.nodes = nodes

    def _search(self, table: DistinctRows) -> None:
        self._check_options()
        multipliers = MULTIPLIERS if self.multiplier == "search" else (1.0,)
        nodes = affordable_nodes(table, len(multipliers)) if self.nodes is None else self.nodes
        problem = PointsProblem(table, self.penalty, self.points, self.items)
        found = best_points(problem, multipliers, self.tolerance, nodes)
        self.intercept_ = int(found.points[0])
        self.points_ = found.points[1:].astype(np.int64)
        self.multiplier_ = found.multiplier
        self.loss_ = found.loss
        gap = (found.objective - found.lower_bound) / found.objective if found.objective > 0 else 0.0
        self.certificate_ = OptimalityCertificate(
            found.objective,
            found.lower_bound,
            "mean log loss + penalty · items",
            self.penalty,
            f"risk scores of at most {self.items} items, whole numbers from −{self.points} to {self.points}, "
            f"{'multiplier 1' if len(multipliers) == 1 else 'multipliers 1 to 5'}",
            self.binariser_.names,
            found.nodes,
            "optimal" if gap <= self.tolerance else "feasible",
        )
        self.calibration_ = self._calibration(table.masks, table.counts)
        self.text_ = self.as_text()

    def _check_options(self) -> None:
        if self.penalty < 0 or self.items < 1 or self.points < 1 or self.multiplier not in (1, "search"):
            raise InputError(
                f"penalty={self.penalty}, items={self.items}, points={self.points}, multiplier={self.multiplier!r}; "
                f"needed: a penalty of 0 or more, items and points of 1 or more, and a multiplier of 1 or 'search'."
            )
        if not 0 <= self.tolerance < 1 or (self.nodes is not None and self.nodes < 1):
            raise InputError(
                f"tolerance={self.tolerance}, nodes={self.nodes}; needed: 0 ≤ tolerance < 1 and at least one node."
            )

    def total_points(self, X: Any) -> Any:
        """The sum of the points of each row (row,), without the intercept."""
        check_is_fitted(self)
        return self.binariser_(X).astype(np.int64) @ self.points_

    def calibration(self, X: Any, y: Any) -> tuple[ScoreRisk, ...]:
        """What was observed at each total score on these rows; ``InputError`` for labels of other classes."""
        masks, labels = self.binariser_(X), np.asarray(y)
        known = np.isin(labels, self.classes_)
        if labels.shape != (len(masks),) or not known.all():
            raise InputError(f"one label a row of {list(self.classes_)} is needed for {len(masks)} rows.")
        return self._calibration(masks, (labels[:, None] == self.classes_[None, :]).astype(np.float64))

    def _risk(self, total: Any) -> Floats:
        return np.asarray(expit((total + self.intercept_) / self.multiplier_), dtype=np.float64)

    def _calibration(self, masks: Masks, counts: Floats) -> tuple[ScoreRisk, ...]:
        totals = masks.astype(np.int64) @ self.points_
        lines = []
        for score in np.unique(totals).tolist():
            rows = counts[totals == score].sum(axis=0)
            positives, number = int(rows[1]), int(rows.sum())
            lines.append(ScoreRisk(score, float(self._risk(score)), number, positives, wilson(positives, number)))
        return tuple(lines)

    def _probabilities(self, masks: Masks) -> Floats:
        risk = self._risk(masks.astype(np.int64) @ self.points_)
        return np.column_stack([1 - risk, risk])

    def as_text(self) -> str:
        """The model in lines."""
        used = np.flatnonzero(self.points_)
        used = used[np.argsort(-np.abs(self.points_[used]), kind="stable")]
        lines = [f"{self.binariser_.names[j]}: {_signed(int(self.points_[j]))}" for j in used]
        inner = f"score {'−' if self.intercept_ < 0 else '+'} {abs(self.intercept_)}" if self.intercept_ else "score"
        inner = f"({inner})" if self.intercept_ else inner
        inner = f"{inner} / {self.multiplier_:g}" if self.multiplier_ != 1 else inner
        lines = lines or ["no condition has points"]
        lines.append(f"risk of {self.classes_[1]} = 1 / (1 + exp(−{inner}))")
        return "\n".join([*lines, *(one.text for one in self.calibration_)])


def _signed(value: int) -> str:
    return f"+{value}" if value > 0 else f"−{-value}" if value < 0 else "0"
