# SPDX-License-Identifier: Apache-2.0
"""The call that repeats an audit, as text: every argument that is not the default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PLACEHOLDERS = {
    "train": "(x_train, y_train)",
    "background": "background",
    "recipe": "recipe",
    "concepts": "concepts",
    "regions": "regions",
    "ids": "ids",
    "reasons": "reasons",
}
"""Names that stand for data and objects, whose values are too long to print."""


def call_text(arguments: Mapping[str, Any], defaults: Mapping[str, Any], labelled: bool) -> str:
    """``assay.audit(…)`` with the arguments that differ from their defaults; data stand under their names."""
    parts = ["model", "x"] + ["y"] * labelled
    for name, value in arguments.items():
        if _is_default(value, defaults.get(name)):
            continue
        parts.append(f"{name}={PLACEHOLDERS.get(name) or _plain(name, value)}")
    return f"assay.audit({', '.join(parts)})"


def _is_default(value: Any, default: Any) -> bool:
    if value is default or value is None:
        return True
    empty = isinstance(value, str | tuple | list | Mapping) and len(value) == 0
    return empty or (isinstance(value, str | int | float | bool) and value == default)


def _plain(name: str, value: Any) -> str:
    """A value as Python text: groups of rows stand under the name of their attribute."""
    if isinstance(value, Mapping) and name == "sensitive":
        return "{" + ", ".join(f"{key!r}: {str(key) if str(key).isidentifier() else 'groups'}" for key in value) + "}"
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return repr(list(value))
    return repr(dict(value)) if isinstance(value, Mapping) else repr(value)
