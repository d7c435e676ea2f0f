# SPDX-License-Identifier: Apache-2.0
"""Selection of explained rows to show: typical, borderline, wrong and unstable ones; of all classes in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from assay.basics.stats import spearman
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.comparison.wrong_classes import misclassified_galleries
from assay.nouns.inputs.target import class_scores, predicted_class, probabilities
from assay.nouns.records.record import Gallery
from assay.nouns.results.result import Explanation, Score

SHOWN, WORST = 6, 2
"""Rows per gallery, and number of galleries of a single class's errors."""


def galleries(
    case: Case,
    truth: Ints | Floats | None,
    explanations: Mapping[str, Explanation],
    scores: Mapping[tuple[str, str], Score],
) -> tuple[Gallery, ...]:
    """Typical, borderline, misclassified and least stable rows of a classifier.

    Of a regression those with typical and with the largest errors, the highest and lowest predictions, and the least
    stable ones; of units only the least stable. ``truth`` (row,) are true classes or values, ``None`` where they are
    unknown; ``explanations`` excludes the references.
    """
    found = []
    if case.model.gives == "values":
        found += _of_regression(case.output, None if truth is None else np.asarray(truth, dtype=np.float64))
    elif case.model.gives != "units":
        margin, what = _margin(case)
        predicted = predicted_class(case.prediction, case.model.gives)
        truth = None if truth is None else np.asarray(truth, dtype=np.int64)
        correct = np.ones(len(case), dtype=bool) if truth is None else predicted == truth
        found.append(_typical(margin, predicted, correct, truth is not None))
        found.append(
            _first_rows("borderline", f"smallest margin between the two {what}", margin, np.ones_like(correct))
        )
        if truth is not None:
            found += _misclassified(predicted, truth, margin, case.model.classes)
    unstable = _instability(explanations, scores)
    if unstable is not None:
        why, instability = unstable
        found.append(_first_rows("least stable", why, -instability, np.isfinite(instability)))
    return tuple(gallery for gallery in found if gallery.rows)


def _margin(case: Case) -> tuple[Floats, str]:
    """How far each row (row,) is from another decision, and between what: probabilities, or scores without any."""
    kind = case.model.kind
    if kind.link == "none" and kind != "probabilities":
        scores, what = class_scores(case.prediction, kind), "highest scores"
    else:
        scores, what = probabilities(case.prediction, kind), "most probable classes"
    if kind.threshold is not None and not kind.of_score and scores.shape[1] == 2:
        return 2 * np.abs(scores[:, 1] - kind.threshold), what
    ranked = np.sort(scores, axis=1)
    return ranked[:, -1] - ranked[:, -2], what


def _typical(margin: Floats, predicted: Ints, correct: Masks, known: bool) -> Gallery:
    """The rows of each decided class whose margin is closest to the median of that class, the classes in turn."""
    order, classes = np.full(len(margin), np.inf), int(predicted.max(initial=0)) + 1
    for taken in np.unique(predicted[correct]):
        places = np.flatnonzero(correct & (predicted == taken))
        distance = np.abs(margin[places] - np.median(margin[places]))
        order[places[np.argsort(distance, kind="stable")]] = np.arange(len(places)) * classes + taken
    kind = "correctly classified, " if known else ""
    why = f"{kind}margin closest to the median of the class, the classes in turn"
    return _first_rows("typical", why, order, correct)


def _of_regression(predicted: Floats, truth: Floats | None) -> list[Gallery]:
    """Rows of a regression by prediction (row,) and, where true values (row,) are known, by absolute error."""
    every = np.ones(len(predicted), dtype=bool)
    error = predicted if truth is None else np.abs(predicted - truth)
    every &= np.isfinite(error)
    what = "prediction" if truth is None else "absolute error"
    median = float(np.median(error[every])) if every.any() else 0.0
    found = [_first_rows("typical", f"{what} closest to the median", np.abs(error - median), every)]
    if truth is not None:
        found.append(_first_rows("largest errors", "largest absolute errors", -error, every))
    found.append(_first_rows("highest predictions", "highest predictions", -predicted, every))
    found.append(_first_rows("lowest predictions", "lowest predictions", predicted, every))
    return found


def _misclassified(predicted: Ints, truth: Ints, margin: Floats, classes: Sequence[str]) -> list[Gallery]:
    """Misclassified rows, most confident first: false positives and false negatives of two classes.

    Of more classes, all errors together, and the most frequent false positives and false negatives of a class.
    """
    wrong = predicted != truth
    if len(classes) != 2:
        worst = sorted(
            misclassified_galleries(predicted, truth, margin, classes, limit=SHOWN), key=lambda gallery: -gallery.of
        )
        together = _first_rows("wrong", "misclassified; most confident first", -margin, wrong)
        return [together, *(gallery for gallery in worst[:WORST] if gallery.of > 1)]
    found = []
    for taken, true in ((1, 0), (0, 1)):
        kind = (predicted == taken) & (truth == true)
        named = "false positives" if taken == 1 else "false negatives"
        why = f"predicted {classes[taken]}, true class {classes[true]}; most confident first"
        found.append(_first_rows(f"wrong: {named}", why, -margin, kind))
    return found


def _first_rows(name: str, why: str, order: Floats, among: Masks) -> Gallery:
    """The first rows of ``among`` (row,) by ``order``; ties are broken by row order."""
    places = np.flatnonzero(among)
    best = places[np.argsort(order[places], kind="stable")][:SHOWN]
    return Gallery(name, why, tuple(int(place) for place in best), len(places))


def _instability(
    explanations: Mapping[str, Explanation], scores: Mapping[tuple[str, str], Score]
) -> tuple[str, Floats] | None:
    """Instability of each row's explanations (row,): max-sensitivity where it was scored, else method disagreement."""
    unstable = [
        score.values for (name, kind), score in scores.items() if kind == "max_sensitivity" and name in explanations
    ]
    if unstable:
        return "largest change of explanations under small input perturbations", _mean(np.stack(unstable))
    values = [e.values for e in explanations.values()]
    if len(values) < 2:
        return None
    agreement = _mean(np.stack([spearman(one, two) for one, two in combinations(values, 2)]))
    return "lowest rank correlation between methods", -agreement


def _mean(values: Floats) -> Floats:
    """Mean of the defined values over the first axis; NaN where none is defined."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.divide(total, known.sum(axis=0), out=np.full(total.shape, np.nan), where=known.any(axis=0))
