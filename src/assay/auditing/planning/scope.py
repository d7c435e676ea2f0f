# SPDX-License-Identifier: Apache-2.0
"""What every step of an audit shares: the rows explained, the cut into features, the removal, the ball."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from assay.auditing.planning.profile_sizes import (
    enlarge_for_small_images,
    reduce_for_many_classes,
    reduce_for_wide_table,
)
from assay.auditing.planning.profiles import Profile
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Ints
from assay.cases.case import Case
from assay.cases.new_case import case
from assay.cases.read_inputs import texts
from assay.cases.removals import Blur, Marginal, Removal
from assay.cases.sibling_targets import link_sibling_cases
from assay.engine.removal.text_removal import text_removal
from assay.engine.retraining.labelled_rows import true_labels
from assay.engine.search.ball import Ball
from assay.engine.sensitive_groups import column_values
from assay.model.model import Model
from assay.model.nets.net_outputs import refuse_assumed
from assay.nouns.inputs.features import grid
from assay.nouns.inputs.rows import count_rows, to_floats


@dataclass(frozen=True)
class AuditScope:
    """What is explained, and how absent features are filled.

    ``chosen`` are the positions, among all rows given, of the rows explained; ``limits`` say on the page what was cut.
    ``references`` are the explainers that do not depend on the model. ``reference`` are training rows against which the
    typicality of others is measured. ``start`` is where paths to the rows begin, ``None`` for each method's own start.
    ``truth`` are the true labels of the rows explained, as class positions or values, ``None`` where they are unknown.
    ``label`` is the class explained, ``rival`` the case of each row's second class where it is explained too; both
    cases read the same passes. ``train`` are the training rows with their labels, ``recipe`` how the model was trained;
    ``None`` where they are unknown.
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
    truth: Any = None
    label: Any = "predicted"
    rival: Case | None = None
    train: Any = None
    recipe: Any = None


def explained_label(whole: Case, label: Any) -> Any:
    """The class that is explained: the one given, else each row's predicted class.

    Raises ``InputError`` for a class that does not exist, or a label of a regression; nothing is evaluated.
    """
    if label is None or label in ("predicted", "default"):
        return "predicted"
    if not whole.model.classes:
        raise InputError(f"label={label!r} needs a model with named classes; {whole.model.name} has none.")
    return whole.model.classes[int(true_labels(whole.model, [label], 1, np.empty((0, 0)))[0])]


def with_rival(scope: AuditScope) -> AuditScope:
    """The scope with the case of each row's runner-up class; the games of both cases share every pass."""
    rival = scope.case.with_target(label="runner_up")
    link_sibling_cases(scope.case, [scope.case, rival])
    return replace(scope, rival=rival)


def whole_case(
    model: Model, x: Any, labels: Any, ids: Sequence[Any] | None, seed: int, target: str | None = None
) -> Case:
    """The case of all rows; one number a row of a net is a regression's value where the labels are no two classes.

    Raises ``InputError`` where there are no labels to tell, and for models of several labels that do not exclude each
    other.
    """
    whole = case(model, x, target=target, label=None, ids=ids, seed=Seed(seed))
    if whole.model.kind.assumed:
        if labels is None:
            refuse_assumed(model)
        if len({str(value) for value in np.asarray(labels, dtype=object).ravel().tolist()}) > 2:
            whole = case(model, x, label=None, ids=ids, seed=Seed(seed), target="value")
    if not whole.model.kind.exclusive:
        raise InputError(
            f"{model.name} predicts {len(model.classes) or 'several'} labels that do not exclude each other; audit one "
            f"of them at a time: assay.model.one_output(model, name)."
        )
    if whole.model.output_names and np.ndim(labels) == 2 and np.shape(labels)[1] > 1:
        raise InputError(
            f"{model.name} predicts {len(model.output_names)} targets ({', '.join(model.output_names[:8])}), and the "
            f"labels have {np.shape(labels)[1]} columns; audit one target at a time: "
            f"assay.model.one_output(model, name), with its column of labels."
        )
    return whole


