# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas of ``assay.toml`` and of ``result.json``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from assay.auditing.check_catalogue import all_checks
from assay.auditing.config import Config
from assay.basics.errors import InputError
from assay.nouns.results.finding import Verdict

Number = float | Literal["Infinity", "-Infinity"] | None
"""JSON knows no infinity; a number that is not defined is null."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IntervalPart(_Part):
    """A two-sided interval, its confidence, and how it was made."""

    low: Number
    high: Number
    level: float
    method: str


class DescribedPart(_Part):
    """Data that is not part of this file: its kind, a fingerprint, and a text."""

    kind: str
    fingerprint: str
    text: str = Field(alias="repr")


class FindingPart(_Part):
    """One check's outcome."""

    code: str
    verdict: Verdict
    claim: str
    subject: str
    estimate: Number
    interval: IntervalPart | None = Field(description="At the level of the verdict, all checks judged together.")
    alone: IntervalPart | None = Field(description="The interval of this check alone.")
    threshold: Number
    threshold_origin: str = Field(description="Where the threshold comes from; empty for the default of the check.")
    direction: Literal["at most", "at least", ""] = Field(description="On which side of the threshold is passing.")
    null: Number = Field(description="The value under the null distribution.")
    n: int
    meaning: str
    advice: str
    evidence: dict[str, Any]
    basis: None
    more: int | None = Field(description="About how many further rows would decide an undecided check.")
    severity: Literal["", "low", "medium", "high"] = Field(description="Of a failure, by one rule.")
    affected: Number = Field(description="The share of rows that the finding is about.")
    detectable: Number = Field(description="The smallest failing value that so many rows show in four of five samples.")
    null_interval: IntervalPart | None = Field(description="Where the estimate lies where there is no effect.")
    rows: list[Any] = Field(description="Ids of rows that show the finding, the clearest first.")
    rows_of: Literal["data", "train"] = Field(description="Whether these are of the rows given or training rows.")
    features: list[str] = Field(description="Features that an explanation names on these rows.")
    features_by: str = Field(description="The method of that explanation.")
    features_verdict: str = Field(description="The verdict on that explanation.")
    pictures: list[DescribedPart] = Field(description="Pictures that show the finding; run.assay has them.")


class ScorePart(_Part):
    """One score of one explanation: its mean over the rows where it is defined."""

    explainer: str
    score: str
    mean: Number
    interval: IntervalPart
    better: Literal["higher", "lower", "neither"]
    rows: int
    defined: int


class ReasonPart(_Part):
    """How much a part pushed this row's target away from the comparison group."""

    part: str
    shown: str
    effect: Number
    low: Number
    high: Number


class ReasonsPart(_Part):
    """Why one row got its output, against one comparison group."""

    row: str
    group: str
    question: str
    output: Number
    base: Number
    lines: list[ReasonPart]


class MetricChangePart(_Part):
    """A metric of the model before and after a repair, on the same rows."""

    name: str
    before: Number
    after: Number
    interval: IntervalPart = Field(description="Of after − before, paired by row.")
    better: Literal["higher", "lower"]


class RepairPart(_Part):
    """What a repair changed, and what was measured before and after it."""

    method: str
    change: str
    before: dict[str, Number]
    after: dict[str, Number]
    metrics: list[MetricChangePart] = Field(description="Empty where the rows have no labels.")
    baseline_change: str = Field(description="A plain repair of the same fault; empty where none is known.")
    baseline_metrics: list[MetricChangePart] = Field(description="The metrics before and after the plain repair.")


class GalleryPart(_Part):
    """Rows worth looking at for one reason, by their positions among the rows explained."""

    name: str
    why: str
    rows: list[int]
    of: int


class RefusalPart(_Part):
    """A step that was planned and could not be completed."""

    method: str
    verb: str
    reason: str
    kind: str


class NotRunPart(_Part):
    """What was not run, why, and what would enable it."""

    what: str
    why: str
    enable: str


class WaiverPart(_Part):
    """A failing check that its owner accepts until a day."""

    code: str
    owner: str
    reason: str
    until: str
    subject: str


class ScoringPart(_Part):
    """One way to make a score, and the ranking under it; ``steps`` is -1 where the score has none."""

    removal: str
    target: str
    steps: int
    sign: str
    rows: int
    compared: bool = Field(description="Whether it ranks on the very rows of the first setting.")
    best: list[str]
    means: dict[str, Number]
    ranks: dict[str, Number]
    first: dict[str, Number] = Field(description="How often a method is best when the rows are drawn again.")


class MovePart(_Part):
    """The farthest that a method's rank moves from the first setting's when one axis alone changes."""

    method: str
    default_rank: Number
    rank: Number
    setting: dict[str, str | int]
    turned: Number = Field(description="Share of pairs of methods that the axis alone orders differently.")


class SettingsGridPart(_Part):
    """The explanations ranked by one score under many settings; the first is the audit's own."""

    score: str
    better: Literal["higher", "lower"]
    settings: list[ScoringPart]
    farthest: dict[str, MovePart] = Field(description="By axis: removal, target, steps, sign.")


AxiomVerdict = Literal["kept", "violated", "undecided", "not applicable"]


class ResultFile(_Part):
    """An audit's ``result.json``. ``times`` alone differs when the same audit runs again."""

    schema_number: int = Field(alias="schema", description="Number of this layout.")
    title: str
    about: dict[str, str]
    cost: dict[str, int]
    level: float
    passed: bool = Field(description="Whether no check failed or broke, waivers ignored.")
    findings: list[FindingPart]
    scores: list[ScorePart]
    reasons: list[ReasonsPart]
    repairs: list[RepairPart]
    galleries: list[GalleryPart]
    refusals: list[RefusalPart]
    not_run: list[NotRunPart]
    waivers: list[WaiverPart]
    axioms: dict[str, dict[str, AxiomVerdict]] = Field(
        description="By method and axiom, from the package's measured table."
    )
    settings_grid: SettingsGridPart | None = Field(description="Where the audit was asked for one.")
    limits: list[str]
    reproduce: str
    times: dict[str, str]


FILES: dict[str, type[BaseModel]] = {"config": Config, "result": ResultFile}
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of ``config`` (assay.toml) or ``result`` (result.json)."""
    if name not in FILES:
        raise InputError(f"no schema {name!r}; there are {', '.join(FILES)}.")
    found = {"$schema": DIALECT} | FILES[name].model_json_schema(by_alias=True)
    if name == "result":
        found["$defs"]["FindingPart"]["x-checks"] = _checks()
    return found


def _checks() -> dict[str, Any]:
    """Every check by its code: what it asks, and what passes."""
    return {
        check.code: {"question": check.question, "threshold": check.threshold, "direction": check.direction}
        for check in all_checks()
    }
