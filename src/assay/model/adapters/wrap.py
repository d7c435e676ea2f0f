# SPDX-License-Identifier: Apache-2.0
"""Entry point that chooses the adapter of a trained model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from assay.basics.errors import CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.model.adapters.function import function
from assay.model.model import Model
from assay.model.nets.private_net import is_exported_program
from assay.nouns.inputs.output_kind import MULTILABEL, OUTPUTS


def wrap(
    obj: Any,
    *,
    classes: Sequence[str] | None = None,
    preprocess: Callable[[Any], Any] | None = None,
    output: Any = None,
    threshold: float | None = None,
    device: str | None = None,
    fast: bool = True,
) -> Model:
    """Make a ``Model`` of a torch module, a scikit-learn estimator or Pipeline, an XGBoost or LightGBM
    estimator or booster, a CatBoost estimator, or a function.

    ``output`` says what the outputs are: ``"logits"``, ``"margin"``, ``"probabilities"``, ``"values"``,
    ``"multilabel logits"`` or ``"multilabel probabilities"``. A plain function needs it; of an estimator it chooses
    among what the estimator offers, and ``"decisions"`` (of scikit-learn's classifiers) is what ``predict`` decides, as
    1 and 0; of a torch net it is found from the last operation where not given. For a net it
    may also be a key, a position or a function that selects the scores in the return value (both together:
    ``assay.model.torch(net, output=…, gives=…)``). ``threshold`` is the probability from which the last of two classes
    is decided, where that is not the estimator's own rule. ``preprocess`` maps rows in the caller's units
    to the model's input; every explanation and every perturbation radius stays in the caller's units. ``fast=False``
    stops removal methods from converting a net for many evaluations (``assay.model.fast``).
    """
    if isinstance(obj, Model):
        return obj if fast else replace(obj, fast=False)
    kind = _kind(obj)
    stated = output if isinstance(output, str) and output in OUTPUTS else None
    if kind == "torch":
        from assay.model.adapters.torch import torch
        from assay.model.nets.selected_outputs import NamedScores

        model = torch(
            obj,
            classes=classes,
            preprocess=preprocess,
            output=output if stated is None else NamedScores(stated.removeprefix(MULTILABEL)),
            gives=stated,
            threshold=threshold,
            device=device,
        )
        return replace(model, fast=fast)
    if device is not None:
        raise InputError(f"device={device!r} applies to torch nets only; {type(obj).__name__} is none.")
    if callable(output):
        raise InputError(f"output=<function> applies to torch nets only; {type(obj).__name__} is none.")
    model = _other_model(obj, kind, classes, preprocess, output)
    if threshold is None:
        return model
    kind = model.kind.with_threshold(threshold)
    kind.check_threshold(len(model.classes) or 2)
    return replace(model, gives=kind, fingerprint=digest(model.fingerprint, kind.key))


def _other_model(
    obj: Any, kind: str, classes: Sequence[str] | None, preprocess: Callable[[Any], Any] | None, output: Any
) -> Model:
    """A model of an estimator or a function."""
    if kind in ("xgboost", "lightgbm", "catboost"):
        from assay.model.adapters import boosters as trees

        adapter = {"xgboost": trees.xgboost, "lightgbm": trees.lightgbm, "catboost": trees.catboost}[kind]
        return adapter(obj, classes=classes, preprocess=preprocess, output=output)
    if kind == "sklearn":
        from assay.model.adapters.sklearn import sklearn
        from assay.model.texts.raw_text import takes_raw_text, text_pipeline

        if takes_raw_text(obj):
            return text_pipeline(obj, classes=classes, preprocess=preprocess, output=output)
        return sklearn(obj, classes=classes, preprocess=preprocess, output=output)
    if "transformers" in {one.__module__.partition(".")[0] for one in type(obj).__mro__}:
        raise InputError(
            f"{type(obj).__name__} joins a net and a tokenizer: assay.model.transformers(pipeline.model, "
            f"pipeline.tokenizer)."
        )
    if isinstance(obj, type):
        raise InputError(f"{obj.__name__} is a class; give an object of it, with its weights: {obj.__name__}(…).")
    if callable(obj):
        if output not in OUTPUTS:
            raise InputError(
                f"{getattr(obj, '__name__', type(obj).__name__)} is a function: state what it returns with output=, "
                f"one of {', '.join(map(repr, OUTPUTS))}."
            )
        return function(obj, gives=output, classes=classes, preprocess=preprocess)
    raise CapabilityError(
        f"{type(obj).__module__}.{type(obj).__qualname__} is not a supported model. Give a torch module, a "
        f"scikit-learn, XGBoost, LightGBM or CatBoost estimator, or a function of rows."
    )


def _kind(obj: Any) -> str:
    """The library of ``obj``, by the modules of its base classes; nothing is imported for it."""
    torch = sys.modules.get("torch")
    if torch is not None and (isinstance(obj, torch.nn.Module) or is_exported_program(obj)):
        return "torch"
    origins = {ancestor.__module__.partition(".")[0] for ancestor in type(obj).__mro__}
    return next((kind for kind in ("xgboost", "lightgbm", "catboost", "sklearn") if kind in origins), "")
