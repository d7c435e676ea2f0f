# SPDX-License-Identifier: Apache-2.0
"""Training rows with their labels, ids and groups, as checks of labels read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.stats import clopper_pearson
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.read_inputs import texts
from assay.engine.audit_inputs import AuditInputs
from assay.engine.data_quality.out_of_fold import OutOfFold, by_default, by_recipe
from assay.engine.influence.changes import InfluenceOptions, training_changes
from assay.engine.influence.refits import take_training
from assay.engine.influence.training_rows import training_case
from assay.engine.retraining.labelled_rows import read_like, true_labels
from assay.engine.sensitive_groups import MISSING, RANGES, column_values, complete_groups
from assay.nouns.inputs.frames import index_of, is_frame, open_frame
from assay.nouns.inputs.recipe import Recipe

Predictor = Literal["auto", "default", "recipe"]
"""Which model gives the out-of-fold probabilities; auto: the recipe's where there is one."""

MOST_GROUPS = 12
"""Groups of an attribute that the evidence lists."""


@dataclass(frozen=True, eq=False)
class TrainingLabels:
    """Training ``rows`` and ``given`` labels in the caller's form, ``labels`` (row,) as class positions, and ``ids``.

    ``places`` (row,) are positions among all training rows, of which many are drawn by the seed. ``groups`` holds one
    name a row for each sensitive attribute.
    """

    recipe: Recipe
    labels: Ints
    ids: tuple[str, ...]
    places: Ints
    groups: Mapping[str, Sequence[str]]
    total: int

    @classmethod
    def of(
        cls, case: Case, rows: Any, labels: Any, groups: Mapping[str, Sequence[str]], most: int, seed: Seed
    ) -> TrainingLabels:
        """The training rows, at most ``most`` of them."""
        total = len(texts(rows) if case.rows.text is not None else read_like(case, rows))
        known = np.asarray(labels_without_outputs(case, labels, total))
        columns = group_columns(groups, total)
        whole = Recipe(lambda x, y, seed, strength: None, rows, labels)
        places = np.arange(total)
        if total > most:
            places = np.sort(seed.child("rows").generator().permutation(total)[:most])
            whole = Recipe(whole.fit, *take_training(whole, places))
        names = index_of(rows) if is_frame(rows) else None
        ids = tuple(str(place) for place in places) if names is None else tuple(names[i] for i in places.tolist())
        drawn = {name: [str(column[i]) for i in places.tolist()] for name, column in columns.items()}
        return cls(whole, known[places], ids, places, drawn, total)

    def out_of_fold(self, case: Case, recipe: Recipe | None, by: Predictor, folds: int, seed: Seed) -> OutOfFold:
        """Probabilities by models that were not trained on the row."""
        if recipe is not None and by != "default":
            own = replace(recipe, x=self.recipe.x, y=self.recipe.y)
            return by_recipe(case, own, self.labels, folds, seed)
        if by == "recipe":
            raise InputError("by='recipe' needs a recipe: give assay.Recipe(fit, x, y), or by='default'.")
        return by_default(case, self.recipe.x, self.labels, folds, seed)

    def self_influence(self, case: Case) -> Floats:
        """How much the model's loss at each row would rise without the row in its training, (row,)."""
        train = (self.recipe.x, self.recipe.y)
        one = training_case(case, take_training(self.recipe, np.arange(1)))
        own = training_changes(one, train, InfluenceOptions()).own
        assert own is not None
        return own

    def composition(self, flagged: Masks, classes: Sequence[str], level: float) -> dict[str, list[dict[str, Any]]]:
        """By class and by sensitive attribute: rows, how many are ``flagged`` (row,), and their share with limits."""
        names = [classes[one] if one < len(classes) else str(one) for one in self.labels]
        return {
            what: shares_by_group(flagged, column, level) for what, column in {"class": names, **self.groups}.items()
        }


def labels_without_outputs(case: Case, labels: Any, rows: int) -> Any:
    """True labels by ``true_labels``; the model is evaluated only where its classes have no names."""
    known = bool(case.model.classes) or case.model.gives == "values"
    return true_labels(case.model, labels, rows, np.empty((0, 0)) if known else case.prediction)


def group_columns(groups: Any, rows: int) -> dict[str, list[str]]:
    """The group of each training row as text, by the name of the attribute; ranges of numbers, and a group of gaps."""
    if not isinstance(groups, Mapping):
        raise InputError(f"groups: found {type(groups).__name__}; a mapping from name to one group a training row.")
    columns = {str(name): column_values(column, f"groups of {name!r}") for name, column in groups.items()}
    for name, column in columns.items():
        if len(column) != rows:
            raise InputError(f"{len(column)} groups of {name!r} for {rows} training rows; give one a row.")
    return {
        name: complete_groups(column, rows, name, ranges=RANGES, missing=MISSING).tolist()
        for name, column in columns.items()
    }


def shares_by_group(flagged: Masks, column: Sequence[str], level: float) -> list[dict[str, Any]]:
    """For each group, the largest share first: its rows, the flagged ones, and their share with exact limits."""
    names = np.asarray(column, dtype=str)
    lines = []
    for name in sorted(set(names.tolist())):
        inside = names == name
        hits, rows = int(flagged[inside].sum()), int(inside.sum())
        limits = clopper_pearson(hits, rows, level)
        lines.append(
            {"name": name, "rows": rows, "flagged": hits, "share": hits / rows, "low": limits.low, "high": limits.high}
        )
    return sorted(lines, key=lambda line: -line["share"])[:MOST_GROUPS]


def most_flagged_group(composition: Mapping[str, list[dict[str, Any]]], overall: float) -> str:
    """A sentence on the group flagged most often, where its lower limit lies above the share of all rows; else empty.

    The limits are those of one group alone.
    """
    found = [(line["low"], what, line) for what, lines in composition.items() for line in lines[:1]]
    above = [one for one in found if one[0] > overall and one[2]["rows"] < 10**9]
    if not above:
        return ""
    _, what, line = max(above, key=lambda one: one[0] / max(overall, 1e-12))
    return (
        f" Flagged most often: {what} {line['name']}, {line['flagged']} of {line['rows']} rows ({line['share']:.1%}; "
        f"{overall:.1%} of all)."
    )


def training_groups(inputs: AuditInputs) -> dict[str, list[str]]:
    """The sensitive attributes that are columns of the training rows, one group a row."""
    assert inputs.train is not None
    rows = inputs.train[0]
    if not is_frame(rows):
        return {}
    frame = open_frame(rows)
    return group_columns({name: frame[name].to_list() for name in inputs.groups if name in frame.columns}, len(frame))
