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


def listing(kind: Kind = "all", /, *, json: bool = False, format: Literal["text", "json"] = "text") -> int:
    """List methods (all of them, or those of a verb), checks, profiles, formats, or the models that can be read.

    Parameters
    ----------
    kind
        What to list; all methods by default.
    json
        Short for --format json.
    format
        text or json.
    """
    rows = TABLES[kind]() if kind in TABLES else _methods(kind)
    if json or format == "json":
        sys.stdout.write(dumps(rows, indent=1) + "\n")
        return 0
    from rich.table import Table

    from assay.cli.printing import terminal

    table = Table(box=None, pad_edge=False)
    shown = COLUMNS.get(kind, {"method": "method", "needs": "needs", "meaning": "what the number means"})
    for heading in shown.values():
        table.add_column(heading, overflow="fold")
    for row in rows:
        cells = row | {"method": f"{row.get('verb')}.{row.get('name')}"}
        table.add_row(*(_cell(cells[name]) for name in shown))
    terminal().print(table)
    return 0


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


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
    from assay.cli.checks import CHECKS

    return [{"code": c.code, "family": c.family, "asks": c.asks, "mend": c.mend, "method": c.method} for c in CHECKS]


def _profiles() -> list[dict[str, Any]]:
    from assay.auditing.profile import PROFILES

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
        }
        for (kind, name), p in PROFILES.items()
    ]


def _formats() -> list[dict[str, Any]]:
    from assay.cli.output_formats import FORMATS
    from assay.cli.read_rows import SUFFIXES

    written = [{"format": name, "use": "written", "what": what} for name, what in FORMATS.items()]
    return [*written, *({"format": end, "use": "read", "what": f"rows ({kind})"} for end, kind in SUFFIXES.items())]


def _adapters() -> list[dict[str, Any]]:
    return [{"model": model, "given as": given, "extra": extra} for model, given, extra in ADAPTERS]


ADAPTERS = (
    ("scikit-learn estimators and Pipelines", "skops file, or FILE.py:FUNCTION", "files"),
    ("XGBoost", "native file (.json, .ubj), or FILE.py:FUNCTION", "trees"),
    ("LightGBM", "native file (.txt), or FILE.py:FUNCTION", "trees"),
    ("torch nets", "state dict or safetensors with --architecture, or FILE.py:FUNCTION", "torch"),
    ("ONNX (a black box: no gradients)", "ONNX file", "files"),
    ("any function of rows", "FILE.py:FUNCTION with --output", ""),
    ("pickles and what contains them", "refused, unless --unsafe-pickle", ""),
)
"""Models that can be read, how they are given, and the extra that brings what reads them."""

TABLES = {"checks": _checks, "profiles": _profiles, "formats": _formats, "adapters": _adapters}
COLUMNS = {
    "checks": {"code": "code", "family": "family", "asks": "what it asks"},
    "profiles": {"profile": "profile", "data": "data", "rows": "rows explained", "explainers": "explanations"},
    "formats": {"format": "format", "use": "use", "what": "what it is"},
    "adapters": {"model": "model", "given as": "given as", "extra": "extra"},
}
