# SPDX-License-Identifier: Apache-2.0
"""A model learned from another model's outputs at rows of data, which has seen no row made by an explainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assay.basics.fingerprint import digest
from assay.basics.seed import Seed
from assay.basics.types import Array, Floats
from assay.engine.search.threat import as_array
from assay.model.model import Model
from assay.nouns.inputs.rows import Rows, to_floats

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

FOLDS = 5
"""Folds by which the skill is measured."""

TREES = 60
"""Boosted trees for each output."""


@dataclass(frozen=True, eq=False)
class LearnedModel:
    """Boosted trees (``model``) fitted to a model's outputs at rows, and their ``skill`` on rows that they do not know.

    ``skill`` is R² = 1 − Σ error² / Σ (output − mean)² over all outputs and rows, each row predicted by trees that were
    fitted to the other folds: 1 is perfect, 0 no better than the mean; NaN where the outputs are constant.
    """

    model: Model
    skill: float


def learn_model(model: Model, x: Floats, outputs: Floats, seed: Seed) -> LearnedModel:
    """Boosted trees that learn ``outputs`` (row, out) of the model at ``x`` (row, column).

    Equal rows are in the same fold. Levels are numbers to the trees, which can cut between any two of them.
    Probabilities stay in 0 … 1, and add up to 1 where classes exclude each other.
    """
    _, which = np.unique(x, axis=0, return_inverse=True)
    which = which.ravel()
    folds = seed.child("folds").generator().permutation(which.max() + 1)[which] % FOLDS
    predicted = np.full(outputs.shape, np.nan)
    for fold in np.unique(folds):
        known = folds != fold
        if known.any():
            predicted[~known] = _predict(_fit(x[known], outputs[known]), x[~known], outputs.shape[1])
    spread = float(((outputs - outputs.mean(axis=0)) ** 2).sum())
    skill = 1 - float(((predicted - outputs) ** 2).sum()) / spread if spread > 0 else float("nan")
    fitted = _fit(x, outputs)
    is_probability = model.gives.startswith("probabilities")

    def forward(rows: Rows) -> Array:
        found = _predict(fitted, to_floats(rows.x), outputs.shape[1])
        if is_probability:
            found = np.clip(found, 0.0, 1.0)
            if model.kind.exclusive:
                found /= np.maximum(found.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        return as_array(found, rows.x)

    return LearnedModel(
        Model(
            forward=forward,
            name=f"boosted trees for {model.name}",
            fingerprint=digest("learned model", model.fingerprint, x, outputs),
            gives=model.gives,
            classes=model.classes,
            columns=model.columns,
            namespace=model.namespace,
            dtype=model.dtype,
            device=model.device,
            batch=model.batch,
            default_target=model.default_target,
            accepts_missing=model.accepts_missing,
            output_names=model.output_names,
        ),
        skill,
    )


def _fit(x: Floats, outputs: Floats) -> list[HistGradientBoostingRegressor | float]:
    """One regressor for each output; the value of an output that is constant; of two that add up to 1 the first."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    fitted: list[HistGradientBoostingRegressor | float] = []
    for column in outputs.T[: 1 if _are_complements(outputs) else None]:
        if np.ptp(column) == 0:
            fitted.append(float(column[0]))
        else:
            learner = HistGradientBoostingRegressor(max_iter=TREES, early_stopping=False, random_state=0)
            fitted.append(learner.fit(x, column))
    return fitted


def _predict(fitted: list[HistGradientBoostingRegressor | float], x: Floats, outputs: int) -> Floats:
    found = [np.full(len(x), one) if isinstance(one, float) else one.predict(x) for one in fitted]
    return np.stack(found + [1 - found[0]] * (outputs - len(found)), axis=1)


def _are_complements(outputs: Floats) -> bool:
    return outputs.shape[1] == 2 and bool(np.allclose(outputs.sum(axis=1), 1.0))
