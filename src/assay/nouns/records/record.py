# SPDX-License-Identifier: Apache-2.0
"""The record of an audit: everything it found, as plain data from which the page and the JSON are written."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from assay.basics.errors import InputError
from assay.basics.stats import Interval
from assay.basics.types import Floats
from assay.nouns.comparisons.agreement import Agreement
from assay.nouns.comparisons.method_comparison import MethodComparison
from assay.nouns.comparisons.settings_grid import SettingsGrid
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import AttackResult, Certificate, Explanation, Refusal, Score


@dataclass(frozen=True)
class Reason:
    """One line of a reason table: how much a feature moves this row's target away from the comparison group."""

    part: str
    shown: str
    effect: float
    low: float
    high: float


@dataclass(frozen=True)
class Reasons:
    """Reason table of one row against one comparison group; the largest effect comes first."""

    row: str
    group: str
    question: str
    output: float
    base: float
    lines: tuple[Reason, ...]


@dataclass(frozen=True)
class NotRun:
    """A step that an audit did not run, the reason, and what would enable it."""

    what: str
    why: str
    enable: str


@dataclass(frozen=True)
class MetricChange:
    """A metric of the model before and after a repair on the same rows; the paired ``interval`` is of after − before.

    ``better`` is "higher" or "lower".
    """

    name: str
    before: float
    after: float
    interval: Interval
    better: str

    @property
    def is_worse(self) -> bool:
        """Whether the metric is shown to be worse after the repair: the interval excludes 0 on that side."""
        return self.interval.high < 0 if self.better == "higher" else self.interval.low > 0


@dataclass(frozen=True)
class RepairRecord:
    """A repair: the change, its effect on the given rows, and the same findings before and after it.

    ``metrics`` compares the model before and after on all rows with labels, row by row; empty without labels.
    ``baseline`` and ``baseline_metrics`` are the same after the plain repair ``baseline_change``; empty without one.
    """

    method: str
    change: str
    meaning: str
    measured_before: Mapping[str, float]
    measured_after: Mapping[str, float]
    before: tuple[Finding, ...]
    after: tuple[Finding, ...]
    metrics: tuple[MetricChange, ...] = ()
    baseline_change: str = ""
    baseline: tuple[Finding, ...] = ()
    baseline_metrics: tuple[MetricChange, ...] = ()


@dataclass(frozen=True)
class Gallery:
    """Example rows chosen by one rule; ``rows`` are positions among the rows explained, ``of`` how many qualified."""

    name: str
    why: str
    rows: tuple[int, ...]
    of: int


@dataclass(frozen=True)
class CertifiedSet:
    """What a certificate is about: the ``share`` of the features with the highest values of one ``explanation``.

    A row of n features has ⌈share · n⌉ of them. ``share`` is 0 where the certificate is about all values.
    """

    explanation: str
    share: float


@dataclass(frozen=True, eq=False)
class TrainingRow:
    """A training row and what the target at a row explained changes by without it (``effect``).

    ``text`` is its text, or the cells of a table that differ most from the row explained; ``picture`` (channel, height,
    width) is its image, ``None`` for other rows.
    """

    row: str
    label: str
    effect: float
    text: str = ""
    picture: Floats | None = None


@dataclass(frozen=True, eq=False)
class RowInfluence:
    """The training rows without which the target at a row explained falls most, and those without which it rises.

    ``text`` is the text of the row explained, cut off; empty for other rows. ``target`` is what the effects are in.
    """

    row: str
    target: str
    supports: tuple[TrainingRow, ...]
    opposes: tuple[TrainingRow, ...]
    text: str = ""


