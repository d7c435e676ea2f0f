# SPDX-License-Identifier: Apache-2.0
"""Explanations of a net whose inputs, baselines and removals are shifted by a constant that its first layer takes back.

The shifted net computes f'(x + m) = f(x), so nothing but the zero of the inputs has changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import InputError, NumericalError
from assay.basics.fingerprint import digest
from assay.basics.types import Array, Floats, PerPart
from assay.cases.case import Case
from assay.cases.default_removal import DefaultRemoval, OwnBackground
from assay.cases.removals import Blur, Conditional, Constant, Marginal, Mean, NoisyLinear, Removal
from assay.engine.gradients.distributions import (
    BlurPath,
    Distribution,
    Gaussian,
    Line,
    Lines,
    Path,
    Point,
    Uniform,
)
from assay.engine.neighbourhoods.neighbourhood import explanation_key, recompute_values, with_outputs
from assay.engine.recompute import restored_options
from assay.engine.retraining.randomised_weights import MAX_CACHED_WEIGHTS
from assay.engine.search.ball import Ball
from assay.model.transformations.shift_input import shift_input
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Explanation

OUTPUT_TOLERANCE = 1e-3
"""Largest difference of the shifted net's outputs from those of the net, as a share of the largest output."""

ROWS_BY_NAME = ("background", "comparison")
"""Options that hold rows of the inputs."""

BOUNDS_BY_NAME = ("low", "high")
"""Options that hold bounds of the inputs."""

UNMOVED = (Blur, NoisyLinear, DefaultRemoval, Point, Gaussian, Uniform, BlurPath)
"""Removals and distributions that are defined relative to the row, and move with it."""


def shift_of(case: Case, shift: float, scale: tuple[float, ...]) -> Floats:
    """m (*shape), in the units of the rows: ``shift`` for all elements, or ``shift`` times the scale of each column."""
    shape = case.rows.shape
    if not math.isfinite(shift) or shift == 0:
        raise InputError(f"shift={shift!r}; a finite number other than 0 is needed.")
    given = tuple(scale)
    if not all(0 <= one < math.inf for one in given) or (given and not any(given)):
        raise InputError("scale holds finite numbers ≥ 0, and not only zeros.")
    if len(given) > 1 and shape != (len(given),):
        raise InputError(f"scale has {len(given)} numbers for rows of shape {shape}; give one, or one a column.")
    return np.broadcast_to(float(shift) * np.array(given or (1.0,)), shape).copy()


def explain_shifted(explanation: Explanation, case: Case, move: Floats) -> tuple[PerPart, Floats]:
    """The explanation (row, part) of the shifted net at the shifted rows, and how far its outputs are off (row,).

    The method, its options and seed stay; baselines, backgrounds and constant removals are shifted as the rows are.
    Both are cached with the case.
    """
    key = ("shifted", digest(move))

    def outputs() -> Floats:
        return np.array(other().prediction)

    def explain() -> PerPart:
        return recompute_values(_with_shifted_options(explanation, case, move), with_outputs(other(), known))

    other = _shifted_case(case, move)
    known = case.explanation_cache.get((*key, "outputs"), outputs)
    difference = np.abs(known - case.prediction).max(axis=1)
    largest = float(np.abs(case.prediction).max())
    if float(difference.max()) > OUTPUT_TOLERANCE * largest:
        raise NumericalError(
            f"the shifted net's outputs differ by up to {difference.max():.3g} from those of {case.model.name}: the "
            f"shift is too large for {case.model.dtype}. Take a smaller shift, or a float64 net."
        )
    return case.explanation_cache.get((*key, explanation_key(explanation)), explain), difference


def _shifted_case(case: Case, move: Floats) -> Callable[[], Case]:
    """A function that gives the case of the shifted net at the shifted rows; a small net is cached."""

    def build() -> Case:
        model = shift_input(case.model, case.rows, move)
        return replace(case.at(_shifted(case.rows.x, move)), model=model)

    if sum(weight.numel() for weight in case.model.net.parameters()) > MAX_CACHED_WEIGHTS:
        return cache(build)
    return lambda: replace(case.explanation_cache.get_object(("shifted net", digest(move)), build))


