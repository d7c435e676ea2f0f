# SPDX-License-Identifier: Apache-2.0
"""Everything an audit found, as plain data: the page and the JSON are views of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from assay.nouns.result import Breach, Certificate, Explanation, Finding, Refusal, Repair, Score


@dataclass(frozen=True)
class Reason:
    """One line of a reason table: how much a part pushed this row's target away from the comparison group."""

    part: str
    shown: str
    effect: float
    low: float
    high: float


@dataclass(frozen=True)
class Reasons:
    """Why one row got its output, against one comparison group; largest push first."""

    row: str
    group: str
    question: str
    output: float
    base: float
    lines: tuple[Reason, ...]


@dataclass(frozen=True)
class NotRun:
    """Something an audit could have done and did not, why, and what would enable it."""

    what: str
    why: str
    enable: str


@dataclass(frozen=True, eq=False)
class Mending:
    """A repair with the same findings before and after it."""

    repair: Repair
    before: tuple[Finding, ...]
    after: tuple[Finding, ...]


@dataclass(frozen=True, eq=False)
class Record:
    """One audit. ``scores`` is keyed (explainer, score); reference explainers are listed in ``references``."""

    title: str
    about: Mapping[str, str]
    cost: Mapping[str, int]
    findings: tuple[Finding, ...]
    explanations: Mapping[str, Explanation]
    rivals: Mapping[str, Explanation]
    scores: Mapping[tuple[str, str], Score]
    references: tuple[str, ...]
    breaches: Mapping[str, Breach] = field(default_factory=dict)
    certificates: Mapping[str, Certificate] = field(default_factory=dict)
    reasons: tuple[Reasons, ...] = ()
    mendings: tuple[Mending, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    not_run: tuple[NotRun, ...] = ()
    limits: tuple[str, ...] = ()
    predictions: tuple[str, ...] = ()
    reproduce: str = ""
