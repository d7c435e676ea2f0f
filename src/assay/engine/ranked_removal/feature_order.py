# SPDX-License-Identifier: Apache-2.0
"""Training and test rows from which the features that an explanation ranks first, or last, are removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from array_api_compat import is_torch_array

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Array, Floats, Ints, Masks, PerPart
from assay.cases.case import Case
from assay.cases.fillings import replace_absent
from assay.cases.removals import NoisyLinear
from assay.engine.neighbourhoods.neighbourhood import explanation_key, recompute_values
from assay.engine.retraining.labelled_rows import read_like
from assay.nouns.inputs.frames import is_frame
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.result import Explanation

Order = Literal["auto", "global", "row"]
"""One ranking for all rows, one for each row, or by the kind of rows."""

Explained = Literal["case", "predicted", "fixed", "random"]
"""Which class the explanations explain: as the case does, each row's predicted one, the first, or a drawn one."""

Fill = Literal["mean", "neighbours"]
"""What removed elements get: training means, or their neighbours' weighted mean with noise (images)."""

IMPUTATION_NOISE = 0.05
"""Noise of imputed pixels, as a share of the standard deviation of the training rows."""


def is_global(case: Case, order: Order) -> bool:
    """Whether one ranking serves all rows; by default it does for tables."""
    found = len(case.rows.shape) == 1 if order == "auto" else order == "global"
    if found and case.features.per_row:
        raise InputError("order='global' ranks parts that all rows share; these rows have parts of their own.")
    return found


@dataclass(frozen=True, eq=False)
class RankedRows:
    """The training rows and the test rows of a case, with scores (row, part) that rank their parts.

    ``fill`` is one row of what removed elements get, or a removal that imputes them.
    """

    case: Case
    training: Case
    recipe: Recipe
    fill: Any
    training_scores: PerPart
    test_scores: PerPart

    def moved(self, removed: Masks, test: bool) -> Array:
        """The training or test rows without the parts ``removed`` (row, part), in the model's own form."""
        case = self.case if test else self.training
        keep = case.features.map(removed.astype(np.float64)) < 0.5
        if isinstance(self.fill, NoisyLinear):
            return next(iter(self.fill.bind(case.rows).fill(np.arange(len(case)), keep)))
        return replace_absent(keep, case.rows.x, self.fill)

    def in_recipes_form(self, x: Array) -> Any:
        """Rows in the form of the recipe's."""
        given = self.recipe.x
        if is_frame(given) or (self.case.rows.table is not None and not isinstance(given, np.ndarray)):
            return self.case.rows.in_callers_form(x)
        if is_torch_array(given):
            import torch

            return torch.as_tensor(x if is_torch_array(x) else np.array(x), dtype=given.dtype)
        if self.case.rows.table is not None and self.case.rows.table.coded.any():
            return self.case.rows.in_callers_form(x)
        return to_floats(x).reshape(np.asarray(given).shape)


def ranked_rows(
    explanation: Explanation,
    case: Case,
    recipe: Recipe,
    *,
    explained: Explained,
    fill: Fill,
    absolute: bool,
    shared: bool,
    training: Explanation | None,
) -> RankedRows:
    """Explain the training rows with the fixed model, once for each case, and rank the parts of all rows."""
    rows = training_case(case, recipe, explained)
    if training is not None and training.values.shape != (len(rows), len(case.features)):
        raise InputError(
            f"training= explains {training.values.shape[0]} rows of {training.values.shape[1]} parts; the recipe has "
            f"{len(rows)} rows of {len(case.features)} parts."
        )
    if training is not None:
        values = training.values
    else:
        key = ("training rows explained", explanation_key(explanation), recipe, explained)
        values = case.explanation_cache.get(key, lambda: recompute_values(explanation, rows))
    own = explanation.values
    if not shared and explained != "case":
        other = with_explained_label(case, explained)
        own = case.explanation_cache.get(
            ("test rows explained", explanation_key(explanation), explained),
            lambda: recompute_values(explanation, other),
        )
    ranked, tested = (np.abs(one) if absolute else one for one in (values, own))
    if shared:
        ranked = np.broadcast_to(np.nanmean(ranked, axis=0), ranked.shape)
        tested = np.broadcast_to(ranked[:1], tested.shape)
    if not np.isfinite(ranked).all() or not np.isfinite(tested).all():
        raise InputError(
            f"{explanation.provenance.method} is undefined for some parts of some rows, so that they cannot be ranked. "
            f"Leave these rows out."
        )
    return RankedRows(case, rows, recipe, _filling(rows, fill), ranked, tested)


