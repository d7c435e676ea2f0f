# SPDX-License-Identifier: Apache-2.0
"""Typicality of the inputs that a removal produces."""

from typing import Any

import numpy as np

from assay.basics.types import Ints, Masks
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.coalitions.masks import present_parts
from assay.engine.cost import Given
from assay.engine.declare import scorer
from assay.engine.neighbourhoods.typicality import predictive_entropy, reference_set
from assay.engine.removal.ordered_removal import removal_counts, removal_ranks
from assay.nouns.catalogue import Cost
from assay.nouns.results.result import Estimate, Explanation


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """The curve once for predicted classes; for a net once more for activations, with the references and the rows."""
    points = (
        sum(len(removal_counts(int(parts), o.steps)) - 1 for parts in present_parts(case).sum(axis=1)) * o.remove.fills
    )
    classes = case.model.gives not in ("values", "units")
    if case.model.layer_access is None:
        return Cost(points * classes) * case.model.passes_per_row
    layer_search = 1 if o.layer is None else 0
    return Cost(points * (1 + classes) + len(o.reference) + len(case) + layer_search) * case.model.passes_per_row


@scorer(source="assay2026", better="higher", cost=_cost)
def familiarity(
    explanation: Explanation,
    case: Case,
    *,
    reference: Any,
    remove: Removal = DEFAULT,
    steps: int = 10,
    neighbours: int = 5,
    layer: str | None = None,
) -> Estimate:
    """How typical the inputs of the deletion curve are of reference rows: 0 out of distribution, ½ for typical rows.

    For each input of the deletion curve (``steps`` removals, highest attribution first; all fillings of the removal):
    the share of ``reference`` rows whose mean distance to their own ``neighbours`` nearest references is larger than
    the input's. The score is the mean over the curve, 0 … 1. New rows from the distribution of the references score ½
    on average; an input farther out than every reference scores 0. A score near 0 means that a removal score measures
    the model's output out of distribution and says little about the explanation: try another removal (Marginal,
    Conditional, Blur).

    Distances are Euclidean. For a net they are between activations of ``layer`` (default: the last hidden layer, named
    in a note), with maps averaged over positions and texts over tokens; for other models between the rows themselves.
    Each dimension is divided by its standard deviation over the references; two different texts or categories have
    distance 1. Take the references from the data that the model was trained on, without the explained rows.

    extra, all (row,): "intact" is the score of the row itself; "distance" the mean over the curve in units of the
    references' median distance; "entropy" and "intact_entropy" the entropy of the predicted classes in nats, as the
    mean over the curve and of the row itself, NaN for regressions. The curve's cached evaluations are not used, since
    they hold only the target. Undefined where the explanation has a NaN, and where a row has missing numbers.

    >>> from assay import Constant, examples, explain
    >>> case, zero = examples.additive((3.0, 1.0)), Constant(0.0)
    >>> near = np.random.default_rng(0).uniform(-0.1, 1.1, (200, 2))    # (0, 1) and (0, 0) are typical of these
    >>> far = near + 5.0
    >>> [familiarity(explain.saliency(case), case, reference=data, remove=zero).mean > 0.2 for data in (near, far)]
    [True, False]
    """
    references = reference_set(case, reference, layer, neighbours)
    which, keep = _curve(explanation, case, steps)
    share, mean_distance, mean_entropy = (np.zeros(len(case)) for _ in range(3))
    weight = 1.0 / (np.maximum(np.bincount(which, minlength=len(case)), 1) * remove.fills)
    classes = case.model.gives not in ("values", "units")
    for _, filled, owners in case.game(remove).inputs(which, keep):
        distance = references.distance(filled, owners)
        np.add.at(share, owners, references.typicality(distance) * weight[owners])
        np.add.at(mean_distance, owners, distance * weight[owners])
        if classes:
            np.add.at(mean_entropy, owners, predictive_entropy(case.outputs(filled, owners), case) * weight[owners])
    available = present_parts(case)
    undefined = (np.isnan(explanation.values) & available).any(axis=1) | ~available.any(axis=1)
    median = np.median(references.own_distances)
    extra = {
        "intact": references.typicality(references.distance(case.rows.x, np.arange(len(case)))),
        "distance": mean_distance / median if median > 0 else np.full(len(case), np.nan),
        "entropy": mean_entropy if classes else np.full(len(case), np.nan),
        "intact_entropy": predictive_entropy(case.prediction, case) if classes else np.full(len(case), np.nan),
    }
    return Estimate(np.where(undefined, np.nan, share), extra=extra, notes=references.notes)


def _curve(explanation: Explanation, case: Case, steps: int) -> tuple[Ints, Masks]:
    """Coalitions of each row's deletion curve except the full one: row numbers (query,) and masks (query, part)."""
    rank = removal_ranks(explanation, case)
    curves = [removal_counts(int(parts), steps)[1:] for parts in present_parts(case).sum(axis=1)]
    which = np.repeat(np.arange(len(case)), [len(curve) for curve in curves])
    return which, rank[which] >= np.concatenate(curves)[:, None]
