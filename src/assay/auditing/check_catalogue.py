# SPDX-License-Identifier: Apache-2.0
"""The catalogue of checks with every verb loaded, those that the audit itself answers included."""

from __future__ import annotations

from importlib import import_module

from assay.nouns.catalogue import VERBS, Check, checks

AUDIT_MODULES = ("assay.auditing.steps.execution", "assay.auditing.settings_grid")
"""Modules of the audit that declare checks of their own."""


def all_checks(start: str = "") -> tuple[Check, ...]:
    """Every check whose code begins with ``start``, by family and code."""
    for module in (*(f"assay.{verb}" for verb in VERBS), *AUDIT_MODULES):
        import_module(module)
    return checks(start)
