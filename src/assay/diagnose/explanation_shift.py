# SPDX-License-Identifier: Apache-2.0
"""Whether a shift of the data moves explanations more than training again does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from assay.basics.clustered import mean_error, mean_interval, numbered, student_of_clusters
from assay.basics.errors import CapabilityError, InputError
from assay.basics.stats import Basis, Interval
from assay.basics.types import Floats, Ints, PerPart
from assay.cases.case import Case
from assay.engine.declare import diagnostic
from assay.engine.gradients.weight_path import segment
from assay.engine.retraining.explanation_shift import moved, parts_held
from assay.engine.retraining.label_randomisation import asked_of
from assay.engine.retraining.labelled_rows import truth
from assay.engine.retraining.retrained import UNEQUAL, beside, explained, retrained, skill
from assay.model.model import Model
from assay.nouns.comparisons.explanation_shift import ALIKE
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.result import Explanation, Finding, judge

JUDGED = {
    "SHF101": (
        "sign",
        "Share of the k leading parts that the two models do not both have with equal sign, less the same share "
        "between the model and its retrainings with other seeds: 0 where the shift moves explanations as retraining "
        "does. Where retraining already moves everything, nothing can be seen beyond it.",
    ),
    "SHF102": (
        "turned",
        "Distance between the two models' explanations, each scaled to length 1 (0 … 2), less the same distance "
        "between the model and its retrainings with other seeds: 0 where the shift moves explanations as retraining "
        "does. All parts move it, small ones too.",
    ),
}
"""What is judged: the measure of ``assay.explanation_shift``, and what the number means."""
ADVICE = {
    "pass": "Nothing to do on this evidence; explanations given out before hold as well as after any retraining.",
    "fail": "Tell those who were given explanations before. Weight decay, softer kinks (softplus) or a smaller step of "
    "fine-tuning may hold them; assay.shift_study measures it.",
    "undecided": "Train more models on the shifted data (other=[…]), raise refits, or give more rows.",
}
CONSTANT = (
    "Euclidean distance between the two models' gradients by the input, mean over rows, in units of the target per "
    "unit of input. Beside it the gradient–parameter Lipschitz constant on the straight way between the weights, "
    "estimated on a grid: a bound from below, no certificate."
)
LEARNT = (
    "Accuracy (R² of a regression) of the models trained on shifted data less that of the model, on these rows. Models "
    "that do not know the same are no fair comparison of explanations."
)


@dataclass(frozen=True)
class _Moves:
    """Measures of movement from the model's explanation: (refit, row) of retrainings, (model, row) of the others."""

    noise: dict[str, Floats]
    shift: dict[str, Floats]
    among: dict[str, Floats]
    clusters: Ints | None


@diagnostic(source="meyer2023")
def explanation_shift(
    case: Case,
    explanation: Explanation,
    *,
    other: Any,
    recipe: Recipe,
    k: int = 5,
    refits: int = 9,
    margin: float = 0.1,
    labels: Any = (),
    clusters: Any = None,
    level: float = 0.95,
    steps: int = 16,
) -> list[Finding]:
    """Whether a model trained on shifted data explains the same rows otherwise than mere retraining would.

    ``other`` is the model after the shift (anything ``assay.wrap`` takes), or a list of such, trained alike with other
    seeds; ``recipe`` trains the case's model on the data before it, ``refits`` times with seeds of its own. The same
    method, options, draws and labels explain all of them. With m(A, B) a measure's mean over rows, A the case's
    model, A' its retrainings and B the others, the estimate is mean m(A, B) − mean m(A, A'), of m = 1 − sign agreement
    of the ``k`` largest parts (SHF101), and of the distance between explanations scaled to length 1 (SHF102), each at
    most ``margin``. Pass: within retraining noise. Fail: beyond it by more than the margin. ``margin=0`` asks for any
    excess at all, and hardly ever passes.

    The interval is Student's: models are drawn (one spread for both kinds), and rows are, whole ``clusters`` at a time.
    Where ``other`` is just one more retraining, (1 − level)/2 of runs fail at ``margin=0``, fewer above it: .7 to 2.1 %
    were measured with 9 refits, up to 3.6 % with 3. A is held fixed, so it need not come from the recipe; the evidence
    tells how far its retrainings lie from one another, and whether it lies apart. A recipe that heeds no seed leaves no
    noise, and everything is beyond it. New rows from the same population count as a shift, too: the band is of seeds
    alone.

    SHF103 (nets of one architecture; the first of ``other``): mean distance of the gradients, and the Lipschitz
    constant of gradients by weights, estimated at ``steps`` + 1 points between the weights. SHF104 (with true
    ``labels``): accuracies, since only models that know the same are compared fairly. The paper's measures are in the
    evidence of SHF101, with intervals over rows.
    """
    if not (0 < level < 1 and margin >= 0 and refits >= 2):
        raise InputError(f"level={level}, margin={margin}, refits={refits}; needed are (0, 1), ≥ 0 and at least 2.")
    if not isinstance(recipe, Recipe):
        raise InputError(f"recipe is a {type(recipe).__name__}; give assay.Recipe(fit, x, y).")
    given = list(other) if isinstance(other, list | tuple) else [other]
    if not given:
        raise InputError("other is empty; give the model trained on shifted data.")
    others = [beside(case, model, "the other model") for model in given]
    shifted = [explained(explanation, case, model) for model in others]
    groups = None if clusters is None else numbered(clusters, len(case))
    again = [retrained(case, recipe, number) for number in range(refits)]
    moves = _moves(explanation, [explained(explanation, case, model) for model in again], shifted, k, groups)
    return [
        *(_judged(code, moves, case, k, margin, level) for code in JUDGED),
        _gradients(case, others[0], groups, level, steps),
        _learnt(case, again, others, labels, groups, level),
    ]


