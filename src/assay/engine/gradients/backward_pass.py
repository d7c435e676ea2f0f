# SPDX-License-Identifier: Apache-2.0
"""A target sent back through a net by rules, read at the net's own input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Array, Floats
from assay.cases.case import Case
from assay.engine.gradients.distributions import started
from assay.model.layer_slices import OWN, ROWS
from assay.model.model import Ruling
from assay.nouns.inputs.features import units
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate


def at_the_net(case: Case) -> Case:
    """The same question about the net's own input, after ``preprocess``; a case at a layer is there already."""
    return case.from_layer(OWN) if case.model.place == ROWS else case


def returned(
    case: Case, inner: Case, ruling: Callable[[int], Ruling], start: Array | None = None, *, sides: int = 1
) -> tuple[Estimate, Floats | None]:
    """Values of the rows' elements (of the net's own input, if ``preprocess`` changes the shape), and what stayed."""
    found = inner.backward(ruling, start, sides=sides)
    values = found.values.double() if is_torch_array(found.values) else found.values
    absorbed = None if found.absorbed is None else to_floats(found.absorbed)
    if inner.rows.shape == case.rows.shape:
        return Estimate(values, base=found.start), absorbed
    return Estimate(values, base=found.start, features=units(inner.rows.shape), x=inner.rows.x), absorbed


def leftover(case: Case, values: Any, absorbed: Floats | None, base: Floats | float = 0.0) -> Mapping[str, Floats]:
    """What biases and constants absorbed (row,), and the target less that, the base and the values (row,)."""
    kept = np.zeros(len(case)) if absorbed is None else absorbed
    total = to_floats(values).reshape(len(case), -1).sum(axis=1)
    return {"absorbed": kept, "conservation": case.output - base - total - kept}


def net_start(case: Case, inner: Case, start: Any) -> Array:
    """A start (a number, a row, a row each) as the net's own input."""
    begun = started(case, start)
    return begun if inner is case else case.at(begun).from_layer(OWN).rows.x


def rectified(case: Case, who: str, *, guided: bool, allow: Sequence[str]) -> Estimate:
    """The gradient with rectifiers' own rule; a net without any is refused."""
    from assay.model.rules.rectifiers import Rectifiers

    tables: list[Rectifiers] = []

    def ruling(rows: int) -> Ruling:
        tables.append(Rectifiers(who, guided, allow))
        return tables[-1]

    values = case.backward(ruling).values
    if not any(table.met for table in tables):
        raise CapabilityError(f"{who} needs rectifiers (ReLU) in the net; {case.model.name} has none. Use saliency.")
    return Estimate(values)


def secants(case: Case, start: Any, steps: int) -> Estimate:
    """Integrated gradients by DeepLIFT steps along the line, at α = (k / steps)³; and by half as many, to compare."""
    from assay.model.rules.deep_lift import Secant

    if steps < 2:
        raise InputError(f"steps={steps}; at least 2 are needed, to compare with half as many.")
    begun = started(case, start)
    line = case.rows.x - begun

    def along(count: int) -> Array:
        total: Array = 0.0
        places = (np.arange(count + 1) / count) ** 3
        for low, high in pairwise(places):
            here = case.at(begun + float(high) * line)
            inner = at_the_net(here)
            part, _ = returned(
                here,
                inner,
                lambda rows: Secant("explain.integrated_gradients"),
                net_start(here, inner, begun + float(low) * line),
                sides=2,
            )
            total = total + part.values
        return total

    fine, coarse = along(steps), along(steps // 2)
    flat, gap = (np.abs(to_floats(one)).reshape(len(case), -1).sum(axis=1) for one in (fine, fine - coarse))
    with np.errstate(divide="ignore", invalid="ignore"):
        unsettled = np.where(gap == 0, 0.0, gap / flat)
    return Estimate(fine, base=case.value(begun), extra={"unsettled": unsettled})
