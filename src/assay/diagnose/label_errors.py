# SPDX-License-Identifier: Apache-2.0
"""Training labels that may be wrong: which rows, how many beyond what a noisy border explains, and in which groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.stats import Basis, Interval
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, Call
from assay.engine.check_findings import judged_finding
from assay.engine.data_quality.confident_learning import (
    clearest_first,
    confident_classes,
    flagged_labels,
)
from assay.engine.data_quality.out_of_fold import OutOfFold, by_default, row_losses
from assay.engine.data_quality.training_labels import (
    TrainingLabels,
    most_flagged_group,
    training_groups,
)
from assay.engine.data_quality.wrong_label_share import WrongLabelShare
from assay.engine.declare import diagnostic
from assay.nouns.catalogue import Check, Cost, Method
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.finding import MAX_ROWS, Finding

MAX_WRONG = 0.02
"""Default threshold of the share of wrong labels."""

MOST_ROWS, FOLDS = 4000, 5
"""Training rows that are judged, and folds, by default."""

WRONG = Check(
    "DAT201",
    "Are more training labels wrong than a noisy border between classes explains?",
    "Look at the named rows, the clearest first, and correct their labels; repair.cleaning trains without them.",
    MAX_WRONG,
    "at most",
    severe=0.1,
)
CHECKS = (WRONG,)

MEANING = (
    "Share of training labels that contradict a model also where it is sure, beyond what its own probabilities "
    "explain; 0 without wrong labels. Labels that are random everywhere at the same rate, for whatever reason, look "
    "the same as wrong ones; wrong labels that depend on the features so that the model learns them are not counted. "
    "Rows of small groups are often flagged because the model knows them less: the evidence has the share in each."
)
ADVICE = {
    "pass": "No action needed on this evidence; wrong labels that the model can learn are not found.",
    "fail": WRONG.remedy,
    "undecided": "Give more training rows, or a recipe of a more accurate model; the interval contains the threshold.",
}


def _calls(method: Method, inputs: AuditInputs) -> list[Call]:
    """One call on the training rows, with the sensitive columns that they have."""
    assert inputs.train is not None
    options = {"groups": training_groups(inputs), **inputs.options_of(method)}
    return [Call((inputs.ask(), *inputs.train, inputs.recipe), options)]


def _audit_cost(inputs: AuditInputs) -> Cost:
    """Each training row once by a model that the recipe trains; nothing by the default model."""
    assert inputs.train is not None
    options = inputs.options.get("label_errors", {})
    by_default_alone = inputs.recipe is None or options.get("by", "auto") == "default"
    read = 0 if inputs.model.classes else len(inputs.case)
    count = min(len(inputs.train[1]), options.get("most", MOST_ROWS))
    rows = 0 if by_default_alone else count
    own = (
        Cost(4 * count + 2, count * (1 + 2 * len(inputs.model.classes)) + 2)
        if options.get("self_influence")
        else Cost()
    )
    return (Cost(read + rows) + own) * inputs.model.passes_per_row


@diagnostic(
    source="northcutt2021",
    needs={"classes", "train"},
    optional={"recipe", "groups"},
    checks=CHECKS,
    calls=_calls,
    audit_cost=_audit_cost,
    has_exact_cost=False,
)
def label_errors(
    case: Case,
    train: Any,
    train_labels: Any,
    recipe: Recipe | None = None,
    *,
    by: Literal["auto", "default", "recipe"] = "auto",
    filter: Literal[
        "mixture",
        "confident_learning",
        "prune_by_noise_rate",
        "prune_by_class",
        "both",
        "predicted_neq_given",
        "low_normalized_margin",
    ] = "mixture",
    groups: Mapping[str, Sequence[str]] = {},
    self_influence: bool = False,
    folds: int = FOLDS,
    most: int = MOST_ROWS,
    threshold: float = MAX_WRONG,
    level: float = 0.95,
) -> list[Finding]:
    """Share of training labels that contradict models trained without the row also where these are sure.

    ``train`` are the training rows with their ``train_labels``; of more than ``most``, as many are drawn by the seed.
    Each row gets probabilities from a model trained on the other ``folds`` − 1 parts: by the ``recipe`` (``by`` auto or
    recipe; ``folds`` trainings), or by a linear or a kernel logistic regression, whichever predicts better (default).

    DAT201: the share λ of P(label ≠ decision) = λ + (1 − λ) σ(b − a m), where m is the log odds of the decision; at
    most ``threshold``. The second term is the border: labels contradict ever less where the model is surer. λ does not
    vanish there. The estimate is the median of the normalised profile likelihood over a and b, the interval is that of
    the likelihood ratio; with a recipe it is the union with that
    of the default model, since probabilities that saturate (forests) look like wrong labels. ``null_interval`` is where
    the estimate lies without wrong labels.

    ``rows`` are the flagged training rows (their ids, or positions), the smallest normalised margin first. ``filter``
    "mixture" flags labels more likely wrong than right by the two terms above, and hardly any where λ is near 0;
    "confident_learning" rows whose probability of another class is at least the mean of that class's own rows; others
    are cleanlab's rules (extra "labels"). The evidence has the pairs given → suggested, the share flagged by class and
    by each of ``groups``, how many rows confident learning flags and would flag if only the border contradicted, and
    how many of the flagged rows are among as many with the largest out-of-fold loss (the plain ranking) and, with
    ``self_influence`` of a net or a linear model, the largest influence on their own loss
    (``explain.training_influence``).

    cleanlab reports the flagged rows alone, and flags a noisy border.
    """
    if not (0 < level < 1 and 0 <= threshold < 1 and 2 <= folds <= 50 and most >= 20):
        raise InputError(
            f"level={level}, threshold={threshold}, folds={folds}, most={most}; needed are a level in (0, 1), a "
            f"threshold in [0, 1), 2 to 50 folds and at least 20 rows."
        )
    seed = case.seed.child("label errors")
    rows = TrainingLabels.of(case, train, train_labels, groups, most, seed)
    found = rows.out_of_fold(case, recipe, by, folds, seed)
    labels = rows.labels[found.judged]
    flagged = np.zeros(len(rows.labels), dtype=bool)
    flagged[found.judged] = flagged_labels(found.probabilities, labels, filter)
    share = WrongLabelShare.fit(found.probabilities, labels)
    curves = [share]
    if found.model == "the recipe":
        other = by_default(case, rows.recipe.x, rows.labels, folds, seed)
        curves.append(WrongLabelShare.fit(other.probabilities, rows.labels[other.judged]))
    own = rows.self_influence(case) if self_influence else None
    return [_finding(_Judged(case, rows, found, labels, flagged, share, own), _basis(curves), level, threshold)]


def _basis(fits: Sequence[WrongLabelShare]) -> Basis:
    """The profile likelihoods on one grid."""
    grid = np.unique(np.concatenate([fit.grid for fit in fits]))
    curves = [np.where(grid <= fit.grid[-1], np.interp(grid, fit.grid, fit.likelihood), -1e9) for fit in fits]
    return Basis("profile", {"grid": grid, "curves": np.stack(curves)})


@dataclass(frozen=True, eq=False)
class _Judged:
    """Training rows, their out-of-fold probabilities, which are flagged (row,), and the fit of the share."""

    case: Case
    rows: TrainingLabels
    found: OutOfFold
    labels: Ints
    flagged: Masks
    share: WrongLabelShare
    own: Floats | None

    @property
    def expected(self) -> float:
        """How many rows confident learning would flag if only the border contradicted the decisions."""
        confident = confident_classes(self.found.probabilities, self.labels) >= 0
        return float(self.share.border[confident].sum())

    def clearest(self) -> Ints:
        """Flagged rows by normalised margin, positions of the rows judged."""
        return clearest_first(self.found.probabilities, self.labels, self.flagged[self.found.judged])

    def name(self, one: int) -> str:
        """A class by its name."""
        classes = self.case.model.classes
        return classes[one] if one < len(classes) else str(one)

    def pairs(self) -> list[dict[str, Any]]:
        """Given → suggested labels of the flagged rows, the most frequent first."""
        suggested = self.suggested()
        counts = Counter((int(self.labels[i]), int(suggested[i])) for i in self.clearest())
        return [
            {"given": self.name(given), "suggested": self.name(other), "rows": count}
            for (given, other), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:20]
        ]

    def suggested(self) -> Ints:
        """The most probable other class (row,) of the rows judged."""
        others = self.found.probabilities.copy()
        others[np.arange(len(others)), self.labels] = -1.0
        return np.asarray(others.argmax(axis=1))

    def among_largest(self, values: Floats) -> int:
        """How many of the flagged rows are among as many rows judged with the largest of these values (row,)."""
        flagged = self.flagged[self.found.judged]
        largest = np.argsort(-values, kind="stable")[: int(flagged.sum())]
        return int(flagged[largest].sum())


def _finding(judged: _Judged, basis: Basis, level: float, threshold: float) -> Finding:
    share, found, case = judged.share, judged.found, judged.case
    count, rows = int(judged.flagged.sum()), len(found.judged)
    composition = judged.rows.composition(judged.flagged, case.model.classes, level)
    limits = basis.at(level)
    drawn = "" if rows == judged.rows.total else f" of {judged.rows.total:,}"
    claim = (
        f"{share.estimate:.1%} of the training labels [{limits.low:.1%}, {limits.high:.1%}] contradict the "
        f"model also where it is sure; {count:,} of {rows:,} rows judged{drawn} are flagged."
        f"{most_flagged_group(composition, count / max(rows, 1))}"
    )
    return judged_finding(
        WRONG,
        basis,
        level,
        threshold,
        ADVICE,
        claim=claim,
        subject=case.model.name,
        estimate=share.estimate,
        null=0.0,
        null_interval=Interval(0.0, share.limit_without_wrong_labels(level), level, "information without wrong labels"),
        n=rows,
        meaning=MEANING,
        evidence={**_evidence(judged), "flagged by group": composition, "clearest": _clearest_lines(judged)},
        affected=count / max(rows, 1),
        rows=tuple(judged.rows.ids[found.judged[i]] for i in judged.clearest()[:MAX_ROWS]),
        rows_of="train",
    )


def _evidence(judged: _Judged) -> dict[str, Any]:
    """How many rows each rule flags, and what labels it suggests."""
    share, found = judged.share, judged.found
    confident = flagged_labels(found.probabilities, judged.labels, "confident_learning")
    own = None if judged.own is None else judged.among_largest(judged.own[found.judged])
    return {
        "out-of-fold model": found.model,
        "trainings": found.trainings,
        "rows judged": len(found.judged),
        "training rows": judged.rows.total,
        "labels that contradict the decision": int(share.contradicts.sum()),
        "flagged": int(judged.flagged.sum()),
        "flagged by confident learning": int(confident.sum()),
        "if only the border contradicted": judged.expected,
        "flagged among the largest losses": judged.among_largest(row_losses(found.probabilities, judged.labels)),
        "flagged among the largest self-influences": own,
        "given and suggested": judged.pairs(),
    }


def _clearest_lines(judged: _Judged) -> list[dict[str, Any]]:
    """The clearest flagged rows with both labels."""
    suggested = judged.suggested()
    return [
        {
            "row": judged.rows.ids[judged.found.judged[i]],
            "given": judged.name(int(judged.labels[i])),
            "suggested": judged.name(int(suggested[i])),
            "probability of the given": float(judged.found.probabilities[i, judged.labels[i]]),
        }
        for i in judged.clearest()[:20]
    ]