def _moves(
    explanation: Explanation, retold: list[PerPart], shifted: list[PerPart], k: int, clusters: Ints | None
) -> _Moves:
    held, start = parts_held(explanation), explanation.values

    def stacked(pairs: Sequence[tuple[PerPart, PerPart]]) -> dict[str, Floats]:
        each = [moved(one, other, held, k) for one, other in pairs]
        return {measure: np.stack([found[measure] for found in each]) for measure in each[0]}

    return _Moves(
        stacked([(start, values) for values in retold]),
        stacked([(start, values) for values in shifted]),
        stacked(list(combinations(retold, 2))),
        clusters,
    )


def _judged(code: str, moves: _Moves, case: Case, k: int, margin: float, level: float) -> Finding:
    measure, meaning = JUDGED[code]
    sign = -1.0 if measure in ALIKE else 1.0
    noise, shift = sign * moves.noise[measure], sign * moves.shift[measure]
    known = ~np.isnan(noise).any(axis=0) & ~np.isnan(shift).any(axis=0)
    if not known.any():
        return Finding(
            code=code,
            verdict="not applicable",
            claim="No row has an explanation other than 0 or NaN from every model.",
            subject=case.model.name,
            n=len(case),
            meaning=meaning,
            advice="Explain a target that depends on the rows.",
        )
    noise, shift = noise[:, known], shift[:, known]
    groups = None if moves.clusters is None else moves.clusters[known]
    _, error, freedom = mean_error(shift.mean(axis=0) - noise.mean(axis=0), groups)
    means = {"noise": noise.mean(axis=1), "moved": shift.mean(axis=1)}
    basis = Basis("excess", {**means, "rows": np.array([error, freedom])})
    interval = basis.at(level)
    estimate = float(means["moved"].mean() - means["noise"].mean())
    verdict = judge(interval, margin, "at most")
    return Finding(
        code=code,
        verdict=verdict,
        claim=_claim(measure, sign, means, k, verdict),
        subject=case.model.name,
        estimate=estimate,
        interval=interval,
        threshold=margin,
        direction="at most",
        null=0.0,
        n=int(known.sum()),
        meaning=meaning,
        advice=ADVICE[verdict],
        evidence=_evidence(measure, sign, moves, means, interval, level),
        basis=basis,
    )


def _claim(measure: str, sign: float, means: dict[str, Floats], k: int, verdict: str) -> str:
    noise, shift = sign * float(means["noise"].mean()), sign * float(means["moved"].mean())
    told = {
        "pass": "within retraining noise",
        "fail": "more than retraining noise",
        "undecided": "undecided whether more than retraining noise",
    }[verdict]
    if measure == "sign":
        return (
            f"Of the {k} leading parts {shift:.0%} stay among them with their sign under the shift, {noise:.0%} when "
            f"trained again without: {told}."
        )
    return (
        f"Explanations scaled to length 1 move by {shift:.3g} under the shift, by {noise:.3g} when trained again "
        f"without: {told}."
    )


