# SPDX-License-Identifier: Apache-2.0
"""The catalogue of methods, with every verb loaded."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assay.nouns.catalogue import Method


def methods() -> list[Method]:
    """Every method of every verb."""
    from assay.nouns.catalogue import VERBS, known

    for verb in VERBS:
        import_module(f"assay.{verb}")
    return list(known())
