"""A record to render, of a table, computed by assay on a small model; and what completes a record."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import GradientBoostingClassifier

import assay
from assay import explain
from assay.basics.stats import Interval, student_interval
from assay.nouns.records.record import Gallery, MetricChange, NotRun, Reason, Reasons, Record, RepairRecord, Waiver
from assay.nouns.results.finding import Finding, judge
from assay.nouns.results.result import AttackResult, Certificate, Explanation, Note, Refusal, Score

METHODS = (
    "shapley",
    "permutation_shapley",
    "integrated_gradients",
    "expected_gradients",
    "input_x_gradient",
    "saliency",
    "smooth_grad",
    "occlusion",
    "rise",
    "lime",
)
REFERENCES = ("random", "constant")
SCORES: Mapping[str, str] = {
    "deletion": "lower",
    "insertion": "higher",
    "comprehensiveness": "higher",
    "sufficiency": "lower",
    "faithfulness_correlation": "higher",
    "infidelity": "lower",
    "completeness": "lower",
    "max_sensitivity": "lower",
    "parameter_randomisation": "lower",
    "sparseness": "neither",
}
PROXY = Finding(
    code="FAI101",
    verdict="fail",
    claim="The selection rate is 71.2% in group men and 52.9% in group women, a gap of 0.183 [0.121, 0.244].",
    subject="credit model",
    estimate=0.183,
    interval=Interval(0.121, 0.244, 0.95, "newcombe"),
    threshold=0.1,
    direction="at most",
    null=0.0,
    n=1000,
    meaning="Difference of the selection rates of the two groups.",
    advice="See FAI110 for the columns that drive the gap.",
    evidence={
        "rates": {"men": {"rate": 0.712, "n": 690}, "women": {"rate": 0.529, "n": 310}},
        "columns": [{"name": f"column {i}", "contribution": 0.1 / (i + 1)} for i in range(24)],
        "groups without rows": ["diverse"],
    },
)
LEAK = Finding(
    code="PRV101",
    verdict="undecided",
    claim="Membership inference from the loss has advantage 0.080 [-0.010, 0.170].",
    subject="credit model",
    estimate=0.08,
    interval=Interval(-0.01, 0.17, 0.95, "newcombe"),
    threshold=0.1,
    direction="at most",
    null=0.0,
    n=600,
    meaning="Membership-inference advantage of an attacker who sees the loss.",
    advice="Give more unseen rows.",
    evidence={"auc": 0.56, "above chance": False, "roc": [[0.0, 0.0], [0.2, 0.31], [0.5, 0.6], [1.0, 1.0]]},
)


def finding(code: str, subject: str, values: Any, threshold: float, direction: Any, claim: str) -> Finding:
    """A finding judged by Student's interval of the mean."""
    interval = student_interval(np.asarray(values))
    mean = float(np.mean(values))
    return Finding(
        code=code,
        verdict=judge(interval, threshold, direction),
        claim=f"{subject} {claim.format(mean)}",
        subject=subject,
        estimate=mean,
        interval=interval,
        threshold=threshold,
        direction=direction,
        null=0.0,
        n=len(values),
        meaning="What the number means, in a sentence.",
        advice="What to do about it, in a sentence.",
        evidence={"rows undefined": 0, "mean score": mean},
    )


def renamed(explanation: Explanation, name: str, draw: np.random.Generator | None = None) -> Explanation:
    """The explanation under another method's name; ``draw`` adds noise and standard errors to its values."""
    provenance = replace(explanation.provenance, method=name)
    meaning = f"What {name} means, in one sentence of the method's own page."
    if draw is None:
        return replace(explanation, provenance=provenance, meaning=meaning)
    size = np.abs(explanation.values).mean()
    noise = draw.normal(scale=0.2 * size, size=explanation.values.shape)
    stderr = np.full(noise.shape, 0.1 * size)
    return replace(
        explanation,
        provenance=provenance,
        meaning=meaning,
        values=explanation.values + noise,
        stderr=stderr,
        dense=None,
    )


def score(explanation: Explanation, name: str, level: float, draw: np.random.Generator) -> Score:
    """A score with rows around ``level``; completeness is undefined on its first row."""
    values = draw.normal(level, 0.15, len(explanation.ids))
    if name == "completeness":
        values[0] = np.nan
    return Score(
        provenance=replace(explanation.provenance, method=name, verb="evaluate"),
        notes=(Note("undefined", "the score is undefined (NaN) for 1 row: 0", ("0",)),)
        if name == "completeness"
        else (),
        values=values,
        ids=explanation.ids,
        better=SCORES[name],  # type: ignore[arg-type]  # the wrong type is the test
        of=explanation.method,
        meaning=f"What {name} measures, in one sentence.",
    )


def scored(explanations: Mapping[str, Explanation]) -> dict[tuple[str, str], Score]:
    draw, scores = np.random.default_rng(4), {}
    for place, (name, explanation) in enumerate(explanations.items()):
        for kind, better in SCORES.items():
            quality = 0.0 if name in REFERENCES else 0.5 - 0.08 * place
            if not (name in REFERENCES and kind == "completeness"):
                scores[name, kind] = score(explanation, kind, 0.5 + (quality if better == "higher" else -quality), draw)
    return scores