def _evidence(
    measure: str, sign: float, moves: _Moves, means: dict[str, Floats], interval: Interval, level: float
) -> dict[str, Any]:
    noise, among = sign * means["noise"], moves.among[measure]
    pairs = np.array([_mean(pair) for pair in among])
    found: dict[str, Any] = {
        "measure": measure,
        "shifted models": [float(value) for value in sign * means["moved"]],
        "retrainings": [float(value) for value in noise],
        "retrainings from one another": [_finite(value) for value in (pairs.mean(), pairs.min(), pairs.max())],
        "model lies apart from its retrainings": bool((sign * pairs).max() < (sign * noise).min()),
        "more than retraining noise": bool(interval.low > 0),
        "retrainings that moved less": int((means["noise"] < means["moved"].min()).sum()),
    }
    if not noise.size or np.ptp(noise) == 0:
        found["note"] = "all retrainings moved alike: does the recipe heed its seed?"
    return found | ({"measures": _table(moves, level)} if measure == "sign" else {})


def _table(moves: _Moves, level: float) -> list[dict[str, Any]]:
    """Every measure: mean over rows and models under the shift, its interval over rows, and the retrainings' mean."""
    lines = []
    for measure, values in moves.shift.items():
        each, known = values.mean(axis=0), ~np.isnan(values).any(axis=0)
        groups = None if moves.clusters is None else moves.clusters[known]
        interval = mean_interval(each[known], groups, level)
        limits = {"low": _finite(interval.low), "high": _finite(interval.high)}
        lines.append(
            {"measure": measure, "shift": _finite(_mean(each)), **limits}
            | {"retraining": _finite(_mean(moves.noise[measure].mean(axis=0))), "rows": int(known.sum())}
        )
    return lines


def _gradients(case: Case, other: Model, clusters: Ints | None, level: float, steps: int) -> Finding:
    about: dict[str, Any] = {"code": "SHF103", "subject": case.model.name, "n": len(case), "meaning": CONSTANT}
    try:
        way = segment(case, other, steps=steps)
    except CapabilityError as error:
        advice = "Give two torch nets of one architecture to have this."
        return Finding(verdict="not applicable", claim=f"No way between the weights: {error}", advice=advice, **about)
    mean, bound = float(way.distance.mean()), way.constant * way.weights
    return Finding(
        verdict="informative",
        claim=(
            f"Gradients lie {mean:.3g} apart and weights {way.weights:.3g}; the gradient–parameter Lipschitz constant "
            f"between them is at least about {way.constant:.3g} (estimated on {steps + 1} points, no certificate)."
            if way.weights
            else "The two models have the same weights."
        ),
        estimate=mean,
        interval=mean_interval(way.distance, clusters, level),
        null=0.0,
        advice="An estimate that grows with steps (compare both) has not settled; that of a ReLU net never does.",
        evidence={
            "distance of weights": way.weights,
            "constant, estimated": _finite(way.constant),
            "constant with half the steps": _finite(way.coarse),
            "constant between the ends": _finite(way.whole),
            "constant × distance of weights": _finite(bound),
            "steps": steps,
        },
        **about,
    )


def _learnt(
    case: Case, again: list[Model], others: list[Model], labels: Any, clusters: Ints | None, level: float
) -> Finding:
    about: dict[str, Any] = {"code": "SHF104", "subject": case.model.name, "n": len(case), "meaning": LEARNT}
    if not len(labels):
        advice = "Give the true labels of these rows."
        return Finding(
            verdict="not run", claim="Whether the models know the same was not asked.", advice=advice, **about
        )
    true = truth(case.model, labels, len(case), case.prediction)
    own = skill(case, true)
    retold, shifted = ([skill(asked_of(case, model), true) for model in models] for models in (again, others))
    each = np.mean(shifted, axis=0) - own
    gap = float(each.mean())
    what = "R²" if case.model.gives == "values" else "accuracy"
    unequal = abs(gap) > UNEQUAL
    told = "unequal, so explanations may differ for that alone" if unequal else "alike"
    return Finding(
        verdict="informative",
        claim=f"The {what} is {own.mean():.3f} before and {own.mean() + gap:.3f} after the shift: {told}.",
        estimate=gap,
        interval=student_of_clusters(each, clusters, level),
        null=0.0,
        advice="Compare explanations of models that know the same: train the worse one longer, or on more rows.",
        evidence={
            f"{what} before": float(own.mean()),
            f"{what} of retrainings": [float(one.mean()) for one in retold],
            f"{what} after": [float(one.mean()) for one in shifted],
            "unequal": unequal,
        },
        **about,
    )


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
