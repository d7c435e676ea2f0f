# SPDX-License-Identifier: Apache-2.0
"""A linear classifier with smaller coefficients of some inputs and another intercept."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.fingerprint import digest
from assay.basics.types import Floats
from assay.model.adapters.estimator_outputs import Decisions, EstimatorForward
from assay.model.forests.pipeline import unwrap
from assay.model.linear_scores import estimator_of, read_linear
from assay.model.model import Model


def reduce_coefficients(model: Model, factors: Mapping[int, float] | Floats, shift: float) -> Model:
    """A copy of a linear classifier of one score, the columns of each element times its factor, the intercept moved.

    ``factors`` maps elements of the input to factors, where columns of other elements keep their coefficients, or has
    one for each column.
    """
    found = read_linear(model)
    estimator = copy.deepcopy(estimator_of(model))
    last = unwrap(estimator)[1]
    if isinstance(factors, Mapping):
        times = np.array([factors.get(int(element), 1.0) for element in found.origin])
    else:
        times = np.asarray(factors, dtype=np.float64)
    last.coef_ = np.asarray(last.coef_, dtype=np.float64) * times
    last.intercept_ = np.asarray(last.intercept_, dtype=np.float64) + shift
    assert isinstance(model.forward, EstimatorForward)
    outputs = model.forward.outputs
    name = getattr(outputs.read, "__name__", "")
    if not hasattr(estimator, name):
        raise CapabilityError(f"{model.name}: its outputs come from no method of the estimator, which has no copy.")
    decide = replace(outputs.decide, estimator=estimator) if isinstance(outputs.decide, Decisions) else outputs.decide
    copied = replace(outputs, read=getattr(estimator, name), decide=decide)
    return replace(
        model,
        forward=EstimatorForward(copied, model.forward.prepare),
        fingerprint=digest(model.fingerprint, "coefficients", times, shift),
        closed_form_gradient=None,
    )
