# SPDX-License-Identifier: Apache-2.0
"""Modified backward passes: the target is propagated back through a net by rules and read at the net's own input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Array, Floats
from assay.cases.case import Case
from assay.engine.gradients.distributions import broadcast_start
from assay.model.layer_slices import NET_INPUT, ROWS
from assay.model.model import BackwardRules
from assay.nouns.inputs.features import units
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate


def at_net_input(case: Case) -> Case:
    """The same case at the net's own input, after ``preprocess``; a case at a layer stays as it is."""
    return case.from_layer(NET_INPUT) if case.model.input_layer == ROWS else case


def propagate_backward(
    case: Case, inner: Case, make_rules: Callable[[int], BackwardRules], start: Array | None = None, *, sides: int = 1
) -> tuple[Estimate, Floats | None]:
    """Values of the rows' elements, and the relevance absorbed on the way (row,), ``None`` where the rules count none.

    Elements are those of the net's own input where ``preprocess`` changes the shape.
    """
    found = inner.backward(make_rules, start, sides=sides)
    values = found.values.double() if is_torch_array(found.values) else found.values
    absorbed = None if found.absorbed_relevance is None else to_floats(found.absorbed_relevance)
    if inner.rows.shape == case.rows.shape:
        return Estimate(values, base=found.start), absorbed
    return Estimate(values, base=found.start, features=units(inner.rows.shape), x=inner.rows.x), absorbed


def relevance_balance(
    case: Case, values: Any, absorbed: Floats | None, base: Floats | float = 0.0
) -> Mapping[str, Floats]:
    """``absorbed`` (row,): relevance of biases and constants; ``conservation`` (row,): the residual that remains.

    conservation = target − base − Σ values − absorbed, rounding unless a step was missed.
    """
    lost = np.zeros(len(case)) if absorbed is None else absorbed
    total = to_floats(values).reshape(len(case), -1).sum(axis=1)
    return {"absorbed": lost, "conservation": case.output - base - total - lost}


def start_at_net_input(case: Case, inner: Case, start: Any) -> Array:
    """A start (a number, one row, or one row each) as an array of the net's own input."""
    origin = broadcast_start(case, start)
    return origin if inner is case else case.at(origin).from_layer(NET_INPUT).rows.x


def modified_gradient(case: Case, method: str, *, guided: bool, allow: Sequence[str]) -> Estimate:
    """The gradient with the rectifiers' rule replaced; ``CapabilityError`` for a net without rectifiers."""
    from assay.model.rules.rectifiers import RectifierRules

    tables: list[RectifierRules] = []

    def make_rules(rows: int) -> BackwardRules:
        tables.append(RectifierRules(method, guided, allow))
        return tables[-1]

    values = case.backward(make_rules).values
    if not any(table.rectifier_count for table in tables):
        raise CapabilityError(f"{method} needs rectifiers (ReLU) in the net; {case.model.name} has none. Use saliency.")
    return Estimate(values)


def integrate_by_secants(case: Case, start: Any, steps: int) -> Estimate:
    """Integrated gradients by DeepLIFT slopes on panels with edges α = (k / steps)³; also with half as many panels.

    ``extra["relative_change"]`` (row,) is Σ|difference of the two results| / Σ|values|.
    """
    from assay.model.rules.deep_lift import DeepLiftRules

    if steps < 2:
        raise InputError(f"steps={steps}; at least 2 are needed, to compare with half as many.")
    origin = broadcast_start(case, start)
    line = case.rows.x - origin

    def integrate(count: int) -> Array:
        total: Array = 0.0
        edges = (np.arange(count + 1) / count) ** 3
        for low, high in pairwise(edges):
            here = case.at(origin + float(high) * line)
            inner = at_net_input(here)
            part, _ = propagate_backward(
                here,
                inner,
                lambda rows: DeepLiftRules("explain.integrated_gradients"),
                start_at_net_input(here, inner, origin + float(low) * line),
                sides=2,
            )
            total = total + part.values
        return total

    fine, coarse = integrate(steps), integrate(steps // 2)
    size, gap = (np.abs(to_floats(one)).reshape(len(case), -1).sum(axis=1) for one in (fine, fine - coarse))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative_change = np.where(gap == 0, 0.0, gap / size)
    return Estimate(fine, base=case.value(origin), extra={"relative_change": relative_change})