def training_case(case: Case, recipe: Recipe, explained: Explained = "case") -> Case:
    """The recipe's rows as a case of the fixed model, with the classes that are explained."""
    x = read_like(case, recipe.x)
    gaps = case.rows.gaps or bool(np.isnan(to_floats(x)).any())
    rows = replace(case.rows, x=x, ids=tuple(f"training {i}" for i in range(len(x))), gaps=gaps)
    bare = replace(case, rows=rows, label=np.zeros(len(x), dtype=np.int64))
    return replace(bare, label=_labels(bare, case, explained))


def with_explained_label(case: Case, explained: Explained) -> Case:
    """The case with the classes that are explained."""
    return replace(case, label=_labels(case, case, explained))


def _labels(rows: Case, case: Case, explained: Explained) -> Ints:
    """The class that is explained for each of the rows."""
    count = len(rows)
    if not case.model.kind.is_classifier:
        return np.full(count, case.label[0])
    if explained == "fixed":
        return np.zeros(count, dtype=np.int64)
    kind = explained if explained != "case" else _label_of_case(case)
    if kind == "fixed":
        return np.full(count, case.label[0])
    if kind == "predicted":
        return np.asarray(predicted_class(rows.prediction, case.model.gives), dtype=np.int64)
    classes = case.prediction.shape[1] if case.prediction.shape[1] > 1 else 2
    streams = (case.seed.child("random label", name).generator() for name in rows.rows.ids)
    return np.array([int(stream.integers(classes)) for stream in streams], dtype=np.int64)


def _label_of_case(case: Case) -> Explained:
    constant = len(set(case.label.tolist())) == 1
    predicted = np.array_equal(predicted_class(case.prediction, case.model.gives), case.label)
    if constant and (not predicted or case.prediction.shape[1] <= 2):
        return "fixed"
    if predicted:
        return "predicted"
    raise InputError(
        "the case explains another class for each row, which the training rows do not have. Give explained='predicted' "
        "or 'fixed', or a case of one class: case.with_target(label=…)."
    )


def _filling(training: Case, fill: Fill) -> Any:
    """What removed elements get: (1, *shape), or a removal."""
    x = to_floats(training.rows.x)
    if fill == "neighbours":
        if len(training.rows.shape) != 3:
            raise InputError(
                f"fill='neighbours' needs images (channel, height, width); the rows have shape {training.rows.shape}. "
                f"Use fill='mean'."
            )
        return NoisyLinear(float(IMPUTATION_NOISE * x.std()))
    known = ~np.isnan(x)
    value: Any = np.where(known, x, 0.0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)
    table = training.rows.table
    for place in np.flatnonzero(table.coded) if table is not None else ():
        levels, counts = np.unique(x[:, place], return_counts=True)
        value[place] = levels[counts.argmax()]
    given = training.rows.x
    if is_torch_array(given):
        import torch

        return torch.as_tensor(value[None], dtype=given.dtype, device=given.device)
    return np.asarray(value[None], dtype=np.float64)


def part_counts(parts: int, fractions: tuple[float, ...]) -> list[int]:
    """How many parts each fraction is, rounded half up."""
    if not fractions or not all(0 < one < 1 for one in fractions) or list(fractions) != sorted(set(fractions)):
        raise InputError(f"fractions={fractions}; give rising numbers between 0 and 1.")
    return [int(np.floor(one * parts + 0.5)) for one in fractions]


def ranks(scores: Floats, names: tuple[str, ...], seed: Seed, shared: bool) -> Ints:
    """The place of each part in its row's ranking (row, part), 0 for the largest score; ties are drawn."""
    if shared:
        noise = np.asarray(seed.child("ties").generator().random(scores.shape[1]))
        return np.broadcast_to(_places(scores[:1], noise[None])[0], scores.shape)
    return _places(scores, np.stack([seed.child("ties", name).generator().random(scores.shape[1]) for name in names]))


def _places(scores: Floats, noise: Floats) -> Ints:
    order = np.lexsort((noise, -scores), axis=1)
    places = np.empty(order.shape, dtype=np.int64)
    np.put_along_axis(places, order, np.arange(order.shape[1])[None], axis=1)
    return places


def removed_parts(places: Ints, counts: list[int], keep: bool) -> Iterator[Masks]:
    """Which parts are removed (row, part), for each count: those ranked first, or with ``keep`` all others."""
    for count in counts:
        first = places < count
        yield ~first if keep else first
