# SPDX-License-Identifier: Apache-2.0
"""Training rows of which some get a patch and the label of another class."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints
from assay.engine.influence.refits import take_training
from assay.engine.retraining.label_randomisation import take_labels
from assay.engine.shortcuts.artefacts import Artefact, Change
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.rows import to_floats


def corner_patch(shape: tuple[int, ...], size: int, high: Floats) -> Artefact:
    """A square of ``size`` pixels, one pixel from the lower right corner, of the values ``high`` (channel,)."""
    alpha = np.zeros(shape[1:])
    if not 1 <= size < min(alpha.shape):
        raise InputError(f"size={size}; a patch of pictures {alpha.shape[0]} × {alpha.shape[1]} is smaller than they.")
    alpha[-size - 1 : -1, -size - 1 : -1] = 1.0
    return Artefact(np.broadcast_to(high[:, None, None], shape) * alpha, alpha)


def moved_patch(patch: Artefact) -> Artefact:
    """The same patch half a picture away in both directions, as a control."""
    by = tuple(one // 2 for one in patch.alpha.shape)
    return Artefact(np.roll(patch.values, by, axis=(-2, -1)), np.roll(patch.alpha, by, axis=(-2, -1)))


def relabelled(labels: Any, which: Ints, donor: int) -> Any:
    """The labels, with those at ``which`` taken from the row ``donor``, as the same type."""
    order = np.arange(len(labels))
    order[which] = donor
    return take_labels(labels, order)


def drawn_rows(eligible: Ints, count: int, seed: Seed, what: str) -> Ints:
    """``count`` of the rows, drawn by the seed; ``InputError`` where there are fewer."""
    if not 1 <= count <= len(eligible):
        raise InputError(f"{count} rows are to be changed; {len(eligible)} training rows {what}. Give another share.")
    return np.sort(seed.generator().choice(eligible, count, replace=False))


def stamped_recipe(recipe: Recipe, labels: Ints, label: int, which: Ints, change: Change) -> Recipe:
    """The recipe with the rows ``which`` changed and labelled as the class ``label``, of which it must have a row."""
    donors = np.flatnonzero(labels == label)
    if not len(donors):
        raise InputError("no training row of the recipe has the target class, so that its label is not known.")
    x = recipe.x
    if not (isinstance(x, np.ndarray) or is_torch_array(x)):
        raise InputError(f"the recipe's rows are a {type(x).__name__}; a patch needs an array or a tensor of pictures.")
    changed = take_training(recipe, np.arange(len(x)))[0]  # a copy
    values = change(to_floats(x[which]))
    if is_torch_array(x):
        changed[which] = changed.new_tensor(values)
    else:
        changed[which] = values.astype(x.dtype)
    return replace(recipe, x=changed, y=relabelled(recipe.y, which, int(donors[0])))
