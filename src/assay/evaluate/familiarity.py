# SPDX-License-Identifier: Apache-2.0
"""Familiarity of the inputs that a removal makes."""

from typing import Any

import numpy as np

from assay.basics.types import Ints, Masks
from assay.cases.case import Case
from assay.cases.removals import Constant, Removal
from assay.engine.coalitions.masks import present
from assay.engine.cost import Given
from assay.engine.declare import scorer
from assay.engine.neighbourhoods.typicality import entropy, neighbourhood
from assay.engine.removal.ordered_removal import cuts, places
from assay.nouns.catalogue import Cost
from assay.nouns.results.result import Estimate, Explanation


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """The curve once for classes; with a net once more, and the references and the rows, for activations."""
    points = sum(len(cuts(int(parts), o.steps)) - 1 for parts in present(case).sum(axis=1)) * o.remove.fills
    classes = case.model.gives not in ("values", "units")
    if case.model.inside is None:
        return Cost(points * classes) * case.model.passes
    looked = 1 if o.layer is None else 0
    return Cost(points * (1 + classes) + len(o.reference) + len(case) + looked) * case.model.passes


@scorer(source="assay2026", better="higher", cost=_cost)
def familiarity(
    explanation: Explanation,
    case: Case,
    *,
    reference: Any,
    remove: Removal = Constant(0.0),
    steps: int = 10,
    neighbours: int = 5,
    layer: str | None = None,
) -> Estimate:
    """How familiar the model is with the inputs that judging the explanation by removal feeds to it, 0 … 1.

    Each input of the deletion curve (``steps`` removals, highest attribution first; all fillings of the removal) gets
    the share of ``reference`` rows that lie farther from their own ``neighbours`` nearest references than the input
    does from its nearest: the mean over the curve is the score. Rows like the references get ½ on average, an input
    farther out than any reference gets 0. Where the score is near 0 a removal score tells what the model does where it
    has never been, and says little of the explanation: another removal (Marginal, Conditional, Blur) may help.

    Distances are Euclidean. Of a net they are between activations of ``layer`` (default: the last hidden layer, told in
    a note), maps averaged over positions and texts over tokens; of other models between the rows themselves. Each
    dimension is divided by its spread over the references; text and categories that differ are 1 apart. Give
    references from the data the model was trained on, and not the rows explained.

    In extra, (row,): "intact", the same of the row itself; "distance", the mean over the curve in units of the
    references' median; "entropy" and "intact_entropy", of the predicted classes in nats (the curve's mean; the row's
    own), NaN for regressions. Nothing is shared with the curve's own evaluations, which keep one number a row.
    Undefined where the explanation is, and where a row's numbers are missing.

    >>> from assay import examples, explain
    >>> case = examples.additive((3.0, 1.0))
    >>> near = np.random.default_rng(0).uniform(-0.1, 1.1, (200, 2))    # the curve's (0, 1) and (0, 0) lie among them
    >>> far = near + 5.0
    >>> [familiarity(explain.saliency(case), case, reference=there).mean > 0.2 for there in (near, far)]
    [True, False]
    """
    around = neighbourhood(case, reference, layer, neighbours)
    which, keep = _curve(explanation, case, steps)
    share, far, unsure = (np.zeros(len(case)) for _ in range(3))
    weight = 1.0 / (np.maximum(np.bincount(which, minlength=len(case)), 1) * remove.fills)
    classes = case.model.gives not in ("values", "units")
    for _, filled, owners in case.game(remove).inputs(which, keep):
        distance = around.distance(filled, owners)
        np.add.at(share, owners, around.familiarity(distance) * weight[owners])
        np.add.at(far, owners, distance * weight[owners])
        if classes:
            np.add.at(unsure, owners, entropy(case.outputs(filled, owners), case) * weight[owners])
    held = present(case)
    unknown = (np.isnan(explanation.values) & held).any(axis=1) | ~held.any(axis=1)
    usual = np.median(around.apart)
    extra = {
        "intact": around.familiarity(around.distance(case.rows.x, np.arange(len(case)))),
        "distance": far / usual if usual > 0 else np.full(len(case), np.nan),
        "entropy": unsure if classes else np.full(len(case), np.nan),
        "intact_entropy": entropy(case.prediction, case) if classes else np.full(len(case), np.nan),
    }
    return Estimate(np.where(unknown, np.nan, share), extra=extra, notes=around.notes)


def _curve(explanation: Explanation, case: Case, steps: int) -> tuple[Ints, Masks]:
    """The masks of each row's deletion curve but the intact one: whose (query,), and which parts stay (query, part)."""
    place = places(explanation, case)
    curves = [cuts(int(parts), steps)[1:] for parts in present(case).sum(axis=1)]
    which = np.repeat(np.arange(len(case)), [len(curve) for curve in curves])
    return which, place[which] >= np.concatenate(curves)[:, None]
