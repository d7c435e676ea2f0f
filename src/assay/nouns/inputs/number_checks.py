# SPDX-License-Identifier: Apache-2.0
"""Checks of numbers that a caller gives: a typed error names the argument, what was found and what is needed."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.nouns.inputs.rows import to_floats


def is_number(value: Any) -> bool:
    """Whether a value is a real number and no truth value."""
    return not isinstance(value, bool) and isinstance(value, int | float | Fraction | np.integer | np.floating)


def is_whole_number(value: Any) -> bool:
    """Whether a value is an integer and no truth value."""
    return not isinstance(value, bool) and isinstance(value, int | np.integer)


def require_number(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
    meaning: str = "",
) -> float:
    """The value as a float; ``InputError`` unless it is a finite number within the limits.

    ``least`` and ``most`` belong to the range, ``above`` and ``below`` do not. ``meaning`` says what the number is.
    """
    if is_number(value) and math.isfinite(value) and least <= value <= most and above < value < below:
        return float(value)
    limits = (("at least", least), ("above", above), ("at most", most), ("below", below))
    needed = " and ".join(f"{text} {limit:g}" for text, limit in limits if math.isfinite(limit))
    raise InputError(
        f"{name}={_short(value)}; a finite number{f' {needed}' if needed else ''} is needed"
        f"{f': {meaning}' if meaning else ''}."
    )


def require_numbers(name: str, value: Any, *, least: float = -math.inf) -> None:
    """Raise ``InputError`` unless a number, or every element of an array, is finite and at least ``least``."""
    if np.ndim(value) == 0 and not hasattr(value, "shape"):
        require_number(name, value, least=least)
        return
    try:
        numbers = to_floats(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is {type(value).__name__}; a number or an array of numbers is needed.") from error
    if not (np.isfinite(numbers) & (numbers >= least)).all():
        limit = f" and at least {least:g}" if math.isfinite(least) else ""
        raise InputError(f"{name} has elements that are no finite numbers{limit}.")


def require_count(name: str, value: Any, *, least: int = 1, meaning: str = "") -> int:
    """The value as an int; ``InputError`` unless it is a whole number of at least ``least``."""
    if is_whole_number(value) and value >= least:
        return int(value)
    raise InputError(
        f"{name}={_short(value)}; a whole number, at least {least}, is needed{f': {meaning}' if meaning else ''}."
    )


def _short(value: Any) -> str:
    return repr(value)[:60] if np.ndim(value) == 0 else f"<{type(value).__name__} of shape {np.shape(value)}>"