def _with_shifted_options(explanation: Explanation, case: Case, move: Floats) -> Explanation:
    options = restored_options(explanation, case)
    shifted = {name: _shifted_option(name, value, case, move) for name, value in options.items()}
    return replace(explanation, provenance=replace(explanation.provenance, options=shifted))


def _shifted_option(name: str, value: Any, case: Case, move: Floats) -> Any:
    """An option of a method where inputs are shifted; ``InputError`` for one whose shift is not known."""
    if value is None or isinstance(value, UNMOVED):
        return value
    if name == "start":
        return _shifted_point(value, case, move)
    if name in ROWS_BY_NAME:
        return _shifted_rows(value, case, move)
    if name in BOUNDS_BY_NAME:
        return value + _one_shift(name, move)
    if isinstance(value, Ball):
        bounds = np.isfinite([value.low, value.high]).any()
        by = _one_shift(name, move) if bounds else 0.0
        return replace(value, low=value.low + by, high=value.high + by)
    if isinstance(value, Removal):
        return _shifted_removal(value, case, move)
    if isinstance(value, Distribution):
        return _shifted_distribution(value, case, move)
    if name == "members":
        raise InputError("an aggregate is computed from other explanations; score its members.")
    return value


def _shifted_removal(value: Any, case: Case, move: Floats) -> Any:
    if isinstance(value, Constant):
        if isinstance(value.value, Mapping):
            names = case.rows.table.names if case.rows.table is not None else ()
            return Constant({n: None if v is None else v + move[names.index(n)] for n, v in value.value.items()})
        return Constant(np.broadcast_to(to_floats(value.value), move.shape) + move)
    if isinstance(value, Mean | Marginal | Conditional):
        return replace(value, background=_shifted_rows(value.background, case, move))
    if isinstance(value, OwnBackground):
        return replace(value, x=_shifted(value.x, move))
    raise InputError(f"it is not known how {value!r} moves where the inputs are shifted; use Constant or Marginal.")


def _shifted_distribution(value: Any, case: Case, move: Floats) -> Any:
    if isinstance(value, Line):
        return replace(value, start=_shifted_point(value.start, case, move))
    if isinstance(value, Lines):
        return replace(value, background=_shifted_rows(value.background, case, move))
    if isinstance(value, Path):
        return replace(value, at=lambda x, alpha: _shifted(value.at(_shifted(x, -move), alpha), move))
    raise InputError(f"it is not known how {type(value).__name__} moves where the inputs are shifted; use Line.")


def _shifted_point(start: Any, case: Case, move: Floats) -> Array:
    """A start (a number, a row, or one row each) plus the shift, as an array of the rows' type."""
    try:
        point = to_floats(start)
    except (TypeError, ValueError) as error:
        raise InputError(f"start={type(start).__name__} cannot be shifted; give a number or an array.") from error
    rows = np.broadcast_to(point, (len(case) if point.ndim > move.ndim else 1, *move.shape)) + move
    x = case.rows.x
    return array_namespace(x).asarray(rows, dtype=x.dtype, device=x.device) if is_torch_array(x) else rows


def _shifted_rows(rows: Any, case: Case, move: Floats) -> Any:
    """Other rows plus the shift, in the caller's form."""
    return case.rows.in_callers_form(_shifted(case.rows.convert(rows), move))


def _shifted(x: Array, move: Floats) -> Array:
    """Rows plus the shift; the sum is rounded once to the rows' type."""
    if is_torch_array(x):
        return (x.double() + array_namespace(x).asarray(move, device=x.device)).to(x.dtype)
    return x + move


def _one_shift(name: str, move: Floats) -> float:
    """The shift where it is the same for all elements."""
    if np.ptp(move) > 0:
        raise InputError(f"{name} bounds all elements, and the shift differs between columns; give no scale.")
    return float(move.flat[0])
