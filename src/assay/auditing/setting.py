# SPDX-License-Identifier: Apache-2.0
"""What every step of an audit shares: the rows explained, the cut, the removal, the ball. Limits are told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from assay.auditing.profile import Profile, enlarged, widened
from assay.basics.types import Ints
from assay.cases.case import Case
from assay.cases.removals import Blur, Marginal, Removal
from assay.engine.search.ball import Ball
from assay.nouns.inputs.features import grid


@dataclass(frozen=True)
class Setting:
    """``chosen`` are the places, among all rows given, of the rows explained; ``limits`` are told on the page.

    ``reference`` are rows that the model was trained on, beside which the familiarity of others is measured.
    """

    case: Case
    profile: Profile
    remove: Removal
    background: Any
    ball: Ball | None
    references: tuple[str, ...]
    chosen: Ints
    limits: tuple[str, ...] = field(default=())
    reference: Any = None


def setting_of(whole: Case, depth: Profile, x: Any, train: Any = None, background: Any = None) -> Setting:
    """The setting for images or for a table; rows are cut to the profile's number by the seed."""
    pictures = len(whole.rows.shape) == 3
    depth, told = (enlarged(depth, whole.rows.shape), ()) if pictures else widened(depth, len(whole.features))
    chosen, limits = _chosen(whole, depth)
    asked = whole.take(chosen) if limits else whole
    made = (
        _pictures(asked, depth, chosen, limits)
        if pictures
        else _table(asked, depth, x, train, background, chosen, (*told, *limits))
    )
    return replace(made, reference=_reference(asked, train))


REFERENCE = 500
"""Training rows beside which the familiarity of others is measured."""


def _reference(asked: Case, train: Any) -> Any:
    if train is None:
        return None
    rows = asked.rows.like(train)
    if len(rows) > REFERENCE:
        rows = rows[asked.seed.child("audit", "reference").generator().choice(len(rows), REFERENCE, replace=False)]
    return asked.rows.table.decode(rows) if asked.rows.table is not None else rows


def _chosen(whole: Case, depth: Profile) -> tuple[Ints, tuple[str, ...]]:
    if len(whole) <= depth.rows:
        return np.arange(len(whole)), ()
    drawn = whole.seed.child("audit", "rows").generator().choice(len(whole), depth.rows, replace=False)
    told = f"Explanations were made and tested on {depth.rows} of {len(whole)} rows, drawn by the seed."
    return np.sort(drawn), (told,)


def _pictures(asked: Case, depth: Profile, chosen: Ints, limits: tuple[str, ...]) -> Setting:
    shape, top = asked.rows.shape, float(asked.rows.x.max())
    reach = 255.0 if top > 1.5 else 1.0
    patch = max(1, -(-max(shape[1:]) // 7))
    told = (
        f"Images were cut into {patch} × {patch} pixel patches; removed ones are blurred (sd {patch / 2:g} pixels).",
        f"Attacks move pixels by at most 8/255 of the range 0 … {reach:g} that the data suggests.",
    )
    return Setting(
        case=replace(asked, features=grid(shape, patch)),
        profile=depth,
        remove=Blur(patch / 2),
        background=None,
        ball=Ball("linf", 8 / 255 * reach, 0.0, reach),
        references=("random", "constant", "edges", "input_itself"),
        chosen=chosen,
        limits=(*limits, *told),
    )


def _table(
    asked: Case, depth: Profile, x: Any, train: Any, background: Any, chosen: Ints, limits: tuple[str, ...]
) -> Setting:
    source, what = (background, "the background given") if background is not None else (train, "the training rows")
    told = list(limits)
    if source is None:
        source, what = x, "the audited rows themselves"
        told.append("No background and no training rows were given: absent columns are filled from the audited rows.")
    rows = asked.rows.like(source)
    if len(rows) > depth.background:
        picked = asked.seed.child("audit", "background").generator().choice(len(rows), depth.background, replace=False)
        rows = rows[np.sort(picked)]
        told.append(
            f"Absent columns are filled from {depth.background} of {len(source)} rows of {what}, drawn by the seed."
        )
    table = asked.rows.table
    frame = table.decode(rows) if table is not None else rows
    numbers = table is None or not table.coded.any()
    return Setting(
        case=asked,
        profile=depth,
        remove=Marginal(frame),
        background=frame,
        ball=None,
        references=("random", "constant", *(["input_itself"] if numbers else [])),
        chosen=chosen,
        limits=tuple(told),
    )
