# SPDX-License-Identifier: Apache-2.0
"""The catalogue of checks with every verb loaded, those that the audit itself answers included."""

from __future__ import annotations

from importlib import import_module

from assay.basics.errors import CapabilityError
from assay.cases.case import Case
from assay.engine.capabilities import require_capabilities
from assay.nouns.catalogue import VERBS, Check, Method, checks, known
from assay.nouns.records.record import RepairText

AUDIT_MODULES = ("assay.auditing.steps.execution", "assay.auditing.settings_grid", "assay.engine.redteam.checks")
"""Modules that declare checks of their own, which no method of a verb answers."""


def all_checks(start: str = "") -> tuple[Check, ...]:
    """Every check whose code begins with ``start``, by family and code."""
    for module in (*(f"assay.{verb}" for verb in VERBS), *AUDIT_MODULES):
        import_module(module)
    return checks(start)


def suggested_repairs(code: str, case: Case | None = None) -> tuple[RepairText, ...]:
    """The repairs that answer this check, by name; with a case those that its kind of model can have."""
    import_module("assay.repair")
    return tuple(
        RepairText(method.name, method.meaning, tuple(sorted(method.needs)), method.side_effects)
        for method in known("repair")
        if code in method.answers and (case is None or _fits(method, case))
    )


def _fits(method: Method, case: Case) -> bool:
    try:
        require_capabilities(method, case)
    except CapabilityError:
        return False
    return True
