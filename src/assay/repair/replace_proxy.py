# SPDX-License-Identifier: Apache-2.0
"""The part of a model that stands in for a sensitive attribute, replaced by a constant or taken out of a score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.basics.paired_tests import paired_rate_interval
from assay.basics.stats import clopper_pearson
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.engine.audit_inputs import AuditInputs
from assay.engine.declare import repairer
from assay.engine.proxies.association import cramers_v
from assay.engine.proxies.linear_parts import LinearParts, halves
from assay.engine.proxies.linear_repair import intercept_shift, remove_proxies
from assay.engine.proxies.options import ProxyLimits, column_names
from assay.engine.proxies.tree_parts import affordable_rows
from assay.engine.proxies.tree_repair import model_of_forest, replace_witnesses
from assay.engine.retraining.labelled_rows import true_labels
from assay.engine.sensitive_groups import group_names, sensitive_columns
from assay.engine.trees.tree_case import forest_of
from assay.model.linear_scores import is_linear
from assay.model.model import Model
from assay.model.reduced_coefficients import reduce_coefficients
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.rows import Rows, to_floats
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Note

PROXIES, GAPS = ("FAI201", "FAI202"), ("FAI101", "FAI102", "FAI103", "FAI104")
"""Checks of proxy use, and of gaps between groups, which a proxy may cause."""


def _proposals(inputs: AuditInputs, failed: Sequence[Finding]) -> list[Mapping[str, Any]]:
    """One attempt with the options of the diagnosis, where it found a proxy."""
    if not {finding.code for finding in failed} & set(PROXIES):
        return []
    given = inputs.options.get("proxy_use", {})
    return [{name: given[name] for name in ("allowed", "justifies", "association", "threshold") if name in given}]


@repairer(
    source="datta2017",
    needs={"classes", "groups", "labels", "parts"},
    answers=(*PROXIES, *GAPS),
    side_effects="Rows that reached the part all get the same from it, which costs accuracy, maybe more in one group; "
    "other parts can still stand in for the attribute together.",
    proposals=_proposals,
    audit_cost=lambda inputs: Cost(3 * len(inputs.case)) * inputs.model.passes_per_row,
)
def replace_proxy(
    case: Case,
    *,
    held_out: tuple[Any, Any],
    groups: Any,
    allowed: tuple[str, ...] = (),
    justifies: Callable[[dict[str, Any]], bool] | None = None,
    association: float | None = None,
    threshold: float | None = None,
    ranges: int = 4,
) -> Mapping[str, Any]:
    """A model without the parts that stand in for a sensitive attribute, and the accuracy that this costs.

    ``held_out`` are rows that the model was not trained on and their labels, ``groups`` the groups of these rows (one
    column, or several by name). One half of them, drawn by the seed, chooses what is replaced and by what; ``before``
    and ``after`` have the accuracy on the other half with Clopper–Pearson limits at 95 %, and the largest gap between
    the groups' shares of the last class for each attribute; a note has the paired difference of the accuracy.

    **Trees**: every witness of ``diagnose.proxy_use`` that is shown with more influence than ``threshold`` (default
    0.05) becomes the constant that loses least accuracy, of its mean and all outputs observed, the least influential
    first, and all are searched for again until none is left (at most 40). **Linear classifiers**: the strongest proxy
    of influence above ``threshold`` (default 0.15) is taken out of the score, β ← β (1 − α), until none is left (at
    most 8), and the intercept is fitted to the labels again (probabilities: their mean is the rate of the last class;
    other scores: the share decided is). Needs the extra ``proxies``.

    ``allowed``, ``justifies`` and ``association`` are those of ``diagnose.proxy_use``: parts that read allowed columns
    alone stay, and so do witnesses in trees that are justified. Nothing is ever asked interactively.
    ``CapabilityError`` where no proxy is found. ``baseline`` is the model with the column that is most associated with
    the groups held at its most frequent value (numbers: their median), without training.
    """
    linear = is_linear(case.model) and not case.model.rows_exact
    limits = ProxyLimits.of(case, allowed, justifies, association, threshold, linear=linear)
    data = _Data.of(case, held_out, groups, ranges)
    model, change, notes = (_linear if linear else _trees)(data, limits)
    column, baseline = _without_column(data, allowed)
    before, after = data.measure(case.model), data.measure(model)
    return {
        "model": model,
        "change": change,
        "before": _metrics(data, before),
        "after": _metrics(data, after),
        "baseline": baseline,
        "baseline_change": f"column {column}, which is most associated with the groups, held constant",
        "notes": (
            *notes,
            _difference(data, before, after, "held-out", "accuracy"),
            _difference(data, before, data.measure(baseline), "baseline", f"with column {column} constant: accuracy"),
        ),
    }


@dataclass(frozen=True, eq=False)
class _Data:
    """The held-out rows, their labels and groups, and the two halves: the first chooses, the second measures."""

    case: Case
    labels: Ints
    groups: Mapping[str, Any]
    first: Ints
    second: Ints

    @staticmethod
    def of(case: Case, held_out: Any, groups: Any, ranges: int) -> _Data:
        if not (isinstance(held_out, tuple | list) and len(held_out) == 2):
            raise InputError("held_out is a pair: rows that were not used in training, and their labels.")
        rows = ask(case.model, held_out[0], label=None, seed=case.seed)
        if len(rows) < 20:
            raise InputError(f"{len(rows)} held-out rows; at least 20 are needed, of which half choose the repair.")
        labels = true_labels(case.model, held_out[1], len(rows), rows.prediction)
        columns = sensitive_columns(groups)
        named = {name: group_names(values, len(rows), name, ranges) for name, values in columns.items()}
        if not named:
            raise InputError("there is no column of groups. Give one group a row, or a frame of sensitive columns.")
        first, second = halves(len(rows), case.seed)
        return _Data(rows, np.asarray(labels, dtype=np.int64), named, first, second)

    @property
    def names(self) -> list[str]:
        """The name of each element of a row."""
        return column_names(self.case)

    def measure(self, model: Model) -> Ints:
        """The classes decided in the second half."""
        return np.asarray(predicted_class(replace(self.case.take(self.second), model=model).prediction, model.kind))

    def codes(self, rows: Ints) -> dict[str, Ints]:
        """The groups of these rows as codes."""
        return {name: np.unique(found[rows], return_inverse=True)[1].ravel() for name, found in self.groups.items()}


Repaired = tuple[Model, str, tuple[Note, ...]]
"""The new model, what was changed, and notes."""


def _trees(data: _Data, limits: ProxyLimits) -> Repaired:
    model, forest, names = data.case.model, forest_of(data.case), data.names
    seed, most = data.case.seed.child("replaced proxies"), affordable_rows(forest)
    first = np.sort(seed.child("rows").generator().permutation(data.first)[:most])
    matrix = forest.matrix(data.case.take(first).rows)
    labels, groups = data.labels[first], data.codes(first)
    repaired, done = replace_witnesses(forest, model.kind, matrix, labels, groups, names, limits, seed)
    if not done:
        raise _nothing(data, limits)
    notes = []
    for one in done:
        read = ", ".join(names[element] for element in one.witness.part.elements)
        notes.append(
            Note(
                "replaced",
                f"{one.witness.part.name} ({read}), for {one.attribute or 'the groups'}: influence "
                f"{one.witness.influence:.3f}, association {one.witness.association:.3f} ({one.witness.chance:.3f} by "
                f"chance); accuracy on the rows that chose the constant {one.before:.4g} before, {one.after:.4g} after",
            )
        )
    name = f"{model.name}, {len(done)} proxies constant" if len(done) > 1 else f"{model.name}, a proxy constant"
    change = f"{len(done)} part(s) of the trees replaced by constants, chosen on {len(first)} rows"
    return model_of_forest(model, repaired, name), change, tuple(notes)


def _linear(data: _Data, limits: ProxyLimits) -> Repaired:
    model, names = data.case.model, data.names
    whole = LinearParts.of(data.case.take(data.first))
    parts = whole.without(names, limits.allowed)
    groups = {name: found[data.first].tolist() for name, found in data.groups.items()}
    factors, done = remove_proxies(parts, groups, limits.threshold, limits.association, data.case.seed)
    if not done:
        raise _nothing(data, limits)
    score = whole.score - parts.added @ (1 - factors)
    logistic = model.kind == "probabilities"
    positive: Masks = data.labels[data.first] == 1
    shift = intercept_shift(score, positive, 0.0, logistic=logistic)
    scaled = {int(element): float(factor) for element, factor in zip(parts.elements, factors)}
    notes = tuple(
        Note(
            "removed",
            f"{one.attribute or 'the groups'}, {one.group} against the rest: a part of influence "
            f"{one.proxy.influence:.3f} and squared correlation {one.proxy.association:.3f} (no such part exceeds "
            f"{one.proxy.bound:.3f})",
        )
        for one in done
    )
    smaller = ", ".join(f"{names[element]} × {factor:.2f}" for element, factor in scaled.items() if factor < 0.995)
    change = f"coefficients {smaller}; intercept {shift:+.3g}, chosen on {len(data.first)} rows"
    changed = reduce_coefficients(model, scaled, shift)
    return replace(changed, name=f"{model.name}, proxies removed"), change, notes


def _nothing(data: _Data, limits: ProxyLimits) -> CapabilityError:
    return CapabilityError(
        f"no part of {data.case.model.name} is shown to be a proxy of influence above {limits.threshold:g} and "
        f"association of {limits.association:g} or more on the {len(data.first)} rows that choose the repair; there is "
        f"nothing to replace."
    )


def _metrics(data: _Data, decided: Ints) -> dict[str, float]:
    right = decided == data.labels[data.second]
    limits = clopper_pearson(int(right.sum()), len(right))
    found = {"accuracy": float(right.mean()), "accuracy, low": limits.low, "accuracy, high": limits.high}
    last = max(len(data.case.model.classes), 2) - 1
    for name, groups in data.groups.items():
        own = groups[data.second]
        rates = [float((decided[own == group] == last).mean()) for group in np.unique(own)]
        found[f"gap between groups of {name}" if name else "gap between groups"] = max(rates) - min(rates)
    return found


def _difference(data: _Data, before: Ints, after: Ints, code: str, what: str) -> Note:
    labels = data.labels[data.second]
    was, now = ((found == labels).astype(np.float64) for found in (before, after))
    limits = paired_rate_interval(was, now)
    return Note(
        code,
        f"{what} on {len(labels)} held-out rows: {was.mean():.4g} before, {now.mean():.4g} after; paired difference "
        f"{now.mean() - was.mean():+.4g} [{limits.low:+.4g}, {limits.high:+.4g}] at 95 %; "
        f"{float((before != after).mean()):.1%} of decisions changed",
    )


def _without_column(data: _Data, allowed: tuple[str, ...]) -> tuple[str, Model]:
    """The column that is most associated with any attribute, and the model with it held at a typical value."""
    names, x = data.names, to_floats(data.case.take(data.first).rows.x)
    table = data.case.rows.table
    coded = np.zeros(x.shape[1], dtype=bool) if table is None else np.asarray(table.coded)
    open_columns = [place for place, name in enumerate(names) if name not in allowed] or list(range(len(names)))
    found = [max(_v(x[:, place], codes) for codes in data.codes(data.first).values()) for place in open_columns]
    place = open_columns[int(np.argmax(found))]
    values = x[:, place][np.isfinite(x[:, place])]
    levels, counts = np.unique(values, return_counts=True)
    middle = float(np.quantile(values, 0.5, method="lower"))
    return names[place], _held(data.case.model, place, float(levels[counts.argmax()]) if coded[place] else middle)


def _v(values: Floats, codes: Ints) -> float:
    """Cramér's V of a column, numbers of many values cut at deciles, with the groups."""
    levels, level = np.unique(values, return_inverse=True)
    if len(levels) > 20:
        level = np.searchsorted(np.nanquantile(values, np.arange(1, 10) / 10), values)
    counts = np.zeros((int(level.max()) + 1, int(codes.max()) + 1))
    np.add.at(counts, (level.ravel(), codes), 1.0)
    return cramers_v(counts)


def _held(model: Model, place: int, value: float) -> Model:
    """The model that reads a constant in one column."""
    inner = model.forward

    def forward(rows: Rows) -> Any:
        x = np.array(rows.x)
        x[:, place] = value
        return inner(replace(rows, x=x))

    return replace(
        model,
        forward=forward,
        name=f"{model.name}, a column constant",
        fingerprint=digest(model.fingerprint, "held", place, value),
        closed_form_gradient=None,
        forest=None,
        rebuild=None,
        cut=None,
    )
