# SPDX-License-Identifier: Apache-2.0
"""Misclassified rows: explanations of the predicted and of the true class, and galleries of false predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats, Ints, Masks, PerPart, PerRow
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.coalitions.masks import present_parts
from assay.engine.neighbourhoods.neighbourhood import with_outputs
from assay.engine.recompute import recompute
from assay.engine.removal.decision_flips import first_flip_and_correction
from assay.engine.retraining.labelled_rows import true_labels
from assay.nouns.comparisons.wrong_classes import WrongClasses
from assay.nouns.inputs.target import predicted_class
from assay.nouns.records.record import Gallery
from assay.nouns.results.result import Explanation


def wrong_classes(
    explanation: Explanation,
    case: Case,
    labels: Any,
    *,
    k: int,
    rival: Explanation | None = None,
    remove: Removal = DEFAULT,
    steps: int = 0,
) -> WrongClasses:
    """The misclassified rows, explained for the predicted class and for the true class.

    ``explanation`` is of the predicted classes (which must be the case's labels); ``labels`` (row,) are the true
    classes. ``rival`` explains the true classes on the same rows; without it the explanation's method is run again, on
    the misclassified rows only. The top ``k`` features are those with the highest signed values; ties are broken by
    order. ``flip`` and ``correction`` are computed from one removal curve of ``steps`` steps (0: one feature a step).

    >>> from assay import Constant, case, explain, model
    >>> net, zero = model.function(lambda x: x @ np.diag([2.0, 1.0]), gives="logits"), Constant(0.0)
    >>> rows = case(net, [[1.0, 1.0], [1.0, 3.0]], label="predicted")    # 2 to 1 for class 0, 3 to 2 for class 1
    >>> found = wrong_classes(explain.occlusion(rows, remove=zero), rows, [1, 1], k=1, remove=zero)
    >>> found.to_frame().drop(columns=["predicted", "true"])
      row  overlap  flip  correction  cosine_predicted  cosine_true
    0   0      0.0   0.5         0.5               NaN          0.0
    """
    if case.model.gives in ("values", "units"):
        raise CapabilityError(f"wrong classes need a classifier; {case.model.name} gives {case.model.gives}.")
    predicted = predicted_class(case.prediction, case.model.gives)
    if not np.array_equal(predicted, case.label):
        raise InputError("the explanation must be of the predicted classes; make the case with label='predicted'.")
    if explanation.ids != case.rows.ids or len(explanation.features) != len(case.features):
        raise InputError(
            f"the explanation has {len(explanation.ids)} rows, the case has {len(case)}; give an explanation of this "
            f"case."
        )
    if not 1 <= k <= len(case.features):
        raise InputError(f"k={k}; it must be between 1 and {len(case.features)}, the number of features.")
    true = true_labels(case.model, labels, len(case), case.prediction)
    wrong = np.flatnonzero(predicted != true)
    if remove is DEFAULT:  # of all rows, not of the misclassified ones alone
        remove = case.default_removal[0]
    some = with_outputs(case.take(wrong), case.prediction[wrong])
    own, other = explanation.values[wrong], _rival(explanation, some, true[wrong], rival, wrong)
    each = {"overlap": _overlap(own, other, some, k)}
    each["flip"], each["correction"] = _flips(explanation, some, true[wrong], own, remove, steps)
    right = predicted == true
    each["cosine_predicted"] = _mean_cosine(
        own, explanation.values, [right & (predicted == c) for c in predicted[wrong]]
    )
    each["cosine_true"] = _mean_cosine(own, explanation.values, [right & (predicted == c) for c in true[wrong]])
    return WrongClasses(
        ids=some.rows.ids,
        row_indices=wrong,
        rows=len(case),
        method=explanation.provenance.method,
        predicted_classes=_class_names(case, predicted[wrong]),
        true_classes=_class_names(case, true[wrong]),
        predicted=own,
        true=other,
        features=some.features,
        k=k,
        each=each,
    )


def misclassified_galleries(
    predicted: Ints, truth: Ints, margin: Floats, classes: Sequence[str], *, limit: int = 6
) -> tuple[Gallery, ...]:
    """The false positives and the false negatives of each class, most confident first; without empty galleries.

    ``predicted`` and ``truth`` (row,) are class indices, ``margin`` (row,) is the margin of the predicted class. Of
    three or more classes, a misclassified row is in two galleries: among the false positives of the predicted class and
    among the false negatives of the true class. Of two classes, it is in one, that of the second (positive) class.
    """
    galleries = []
    for index in range(len(classes)) if len(classes) != 2 else (1,):
        is_predicted, is_true = predicted == index, truth == index
        for name, kind, why in (
            ("false positives", is_predicted & ~is_true, f"predicted {classes[index]}, true class differs"),
            ("false negatives", ~is_predicted & is_true, f"true class {classes[index]}, predicted class differs"),
        ):
            rows = np.flatnonzero(kind)
            first = rows[np.argsort(-margin[rows], kind="stable")][:limit]
            title, text = f"{name}: {classes[index]}", f"{why}; most confident first"
            galleries.append(Gallery(title, text, tuple(int(row) for row in first), len(rows)))
    return tuple(gallery for gallery in galleries if gallery.rows)


def _rival(explanation: Explanation, some: Case, true: Ints, rival: Explanation | None, wrong: Ints) -> PerPart:
    if rival is None:
        labels = list(_class_names(some, true)) if some.model.classes else true
        return (
            recompute(explanation, some.with_target(label=labels)).values if len(wrong) else explanation.values[wrong]
        )
    if rival.ids != explanation.ids or rival.values.shape != explanation.values.shape:
        raise InputError(
            f"rival has {len(rival.ids)} rows of {len(rival.features)} features, the explanation "
            f"{len(explanation.ids)} rows of {len(explanation.features)} features; both must have the same."
        )
    return rival.values[wrong]


def _overlap(own: PerPart, other: PerPart, case: Case, k: int) -> PerRow:
    """Share (row,) of the k highest parts that both have; of all parts of a row with fewer than k parts."""
    exists = present_parts(case)
    count = np.minimum(exists.sum(axis=1), k)
    both = _top(own, exists, k) & _top(other, exists, k)
    undefined = ((np.isnan(own) | np.isnan(other)) & exists).any(axis=1) | (count == 0)
    return np.where(undefined, np.nan, both.sum(axis=1) / np.maximum(count, 1))


def _top(values: PerPart, exists: Masks, k: int) -> Masks:
    ranked = np.where(exists, values, -np.inf)
    return (np.argsort(-ranked, axis=1, kind="stable").argsort(axis=1) < k) & exists


def _flips(
    explanation: Explanation, some: Case, true: Ints, own: PerPart, remove: Removal, steps: int
) -> tuple[PerRow, PerRow]:
    if not len(true):
        return np.empty(0), np.empty(0)
    return first_flip_and_correction(replace(explanation, values=own, ids=some.rows.ids), some, true, remove, steps)


def _mean_cosine(own: PerPart, values: PerPart, members: Sequence[Masks]) -> PerRow:
    """Mean cosine similarity (row,) of each row's values with those of its members; NaN without members, or for 0."""
    means = np.full(len(own), np.nan)
    units, own_units = _unit(values), _unit(own)
    for row, chosen in enumerate(members):
        known = units[chosen][~np.isnan(units[chosen]).any(axis=1)]
        if len(known):
            means[row] = own_units[row] @ known.mean(axis=0)
    return means


def _unit(values: PerPart) -> PerPart:
    length = np.sqrt((values**2).sum(axis=1, keepdims=True))
    return np.divide(values, length, out=np.full(values.shape, np.nan), where=length > 0)


def _class_names(case: Case, positions: Ints) -> tuple[str, ...]:
    names = case.model.classes
    return tuple(names[i] if names else str(i) for i in positions)
