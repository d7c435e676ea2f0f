# SPDX-License-Identifier: Apache-2.0
"""``assay list``."""

from __future__ import annotations

import sys
from json import dumps
from typing import Any, Literal

Kind = Literal[
    "all", "methods", "explain", "evaluate", "attack", "certify", "diagnose", "repair", "checks", "profiles",
    "formats", "adapters",
]  # fmt: skip


def listing(
    kind: Kind = "all", /, *, checks: bool = False, json: bool = False, format: Literal["text", "json"] = "text"
) -> int:
    """List methods (all, or those of one verb), checks, profiles, formats, or the supported kinds of model.

    A terminal gets a table; a pipe or a file gets one line an entry, with tabs between the cells and no headings.

    Parameters
    ----------
    kind
        What to list; all methods by default.
    checks
        Same as: assay list checks.
    json
        Same as --format json.
    format
        text or json.
    """
    kind = "checks" if checks else kind
    rows = TABLES[kind]() if kind in TABLES else _methods(kind)
    if json or format == "json":
        sys.stdout.write(dumps(rows, indent=1) + "\n")
        return 0
    from assay.cli.printing import print_listing

    named = rows if kind in TABLES else [row | {"method": f"{row['verb']}.{row['name']}"} for row in rows]
    print_listing(COLUMNS.get(kind, {"method": "method", "needs": "needs", "meaning": "meaning"}), named)
    return 0


def _methods(kind: str) -> list[dict[str, Any]]:
    from assay.cli.catalogue import methods

    return [
        {
            "verb": m.verb,
            "name": m.name,
            "meaning": m.meaning,
            "source": m.source,
            "needs": sorted(m.needs),
            "status": m.status,
        }
        for m in methods()
        if kind in ("all", "methods", m.verb)
    ]


def _checks() -> list[dict[str, Any]]:
    from assay.auditing.check_catalogue import all_checks

    return [
        {
            "code": c.code,
            "family": c.family,
            "question": c.question,
            "remedy": c.remedy,
            "threshold": c.threshold,
            "direction": c.direction,
            "method": c.method,
        }
        for c in all_checks()
    ]


def _profiles() -> list[dict[str, Any]]:
    from assay.auditing.planning.profiles import all_profiles

    return [
        {
            "profile": name,
            "data": kind,
            "rows": p.rows,
            "background": p.background,
            "explainers": list(p.explainers),
            "scores": list(p.scores),
            "attacks": list(p.attacks),
            "certificates": list(p.certificates),
            "diagnoses": {name: dict(options) for name, options in p.diagnoses.items()},
        }
        for (kind, name), p in all_profiles().items()
    ]


def _formats() -> list[dict[str, Any]]:
    from assay.cli.output_formats import FORMATS
    from assay.cli.read_rows import SUFFIXES

    outputs = [{"format": name, "use": "written", "what": what} for name, what in FORMATS.items()]
    return [*outputs, *({"format": end, "use": "read", "what": f"rows ({kind})"} for end, kind in SUFFIXES.items())]


def _adapters() -> list[dict[str, Any]]:
    return [{"model": model, "given as": given, "extra": extra} for model, given, extra in ADAPTERS]


ADAPTERS = (
    ("scikit-learn estimators and Pipelines", "skops file, or FILE.py:FUNCTION", "files"),
    ("XGBoost", "native file (.json, .ubj), or FILE.py:FUNCTION", "trees"),
    ("LightGBM", "native file (.txt), or FILE.py:FUNCTION", "trees"),
    ("torch nets", "state dict or safetensors with --architecture, or FILE.py:FUNCTION", "torch"),
    ("ONNX (a black box: no gradients)", "ONNX file", "files"),
    ("any function of rows", "FILE.py:FUNCTION with --output", ""),
    ("pickles and files that contain them", "refused without --unsafe-pickle", ""),
)
"""Supported kinds of model, how they are given, and the extra that installs the reader."""

TABLES = {"checks": _checks, "profiles": _profiles, "formats": _formats, "adapters": _adapters}
COLUMNS = {
    "checks": {"code": "code", "family": "family", "question": "question"},
    "profiles": {"profile": "profile", "data": "data", "rows": "rows explained", "explainers": "explanations"},
    "formats": {"format": "format", "use": "use", "what": "content"},
    "adapters": {"model": "model", "given as": "given as", "extra": "extra"},
}
