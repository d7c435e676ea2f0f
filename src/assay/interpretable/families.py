# SPDX-License-Identifier: Apache-2.0
"""Families of readable models, and the choice between them by training rows alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np

from assay.basics.errors import AssayError, CapabilityError, InputError
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.data_quality.out_of_fold import assign_folds
from assay.engine.influence.refits import take_training
from assay.engine.performance.labelled_outputs import LabelledOutputs
from assay.engine.performance.metrics import auc_pseudo_values
from assay.interpretable.logistic_model import LogisticModel
from assay.interpretable.optimal_tree import OptimalTree
from assay.interpretable.risk_score import RiskScore
from assay.interpretable.rule_list import RuleList
from assay.model.linear_scores import is_linear
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.recipe import Recipe

Metric = Literal["auc", "accuracy", "loss"]
"""What two models are compared by: area under the ROC curve, share of right decisions, or mean log loss."""

MOST_ROWS, FOLDS = 10_000, 3
"""Training rows that a family is fitted to, and folds of the choice between families."""

MOST_ROUNDS = 2000
"""Rounds of boosting of an additive model."""

MOST_TREE_LEAVES = 32
"""Leaves up to which a single tree counts as readable."""


@dataclass(frozen=True)
class Family:
    """A family of readable models: its title with an article, how one is made, and the unit of its size."""

    title: str
    make: Callable[[int, int], Any]
    unit: str
    size: Callable[[Any], int]
    text: Callable[[Any], str] = field(default=lambda model: str(model.text_))


def _additive(state: int, classes: int) -> Any:
    """Two bags are enough to compare; pairs of columns are for two classes alone. Separable rows end at the limit."""
    glassbox = need("interpret.glassbox", extra="glassbox")
    return glassbox.ExplainableBoostingClassifier(
        random_state=state, outer_bags=2, n_jobs=1, max_rounds=MOST_ROUNDS, interactions=10 if classes == 2 else 0
    )


FAMILIES: dict[str, Family] = {
    "tree": Family(
        "an optimal tree",
        lambda state, classes: OptimalTree(0.005, depth=3, cuts=7, nodes=2_000),
        "leaves",
        lambda m: int(m.n_leaves_),
    ),
    "rules": Family(
        "a rule list",
        lambda state, classes: RuleList(0.005, length=1, nodes=2_000),
        "rules",
        lambda m: len(m.rules_) - 1,
    ),
    "score": Family(
        "a risk score",
        lambda state, classes: RiskScore(0.005, items=6, tolerance=0.02, nodes=30),
        "items",
        lambda m: int(np.count_nonzero(m.points_)),
    ),
    "logistic": Family(
        "a logistic regression",
        lambda state, classes: LogisticModel(),
        "terms",
        lambda m: int(np.count_nonzero(np.abs(m.regression_.coef_).max(axis=0))),
    ),
    "additive": Family(
        "an additive model (EBM)",
        _additive,
        "terms",
        lambda m: len(m.term_names_),
        lambda m: "score = sum of the curves of " + ", ".join(map(str, m.term_names_)),
    ),
}
"""The families by name, in the order in which equally good ones are preferred."""

READABLE = {"OptimalTree", "RuleList", "RiskScore", "LogisticModel", "ExplainableBoostingClassifier"}


def is_readable(case: Case) -> bool:
    """Whether the model is already of a readable family: one of ours, linear, additive, or one small tree."""
    if case.model.name.partition(",")[0] in READABLE or is_linear(case.model):
        return True
    try:
        forest = case.model.forest() if case.model.forest is not None else None
    except CapabilityError:
        return False
    return forest is not None and len(forest.roots) == 1 and int((forest.left < 0).sum()) <= MOST_TREE_LEAVES


def available(names: Sequence[str], classes: int) -> tuple[list[str], dict[str, str]]:
    """The families that can be fitted, and why the others are left out; ``InputError`` for unknown names."""
    unknown = [name for name in names if name not in FAMILIES]
    if unknown or not names:
        raise InputError(f"families {unknown or list(names)}; there are {', '.join(FAMILIES)}.")
    kept, left_out = [], {}
    for name in names:
        if name == "additive" and find_spec("interpret") is None:
            left_out[name] = "interpret-core is not installed"
        elif name == "score" and classes > 2:
            left_out[name] = f"risk scores are for two classes; there are {classes}"
        else:
            kept.append(name)
    if not kept:
        raise CapabilityError(f"no family can be fitted: {left_out}.")
    return kept, left_out


def draw_rows(recipe: Recipe, codes: Ints, seed: Seed) -> tuple[Recipe, Ints]:
    """At most ``MOST_ROWS`` training rows, drawn by the seed."""
    if len(codes) <= MOST_ROWS:
        return recipe, codes
    drawn = np.sort(seed.child("readable rows").generator().permutation(len(codes))[:MOST_ROWS])
    x, y = take_training(recipe, drawn)
    return Recipe(recipe.fit, x, y), codes[drawn]


def fit_family(name: str, x: Any, codes: Ints, seed: Seed, classes: Sequence[str] = ()) -> Any:
    """A model of a family, fitted to rows and class numbers; thresholds and levels come from these rows alone.

    With the names of all ``classes`` its text and decisions have these; ``codes_`` are the numbers of its classes.
    """
    state = int(seed.child("family", name).generator().integers(2**31))
    fitted = FAMILIES[name].make(state, len(np.unique(codes))).fit(x, codes)
    fitted.codes_ = np.asarray(fitted.classes_, dtype=np.int64)
    if len(classes) and name != "additive":
        fitted.classes_ = np.array([classes[code] for code in fitted.codes_], dtype=object)
        fitted.text_ = fitted.as_text()
    return fitted


def row_values(outputs: Floats, labels: Ints, kind: OutputKind, metric: Metric) -> Floats:
    """One number a row whose mean is the metric, the higher the better (loss: minus the log loss).

    AUC by DeLong's components: the spread of the numbers is that of the estimate.
    """
    found = LabelledOutputs(outputs, labels, kind, (), labels)
    if metric == "accuracy":
        return found.correct.astype(np.float64)
    if metric == "auc":
        values = auc_pseudo_values(found)
        if not len(values):
            raise InputError("all labels are of one class; an AUC needs two. Take metric='accuracy'.")
        return values
    probabilities = found.probabilities
    if probabilities is None:
        raise CapabilityError("a log loss needs probabilities; the model gives scores. Take metric='auc'.")
    return np.asarray(np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-6, 1.0)))


def choose_family(
    names: Sequence[str], recipe: Recipe, codes: Ints, seed: Seed, metric: Metric
) -> tuple[str, Mapping[str, float], Mapping[str, str]]:
    """The family of the best metric out of fold on training rows, the metric of each, and why others failed.

    With one family nothing is fitted. No row outside the training rows takes part, so a comparison of the chosen one
    on other rows needs no correction for the choice.
    """
    if len(names) == 1:
        return names[0], {}, {}
    folds = assign_folds(codes, FOLDS, seed.child("families"))
    classes, scores, failed = int(codes.max()) + 1, {}, {}
    for name in names:
        answers = np.zeros((len(codes), classes))
        try:
            for fold in range(FOLDS):
                inside, left = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
                fitted = fit_family(name, take_training(recipe, inside)[0], codes[inside], seed)
                answers[left] = all_classes(fitted, take_training(recipe, left)[0], classes)
        except AssayError as error:
            failed[name] = str(error)
            continue
        judged = folds >= 0
        scores[name] = float(row_values(answers[judged], codes[judged], OutputKind.of("probabilities"), metric).mean())
    if not scores:
        raise CapabilityError(f"no family could be fitted: {failed}.")
    return max(scores, key=lambda name: scores[name]), scores, failed


def all_classes(fitted: Any, x: Any, classes: int) -> Floats:
    """Probabilities (row, class) of all classes; 0 for those that the fitted rows did not have."""
    found = np.zeros((len(x), classes))
    found[:, fitted.codes_] = fitted.predict_proba(x)
    return found
