# SPDX-License-Identifier: Apache-2.0
"""The rows that show a fault: the explanation of those that are not among the rows explained, and pictures of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.auditing.finding_features import most_trusted, name_features
from assay.auditing.planning.plan import Step
from assay.auditing.planning.scope import AuditScope
from assay.auditing.steps.execution import AuditResults
from assay.auditing.steps.result_store import ResultStore
from assay.cases.case import Case
from assay.cases.new_case import case
from assay.engine.cost import cost_of
from assay.engine.pictures.thumbnails import is_shape_of_picture, thumbnail
from assay.engine.sensitive_groups import column_values
from assay.nouns.catalogue import Cost, find
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.finding import EvidencePicture, Finding
from assay.nouns.results.result import Explanation

ROWS_OF_A_FINDING, MOST_ROWS = 5, 20
"""Rows of one finding, and rows in all, that are explained for findings."""

PICTURED = 4
"""Rows of a finding whose pictures it gets, where it has no pictures of its own."""


@dataclass(frozen=True)
class EvidenceRows:
    """All rows given: ``whole`` is their case, ``scope`` says which of them are explained and how."""

    whole: Case
    scope: AuditScope

    @property
    def most(self) -> int:
        """The most rows that can be explained in addition."""
        return min(MOST_ROWS, len(self.whole) - len(self.scope.case))

    def cost(self, steps: Sequence[Step]) -> Cost:
        """The most that explaining rows of findings can cost: any explanation, at the rows of most features."""
        if self.most <= 0 or not any(step.verb == "diagnose" for step in steps):
            return Cost()
        features = self.whole.features
        sizes = np.asarray(features.index).max(axis=-1) if features.per_row else np.zeros(len(self.whole))
        longest = self._case(np.argsort(-sizes, kind="stable")[: self.most])
        costs = [cost_of(find("explain", step.method), longest, step.options) for step in _explainers(steps)]
        clean = Cost(2 * self.most * self.whole.model.passes_per_row)
        return clean + max(costs, key=lambda cost: cost.forwards + 2 * cost.backwards, default=Cost())

    def explain(self, findings: Sequence[Finding], method: str, steps: Sequence[Step]) -> Explanation | None:
        """The explanation by ``method`` of rows that failed and undecided findings name, where there are any.

        The first ``ROWS_OF_A_FINDING`` of each finding that are not explained yet, in the order of the findings, as
        long as they are at most ``MOST_ROWS``.
        """
        places = {one: place for place, one in enumerate(self.whole.rows.ids)}
        known = set(self.scope.case.rows.ids)
        chosen: dict[int, None] = {}
        for finding in sorted(findings, key=lambda one: one.verdict != "fail"):
            if finding.verdict in ("fail", "undecided") and finding.rows_of == "data":
                other = [places[one] for one in finding.rows if one in places and one not in known]
                chosen |= dict.fromkeys(other[:ROWS_OF_A_FINDING])
        if not chosen:
            return None
        rows = replace(self._case(np.sort(np.array(list(chosen)[:MOST_ROWS])))).with_target(label=self.scope.label)
        step = next(step for step in _explainers(steps) if step.method == method)
        explained: Explanation = find("explain", method).call(rows, **step.options)
        return explained

    def name_features(
        self,
        findings: Sequence[Finding],
        names: Sequence[str],
        results: AuditResults,
        steps: Sequence[Step],
        store: ResultStore,
    ) -> list[Finding]:
        """The findings with the features that the most trusted explanation among ``names`` shows at their rows."""
        name = most_trusted(findings, names)
        if not name:
            return list(findings)
        more = store.uncached("rows of findings", lambda: self.explain(findings, name, steps))
        return name_features(findings, name, [results.explanations[name], *([] if more is None else [more])])

    def add_pictures(self, findings: Sequence[Finding], labels: Sequence[Any]) -> list[Finding]:
        """Failed and undecided findings with pictures of their clearest rows, where rows are pictures.

        ``labels`` are the true labels of all rows, empty where they are unknown; captions name them.
        """
        whole, train = self.whole, self.scope.train
        if not is_shape_of_picture(whole.rows.shape):
            return list(findings)
        sources = {"data": (whole.rows.ids, whole.rows.x, labels)}
        if train is not None and any(one.rows_of == "train" for one in findings):
            ids = tuple(map(str, range(len(train[1]))))
            sources["train"] = (ids, whole.rows.convert(train[0]), column_values(train[1], "labels"))
        found = []
        for finding in findings:
            is_shown = finding.verdict in ("fail", "undecided") and not finding.pictures and finding.rows_of in sources
            pictures = _row_pictures(finding, *sources[finding.rows_of]) if is_shown else finding.pictures
            found.append(replace(finding, pictures=pictures))
        return found

    def _case(self, places: np.ndarray) -> Case:
        """Some of the rows as the audit explains its rows."""
        whole = self.whole
        if whole.rows.text is not None:
            some, ids = [whole.rows.text.source[i] for i in places], [whole.rows.ids[i] for i in places]
            return case(whole.model, some, target=whole.target, label=None, ids=ids, seed=whole.seed)
        taken = whole.take(places)
        features = self.scope.case.features
        return taken if features.per_row else replace(taken, features=features)


def _row_pictures(
    finding: Finding, ids: Sequence[Any], pictures: Any, labels: Sequence[Any]
) -> tuple[EvidencePicture, ...]:
    """The pictures of the first rows that a finding names, with their labels."""
    places = {str(one): place for place, one in enumerate(ids)}
    kind, found = "training row" if finding.rows_of == "train" else "row", []
    for one in finding.rows[:PICTURED]:
        place = places.get(str(one))
        if place is not None:
            label = f", label {labels[place]}" if len(labels) else ""
            found.append(EvidencePicture(f"{kind} {one}{label}", thumbnail(to_floats(pictures[place]))))
    return tuple(found)


def _explainers(steps: Sequence[Step]) -> list[Step]:
    return [step for step in steps if step.verb == "explain" and not step.subject]
