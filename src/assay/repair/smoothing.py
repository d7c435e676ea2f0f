# SPDX-License-Identifier: Apache-2.0
"""Smoothing as a repair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.declare import repairer
from assay.model.transformations.smooth import smooth
from assay.nouns.inputs.target import predicted_class, probabilities


@repairer(source="cohen2019", needs={"gradient", "numbers"})
def smoothing(case: Case, *, sigma: float, draws: int = 16) -> Mapping[str, Any]:
    """A smoothed model: its output is averaged over noise on the input, so that its explanations change slowly.

    For a model whose explanations change under small perturbations. ``sigma`` is the noise's standard deviation, in
    the units of the rows; probabilities (a regression's values) are averaged over ``draws`` fixed noise fields, so the
    new model is deterministic and costs ``draws`` times as much. ``before`` and ``after`` are measured on the case's
    rows: ``agreement`` is the share of rows whose predicted class stays, ``mean confidence`` the mean probability of
    the originally predicted class. A regression has ``mean value`` and ``root mean square change`` instead. No
    certificate: the noise is fixed.
    """
    model = smooth(case.model, sigma=sigma, draws=draws, seed=case.seed)
    before, after = case.prediction, replace(case, model=model).prediction
    metrics = _value_metrics if case.model.gives in ("values", "units") else _class_metrics
    was, now = metrics(before, after, case)
    change = f"averaged over {draws} fixed Gaussian perturbations of the input with standard deviation {sigma:g}"
    return {"model": model, "change": change, "before": was, "after": now}


def _class_metrics(before: Floats, after: Floats, case: Case) -> tuple[dict[str, float], dict[str, float]]:
    rows, chosen = np.arange(len(case)), predicted_class(before, case.model.gives)
    confidence = probabilities(before, case.model.gives)[rows, chosen]
    agreement = float((predicted_class(after, case.model.kind.as_probabilities()) == chosen).mean())
    return (
        {"agreement": 1.0, "mean confidence": float(confidence.mean())},
        {"agreement": agreement, "mean confidence": float(after[rows, chosen].mean())},
    )


def _value_metrics(before: Floats, after: Floats, case: Case) -> tuple[dict[str, float], dict[str, float]]:
    change = float(np.sqrt(((after - before) ** 2).mean()))
    return (
        {"mean value": float(before.mean()), "root mean square change": 0.0},
        {"mean value": float(after.mean()), "root mean square change": change},
    )
