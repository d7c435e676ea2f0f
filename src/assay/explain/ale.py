# SPDX-License-Identifier: Apache-2.0
"""Accumulated local effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.cost import Given
from assay.engine.declare import explainer
from assay.engine.retraining.labelled_rows import read_like
from assay.engine.surrogates.feature_profiles import Pairs, evaluate_labels, pair_positions, stack_padded
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.rows import refuse_missing, to_floats
from assay.nouns.results.result import Estimate, Note


@dataclass(frozen=True, eq=False)
class _Bins:
    """A column's bins (edge₀, edge₁], (edge₁, edge₂] …; ``inside`` (row,) is the bin of each background row.

    The first bin includes its lower edge.
    """

    column: int
    edges: Floats
    inside: Ints

    def __len__(self) -> int:
        return len(self.edges) - 1

    def weights(self, at: Floats) -> Floats:
        """Weights (at, edge) of linear interpolation between edges; the outermost bins are extrapolated."""
        weights = np.zeros((len(at), len(self.edges)))
        if not len(self):
            weights[:, 0] = 1.0
            return weights
        low = np.clip(np.searchsorted(self.edges, at, side="left") - 1, 0, len(self) - 1)
        share = (at - self.edges[low]) / (self.edges[low + 1] - self.edges[low])
        weights[np.arange(len(at)), low], weights[np.arange(len(at)), low + 1] = 1 - share, share
        return weights


def _make_bins(case: Case, background: Floats, bins: int) -> list[_Bins]:
    if not case.features.elementwise:
        raise CapabilityError(
            "explain.ale needs single columns as features; a group of columns has no order. Use partial_dependence, or "
            "a case without groups."
        )
    if bins < 1:
        raise InputError(f"bins={bins}; at least 1 is needed.")
    for rows, what in ((background, "the background rows"), (to_floats(case.rows.x), "the rows")):
        refuse_missing(
            rows, f"explain.ale orders numbers, and missing has no place in an order (partial_dependence has): {what}"
        )
    found = []
    for column in np.argsort(case.features.index):
        values = background[:, column]
        edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1), method="inverted_cdf"))
        inside = np.maximum(np.searchsorted(edges, values, side="left") - 1, 0)
        found.append(_Bins(int(column), edges, inside))
    return found


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    other = to_floats(read_like(case, o.background))
    found = _make_bins(case, other, o.bins)
    single = sum(2 for bins in found if len(bins))
    joint = sum(4 for i, j in pair_positions(case, o.pairs) if len(found[i]) and len(found[j]))
    return Cost((1 + single + joint) * len(other) * case.model.passes_per_row)


@explainer(source="apley2020", needs={"table", "numbers"}, claims={"dummy", "linear"}, cost=_cost)
def ale(case: Case, *, background: Any, bins: int = 20, pairs: Pairs = ()) -> Estimate:
    """The accumulated local effect of each column at the row's value, centred by its mean over the background.

    In each bin the local effect is the mean over the background's rows in it of f(b at the bin's upper edge) − f(b at
    its lower edge); local effects are added up from the lowest bin, minus the mean over the background; in units of the
    target. Unlike in partial dependence a row moves only within its bin, so correlated columns are not separated. Edges
    are observed quantiles, so no bin is empty; ``extra["counts"]`` (part, bin). The curve is interpolated linearly at
    the row's value; outside the background's range the outermost bin is extrapolated, with a note. The base is
    mean_b f(b): if the model is a sum of linear functions of single columns these are the Shapley values against the
    background; for a sum of any functions of single columns, up to interpolation.

    ``extra["curve"]`` (label, part, edge) at ``extra["grid"]`` (part, edge), with the standard error of the bins' means
    in ``extra["stderr"]`` (NaN where a bin with one row contributes); one curve per label, in order of
    ``extra["label"]``. ``pairs`` of names add second-order effects without the main effects: ``extra["pair_curve"]``
    (label, pair, edge, edge), interpolated at the row in ``extra["joint"]`` (row, pair); an empty cell gets the effect
    of the nearest cell.

    The cost does not depend on the rows: two evaluations of the background per column, four per pair. Text and
    categories have no order and are refused, as are groups. ALEPlot centres by the bins' midpoints, not at the rows.
    """
    other, couples = to_floats(read_like(case, background)), pair_positions(case, pairs)
    found, labels = _make_bins(case, other, bins), np.unique(case.label)
    x, own_label = to_floats(case.rows.x), np.searchsorted(labels, case.label)
    all_rows = np.arange(len(case))
    values, curves, errors = np.zeros((len(case), len(found))), [], []
    for part, one in enumerate(found):
        curve, error = _first_order(case, other, labels, one)
        values[:, part] = (curve @ one.weights(x[:, one.column]).T)[own_label, all_rows]
        curves.append(curve)
        errors.append(error)
    extra = {
        "grid": stack_padded([one.edges for one in found]),
        "curve": stack_padded(curves),
        "stderr": stack_padded(errors),
        "counts": stack_padded([np.bincount(one.inside, minlength=len(one)).astype(np.float64) for one in found]),
        "label": np.asarray(labels, dtype=np.float64),
    }
    if couples:
        surfaces = [_second_order(case, other, labels, found[i], found[j]) for i, j in couples]
        extra["pair_curve"] = stack_padded(surfaces, axes=2)
        extra["joint"] = np.stack(
            [
                np.einsum(
                    "re,ref,rf->r",
                    found[i].weights(x[:, found[i].column]),
                    surface[own_label],
                    found[j].weights(x[:, found[j].column]),
                )
                for (i, j), surface in zip(couples, surfaces)
            ],
            axis=1,
        )
    base = evaluate_labels(case, other, labels).mean(axis=1)[own_label]
    return Estimate(values, base=base, extra=extra, notes=_notes(case, x, found))


def _evaluate_with(case: Case, other: Floats, labels: Floats | Ints, *replaced: tuple[int, Floats]) -> Floats:
    """The target (label, row) of the background ``other`` with columns replaced by values (row,)."""
    rows = other.copy()
    for column, values in replaced:
        rows[:, column] = values
    return evaluate_labels(case, rows, labels)


def _first_order(case: Case, other: Floats, labels: Floats | Ints, one: _Bins) -> tuple[Floats, Floats]:
    """The centred curve (label, edge) and its standard error."""
    if not len(one):
        return np.zeros((len(labels), 1)), np.zeros((len(labels), 1))
    low, high = ((one.column, one.edges[one.inside + step]) for step in (0, 1))
    effect = _evaluate_with(case, other, labels, high) - _evaluate_with(case, other, labels, low)
    member = one.inside[:, None] == np.arange(len(one))
    counts = member.sum(axis=0)
    mean = effect @ member / counts
    spread = ((effect - mean[:, one.inside]) ** 2) @ member
    variance = np.divide(spread, counts * (counts - 1), out=np.full(spread.shape, np.nan), where=counts > 1)
    cumulative = np.tri(len(one) + 1, len(one), -1)
    centred = cumulative - (one.weights(other[:, one.column]) @ cumulative).mean(axis=0)
    terms = np.where(centred[None] == 0, 0.0, centred[None] ** 2 * variance[:, None, :])
    return mean @ centred.T, np.sqrt(terms.sum(axis=2))


def _second_order(case: Case, other: Floats, labels: Floats | Ints, one: _Bins, two: _Bins) -> Floats:
    """The centred surface (label, edge, edge) without the main effects of its columns."""
    shape = len(labels), len(one.edges), len(two.edges)
    if not (len(one) and len(two)):
        return np.zeros(shape)
    effect: Floats = np.zeros((len(labels), len(other)))
    for up, right in ((1, 1), (1, 0), (0, 1), (0, 0)):
        corner = (one.column, one.edges[one.inside + up]), (two.column, two.edges[two.inside + right])
        effect = effect + (1.0 if up == right else -1.0) * _evaluate_with(case, other, labels, *corner)
    cell = one.inside * len(two) + two.inside
    counts = np.bincount(cell, minlength=len(one) * len(two))
    sums = np.stack([np.bincount(cell, weights=line, minlength=len(counts)) for line in effect])
    local = (sums / np.maximum(counts, 1))[:, _nearest(counts.reshape(len(one), len(two)))]
    total = np.zeros(shape)
    total[:, 1:, 1:] = local.reshape(len(labels), len(one), len(two)).cumsum(axis=1).cumsum(axis=2)
    rows = one.weights(other[:, one.column]), two.weights(other[:, two.column])
    first = _main_effect(total, one, rows[1])[:, :, None]
    second = _main_effect(total.swapaxes(1, 2), two, rows[0])[:, None, :]
    pure = total - first - second
    return np.asarray(pure - np.einsum("re,lef,rf->l", rows[0], pure, rows[1])[:, None, None] / len(other))


def _main_effect(surface: Floats, one: _Bins, other_weights: Floats) -> Floats:
    """The accumulated local effect (label, edge) of a surface along its first column, at the background's rows."""
    step = np.einsum("lrf,rf->lr", np.diff(surface, axis=1)[:, one.inside], other_weights)
    member = one.inside[:, None] == np.arange(len(one))
    mean = step @ member / member.sum(axis=0)
    return np.concatenate([np.zeros((len(surface), 1)), mean.cumsum(axis=1)], axis=1)


