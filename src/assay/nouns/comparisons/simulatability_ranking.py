# SPDX-License-Identifier: Apache-2.0
"""Explanations of the same rows in the order of what students learn from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assay.basics.errors import InputError
from assay.basics.stats import Interval
from assay.nouns.comparisons.simulatability import Simulatability
from assay.nouns.records.saveable import Saveable
from assay.nouns.results.result import Note


@dataclass(frozen=True, repr=False, eq=False)
class SimulatabilityRanking(Saveable):
    """Several explanations of one model on the same rows, by name, the largest gain first.

    All were shown to the same student with the same draws of rows, so that gains are compared pair by pair.
    """

    explanations: Mapping[str, Simulatability]
    level: float = 0.95
    notes: tuple[Note, ...] = ()

    @property
    def order(self) -> tuple[str, ...]:
        """The names, the largest gain first."""
        return tuple(self.explanations)

    def difference(self, one: str, other: str) -> float:
        """Gain of one explanation minus that of another, −1 … 1; above 0 students learn more from the first."""
        return self._of(one).gain() - self._of(other).gain()

    def difference_interval(self, one: str, other: str) -> Interval:
        """Interval of that difference, paired by draw and row.

        All pairs hold together at the level (Bonferroni), so that a pair may be chosen after seeing the ranking.
        """
        pairs = max(1, len(self.explanations) * (len(self.explanations) - 1) // 2)
        return self._of(one).gain_difference_interval(self._of(other), 1 - (1 - self.level) / pairs)

    def lines(self) -> tuple[dict[str, Any], ...]:
        """One line for each explanation and arm: agreement and gain, each with its interval."""
        return tuple(
            {"explanation": name, **line} for name, found in self.explanations.items() for line in found.lines()
        )

    def to_frame(self, backend: Any = "pandas") -> Any:
        """The lines as a frame."""
        import narwhals as nw

        lines = self.lines()
        return nw.from_dict({name: [line[name] for line in lines] for name in lines[0]}, backend=backend).to_native()

    def _of(self, name: str) -> Simulatability:
        if name not in self.explanations:
            raise InputError(f"there is no explanation {name!r}; there are {', '.join(self.explanations)}.")
        return self.explanations[name]

    def __repr__(self) -> str:
        first, found = self.order[0], self._of(self.order[0])
        head = (
            f"Simulatability of {len(self.order)} explanations by a {found.student} student taught {found.taught} rows"
        )
        draws = len(found.agreement["none"])
        lines = [f"{head}, examined on {found.exam} others; {draws} draws, intervals at {100 * self.level:.4g} %"]
        lines.append(f"  without explanations: agreement {_text(found.mean('none'), found.interval('none'))}")
        for name, one in self.explanations.items():
            lines.append(
                f"  {name}: agreement {_text(one.mean('explained'), one.interval('explained'))}, "
                f"gain {_text(one.gain(), one.gain_interval(), '+')}; "
                f"at random parts {_text(one.mean('random'), one.interval('random'))}, "
                f"flipped {_text(one.mean('flipped'), one.interval('flipped'))}"
            )
        for name in self.order[1:]:
            difference, limits = self.difference(first, name), self.difference_interval(first, name)
            apart = "" if limits.low > 0 else "; no clear difference"
            lines.append(f"  {first} minus {name}: {_text(difference, limits, '+')}{apart}")
        return "\n".join([*lines, *(f"  note: {note.text}" for note in self.notes)])


def _text(value: float, limits: Interval, sign: str = "") -> str:
    return f"{value:{sign}.3f} [{limits.low:{sign}.3f}, {limits.high:{sign}.3f}]"
