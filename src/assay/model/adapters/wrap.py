# SPDX-License-Identifier: Apache-2.0
"""Entry point that chooses the adapter of a trained model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from assay.basics.errors import CapabilityError, InputError
from assay.model.adapters.function import function
from assay.model.model import Model


def wrap(
    obj: Any,
    *,
    classes: Sequence[str] | None = None,
    preprocess: Callable[[Any], Any] | None = None,
    output: Any = None,
    device: str | None = None,
    fast: bool = True,
) -> Model:
    """Make a ``Model`` of a torch module, a scikit-learn estimator or Pipeline, an XGBoost or LightGBM
    estimator or booster, a CatBoost estimator, or a function.

    ``output`` is a function that selects the scores in a net's return value. For a plain function it must say what the
    outputs are: ``"logits"``, ``"margin"``, ``"probabilities"`` or ``"values"``; for a scikit-learn classifier it may
    choose ``"margin"`` or ``"probabilities"``. ``preprocess`` maps rows in the caller's units to the model's input;
    every explanation and every perturbation radius stays in the caller's units. ``fast=False`` stops removal methods
    from converting a net for many evaluations (``assay.model.fast``).
    """
    if isinstance(obj, Model):
        return obj if fast else replace(obj, fast=False)
    kind = _kind(obj)
    if kind == "torch":
        from assay.model.adapters.torch import torch

        model = torch(obj, classes=classes, preprocess=preprocess, output=output, device=device)
        return replace(model, fast=fast)
    if device is not None:
        raise InputError(f"device={device!r} applies to torch nets only; {type(obj).__name__} is none.")
    if callable(output):
        raise InputError(f"output=<function> applies to torch nets only; {type(obj).__name__} is none.")
    if kind in ("xgboost", "lightgbm", "catboost"):
        if output not in (None, "margin", "values"):
            raise InputError(f"output={output!r}; boosted trees give raw scores ('margin') or 'values'.")
        from assay.model.adapters import boosters as trees

        adapter = {"xgboost": trees.xgboost, "lightgbm": trees.lightgbm, "catboost": trees.catboost}[kind]
        return adapter(obj, classes=classes, preprocess=preprocess)
    if kind == "sklearn":
        from assay.model.adapters.sklearn import sklearn

        return sklearn(obj, classes=classes, preprocess=preprocess, scores=output)
    if callable(obj):
        if output not in ("logits", "margin", "probabilities", "values"):
            raise InputError(
                f"{getattr(obj, '__name__', type(obj).__name__)} is a function: state what it returns with "
                f"output='logits', 'margin', 'probabilities' or 'values'."
            )
        return function(obj, gives=output, classes=classes, preprocess=preprocess)
    raise CapabilityError(
        f"{type(obj).__module__}.{type(obj).__qualname__} is not a supported model. Give a torch module, a "
        f"scikit-learn, XGBoost, LightGBM or CatBoost estimator, or a function of rows."
    )


def _kind(obj: Any) -> str:
    """The library of ``obj``, by the modules of its base classes; nothing is imported for it."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(obj, torch.nn.Module):
        return "torch"
    origins = {ancestor.__module__.partition(".")[0] for ancestor in type(obj).__mro__}
    return next((kind for kind in ("xgboost", "lightgbm", "catboost", "sklearn") if kind in origins), "")
