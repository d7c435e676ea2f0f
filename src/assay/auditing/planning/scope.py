# SPDX-License-Identifier: Apache-2.0
"""What every step of an audit shares: the rows explained, the cut into features, the removal, the ball."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from assay.auditing.planning.profiles import Profile, enlarge_for_small_images, reduce_for_wide_table
from assay.basics.types import Ints
from assay.cases.case import Case
from assay.cases.new_case import case
from assay.cases.read_inputs import texts
from assay.cases.removals import Blur, Marginal, Removal
from assay.engine.removal.text_removal import text_removal
from assay.engine.search.ball import Ball
from assay.nouns.inputs.features import grid
from assay.nouns.inputs.rows import count_rows


@dataclass(frozen=True)
class AuditScope:
    """What is explained, and how absent features are filled.

    ``chosen`` are the positions, among all rows given, of the rows explained; ``limits`` say on the page what was cut.
    ``references`` are the explainers that do not depend on the model. ``reference`` are training rows against which the
    typicality of others is measured. ``start`` is where paths to the rows begin, ``None`` for each method's own start.
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
    start: Any = None


def make_scope(
    whole: Case, profile: Profile, x: Any, train: Any = None, background: Any = None, ball: Ball | None = None
) -> AuditScope:
    """The scope for images, texts or a table; the seed draws as many rows as the profile allows."""
    if whole.model.encode is not None:
        return _text_scope(whole, profile, train, ball)
    is_image = len(whole.rows.shape) == 3
    changed: tuple[str, ...] = ()
    if is_image:
        profile = enlarge_for_small_images(profile, whole.rows.shape)
    else:
        profile, changed = reduce_for_wide_table(profile, len(whole.features))
    chosen, limits = _draw_rows(whole, profile)
    explained = whole.take(chosen) if limits else whole
    scope = (
        _image_scope(explained, profile, chosen, limits)
        if is_image
        else _table_scope(explained, profile, x, train, background, chosen, (*changed, *limits))
    )
    return replace(scope, reference=_reference_rows(explained, train), ball=scope.ball if ball is None else ball)


def _text_scope(whole: Case, profile: Profile, train: Any, ball: Ball | None) -> AuditScope:
    """Texts: words are removed by deletion or by a token, since words of other texts cannot take their places."""
    assert whole.rows.text is not None
    profile, changed = reduce_for_wide_table(profile, len(whole.features), "text")
    chosen, limits = _draw_rows(whole, profile)
    explained = whole
    if limits:  # made again, since a text's row is as long as the longest text of its case
        some = [whole.rows.text.source[i] for i in chosen]
        ids = [whole.rows.ids[i] for i in chosen]
        explained = case(whole.model, some, target=whole.target, label=None, ids=ids, seed=whole.seed)
    remove, how = text_removal(whole.model)
    reference = None
    if train is not None:
        given = texts(train)
        drawn = whole.seed.child("audit", "reference").generator().permutation(len(given))[:REFERENCE]
        reference = [given[i] for i in np.sort(drawn)]
    return AuditScope(
        case=explained,
        profile=profile,
        remove=remove,
        background=None,
        ball=ball,
        references=("random", "constant"),
        chosen=chosen,
        limits=(*changed, *limits, how),
        reference=reference,
        start=remove.value if whole.model.has_gradient else None,
    )


REFERENCE = 500
"""Training rows that the typicality of others is measured against."""


def _reference_rows(explained: Case, train: Any) -> Any:
    if train is None:
        return None
    rows = explained.rows.convert(train)
    if len(rows) > REFERENCE:
        rows = rows[explained.seed.child("audit", "reference").generator().choice(len(rows), REFERENCE, replace=False)]
    return explained.rows.in_callers_form(rows)


def _draw_rows(whole: Case, profile: Profile) -> tuple[Ints, tuple[str, ...]]:
    if len(whole) <= profile.rows:
        return np.arange(len(whole)), ()
    drawn = whole.seed.child("audit", "rows").generator().choice(len(whole), profile.rows, replace=False)
    text = f"Explanations were computed and tested on {profile.rows} of {len(whole)} rows, drawn by the seed."
    return np.sort(drawn), (text,)


def _image_scope(explained: Case, profile: Profile, chosen: Ints, limits: tuple[str, ...]) -> AuditScope:
    shape, top = explained.rows.shape, float(explained.rows.x.max())
    highest = 255.0 if top > 1.5 else 1.0
    patch = max(1, -(-max(shape[1:]) // 7))
    texts = (
        f"Images were cut into patches of {patch} × {patch} pixels; removed patches are blurred (sd {patch / 2:g} "
        f"pixels).",
        f"Attacks move pixels by at most 8/255 of the range 0 … {highest:g}, which was read from the data.",
    )
    return AuditScope(
        case=replace(explained, features=grid(shape, patch)),
        profile=profile,
        remove=Blur(patch / 2),
        background=None,
        ball=Ball("linf", 8 / 255 * highest, 0.0, highest),
        references=("random", "constant", "edges", "input_itself"),
        chosen=chosen,
        limits=(*limits, *texts),
    )


def _table_scope(
    explained: Case, profile: Profile, x: Any, train: Any, background: Any, chosen: Ints, limits: tuple[str, ...]
) -> AuditScope:
    source, what = (background, "the given background") if background is not None else (train, "the training rows")
    texts = list(limits)
    if source is None:
        source, what = x, "the audited rows themselves"
        texts.append("Background: the audited rows themselves, since neither background nor training rows were given.")
    rows = explained.rows.convert(source)
    if len(rows) > profile.background:
        generator = explained.seed.child("audit", "background").generator()
        rows = rows[np.sort(generator.choice(len(rows), profile.background, replace=False))]
        texts.append(f"Background: {profile.background} of {count_rows(source)} rows of {what}, drawn by the seed.")
    table = explained.rows.table
    frame = explained.rows.in_callers_form(rows)
    numbers = table is None or not table.coded.any()
    return AuditScope(
        case=explained,
        profile=profile,
        remove=Marginal(frame),
        background=frame,
        ball=None,
        references=("random", "constant", *(["input_itself"] if numbers else [])),
        chosen=chosen,
        limits=tuple(texts),
    )
