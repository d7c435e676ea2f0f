# SPDX-License-Identifier: Apache-2.0
"""The validity report of an attack on predictions as texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.nouns.results.result import AttackResult
from assay.report.drawing.formatting import format_number

STATED = frozenset({"robust_accuracy", "robust_accuracy_interval", "robust_accuracy_of", "rows"})
"""Fields that the text in front of the list states already."""


def describe_validity(result: AttackResult) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The robust accuracy with its interval, and (name, value) of the other fields; empty without a report."""
    if "robust_accuracy" not in result.validity:
        return "", ()
    limits = result.interval()
    robust = f"{result.robust_accuracy:.1%} [{limits.low:.1%}, {limits.high:.1%}]"
    fields = [(name, value) for name, value in result.validity.items() if name not in STATED and value is not None]
    return robust, tuple((name.replace("_", " "), _text(value)) for name, value in fields)


def _text(value: Any) -> str:
    """A field's value as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | str):
        return str(value)
    if isinstance(value, float):
        return format_number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items()) or "none"
    if all(isinstance(one, tuple) and len(one) == 2 for one in value):
        return ", ".join(f"{name} {_text(one)}" for name, one in value)
    return " … ".join(map(_text, value))
