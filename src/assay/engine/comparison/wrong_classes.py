# SPDX-License-Identifier: Apache-2.0
"""Mistakes: the evidence for the class predicted and for the true one, and which rows to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats, Ints, Masks, PerPart, PerRow
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.coalitions.masks import present
from assay.engine.declare import recompute
from assay.engine.neighbourhoods.neighbourhood import knowing
from assay.engine.removal.decision_flips import first_flips
from assay.engine.retraining.labelled_rows import truth
from assay.nouns.comparisons.wrong_classes import WrongClasses
from assay.nouns.inputs.target import class_scores
from assay.nouns.records.record import Gallery
from assay.nouns.results.result import Explanation


def wrong_classes(
    explanation: Explanation,
    case: Case,
    labels: Any,
    *,
    k: int,
    rival: Explanation | None = None,
    remove: Removal = Constant(0.0),
    steps: int = 0,
) -> WrongClasses:
    """The wrongly predicted rows, explained for the class predicted and for the true one.

    ``explanation`` is of the predicted classes (the case's labels must be these), ``labels`` (row,) are the true ones.
    ``rival`` explains the true classes on the same rows; without it the explanation's method is called again, on the
    wrong rows alone. The highest parts are those that speak most for a class, signs counted; ties fall in part order.
    ``flip`` and ``correction`` read the same curve of ``steps`` removals (0: one part at a time) by the case's game.

    >>> from assay import case, explain, model
    >>> net = model.function(lambda x: x @ np.array([[2.0, 0.0], [0.0, 1.0]]), gives="logits")
    >>> asked = case(net, np.array([[1.0, 1.0], [1.0, 3.0]]))        # 2 to 1 for class 0, 3 to 2 for class 1
    >>> wrong_classes(explain.occlusion(asked), asked, [1, 1], k=1).to_frame().drop(columns=["predicted", "true"])
      row  overlap  flip  correction  typical  typical_of_truth
    0   0      0.0   0.5         0.5      NaN               0.0
    """
    if case.model.gives in ("values", "units"):
        raise CapabilityError(f"wrong classes need a classifier; {case.model.name} gives {case.model.gives}.")
    predicted = class_scores(case.prediction, case.model.gives).argmax(axis=1)
    if not np.array_equal(predicted, case.label):
        raise InputError("the explanation must be of the predicted classes; ask the case with label='predicted'.")
    if explanation.ids != case.rows.ids or len(explanation.features) != len(case.features):
        raise InputError(f"the explanation is of {len(explanation.ids)} rows, the case has {len(case)}; give its own.")
    if not 1 <= k <= len(case.features):
        raise InputError(f"k={k}; the highest parts are between 1 and the {len(case.features)} parts there are.")
    true = truth(case.model, labels, len(case), case.prediction)
    wrong = np.flatnonzero(predicted != true)
    some = knowing(case.take(wrong), case.prediction[wrong])
    own, other = explanation.values[wrong], _rival(explanation, some, true[wrong], rival, wrong)
    each = {"overlap": _overlap(own, other, some, k)}
    each["flip"], each["correction"] = _flips(explanation, some, true[wrong], own, remove, steps)
    right = predicted == true
    each["typical"] = _typical(own, explanation.values, [right & (predicted == c) for c in predicted[wrong]])
    each["typical_of_truth"] = _typical(own, explanation.values, [right & (predicted == c) for c in true[wrong]])
    return WrongClasses(
        ids=some.rows.ids,
        places=wrong,
        rows=len(case),
        method=explanation.provenance.method,
        predicted_classes=_named(case, predicted[wrong]),
        true_classes=_named(case, true[wrong]),
        predicted=own,
        true=other,
        features=some.features,
        k=k,
        each=each,
    )


def mistakes(
    predicted: Ints, truth: Ints, lead: Floats, classes: Sequence[str], *, shown: int = 6
) -> tuple[Gallery, ...]:
    """For each class its false positives and its false negatives, the surest first; classes without any are left out.

    ``predicted`` and ``truth`` (row,) are class positions, ``lead`` (row,) is how far the predicted class is ahead.
    Of several classes a mistake stands in two galleries: among the false positives of the class predicted, and among
    the false negatives of the true one. Of two classes it stands in one, told of the second class (the positive one).
    """
    found = []
    for place in range(len(classes)) if len(classes) != 2 else (1,):
        taken, true = predicted == place, truth == place
        for name, kind, why in (
            ("false positives", taken & ~true, f"predicted {classes[place]}, truly another class"),
            ("false negatives", ~taken & true, f"truly {classes[place]}, another class predicted"),
        ):
            rows = np.flatnonzero(kind)
            best = rows[np.argsort(-lead[rows], kind="stable")][:shown]
            told = f"{name}: {classes[place]}"
            found.append(Gallery(told, f"{why}; the surest first", tuple(int(row) for row in best), len(rows)))
    return tuple(gallery for gallery in found if gallery.rows)


def _rival(explanation: Explanation, some: Case, true: Ints, rival: Explanation | None, wrong: Ints) -> PerPart:
    if rival is None:
        labels = list(_named(some, true)) if some.model.classes else true
        return (
            recompute(explanation, some.with_target(label=labels)).values if len(wrong) else explanation.values[wrong]
        )
    if rival.ids != explanation.ids or rival.values.shape != explanation.values.shape:
        raise InputError(
            f"the rival explains {len(rival.ids)} rows of {len(rival.features)} parts, the explanation "
            f"{len(explanation.ids)} rows of {len(explanation.features)} parts; both must be of the same."
        )
    return rival.values[wrong]


def _overlap(own: PerPart, other: PerPart, case: Case, k: int) -> PerRow:
    """Share (row,) of the k highest parts that both have; a row with fewer parts is judged on those it has."""
    held = present(case)
    count = np.minimum(held.sum(axis=1), k)
    both = _top(own, held, k) & _top(other, held, k)
    unknown = ((np.isnan(own) | np.isnan(other)) & held).any(axis=1) | (count == 0)
    return np.where(unknown, np.nan, both.sum(axis=1) / np.maximum(count, 1))


def _top(values: PerPart, held: Masks, k: int) -> Masks:
    ranked = np.where(held, values, -np.inf)
    return (np.argsort(-ranked, axis=1, kind="stable").argsort(axis=1) < k) & held


def _flips(
    explanation: Explanation, some: Case, true: Ints, own: PerPart, remove: Removal, steps: int
) -> tuple[PerRow, PerRow]:
    if not len(true):
        return np.empty(0), np.empty(0)
    return first_flips(replace(explanation, values=own, ids=some.rows.ids), some, true, remove, steps)


def _typical(own: PerPart, values: PerPart, members: Sequence[Masks]) -> PerRow:
    """Mean cosine (row,) of each row's values with those of its members; NaN without any, or of no length."""
    found = np.full(len(own), np.nan)
    units, mine = _unit(values), _unit(own)
    for row, chosen in enumerate(members):
        known = units[chosen][~np.isnan(units[chosen]).any(axis=1)]
        if len(known):
            found[row] = mine[row] @ known.mean(axis=0)
    return found


def _unit(values: PerPart) -> PerPart:
    length = np.sqrt((values**2).sum(axis=1, keepdims=True))
    return np.divide(values, length, out=np.full(values.shape, np.nan), where=length > 0)


def _named(case: Case, positions: Ints) -> tuple[str, ...]:
    names = case.model.classes
    return tuple(names[place] if names else str(place) for place in positions)