def true_labels_of(whole: Case, labels: Any, chosen: Ints) -> Any:
    """The true labels of some rows as class positions or values; ``None`` where they are unknown.

    Nothing is evaluated: labels that only outputs could explain are unknown here.
    """
    if labels is None or not (whole.model.classes or whole.model.gives == "values"):
        return None
    given = column_values(labels, "labels")
    return true_labels(whole.model, [given[i] for i in chosen], len(chosen), np.empty((0, 0)))


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
        profile, wide = reduce_for_wide_table(profile, len(whole.features))
        profile, many = reduce_for_many_classes(profile, count_outputs(whole.model))
        changed = (*wide, *many)
    chosen, limits = _draw_rows(whole, profile)
    explained = whole.take(chosen) if limits else whole
    scope = (
        _image_scope(explained, profile, chosen, limits)
        if is_image
        else _table_scope(explained, profile, x, train, background, chosen, (*changed, *limits))
    )
    return replace(scope, reference=_reference_rows(explained, train), ball=scope.ball if ball is None else ball)


def count_outputs(model: Model) -> int:
    """The number of outputs that is known without evaluating: of classes, or of units of the last linear layer."""
    names = model.classes or model.output_names
    if names or model.net is None:
        return len(names)
    widths = [getattr(m, "out_features", 0) for m in model.net.modules()]
    return next((int(width) for width in reversed(widths) if width), 0)


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


RADIUS, FEW_VALUES, SPREAD_ROWS = 0.1, 10, 1000
"""The default radius in standard deviations of a column, the most values of a column that stays, and the rows that
standard deviations are computed from."""


def _table_ball(explained: Case, source: Any) -> Ball | None:
    """The default ball of a table of numbers, scaled by column; ``None`` where no column moves, or rows have gaps."""
    if len(explained.rows.shape) != 1 or explained.rows.whole:
        return None
    values = to_floats(explained.rows.convert(source))[:SPREAD_ROWS]
    if not np.isfinite(values).all() or not np.isfinite(to_floats(explained.rows.x)).all():
        return None
    moved = [len(np.unique(column)) > FEW_VALUES for column in values.T]
    scale = tuple(float(one) if move else 0.0 for one, move in zip(values.std(axis=0), moved))
    return Ball("linf", RADIUS, scale=scale) if any(scale) else None


def shift_scale(scope: AuditScope) -> tuple[float, ...] | None:
    """The unit of a shift of all inputs: each column's standard deviation in the background, or the range of pixels.

    ``None`` where the inputs are no numbers, or nothing varies.
    """
    rows, ball = scope.case.rows, scope.ball
    if len(rows.shape) == 3:
        bounds = np.array([rows.x.min(), rows.x.max()] if ball is None else [ball.low, ball.high], dtype=np.float64)
        return (float(np.ptp(bounds)),) if np.isfinite(bounds).all() and np.ptp(bounds) > 0 else None
    if scope.background is None or len(rows.shape) != 1 or (rows.table is not None and rows.table.coded.any()):
        return None
    spread = to_floats(rows.convert(scope.background)).std(axis=0)
    return tuple(map(float, spread)) if np.isfinite(spread).all() and spread.any() else None


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
    ball = _table_ball(explained, source) if numbers and explained.rows.layout is None else None
    if ball is not None:
        moved = int(np.count_nonzero(ball.scale))
        texts.append(
            f"Stability and attacks move {moved} of {len(ball.scale)} columns by at most {RADIUS:g} of their standard "
            f"deviation; columns of at most {FEW_VALUES} distinct values stay."
        )
    return AuditScope(
        case=explained,
        profile=profile,
        remove=Marginal(frame),
        background=frame,
        ball=ball,
        references=("random", "constant", *(["input_itself"] if numbers else [])),
        chosen=chosen,
        limits=tuple(texts),
    )
