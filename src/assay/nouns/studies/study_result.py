# SPDX-License-Identifier: Apache-2.0
"""What the answers of a study with people say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from assay.basics.errors import InputError
from assay.basics.stats import Interval
from assay.nouns.records.saveable import Saveable
from assay.nouns.results.result import Note
from assay.nouns.studies.questionnaire import NONE


@dataclass(frozen=True, repr=False, eq=False)
class ArmEffect:
    """People and accuracies of one arm; ``effect`` is its gain minus that of the arm without explanations."""

    people: int
    before: float
    after: float
    gain: float
    gain_error: float
    effect: float
    effect_error: float
    freedom: int
    p_value: float
    adjusted_p: float


@dataclass(frozen=True, repr=False, eq=False)
class StudyResult(Saveable):
    """Accuracy of people who guess the model's class, before and after explanations, by arm.

    ``arms`` maps each arm to its numbers; ``rows`` is the number of test rows. Standard errors are robust to clusters
    of answers by person and by row. ``adjusted_p`` is Holm's over the arms with explanations. ``excluded`` counts
    people left out, by reason.
    """

    kind: str
    method: str
    rows: int
    arms: Mapping[str, ArmEffect]
    excluded: Mapping[str, int]
    level: float = 0.95
    notes: tuple[Note, ...] = ()

    def gain_interval(self, arm: str) -> Interval:
        """Interval of the accuracy after minus before, of one arm."""
        return self._interval(self._of(arm).gain, self._of(arm).gain_error, self._of(arm).freedom)

    def effect_interval(self, arm: str) -> Interval:
        """Interval of the arm's gain minus that without explanations."""
        return self._interval(self._of(arm).effect, self._of(arm).effect_error, self._of(arm).freedom)

    def to_frame(self, backend: Any = "pandas") -> Any:
        """One line an arm."""
        import narwhals as nw

        limits = [self.effect_interval(arm) for arm in self.arms]
        columns = {"arm": list(self.arms)} | {
            name: [getattr(one, name) for one in self.arms.values()]
            for name in ("people", "before", "after", "gain", "effect", "p_value", "adjusted_p")
        }
        columns |= {"effect_low": [one.low for one in limits], "effect_high": [one.high for one in limits]}
        return nw.from_dict(columns, backend=backend).to_native()

    def _of(self, arm: str) -> ArmEffect:
        if arm not in self.arms:
            raise InputError(f"arm={arm!r}; there are {', '.join(self.arms)}.")
        return self.arms[arm]

    def _interval(self, value: float, error: float, freedom: int) -> Interval:
        if freedom < 1 or not np.isfinite(error):
            return Interval(float("nan"), float("nan"), self.level, "undefined")
        half = float(scipy_stats.t.ppf((1 + self.level) / 2, freedom)) * error
        return Interval(value - half, value + half, self.level, "student, clusters by person and row")

    def __repr__(self) -> str:
        lines = [f"StudyResult of {self.kind} simulation, {self.rows} test rows, explanations by {self.method}"]
        for arm, one in self.arms.items():
            limits = self.gain_interval(arm)
            text = f"  {arm}: {one.people} people, {one.before:.3f} before, {one.after:.3f} after, gain {one.gain:+.3f}"
            text += f" [{limits.low:+.3f}, {limits.high:+.3f}]"
            if arm != NONE:
                limits = self.effect_interval(arm)
                text += f"; against none {one.effect:+.3f} [{limits.low:+.3f}, {limits.high:+.3f}]"
                text += f", p {one.p_value:.3g}, Holm {one.adjusted_p:.3g}"
            lines.append(text)
        left = ", ".join(f"{count} {reason}" for reason, count in self.excluded.items() if count)
        return "\n".join([*lines, f"  left out: {left or 'none'}", *(f"  note: {note.text}" for note in self.notes)])
