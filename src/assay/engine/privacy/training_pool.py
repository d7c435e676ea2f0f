# SPDX-License-Identifier: Apache-2.0
"""Training rows and unseen rows of one model together, as a recipe can be trained on any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.read_inputs import texts
from assay.engine.retraining.label_randomisation import take_labels
from assay.engine.retraining.labelled_rows import outputs_at, read_like, rows_also_in, true_labels
from assay.nouns.inputs.frames import is_frame, list_first
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.rows import concatenate, to_numpy


@dataclass(frozen=True, eq=False)
class TrainingPool:
    """The recipe's rows and then the case's, without those of the case that occur among the recipe's (``copies``).

    ``labels`` (row,) are class positions, the first ``inside`` of them of training rows; ``outside`` holds the places
    of the others in the case, ``inner_outputs`` (row, out) the outputs of the case's model at the training rows.
    """

    recipe: Recipe
    labels: Ints
    inside: int
    outside: Ints
    copies: int
    inner_outputs: Floats
    rows: Callable[[Ints], Any] = field(repr=False)
    sources: Ints = field(repr=False)

    def training(self, which: Ints) -> tuple[Any, Any]:
        """Rows and labels at these positions of the pool, in the form that the recipe takes."""
        places = np.concatenate([np.arange(self.inside), self.inside + self.outside])
        return self.rows(places[which]), take_labels(self.recipe.y, self.sources[which])


def training_pool(case: Case, labels: Any, recipe: Recipe) -> TrainingPool:
    """The pool of a recipe and a case of rows that the model was not trained on, with their true ``labels``."""
    rows, is_copy = _rows_of(case, recipe)
    outside, inner = np.flatnonzero(~is_copy), outputs_at(case, recipe.x)[0]
    own = np.asarray(true_labels(case.model, recipe.y, len(inner), inner))
    other = np.asarray(true_labels(case.model, labels, len(case), case.prediction))[outside]
    return TrainingPool(
        recipe=recipe,
        labels=np.concatenate([own, other]),
        inside=len(own),
        outside=outside,
        copies=int(is_copy.sum()),
        inner_outputs=inner,
        rows=rows,
        sources=_label_sources(own, other),
    )


def _rows_of(case: Case, recipe: Recipe) -> tuple[Callable[[Ints], Any], Masks]:
    """The recipe's rows and then the case's by position, and which of the case's rows occur among the recipe's."""
    if case.rows.text is not None:
        known = texts(recipe.x)
        listed = [*known, *case.rows.text.source]
        inside = set(map(str, known))
        copies = np.array([str(text) in inside for text in case.rows.text.source], dtype=bool)
        return lambda which: [listed[i] for i in which.tolist()], copies
    inner = read_like(case, recipe.x)
    x = concatenate([inner, case.rows.x])

    def take(which: Ints) -> Any:
        rows = case.rows.in_callers_form(x[which])
        if is_frame(rows) or is_torch_array(recipe.x):
            return rows
        return to_numpy(rows).astype(recipe.x.dtype) if isinstance(recipe.x, np.ndarray) else to_numpy(rows)

    return take, rows_also_in(case.rows.x, inner)


def _label_sources(own: Ints, other: Ints) -> Ints:
    """For each row of the pool, the position of a training row with its label."""
    first = {int(label): int(place) for place, label in reversed(list(enumerate(own)))}
    unknown = np.flatnonzero(~np.isin(other, own))
    if len(unknown):
        raise InputError(
            f"row(s) {list_first(unknown)} have a class that no training row of the recipe has, so that shadow models "
            f"cannot be trained on them. Leave these rows out."
        )
    return np.array([*range(len(own)), *(first[int(label)] for label in other)], dtype=np.int64)
