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
from assay.engine.retraining.labelled_rows import written
from assay.engine.surrogates.feature_profiles import Pairs, answers, padded, places
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.frames import some
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Note


@dataclass(frozen=True, eq=False)
class _Bins:
    """A column's bins (edge₀, edge₁], (edge₁, edge₂] … of the background, the first with its lower edge."""

    column: int
    edges: Floats
    inside: Ints

    def __len__(self) -> int:
        return len(self.edges) - 1

    def weights(self, at: Floats) -> Floats:
        """What each edge weighs (at, edge) in linear interpolation; the outermost bins go on beyond the edges."""
        found = np.zeros((len(at), len(self.edges)))
        if not len(self):
            found[:, 0] = 1.0
            return found
        low = np.clip(np.searchsorted(self.edges, at, side="left") - 1, 0, len(self) - 1)
        share = (at - self.edges[low]) / (self.edges[low + 1] - self.edges[low])
        found[np.arange(len(at)), low], found[np.arange(len(at)), low + 1] = 1 - share, share
        return found


def _binned(case: Case, other: Floats, bins: int) -> list[_Bins]:
    if not case.features.elementwise:
        raise CapabilityError(
            "explain.ale needs columns one by one; a part of this cut is a group of columns, which has no order. Use "
            "partial_dependence, or a case without groups."
        )
    if bins < 1:
        raise InputError(f"bins={bins}; at least 1 is needed.")
    found = []
    for column in np.argsort(case.features.index):
        values = other[:, column]
        edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1), method="inverted_cdf"))
        inside = np.maximum(np.searchsorted(edges, values, side="left") - 1, 0)
        found.append(_Bins(int(column), edges, inside))
    return found


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    other = to_floats(written(case, o.background))
    found = _binned(case, other, o.bins)
    moving = sum(2 for bins in found if len(bins))
    both = sum(4 for i, j in places(case, o.pairs) if len(found[i]) and len(found[j]))
    return Cost((1 + moving + both) * len(other) * case.model.passes)


@explainer(source="apley2020", needs={"table", "numbers"}, claims={"dummy", "linear"}, cost=_cost)
def ale(case: Case, *, background: Any, bins: int = 20, pairs: Pairs = ()) -> Estimate:
    """How far a column's local effects, added up to the row's value, lie above their mean.

    In each bin the mean over the background's rows there of f(b at the bin's upper edge) − f(b at its lower edge),
    added up from the lowest bin, less the mean over the background; in units of the target. Unlike partial dependence
    a row moves only within its bin, so columns that go together are not torn apart. Edges are quantiles that occur, so
    no bin is empty; ``extra["counts"]`` (part, bin). A row's value is read off by linear interpolation; beyond the
    background the outermost bin goes on, with a note. The base is mean_b f(b): if the model is a sum of linear
    functions of single columns these are the Shapley values against the background; if of any, up to interpolation.

    ``extra["curve"]`` (label, part, edge) at ``extra["grid"]`` (part, edge), with ``extra["stderr"]``, that of the
    bins' means (NaN where a bin of one row counts); one curve for each label, in order of ``extra["label"]``.
    ``pairs`` of names add second order effects, main effects taken out: ``extra["pair_curve"]`` (label, pair, edge,
    edge), read at the row in ``extra["joint"]`` (row, pair); an empty cell takes the effect of the nearest cell.

    The price does not depend on the rows: two evaluations of the background a column, four a pair. Text and categories
    have no order and are refused, as are groups. ALEPlot centres by the bins' midpoints, not at the rows.
    """
    other, couples = to_floats(written(case, background)), places(case, pairs)
    found, labels = _binned(case, other, bins), np.unique(case.label)
    x, asked = to_floats(case.rows.x), np.searchsorted(labels, case.label)
    everyone = np.arange(len(case))
    values, curves, errors = np.zeros((len(case), len(found))), [], []
    for part, one in enumerate(found):
        curve, error = _first_order(case, other, labels, one)
        values[:, part] = (curve @ one.weights(x[:, one.column]).T)[asked, everyone]
        curves.append(curve)
        errors.append(error)
    extra = {
        "grid": padded([one.edges for one in found]),
        "curve": padded(curves),
        "stderr": padded(errors),
        "counts": padded([np.bincount(one.inside, minlength=len(one)).astype(np.float64) for one in found]),
        "label": np.asarray(labels, dtype=np.float64),
    }
    if couples:
        surfaces = [_second_order(case, other, labels, found[i], found[j]) for i, j in couples]
        extra["pair_curve"] = padded(surfaces, sides=2)
        extra["joint"] = np.stack(
            [
                np.einsum(
                    "re,ref,rf->r",
                    found[i].weights(x[:, found[i].column]),
                    surface[asked],
                    found[j].weights(x[:, found[j].column]),
                )
                for (i, j), surface in zip(couples, surfaces)
            ],
            axis=1,
        )
    base = answers(case, other, labels).mean(axis=1)[asked]
    return Estimate(values, base=base, extra=extra, notes=_notes(case, x, found))


