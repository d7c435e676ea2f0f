# SPDX-License-Identifier: Apache-2.0
"""What an audit hands back, and what is read back from its folder."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.model.model import Model
from assay.nouns.comparisons.settings_grid import SettingsGrid
from assay.nouns.records.record import Record, waived
from assay.nouns.records.store import load, save, to_jsonable
from assay.nouns.results.result import Finding, Verdict

SCHEMA = 2
WORST_FIRST: tuple[Verdict, ...] = (
    "error",
    "fail",
    "undecided",
    "not run",
    "pass",
    "informative",
    "not applicable",
)
NAME = "run.assay"
"""The file of a run's folder that holds the whole record."""


@dataclass(frozen=True, eq=False)
class Run:
    """A finished audit: findings, results, and the page and JSON made of them.

    ``repaired`` holds the models of ``record.repairs``, in order; a run read back from a file has none.
    """

    record: Record
    repaired: tuple[Model, ...] = field(default=(), repr=False)

    @staticmethod
    def load(place: str | Path) -> Run:
        """The run in this folder, or in its file run.assay."""
        path = Path(place)
        record = load(path / NAME if path.is_dir() else path)
        if not isinstance(record, Record):
            raise InputError(f"{place} holds a {type(record).__name__}, not an audit. Give the folder of an audit.")
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
        """Whether nothing failed and nothing broke, but for what is waived today."""
        return self.ok()

    def ok(self, ignore: tuple[str, ...] | list[str] = (), day: str = "") -> bool:
        """The same without the codes that begin as ``ignore`` says, with the waivers of ``day`` (2027-01-31)."""
        return not self.standing(ignore, day)

    def standing(self, ignore: tuple[str, ...] | list[str] = (), day: str = "") -> tuple[Finding, ...]:
        """Findings that failed or broke and that no waiver covers on ``day`` (today, unless given)."""
        today = day or datetime.datetime.now(datetime.UTC).date().isoformat()
        return tuple(
            finding
            for finding in self.findings
            if finding.verdict in ("fail", "error")
            and not any(finding.code.startswith(start) for start in ignore)
            and waived(finding, self.record.waivers, today) is None
        )

    def to_html(self, path: str | Path) -> Path:
        """Write the page: one file, nothing outside it needed."""
        from assay.report.audit.page import render

        return written(Path(path), render(self.record))

    def to_json(self) -> str:
        """The findings, scores and costs with a schema number; numbers that are not defined are null."""
        return json.dumps(plain(self.record), indent=1, sort_keys=True, allow_nan=False)

    def to_frame(self, backend: Any = None) -> Any:
        """One line a finding (code, verdict, subject, estimate, low, high, level, threshold, direction, n, claim).

        A frame of the kind audited, or of ``backend``; pandas where arrays were audited.
        """
        import narwhals as nw

        lines = [_line(finding) for finding in self.findings]
        kind = backend or next((e.backend for e in self.record.explanations.values() if e.backend), "pandas")
        return nw.from_dict({name: [line[name] for line in lines] for name in LINE}, backend=kind).to_native()

    def save(self, folder: str | Path) -> Path:
        """Write ``run.assay`` (everything), ``result.json`` (for other programs) and the page, whose path is given."""
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        save(self.record, place / NAME)
        written(place / "result.json", self.to_json())
        return self.to_html(place / "report.html")

    def __repr__(self) -> str:
        counts = {verdict: sum(f.verdict == verdict for f in self.findings) for verdict in WORST_FIRST}
        told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        worst = "".join(f"\n  {f.verdict}: {f.code} {f.claim}" for f in self.findings[:3])
        return f"Run({self.record.title}: {told}){worst}"

    def _repr_html_(self) -> str:
        from assay.report.formats.notebook import display

        return display(self.record)


LINE = ("code", "verdict", "subject", "estimate", "low", "high", "level", "threshold", "direction", "n", "claim")


def _line(finding: Finding) -> dict[str, Any]:
    interval = finding.interval
    bounds = (None, None, None) if interval is None else (interval.low, interval.high, interval.level)
    held = {name: getattr(finding, name) for name in LINE if hasattr(finding, name)}
    return held | dict(zip(("low", "high", "level"), bounds))


def plain(record: Record) -> dict[str, Any]:
    """The record as JSON that other programs read, in the layout of ``assay schema result``."""
    findings = Run(record).findings
    return {
        "schema": SCHEMA,
        "title": record.title,
        "about": dict(record.about),
        "cost": dict(record.cost),
        "level": record.level,
        "passed": not any(finding.verdict in ("fail", "error") for finding in findings),
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
            | {"after": to_jsonable(m.measured_after)}
            for m in record.repairs
        ],
        "galleries": [to_jsonable(gallery) for gallery in record.galleries],
        "refusals": [to_jsonable(refusal) for refusal in record.refusals],
        "not_run": [to_jsonable(item) for item in record.not_run],
        "waivers": [to_jsonable(waiver) for waiver in record.waivers],
        "axioms": {method: dict(found) for method, found in record.axioms.items()},
        "settings_grid": None if record.settings_grid is None else varied(record.settings_grid),
        "limits": list(record.limits),
        "reproduce": record.reproduce,
        "times": dict(record.times),
    }


def varied(grid: SettingsGrid) -> dict[str, Any]:
    """A grid of settings as plain data: each setting's ranks, and how far ranks move from the first one's."""

    def by_method(table: Floats) -> Any:
        return to_jsonable({name: table[grid.methods.index(name)] for name in grid.ranked})

    settings = [
        to_jsonable(setting)
        | {"rows": int(grid.rows[i]), "compared": bool(grid.comparable[i]), "best": list(grid.winners(i))}
        | {"means": by_method(grid.means[i]), "ranks": by_method(grid.ranks[i]), "first": by_method(grid.first[i])}
        for i, setting in enumerate(grid.settings)
    ]
    moves = {}
    if grid.comparable[0]:
        turned = grid.axes
        moves = {
            axis: to_jsonable(move) | {"turned": to_jsonable(turned[axis])}
            for axis, move in grid.farthest_alone.items()
        }
    return {"score": grid.score, "better": grid.better, "settings": settings, "farthest": moves}


def written(path: Path, text: str) -> Path:
    """Write a file whole or not at all."""
    import os
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)
    return path
