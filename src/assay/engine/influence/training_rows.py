# SPDX-License-Identifier: Apache-2.0
"""Training rows with their labels as a case, and how they are grouped into the parts of an explanation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.engine.retraining.fine_tuning import require_pair
from assay.engine.retraining.labelled_rows import true_labels
from assay.model.layer_slices import ROWS
from assay.nouns.inputs.features import Features, elements
from assay.nouns.inputs.frames import list_first


def training_case(case: Case, train: Any, ids: Sequence[str] = ()) -> Case:
    """The training rows as a case of the same model, whose target is the loss of their own labels.

    ``train`` is a pair: rows in any form that the model takes, and one label for each. The rows are evaluated once.
    """
    require_pair("train", train)
    if case.model.input_layer != ROWS and case.model.encode is None:
        raise CapabilityError(
            "the rows explained are activations of a layer, training rows are not. Explain the model's own rows."
        )
    bare = ask(case.model, train[0], target="loss", label=None, ids=ids if len(ids) else None, seed=case.seed)
    known = np.asarray(true_labels(case.model, train[1], len(bare), bare.prediction))
    other = replace(bare, label=known)
    other.__dict__["prediction"] = bare.prediction
    return other


@dataclass(frozen=True, eq=False)
class TrainingParts:
    """Training rows as parts: each row by itself, or groups of rows. ``member`` (row,) is the part of each row."""

    names: tuple[str, ...]
    member: Ints
    grouped: bool

    @classmethod
    def of(cls, ids: Sequence[str], groups: Sequence[str]) -> TrainingParts:
        """One part for each row, or for each name in ``groups``, in the order of their first rows."""
        if not len(groups):
            return cls(tuple(ids), np.arange(len(ids)), False)
        if len(groups) != len(ids):
            raise InputError(f"{len(groups)} names of groups for {len(ids)} training rows; give one a row.")
        names = tuple(dict.fromkeys(map(str, groups)))
        places = {name: place for place, name in enumerate(names)}
        return cls(names, np.array([places[str(name)] for name in groups]), True)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def features(self) -> Features:
        """The parts as features: positions along an axis of training rows, or of groups."""
        return elements((len(self),), self.names)

    def sums(self, values: Floats) -> Floats:
        """Sums over the rows of each part, (…, part), of values (…, row)."""
        if not self.grouped:
            return values
        found = np.zeros((*values.shape[:-1], len(self)))
        for part in range(len(self)):
            found[..., part] = values[..., self.member == part].sum(axis=-1)
        return found


def require_finite_losses(train: Case) -> None:
    """Raise ``InputError`` where a training row's loss is infinite, so that it has no gradient."""
    with np.errstate(divide="ignore"):
        found = train.target.read(train.prediction, train.label, train.model.gives)
    infinite = np.flatnonzero(~np.isfinite(found))
    if len(infinite):
        raise InputError(
            f"the loss of training row(s) {list_first(infinite)} is infinite: the model gives their label probability "
            f"0, which no training by this loss does. Are these the rows that it was trained on?"
        )
