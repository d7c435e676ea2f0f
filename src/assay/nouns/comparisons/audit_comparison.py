# SPDX-License-Identifier: Apache-2.0
"""The comparison of two audits: changes of checks, drift of explanations and changed predictions, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assay.basics.stats import Interval
from assay.nouns.results.finding import Finding

ChangeStatus = Literal["newly failing", "worse", "no change shown", "better", "fixed", "new", "gone"]
"""The status of a check in the later audit, from worst to best; "new" and "gone" checks are in one audit only."""


@dataclass(frozen=True)
class Change:
    """One check before and after. ``change`` is after − before with its ``interval``; ``paired``: on paired rows."""

    code: str
    subject: str
    status: ChangeStatus
    before: Finding | None
    after: Finding | None
    change: float
    interval: Interval | None
    paired: bool
    rows: int


@dataclass(frozen=True)
class Drift:
    """Similarity of one method's explanations of the same rows in both audits, and its null distribution.

    ``measure`` is over rows explained for the same class, in −1 … 1 or 0 … 1; 1 is equal. ``band`` is the range of the
    mean when the same explanation is computed again with other random draws (1 … 1 for a deterministic method);
    ``drifted``: the whole ``interval`` of the mean is below it. ``changed`` counts rows left out because another class
    is explained.
    """

    method: str
    measure: str
    mean: float
    interval: Interval
    band: tuple[float, float]
    drifted: bool
    rows: int
    changed: int


@dataclass(frozen=True)
class Comparison:
    """Two audits compared. ``level`` is the joint confidence of all intervals of changes (Bonferroni).

    ``class_change_rate`` is the interval of the share of common rows whose predicted class changed, ``class_changes``
    their number, ``rows`` the number of common rows.
    """

    before: str
    after: str
    changes: tuple[Change, ...]
    drifts: tuple[Drift, ...]
    class_change_rate: Interval | None
    class_changes: int
    rows: int
    level: float
    notes: tuple[str, ...]

    def of(self, *statuses: ChangeStatus) -> tuple[Change, ...]:
        """The checks with one of these statuses."""
        return tuple(change for change in self.changes if change.status in statuses)

    @property
    def worse(self) -> bool:
        """Whether a check is newly failing or shown to be worse, or one that was decided is gone."""
        lost = [c for c in self.of("gone") if c.before is not None and c.before.verdict in ("pass", "fail")]
        return bool(self.of("newly failing", "worse")) or bool(lost)

    def __repr__(self) -> str:
        counts = {c.status: 0 for c in self.changes}
        for change in self.changes:
            counts[change.status] += 1
        text = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        lines = [
            f"  {c.status}: {c.code} {c.subject} {c.change:+.3g}" for c in self.of("newly failing", "worse", "fixed")
        ]
        lines += [f"  {d.method} drifted: {d.measure} {d.mean:.2f}" for d in self.drifts if d.drifted]
        return "\n".join([f"Comparison({self.before} → {self.after}: {text})", *lines])
