# SPDX-License-Identifier: Apache-2.0
"""Views of the model: curves, interactions, rules, importance and reason codes, and how far the methods agree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from assay.basics.errors import InputError
from assay.nouns.records.record import Record
from assay.nouns.results.result import Explanation
from assay.report.audit.influences import InfluenceLine, draw_influences
from assay.report.audit.prototype_evidence import Evidence, draw_evidence
from assay.report.audit.unit_pictures import UnitPicture, draw_unit_pictures
from assay.report.audit.unit_regions import RegionRow, draw_regions
from assay.report.drawing.formatting import format_number, method_name, shorten
from assay.report.plots.choose import plot
from assay.report.plots.kinds.dependence import has_curves

BUDGET = 45_000
"""Characters of all pictures together; a view beyond it is named and left out."""

GLOBAL = ("permutation_importance", "sage", "qii")
"""Views whose mean over rows is drawn."""

INFLUENCE = "training_influence"
"""The view that is drawn as training rows."""

CURVES = 2
"""Features whose curves are drawn, those with the largest range."""

MAX_LINES = 24
"""Lines of a description that are printed."""


@dataclass(frozen=True)
class View:
    """One view: its method, meaning, picture and lines of text; regions or pictures of units, or training rows."""

    method: str
    meaning: str
    picture: Markup | str
    lines: tuple[str, ...]
    more: int
    regions: tuple[RegionRow, ...] = ()
    units: tuple[UnitPicture, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    influences: tuple[InfluenceLine, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Characters of all pictures, and of what is drawn of rows."""
        of_units = sum(one.size for one in self.regions) + sum(one.size for one in self.units)
        of_rows = sum(one.size for one in self.evidence) + sum(one.size for one in self.influences)
        return len(self.picture) + of_units + of_rows


@dataclass(frozen=True)
class Views:
    """The views that are drawn, and the names of those that the page has no space for."""

    shown: tuple[View, ...] = ()
    left_out: tuple[str, ...] = ()


def draw_views(record: Record) -> Views:
    """The views of a record within the budget, in their order."""
    shown, left_out, spent = [], [], 0
    for name, explanation in record.views.items():
        evidence = draw_evidence(explanation, record.classes)
        influences = draw_influences(record) if name == INFLUENCE else ()
        of_rows = (*evidence, *influences)
        view = replace(
            View(name, explanation.meaning * bool(evidence), "", (), 0) if of_rows else _view(name, explanation),
            regions=draw_regions(record, explanation),
            units=draw_unit_pictures(record, explanation),
            evidence=evidence,
            influences=influences,
            notes=tuple(shorten(note.text, 300) for note in explanation.notes) if of_rows else (),
        )
        if spent + view.size > BUDGET:
            left_out.append(name)
            continue
        spent += view.size
        shown.append(view)
    return Views(tuple(shown), tuple(left_out))


@dataclass(frozen=True)
class AgreementTable:
    """Mean rank correlation of each pair of methods, as text with intervals, and the share of common top features."""

    k: int
    methods: tuple[str, ...]
    lines: tuple[tuple[str, tuple[str, ...]], ...]


def agreement_table(record: Record) -> AgreementTable | None:
    """The agreement of the explanations of a record: rank correlation below the diagonal, shared features above."""
    found = record.agreement
    if found is None:
        return None
    ranks, shared = found.mean("spearman"), found.mean("feature")
    lines = []
    for i, name in enumerate(found.methods):
        cells = []
        for j in range(len(found.methods)):
            value = float("nan") if i == j else float(ranks[i, j] if j < i else shared[i, j])
            cells.append("" if i == j else format_number(value, 2))
        lines.append((method_name(name), tuple(cells)))
    return AgreementTable(found.k, tuple(map(method_name, found.methods)), tuple(lines))


def _view(name: str, explanation: Explanation) -> View:
    lines = tuple(shorten(line, 200) for line in explanation.description)
    picture: Markup | str = ""
    if not lines:
        try:
            fewer: dict[str, Any] = {"most": CURVES} if has_curves(explanation) else {}
            drawn = plot(explanation.mean() if name in GLOBAL else explanation, **fewer)
            picture = Markup(drawn._repr_html_())
        except InputError:  # nothing that can be drawn: all values are undefined
            picture = ""
    return View(name, explanation.meaning, picture, lines[:MAX_LINES], max(0, len(lines) - MAX_LINES))
