# SPDX-License-Identifier: Apache-2.0
"""The result of an audit, and its files."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.model.model import Model
from assay.nouns.comparisons.settings_grid import SettingsGrid
from assay.nouns.records.jsonable import to_jsonable
from assay.nouns.records.record import Record, find_waiver
from assay.nouns.records.store import load, save
from assay.nouns.results.finding import Finding, Verdict

if TYPE_CHECKING:
    from assay.report.plots.plot import Plot

SCHEMA = 3
"""Number of the layout of result.json."""

WORST_FIRST: tuple[Verdict, ...] = (
    "error",
    "fail",
    "undecided",
    "rejected",
    "not run",
    "pass",
    "informative",
    "not applicable",
)
"""Verdicts by severity."""

MADE: tuple[Verdict, ...] = ("fail", "undecided", "rejected", "pass", "informative")
"""Verdicts of checks that were made; a run without one has not passed."""

NAME = "run.assay"
"""File in a run's folder that holds the whole record."""


@dataclass(frozen=True, eq=False)
class Run:
    """A finished audit: findings and results, with methods that write the page and JSON.

    ``repaired`` holds the models of ``record.repairs``, in order; a run loaded from a file has none.
    """

    record: Record
    repaired: tuple[Model, ...] = field(default=(), repr=False)

    @staticmethod
    def load(path: str | Path) -> Run:
        """The run in this folder, or in its file run.assay."""
        file = Path(path)
        record = load(file / NAME if file.is_dir() else file)
        if not isinstance(record, Record):
            raise InputError(f"{path} holds a {type(record).__name__}, not an audit. Give the folder of an audit.")
        return Run(record)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, worst first, then by code."""
        return tuple(sorted(self.record.findings, key=lambda f: (WORST_FIRST.index(f.verdict), f.code, f.subject)))

    def __getitem__(self, code: str) -> Finding:
        """The worst finding of this code."""
        for finding in self.findings:
            if finding.code == code:
                return finding
        raise InputError(
            f"no finding {code!r} in this run; there are {', '.join(sorted({f.code for f in self.findings}))}."
        )

    def all(self, code: str) -> tuple[Finding, ...]:
        """Every finding of this code, worst first."""
        return tuple(finding for finding in self.findings if finding.code == code)

    @property
    def passed(self) -> bool:
        """Whether a check was made, and no finding is a failure or an error, except those waived today."""
        return self.ok()

    def ok(self, ignore: tuple[str, ...] | list[str] = (), day: str = "") -> bool:
        """The same without codes that start with one of ``ignore``, with the waivers of ``day`` (2027-01-31)."""
        made = [f for f in self.findings if f.verdict in MADE and not any(map(f.code.startswith, ignore))]
        return bool(made) and not self.unwaived(ignore, day)

    def unwaived(self, ignore: tuple[str, ...] | list[str] = (), day: str = "") -> tuple[Finding, ...]:
        """Failures and errors that no waiver covers on ``day`` (by default today)."""
        today = day or datetime.datetime.now(datetime.UTC).date().isoformat()
        return tuple(
            finding
            for finding in self.findings
            if finding.verdict in ("fail", "error")
            and not any(finding.code.startswith(start) for start in ignore)
            and find_waiver(finding, self.record.waivers, today) is None
        )

    def to_html(self, path: str | Path) -> Path:
        """Write the page as one self-contained file."""
        from assay.report.audit.page import render

        return write_atomically(Path(path), render(self.record))

    def to_json(self) -> str:
        """Findings, scores and costs as JSON with a schema number; undefined numbers are null."""
        return json.dumps(record_to_dict(self.record), indent=1, sort_keys=True, allow_nan=False)

    def to_frame(self, backend: Any = None) -> Any:
        """One row per finding (code, verdict, subject, estimate, low, high, level, threshold, direction, n, claim).

        A frame of the audited backend, or of ``backend``; pandas where arrays were audited.
        """
        import narwhals as nw

        rows = [_row(finding) for finding in self.findings]
        kind = backend or next((e.backend for e in self.record.explanations.values() if e.backend), "pandas")
        return nw.from_dict({name: [row[name] for row in rows] for name in COLUMNS}, backend=kind).to_native()

    def save(self, folder: str | Path) -> Path:
        """Write ``run.assay`` (everything), ``result.json`` (for programs) and the page; returns the page's path."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        save(self.record, target / NAME)
        write_atomically(target / "result.json", self.to_json())
        return self.to_html(target / "report.html")

    def __repr__(self) -> str:
        counts = {verdict: sum(f.verdict == verdict for f in self.findings) for verdict in WORST_FIRST}
        summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        worst = next((f"; first: {f.code} {f.verdict}" for f in self.findings), "")
        return f"Run({self.record.title}: {summary}{worst})"

    def plot(self, kind: str = "", **options: Any) -> Plot:
        """A picture of the audit: by default the methods' ranks, or the usual one of ``explanation="…"``.

        ``explanation`` and ``score`` name what to plot; the other options are those of the kind. ``InputError`` for an
        unknown kind, and for one that this audit cannot give, with the kinds that it can.
        """
        from assay.report.plots.choose import plot

        return plot(self.record, kind, **options)

    def _repr_html_(self) -> str:
        from assay.report.formats.notebook import notebook_cell

        return notebook_cell(self.record)


