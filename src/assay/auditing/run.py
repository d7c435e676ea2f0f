# SPDX-License-Identifier: Apache-2.0
"""What an audit hands back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.nouns.record import Record
from assay.nouns.result import Finding, Verdict
from assay.nouns.store import to_jsonable
from assay.words.errors import InputError

SCHEMA = 1
WORST_FIRST: tuple[Verdict, ...] = (
    "error",
    "fail",
    "undecided",
    "not run",
    "pass",
    "informative",
    "not applicable",
)


@dataclass(frozen=True, eq=False)
class Run:
    """A finished audit: findings, results, and the page and JSON made of them."""

    record: Record

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
        """Whether nothing failed and nothing broke."""
        return not any(finding.verdict in ("fail", "error") for finding in self.findings)

    def to_html(self, path: str | Path) -> Path:
        """Write the page: one file, nothing outside it needed."""
        from assay.report.render import render

        return _write(Path(path), render(self.record))

    def to_json(self) -> str:
        """The findings, scores and costs with a schema number; numbers that are not defined are null."""
        return json.dumps(self._plain(), indent=1, sort_keys=True, allow_nan=False)

    def save(self, folder: str | Path) -> Path:
        """Write ``result.json``, ``results/*.assay`` (JSON and safetensors) and ``report.html`` into a folder."""
        place = Path(folder)
        (place / "results").mkdir(parents=True, exist_ok=True)
        for name, explanation in self.record.explanations.items():
            explanation.save(place / "results" / f"explain.{name}.assay")
        for name, explanation in self.record.rivals.items():
            explanation.save(place / "results" / f"explain.{name}.rival.assay")
        for (name, score), result in self.record.scores.items():
            result.save(place / "results" / f"evaluate.{score}.{name}.assay")
        for name, breach in self.record.breaches.items():
            breach.save(place / "results" / f"attack.{name.replace(' ', '_')}.assay")
        for name, certificate in self.record.certificates.items():
            certificate.save(place / "results" / f"certify.{name}.assay")
        _write(place / "result.json", self.to_json())
        return self.to_html(place / "report.html")

    def _plain(self) -> dict[str, Any]:
        record = self.record
        return {
            "schema": SCHEMA,
            "title": record.title,
            "about": dict(record.about),
            "cost": dict(record.cost),
            "passed": self.passed,
            "findings": [to_jsonable(finding) for finding in self.findings],
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
                {
                    "method": mending.repair.method,
                    "change": mending.repair.change,
                    "before": to_jsonable(mending.before),
                    "after": to_jsonable(mending.after),
                }
                for mending in record.mendings
            ],
            "refusals": [to_jsonable(refusal) for refusal in record.refusals],
            "not_run": [to_jsonable(item) for item in record.not_run],
            "limits": list(record.limits),
            "reproduce": record.reproduce,
        }

    def __repr__(self) -> str:
        counts = {verdict: sum(f.verdict == verdict for f in self.findings) for verdict in WORST_FIRST}
        told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        worst = "".join(f"\n  {f.verdict}: {f.code} {f.claim}" for f in self.findings[:3])
        return f"Run({self.record.title}: {told}){worst}"

    def _repr_html_(self) -> str:
        from markupsafe import escape

        lines = "".join(
            f"<li><b>{escape(f.verdict)}</b> {escape(f.code)} {escape(f.claim)}</li>" for f in self.findings[:12]
        )
        return f"<p>{escape(self.record.title)}</p><ul>{lines}</ul>"


def _write(path: Path, text: str) -> Path:
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