@dataclass(frozen=True)
class Waiver:
    """A failing check that its owner accepts until a day (included); afterwards it fails again.

    ``code`` may be the beginning of a code; an empty ``subject`` means every subject.
    """

    code: str
    owner: str
    reason: str
    until: str
    subject: str = ""

    def __post_init__(self) -> None:
        if not (self.code and self.owner.strip() and self.reason.strip()):
            raise InputError(f"a waiver names code, owner and reason; got {self.code!r}, {self.owner!r}.")
        try:
            datetime.date.fromisoformat(self.until)
        except ValueError as error:
            raise InputError(
                f"until={self.until!r} of the waiver for {self.code} is not a day like 2027-01-31."
            ) from error

    def covers(self, finding: Finding, day: str) -> bool:
        """Whether the finding is waived on this day (2027-01-31)."""
        return (
            finding.code.startswith(self.code)
            and self.subject in ("", finding.subject)
            and datetime.date.fromisoformat(day) <= datetime.date.fromisoformat(self.until)
        )


def find_waiver(finding: Finding, waivers: Sequence[Waiver], day: str) -> Waiver | None:
    """The first waiver that covers a finding on this day."""
    return next((waiver for waiver in waivers if waiver.covers(finding, day)), None)


@dataclass(frozen=True)
class RepairText:
    """A repair that a check suggests: its method, what it does, what it needs, and what else it may change."""

    method: str
    meaning: str
    needs: tuple[str, ...]
    side_effects: str


@dataclass(frozen=True)
class CheckText:
    """Text of a check on the page: its family, its question, the remedy when it fails, and the repairs that answer it.

    ``severe`` is the estimate from which a failure is of high severity.
    """

    code: str
    family: str
    question: str
    remedy: str
    severe: float | None = None
    repairs: tuple[RepairText, ...] = ()


@dataclass(frozen=True, eq=False)
class Record:
    """One audit. ``scores`` is keyed (explainer, score); reference explainers are listed in ``references``.

    ``level`` is the confidence that holds for all verdicts of pass and fail together. ``predictions`` and ``truth``
    name each explained row's predicted and true class; of a regression ``truth`` has the true values as text and
    ``predictions`` is empty. ``axioms`` holds the verdicts of the measured table for the explainers of the audit, by
    method and axiom. ``classes`` names the classes of the model in the order of its outputs. ``certified`` says which
    explanation a certificate is about, by certificate; those of predictions are not in it. ``comparison`` ranks the
    explanations, score by score; ``settings_grid`` holds how the ranking by one score changes under other settings.
    ``views`` are explanations of the model that are shown and not judged, by method; ``agreement`` compares the
    explanations of the rows pair by pair. ``influences`` are the training rows that act most on some rows explained.
    ``times`` holds what differs when the same audit is run twice.
    """

    title: str
    about: Mapping[str, str]
    cost: Mapping[str, int]
    findings: tuple[Finding, ...]
    explanations: Mapping[str, Explanation]
    rivals: Mapping[str, Explanation]
    scores: Mapping[tuple[str, str], Score]
    references: tuple[str, ...]
    checks: tuple[CheckText, ...] = ()
    attack_results: Mapping[str, AttackResult] = field(default_factory=dict)
    certificates: Mapping[str, Certificate] = field(default_factory=dict)
    certified: Mapping[str, CertifiedSet] = field(default_factory=dict)
    reasons: tuple[Reasons, ...] = ()
    repairs: tuple[RepairRecord, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    not_run: tuple[NotRun, ...] = ()
    limits: tuple[str, ...] = ()
    predictions: tuple[str, ...] = ()
    truth: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    galleries: tuple[Gallery, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    axioms: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    comparison: MethodComparison | None = None
    settings_grid: SettingsGrid | None = None
    views: Mapping[str, Explanation] = field(default_factory=dict)
    agreement: Agreement | None = None
    influences: tuple[RowInfluence, ...] = ()
    level: float = 0.95
    reproduce: str = ""
    times: Mapping[str, str] = field(default_factory=dict)


def check_key(record: Record, finding: Finding) -> tuple[str, str]:
    """Key under which findings of two audits are the same check: code and subject, the model under any name."""
    return finding.code, "the model" if finding.subject == record.about.get("model") else finding.subject