def _nearest(counts: Ints) -> Ints:
    """For each cell the cell whose effect it gets: itself, or the nearest cell with rows if it is empty."""
    full = np.argwhere(counts > 0)
    cells = np.argwhere(np.ones_like(counts))
    scale = np.array(counts.shape)
    gap = (((cells[:, None, :] - full[None, :, :]) / scale) ** 2).sum(axis=2)
    chosen = full[gap.argmin(axis=1)]
    return np.asarray(chosen[:, 0] * counts.shape[1] + chosen[:, 1])


def _notes(case: Case, x: Floats, found: list[_Bins]) -> tuple[Note, ...]:
    names, notes = case.features.names, []
    flat = [name for name, one in zip(names, found) if not len(one)]
    if flat:
        text = f"{', '.join(flat[:8])} constant in the background: the effect is unknown and set to 0"
        notes.append(Note("constant", text))
    beyond = np.stack([(x[:, b.column] < b.edges[0]) | (x[:, b.column] > b.edges[-1]) for b in found], axis=1)
    rows = np.flatnonzero(beyond.any(axis=1))
    if len(rows):
        columns = [names[i] for i in np.flatnonzero(beyond.any(axis=0))]
        text = f"row {list_first(rows)} outside the background's range in {', '.join(columns[:8])}: extrapolated"
        notes.append(Note("beyond", text, tuple(case.rows.ids[i] for i in rows)))
    return tuple(notes)