def judged(explanations: Mapping[str, Explanation]) -> tuple[Finding, ...]:
    draw, findings = np.random.default_rng(5), []
    words = ("use", "use", "use", "use with care", "use with care", "do not use")
    for place, name in enumerate(n for n in explanations if n not in REFERENCES):
        tests = (
            finding(
                "EXP201", name, draw.normal(0.3 - 0.07 * place, 0.2, 40), 0.0, "at least", "beats random by {:.2f}"
            ),
            finding(
                "SAN102",
                name,
                draw.normal(0.1 + 0.07 * place, 0.2, 40),
                0.3,
                "at most",
                "rank correlation {:.2f} after weight randomisation",
            ),
            finding("STA301", name, draw.normal(0.9, 0.4, 40), 1.0, "at most", "max-sensitivity {:.2f}"),
        )
        word = words[min(place, 5)]
        verdict: Any = {"use": "pass", "use with care": "informative", "do not use": "fail"}[word]
        evidence = {test.code: test.verdict for test in tests}
        trust = Finding("TRU001", verdict, f"{word} {name}: it {tests[0].claim}", name, n=40, evidence=evidence)
        findings += [*tests, trust]
    return tuple(findings)


@functools.cache
def credit() -> Record:
    """Ten explanations of a boosted classifier on forty rows of twenty columns, with content for every section."""
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({f"column {i}": draw.normal(size=300) for i in range(18)})
    frame["duration in months"] = draw.integers(4, 60, 300).astype(float)
    frame["amount"] = draw.integers(200, 9000, 300).astype(float)
    answer = (frame["column 0"] - frame["duration in months"] / 30 + frame["column 1"] > -1).astype(int)
    model = assay.wrap(
        GradientBoostingClassifier(n_estimators=20, random_state=0).fit(frame, answer), classes=("refused", "granted")
    )
    case = assay.case(model, frame[:40], label="predicted", features=None, ids=[f"applicant {i}" for i in range(40)])
    first = explain.shapley(case, remove=assay.Marginal(frame[100:102]), budget=64)
    explanations = {name: renamed(first, name, draw) for name in (*METHODS, *REFERENCES)} | {
        "shapley": renamed(first, "shapley")
    }
    quantity = np.full(40, 1.0)
    provenance = first.provenance
    attack_result = AttackResult(
        provenance=replace(provenance, method="top_k", verb="attack"),
        notes=(),
        x=first.x,
        ids=first.ids,
        success=np.arange(40) < 31,
        prediction_unchanged=np.ones(40, dtype=bool),
        distance=np.full(40, 0.03),
        before=quantity,
        after=0.25 * quantity,
        random=0.9 * quantity,
        quantity="share of the top features that stay among the top",
        meaning="How many of the top features an attacker can displace while the prediction stays the same.",
    )
    certificate = Certificate(
        provenance=replace(provenance, method="mus", verb="certify"),
        notes=(),
        bounds={"incremental": np.r_[np.arange(30) / 10, np.full(10, np.nan)], "decremental": np.full(40, np.nan)},
        ids=first.ids,
        abstained=np.arange(40) >= 30,
        theorem="Lipschitz in the masks (Xue, Alur and Wong 2023, theorem 3.3): no fewer features change the class.",
        assumptions=("features are removed by the given removal", "the smoothed model is used, not the base model"),
        confidence=1.0,
        draws=64,
        guarantee="exact",
        unit="features",
        certified="the model smoothed with λ = 1/4",
        agreement=0.75,
        histogram=np.array([0.5, 0.5]),
        cap=2.0,
        control={"incremental": np.zeros(40)},
        meaning="How many features can be added or removed without a change of the predicted class.",
    )
    return Record(
        title="Audit of a credit model",
        about={
            "model": "GradientBoostingClassifier",
            "explained output": "the class's probability",
            "data": "40 rows of shape 20",
            "profile": "standard",
            "seed": "0",
        },
        cost={"forwards": 1_204_331, "backwards": 0},
        findings=(*judged(explanations), PROXY, LEAK, INFORMATIVE, UNDEFINED),
        explanations=explanations,
        rivals={},
        scores=scored(explanations),
        references=REFERENCES,
        attack_results={"integrated_gradients": attack_result},
        certificates={"mus": certificate},
        reasons=reason_tables(),
        repairs=(repair_record(),),
        refusals=(
            Refusal(
                "explain.grad_cam", "explain", "grad_cam needs a convolution; this model has none.", "CapabilityError"
            ),
        ),
        not_run=(NotRun("diagnose.membership", "no training rows were given", "train=(rows, labels)"),),
        limits=("Explanations were computed and tested on 40 of 300 rows, sampled with the seed.",),
        predictions=case.classes,
        axioms={
            "shapley": {"completeness": "kept", "dummy": "kept", "linear_agreement": "kept"},
            "lime": {"completeness": "violated", "dummy": "violated", "linear_agreement": "kept"},
            "random": {"completeness": "violated", "dummy": "undecided", "linear_agreement": "not applicable"},
        },
        reproduce="assay.audit(model, x, y, profile='standard', seed=0)",
    )