COLUMNS = ("code", "verdict", "subject", "estimate", "low", "high", "level", "threshold", "direction", "n", "claim")


def _row(finding: Finding) -> dict[str, Any]:
    interval = finding.interval
    bounds = (None, None, None) if interval is None else (interval.low, interval.high, interval.level)
    fields = {name: getattr(finding, name) for name in COLUMNS if hasattr(finding, name)}
    return fields | dict(zip(("low", "high", "level"), bounds))


def record_to_dict(record: Record) -> dict[str, Any]:
    """The record as JSON-able data for other programs, in the layout of ``assay schema result``."""
    findings = Run(record).findings
    return {
        "schema": SCHEMA,
        "title": record.title,
        "about": dict(record.about),
        "cost": dict(record.cost),
        "level": record.level,
        "passed": any(finding.verdict in MADE for finding in findings)
        and not any(finding.verdict in ("fail", "error") for finding in findings),
        "findings": [to_jsonable(replace(finding, basis=None)) for finding in findings],
        "scores": [
            {
                "explainer": explainer,
                "score": name,
                "mean": to_jsonable(score.mean),
                "interval": to_jsonable(score.interval()),
                "better": score.better,
                "rows": len(score.values),
                "defined": int(score.defined.sum()),
            }
            for (explainer, name), score in record.scores.items()
        ],
        "reasons": [to_jsonable(table) for table in record.reasons],
        "repairs": [
            {"method": m.method, "change": m.change, "before": to_jsonable(m.measured_before)}
            | {"after": to_jsonable(m.measured_after), "metrics": [to_jsonable(metric) for metric in m.metrics]}
            | {"baseline_change": m.baseline_change}
            | {"baseline_metrics": [to_jsonable(metric) for metric in m.baseline_metrics]}
            for m in record.repairs
        ],
        "galleries": [to_jsonable(gallery) for gallery in record.galleries],
        "refusals": [to_jsonable(refusal) for refusal in record.refusals],
        "not_run": [to_jsonable(item) for item in record.not_run],
        "waivers": [to_jsonable(waiver) for waiver in record.waivers],
        "axioms": {method: dict(found) for method, found in record.axioms.items()},
        "settings_grid": None if record.settings_grid is None else settings_grid_to_dict(record.settings_grid),
        "limits": list(record.limits),
        "reproduce": record.reproduce,
        "times": dict(record.times),
    }


def settings_grid_to_dict(grid: SettingsGrid) -> dict[str, Any]:
    """A settings grid as plain data: ranks by setting, and the largest rank change from the first setting by axis."""

    def by_method(table: Floats) -> Any:
        return to_jsonable({name: table[grid.methods.index(name)] for name in grid.ranked})

    settings = [
        to_jsonable(setting)
        | {"rows": int(grid.rows[i]), "compared": bool(grid.comparable[i]), "best": list(grid.winners(i))}
        | {"means": by_method(grid.means[i]), "ranks": by_method(grid.ranks[i]), "first": by_method(grid.best_rate[i])}
        for i, setting in enumerate(grid.settings)
    ]
    moves = {}
    if grid.comparable[0]:
        turned = grid.reversal_rates
        moves = {
            axis: to_jsonable(move) | {"turned": to_jsonable(turned[axis])}
            for axis, move in grid.largest_rank_change_by_axis.items()
        }
    return {"score": grid.score, "better": grid.better, "settings": settings, "farthest": moves}


def write_atomically(path: Path, text: str) -> Path:
    """Write a file completely or not at all; returns its path."""
    import os
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)
    return path
