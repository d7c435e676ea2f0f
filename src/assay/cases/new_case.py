# SPDX-License-Identifier: Apache-2.0
"""The function that makes a case of a model and a caller's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import AssayError, InputError
from assay.basics.seed import Seed
from assay.cases.case import Case
from assay.cases.case_arguments import require_case_arguments
from assay.cases.labels import cut_at_target, default_label, labels_of, rival_class
from assay.cases.model_checks import check_decisions, is_full, rows_refused
from assay.cases.read_inputs import read
from assay.model.model import Model
from assay.model.nets.net_outputs import Head, find_head, in_net_type, outputs_of, refuse_assumed
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.rows import Rows
from assay.nouns.inputs.target import Target, target_named


def case(
    model: Model,
    x: Any,
    *,
    target: str | Target | None = None,
    label: Any = "default",
    features: Features | None = None,
    names: Sequence[str] | None = None,
    ids: Sequence[Any] | None = None,
    carried: Mapping[str, Any] | None = None,
    seed: int | Seed = 0,
) -> Case:
    """A case: a model at rows ``x``, with a target and a cut into features.

    ``x`` is a data frame, an array, a sparse matrix or a tensor, in the units before the model's ``preprocess``; for a
    net of several inputs a tuple or mapping of tensors; for a model that reads text a list of texts. ``target``
    defaults to the logit of nets, the raw score (margin) of boosted trees, the probability of other classifiers and the
    value of regressions. ``label`` is a class (its name, else its position: 1 is the class called "1" where there is
    one), one a row, ``"predicted"`` or ``"runner_up"``. By default it is the last, positive one of two classes, the
    predicted one of more, and the first value of a regression. Of a multilabel model it is one label, of a regression
    of several values one output, by name or position. ``None`` stands for the first and does not evaluate the model.
    ``features`` cuts rows into parts (default: each element or column); ``names`` names the elements; ``ids`` names the
    rows and keys their random streams (default: the index of a pandas frame where it is unique, else 0, 1, …).

    Refused, with rows or columns named and nothing of the caller's changed: infinite values, missing values that the
    model does not take, missing or unexpected columns (reordered ones are matched by name; those that the model's own
    ``predict`` ignores are left out, with a note), labels that do not exist,
    models whose outputs depend on more than the row. What a torch net's outputs are is found from its last operation;
    one number a row that may be a logit or a value is asked for (``output=`` of ``assay.wrap``).
    """
    if not isinstance(model, Model):
        raise InputError(f"case needs a Model; got {type(model).__name__}. Make one with assay.wrap(…).")
    require_case_arguments(target, features, names, ids, carried, seed)
    with model.meter.lock:
        rows, cut, notes = read(model, x, ids, carried or {}, names, features)
        model, rows = settle_outputs(model, rows, target)
        model = check_decisions(model, rows)
    resolved_target = target_named(target if target is not None else model.default_target)
    if resolved_target.layer is not None:
        resolved_target, model = cut_at_target(resolved_target, model, rows)
        label = resolved_target.label
    if cut.shape != rows.shape:
        raise InputError(f"the feature map is for rows of shape {cut.shape}; these rows have shape {rows.shape}.")
    if cut.per_row and len(cut.index) != len(rows):
        raise InputError(f"the feature map cuts {len(cut.index)} rows, one by one; there are {len(rows)} rows.")
    root = seed if isinstance(seed, Seed) else Seed(seed)
    bare = Case(model, rows, resolved_target, cut, np.zeros(len(rows), dtype=np.int64), root, (*model.notes, *notes))
    resolved_target = rival_class(resolved_target, model, lambda: bare.prediction)
    if label is None:
        return replace(bare, target=resolved_target)
    if isinstance(label, str) and label == "default":
        if model.kind.assumed and target is None:
            refuse_assumed(model)
        label = default_label(model, resolved_target, lambda: bare.prediction)
    labels = labels_of(label, resolved_target, model, len(rows), lambda: resolved_target.by_label(bare.prediction))
    return bare._with_known_prediction(replace(bare, target=resolved_target, label=labels))


def settle_outputs(model: Model, rows: Rows, target: str | Target | None) -> tuple[Model, Rows]:
    """The model with what its outputs are, and the rows as the net takes them; unchanged where that is known."""
    if model.with_kind is None and not (rows.whole and model.namespace == "torch"):
        return model, rows
    asked = target if isinstance(target, str) or target is None else target.name
    key = (model.fingerprint, rows.shape, rows.layout, rows.whole)
    if key not in model.meter.heads:
        model.meter.heads[key] = _head(model, rows)
    head = model.meter.heads[key]
    x = in_net_type(rows.x, model) if rows.whole and head.layout is None else rows.x
    rows = replace(rows, x=x, layout=head.layout)
    if model.with_kind is None:
        return model, rows
    kind = outputs_of(head, model, asked)
    if model.kind.threshold is not None:
        kind = kind.with_threshold(model.kind.threshold)
    settled = model.with_kind(kind)
    kept = {name: getattr(model, name) for name in ("meter", "fast", "batch", "memory", "notes")}
    return replace(settled, **kept), rows


def _head(model: Model, rows: Rows) -> Head:
    """What the net's outputs are; ``InputError`` where the net cannot take the rows."""
    try:
        return find_head(model, rows)
    except Exception as error:
        if isinstance(error, AssayError) or is_full(error):
            raise
        raise rows_refused(model, rows, error) from error