def _at(case: Case, other: Floats, labels: Floats | Ints, *places: tuple[int, Floats]) -> Floats:
    """The target (label, row) with columns of the background set."""
    rows = other.copy()
    for column, values in places:
        rows[:, column] = values
    return answers(case, rows, labels)


def _first_order(case: Case, other: Floats, labels: Floats | Ints, one: _Bins) -> tuple[Floats, Floats]:
    """The centred curve (label, edge) and its error."""
    if not len(one):
        return np.zeros((len(labels), 1)), np.zeros((len(labels), 1))
    low, high = ((one.column, one.edges[one.inside + step]) for step in (0, 1))
    effect = _at(case, other, labels, high) - _at(case, other, labels, low)
    member = one.inside[:, None] == np.arange(len(one))
    counts = member.sum(axis=0)
    mean = effect @ member / counts
    spread = ((effect - mean[:, one.inside]) ** 2) @ member
    variance = np.divide(spread, counts * (counts - 1), out=np.full(spread.shape, np.nan), where=counts > 1)
    summed = np.tri(len(one) + 1, len(one), -1)
    centred = summed - (one.weights(other[:, one.column]) @ summed).mean(axis=0)
    parts = np.where(centred[None] == 0, 0.0, centred[None] ** 2 * variance[:, None, :])
    return mean @ centred.T, np.sqrt(parts.sum(axis=2))


def _second_order(case: Case, other: Floats, labels: Floats | Ints, one: _Bins, two: _Bins) -> Floats:
    """The centred surface (label, edge, edge) without the main effects of its columns."""
    shape = len(labels), len(one.edges), len(two.edges)
    if not (len(one) and len(two)):
        return np.zeros(shape)
    effect: Floats = np.zeros((len(labels), len(other)))
    for up, right in ((1, 1), (1, 0), (0, 1), (0, 0)):
        corner = (one.column, one.edges[one.inside + up]), (two.column, two.edges[two.inside + right])
        effect = effect + (1.0 if up == right else -1.0) * _at(case, other, labels, *corner)
    cell = one.inside * len(two) + two.inside
    counts = np.bincount(cell, minlength=len(one) * len(two))
    sums = np.stack([np.bincount(cell, weights=line, minlength=len(counts)) for line in effect])
    local = (sums / np.maximum(counts, 1))[:, _nearest(counts.reshape(len(one), len(two)))]
    risen = np.zeros(shape)
    risen[:, 1:, 1:] = local.reshape(len(labels), len(one), len(two)).cumsum(axis=1).cumsum(axis=2)
    rows = one.weights(other[:, one.column]), two.weights(other[:, two.column])
    pure = risen - _main(risen, one, rows[1])[:, :, None] - _main(risen.swapaxes(1, 2), two, rows[0])[:, None, :]
    return np.asarray(pure - np.einsum("re,lef,rf->l", rows[0], pure, rows[1])[:, None, None] / len(other))


def _main(surface: Floats, one: _Bins, across: Floats) -> Floats:
    """The accumulated local effect (label, edge) of a surface along its first column, at the rows' own places."""
    step = np.einsum("lrf,rf->lr", np.diff(surface, axis=1)[:, one.inside], across)
    member = one.inside[:, None] == np.arange(len(one))
    mean = step @ member / member.sum(axis=0)
    return np.concatenate([np.zeros((len(surface), 1)), mean.cumsum(axis=1)], axis=1)


def _nearest(counts: Ints) -> Ints:
    """For each cell the cell that speaks for it: itself, or where it is empty the nearest with rows in it."""
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
        notes.append(Note("constant", f"the background never varies {', '.join(flat[:8])}: no effect can be told, 0"))
    beyond = np.stack([(x[:, b.column] < b.edges[0]) | (x[:, b.column] > b.edges[-1]) for b in found], axis=1)
    rows = np.flatnonzero(beyond.any(axis=1))
    if len(rows):
        columns = [names[i] for i in np.flatnonzero(beyond.any(axis=0))]
        text = f"row {some(rows)} beyond the background in {', '.join(columns[:8])}: the outermost bin goes on there"
        notes.append(Note("beyond", text, tuple(case.rows.ids[i] for i in rows)))
    return tuple(notes)
