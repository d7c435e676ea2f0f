# SPDX-License-Identifier: Apache-2.0
"""scikit-learn estimators and pipelines as models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import joblib
from sklearn.base import is_classifier, is_regressor
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from assay.model.gradient_free import as_outputs
from assay.model.model import Model
from assay.nouns.rows import Rows
from assay.nouns.target import Gives
from assay.words.errors import CapabilityError, InputError
from assay.words.types import Array


def sklearn(
    estimator: Any,
    *,
    classes: Sequence[str] | None = None,
    preprocess: Callable[[Any], Any] | None = None,
    scores: str | None = None,
    batch: int = 65536,
    name: str | None = None,
) -> Model:
    """A fitted estimator or Pipeline as a model, explained in the columns it was given, not in encoded ones.

    ``scores`` names what is read: ``"probabilities"`` (the default where ``predict_proba`` exists), ``"margin"``
    (``decision_function``; the default of gradient-boosted classifiers, whose raw scores it is) or ``"values"``.
    """
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    if not (is_classifier(last) or is_regressor(last)):
        raise CapabilityError(f"{type(last).__name__} is neither a classifier nor a regressor. Wrap a function of rows instead.")
    gives: Gives = "values"
    if is_classifier(last):
        offered = [m for m in ("predict_proba", "decision_function") if callable(getattr(estimator, m, None))]
        boosted = isinstance(last, GradientBoostingClassifier | HistGradientBoostingClassifier)
        if not offered:
            raise CapabilityError(f"{type(last).__name__} gives neither probabilities nor decision scores. Fit one that does.")
        wanted = scores or ("margin" if boosted or offered == ["decision_function"] else "probabilities")
        if wanted not in ("margin", "probabilities"):
            raise InputError(f"scores={wanted!r}; a classifier gives 'probabilities' or 'margin'.")
        gives = "margin" if wanted == "margin" else "probabilities"
    read = {
        "values": getattr(estimator, "predict", None),
        "margin": getattr(estimator, "decision_function", None),
        "probabilities": getattr(estimator, "predict_proba", None),
    }[gives]
    if read is None:
        raise CapabilityError(f"{type(last).__name__} has no method that gives {gives}.")
    known = getattr(estimator, "classes_", None) if gives != "values" else None
    if known is not None and classes is not None and len(classes) != len(known):
        raise InputError(f"{len(classes)} class names for {len(known)} classes ({list(known)[:8]}).")
    columns = getattr(estimator, "feature_names_in_", None)

    def forward(rows: Rows) -> Array:
        given = rows.x if rows.table is None else rows.table.decode(rows.x)
        return as_outputs(read(given if preprocess is None else preprocess(given)), len(rows))

    return Model(
        forward=forward,
        name=name or type(last).__name__,
        mark=str(joblib.hash(estimator)),
        gives=gives,
        classes=tuple(classes) if classes is not None else tuple(map(str, known)) if known is not None else (),
        columns=tuple(map(str, columns)) if columns is not None else None,
        batch=batch,
        default_target={"values": "value", "margin": "margin"}.get(gives, "probability"),
        about={"estimator": " ".join(repr(last).split()), "pipeline": " → ".join(n for n, _ in estimator.steps) if isinstance(estimator, Pipeline) else "no"},
    )


