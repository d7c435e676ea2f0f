# SPDX-License-Identifier: Apache-2.0
"""A demonstration: an audit that is ready to run, with its title and its reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.auditing.audit import PreparedAudit
from assay.auditing.run import Run
from assay.auditing.steps.execution import Progress, no_progress
from assay.nouns.records.record import Reasons


@dataclass(frozen=True, eq=False)
class Demo:
    """A prepared audit of an example model. With a store, a demonstration that was stopped resumes."""

    prepared: PreparedAudit
    title: str
    reasons: Sequence[Reasons] = ()

    def run(
        self,
        *,
        out: str | Path | None = None,
        store: str | Path | None = None,
        reproduce: str = "",
        progress: Progress = no_progress,
    ) -> Run:
        """Run the audit; with ``out``, a folder, results and page are written. ``reproduce`` is the command."""
        found = self.prepared.run(
            reasons=self.reasons,
            title=self.title,
            reproduce=reproduce,
            store=None if store is None else Path(store),
            progress=progress,
        )
        if out is not None:
            found.save(out)
        return found
