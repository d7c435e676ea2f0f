# SPDX-License-Identifier: Apache-2.0
"""Masks by a network that is trained once."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.cases.removals import Blur, Removal
from assay.engine.cost import Given
from assay.engine.declare import explainer
from assay.engine.pictures.mask_network import MaskNetwork, MaskTraining, train_mask_network
from assay.engine.pictures.soft_masks import REPORT_PASSES, SoftRemoval, mask_report, other_removal
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.rows import count_rows, to_floats
from assay.nouns.results.result import Estimate, Note

EMPTY = 0.01
"""A mask that is nowhere above this keeps nothing."""

TRAINING_PASSES = 4
"""Passes of a training row in each epoch: kept and removed, each for its value and for its gradient."""


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """Training, unless a network is given; then only the report: masks take no pass of the model."""
    report = Cost(REPORT_PASSES * len(case))
    if isinstance(o.background, MaskNetwork):
        return report * case.model.passes_per_row
    rows = count_rows(o.background)
    trained = Cost(rows * (1 + TRAINING_PASSES * o.epochs), 2 * rows * o.epochs)
    return (report + trained) * case.model.passes_per_row


@explainer(source="dabkowski2017", needs={"gradient", "image", "classes"}, cost=_cost)
def mask_generator(
    case: Case,
    *,
    background: Any,
    remove: Removal = Blur(10.0),
    second: Removal | None = None,
    epochs: int = 10,
    batch: int = 16,
    rate: float = 1e-3,
    width: int = 8,
    roughness: float = 1.0,
    area: float = 1.0,
    removed: float = 2.0,
    power: float = 0.3,
) -> Estimate:
    """The mask that a trained network gives for the picture and the class: near 1 where the model needs the picture.

    A small U-Net whose middle is multiplied by a vector of the class (Dabkowski and Gal 2017) is trained on the
    pictures of ``background``, each for the class that the model predicts, for ``epochs`` of Adam at ``rate``; a mask m
    costs ``roughness`` · mean |difference of neighbours| + ``area`` · mean(m) − log p(kept) + ``removed`` ·
    p(removed)^``power``. Then a mask takes one pass of that network and none of the model. ``background`` may be a
    network that ``assay.engine.pictures.mask_network.train_mask_network`` returned: train once, explain often. Values
    (row, *shape) lie in 0 … 1, split over the channels.

    ``extra``: ``area`` (row,), the mean of the mask; ``kept``, ``removed``, ``kept_second`` and ``removed_second``
    (row,): the target with what the mask keeps, and without it, under ``remove`` and under ``second`` (default: grey
    for blur, blur otherwise). A network learns what masks usually look like: a row that it does not fit gets a
    plausible mask all the same, so that these numbers, and not the picture, say whether the mask is one.

    The authors read features of a large classifier in place of the picture and also train on wrong classes.
    """
    options = MaskTraining(epochs, batch, rate, width, roughness, area, removed, power)
    everyone = np.arange(len(case))
    if isinstance(background, MaskNetwork):
        network = background
    else:
        pictures = case.rows.convert(background)
        asked = ask(case.model, pictures, target="probability", seed=case.seed)
        network = train_mask_network(asked, remove, options, case.seed.child("mask generator"))
    x = to_floats(case.rows.x)
    if network.mean.shape[0] != x.shape[1]:
        raise InputError(f"the network was trained on {network.mean.shape[0]} channels; the rows have {x.shape[1]}.")
    masks = network.masks(x, case.label)
    keep = np.broadcast_to(masks[:, None], x.shape)
    first, judge = SoftRemoval(case, remove), SoftRemoval(case, other_removal(case, remove, second))
    return Estimate(
        np.ascontiguousarray(keep / x.shape[1]),
        notes=(*_unseen(case, network), *_empty(case, masks)),
        extra={"area": masks.mean(axis=(1, 2)), **mask_report(first, judge, keep, everyone)},
    )


def _unseen(case: Case, network: MaskNetwork) -> tuple[Note, ...]:
    rows = np.flatnonzero(~np.isin(case.label, network.classes))
    if not len(rows):
        return ()
    text = f"no training picture is of the class explained in row(s) {list_first(rows)}; their masks mean nothing"
    return (Note("unseen-class", text, tuple(case.rows.ids[row] for row in rows)),)


def _empty(case: Case, masks: Floats) -> tuple[Note, ...]:
    rows = np.flatnonzero(masks.max(axis=(1, 2)) < EMPTY)
    if not len(rows):
        return ()
    text = f"the mask of row(s) {list_first(rows)} keeps nothing: its area costs more than the class gains; lower area"
    return (Note("empty-mask", text, tuple(case.rows.ids[row] for row in rows)),)