INFORMATIVE = Finding(
    "PRV103",
    "informative",
    "The accuracy is 0.91 on training rows and 0.88 on unseen ones",
    "credit model",
    0.03,
    Interval(-0.01, 0.07, 0.95, "newcombe"),
    null=0.0,
    n=600,
)
UNDEFINED = Finding(
    "EXP203",
    "not applicable",
    "constant has no defined faithfulness_correlation",
    "constant",
    float("nan"),
    Interval(float("nan"), float("nan"), 0.95, "undefined"),
    0.0,
    "at least",
    n=0,
)


def reason_tables() -> tuple[Reasons, ...]:
    """One refused applicant against two comparison groups."""
    cells = {
        "duration in months": "48",
        "checking account": "less than 0",
        "amount": "7,190",
        "savings": "none",
        "purpose": "used car",
        "age": "23",
        "housing": "rent",
        "job": "skilled",
        "telephone": "yes",
        "plan": "bank",
    }
    tables = []
    for group, shift in (("approved applicants", 1.0), ("all applicants", 0.6)):
        effects = [shift * (0.3 - 0.03 * i) * (1 if i % 3 else -1) for i in range(len(cells))]
        lines = tuple(
            Reason(part, shown, effect, effect - 0.04, effect + 0.04)
            for (part, shown), effect in zip(cells.items(), effects)
        )
        total = sum(line.effect for line in lines)
        tables.append(
            Reasons("applicant 17", group, "why is the probability of refusal so high?", 0.81, 0.81 - total, lines)
        )
    return tuple(tables)


def repair_record() -> RepairRecord:
    """The gap before and after retraining without a column."""
    after = replace(
        PROXY,
        verdict="pass",
        estimate=0.031,
        interval=Interval(-0.02, 0.08, 0.95, "newcombe"),
        claim="The selection rate is 66.0% in group men and 62.9% in group women, a gap of 0.031.",
    )
    return RepairRecord(
        method="refit",
        change="retrained without the column 'personal status'",
        meaning="The effect of retraining in another way on the finding and on the accuracy.",
        measured_before={"accuracy": 0.78},
        measured_after={"accuracy": 0.772},
        before=(PROXY, LEAK),
        after=(after,),
        metrics=(
            MetricChange("accuracy", 0.78, 0.772, Interval(-0.03, 0.015, 0.95, "agresti-min"), "higher"),
            MetricChange("log loss", 0.51, 0.47, Interval(-0.06, -0.02, 0.95, "student"), "lower"),
            MetricChange("recall of granted", 0.8, 0.7, Interval(-0.14, -0.06, 0.95, "agresti-min"), "higher"),
        ),
    )


TIMES = {"when": "2026-11-22 04:43 UTC", "took": "7 s", "model evaluations now": "1,604,860"}
WAIVERS = (
    Waiver("FAI101", "Ada Lovelace", "the gap is explained by income; the board agreed", "2027-01-31"),
    Waiver("SAN1", "Bob", "rise is only for illustration", "2026-01-31", "rise"),
    Waiver("PRV", "Eve", "not needed", "2027-03-01"),
)
GALLERIES = (
    Gallery("typical", "correct, with a margin near the median", (0, 1, 2), 37),
    Gallery("borderline", "smallest margin", (1, 3, 4, 5), 40),
    Gallery("wrong: false positives", "predicted granted, true class refused, most confident first", (6, 7), 2),
)


METRIC = {"value": 0.71, "low": 0.68, "high": 0.74, "constant prediction": 0.5, "better": "higher"}
CLASS = {"recall": 0.8, "recall low": 0.7, "recall high": 0.9, "precision": 0.6, "precision low": 0.5}
SKILL = Finding(
    code="PER101",
    verdict="pass",
    claim="AUC is 0.71 [0.68, 0.74]; 0.5 is a constant, 1 a perfect ranking.",
    subject="credit model",
    estimate=0.42,
    interval=Interval(0.36, 0.48, 0.95, "newcombe-auc"),
    threshold=0.1,
    direction="at least",
    threshold_origin="default",
    n=900,
    evidence={
        "metrics": {"accuracy": METRIC, "AUC": METRIC, "log loss": {**METRIC, "value": 1 / 3, "better": "lower"}},
        "by class": {name: {**CLASS, "rows": 450, "precision high": 0.7} for name in ("bad", "good")},
        "confusion matrix": {
            "true bad": {"decided bad": 300, "decided good": 150},
            "true good": {"decided bad": 111, "decided good": 339},
        },
    },
)


def complete(record: Record) -> Record:
    """The record with galleries, true classes, waivers, times and corrected intervals."""
    findings = tuple(
        replace(f, alone=replace(f.interval, level=0.95), more=1200 if f.verdict == "undecided" else None)
        if f.interval is not None
        else f
        for f in (*record.findings, SKILL)
    )
    return replace(
        record,
        findings=findings,
        galleries=GALLERIES,
        truth=record.predictions[::-1],
        waivers=WAIVERS,
        times=TIMES,
        cost={**record.cost, "checks judged together": 41},
    )
