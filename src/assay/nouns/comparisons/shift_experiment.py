# SPDX-License-Identifier: Apache-2.0
"""The result of a study of explanation shift: one line for each way of training, softening and shifting."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from assay.basics.errors import InputError
from assay.basics.stats import Interval
from assay.nouns.comparisons.explanation_shift import SIMILARITIES
from assay.nouns.records.plottable import Plottable
from assay.nouns.records.saveable import Saveable

MEASURES = (*SIMILARITIES, "distance", "relative", "turned")
"""The measures of ``assay.explanation_shift``."""


@dataclass(frozen=True)
class ShiftLine:
    """One setting of the study; each measure is a mean over pairs of models and rows.

    ``strength`` is the recipe's (weight decay, …), ``sharpness`` that of the softplus put in after training (``None``:
    none), ``shift`` the size of the data shift. ``intervals`` are of other seeds; ``retraining`` are the means between
    models of different seeds without a shift. ``weights`` is the mean distance of the weights of a pair, ``constant``
    the estimated gradient–parameter Lipschitz constant; NaN where there is no path between them.
    """

    recipe: str
    strength: float
    sharpness: float | None
    shift: float
    pairs: int
    accuracy_before: float
    accuracy_after: float
    unequal: bool
    means: Mapping[str, float]
    intervals: Mapping[str, Interval]
    retraining: Mapping[str, float]
    weights: float
    constant: float

    @property
    def name(self) -> str:
        """The setting in words."""
        recipe = self.recipe or "recipe"
        softplus = "" if self.sharpness is None else f", softplus {self.sharpness:g}"
        return f"{recipe}, strength {self.strength:g}{softplus}, shift {self.shift:g}"


@dataclass(frozen=True, repr=False)
class ShiftExperiment(Saveable, Plottable):
    """All settings of a study of explanation shift on the same ``rows``, explained by ``method``."""

    lines: tuple[ShiftLine, ...]
    method: str
    rows: int
    k: int
    level: float
    seed: int
    versions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, frame: Any, **about: Any) -> ShiftExperiment:
        """From the data frame of ``assay.shift_study``."""
        import narwhals as nw

        level = about["level"]
        lines = []
        for row in nw.from_native(frame).iter_rows(named=True):
            sharpness = float(row["sharpness"])
            lines.append(
                ShiftLine(
                    row["recipe"],
                    float(row["strength"]),
                    None if sharpness == float("inf") else sharpness,
                    float(row["shift"]),
                    int(row["pairs"]),
                    float(row["accuracy before"]),
                    float(row["accuracy after"]),
                    bool(row["unequal"]),
                    {name: float(row[name]) for name in MEASURES},
                    {
                        name: Interval(float(row[f"{name} low"]), float(row[f"{name} high"]), level, "student")
                        for name in MEASURES
                    },
                    {name: float(row[f"{name} retraining"]) for name in MEASURES},
                    float(row["weights"]),
                    float(row["constant"]),
                )
            )
        return cls(tuple(lines), **about)

    def most_stable(self, measure: str = "sign") -> ShiftLine:
        """The setting with the largest similarity or the smallest distance, among those that are not ``unequal``.

        The first of equals; without an interval it says nothing about chance. ``InputError`` where all are unequal.
        """
        if measure not in MEASURES:
            raise InputError(f"measure={measure!r}; there are {', '.join(MEASURES)}.")
        comparable = [line for line in self.lines if not line.unequal and line.means[measure] == line.means[measure]]
        if not comparable:
            raise InputError("in every setting the accuracies before and after the shift differ; none can be compared.")
        sign = 1 if measure in SIMILARITIES else -1
        return max(comparable, key=lambda line: sign * line.means[measure])

    def to_json(self) -> str:
        """Everything as JSON."""
        from assay.nouns.records.jsonable import to_jsonable

        return json.dumps(to_jsonable(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def __repr__(self) -> str:
        lines = [
            f"  {line.name}: sign {line.means['sign']:.3g} [{line.intervals['sign'].low:.3g}, "
            f"{line.intervals['sign'].high:.3g}], relative {line.means['relative']:.3g}"
            for line in self.lines
        ]
        head = f"ShiftExperiment of {len(self.lines)} settings: {self.method} on {self.rows} rows, top {self.k}"
        return "\n".join([head, *lines])
