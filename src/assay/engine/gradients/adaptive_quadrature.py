# SPDX-License-Identifier: Apache-2.0
"""Integrals along the line from a start to the input, refined until they add up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import InputError
from assay.basics.types import Array, Floats, Ints
from assay.cases.case import KEPT, Case
from assay.engine.gradients.distributions import gauss_legendre, started
from assay.nouns.inputs.frames import some
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Note

NODES = 8
"""Gauss–Legendre nodes a panel."""
EDGES = (0.0, 1 / 16, 1 / 4, 1.0)
"""The first panels: finer near the start, where a net that has seen nothing changes fastest."""


@dataclass(frozen=True)
class Panel:
    """A stretch of one row's line, and the target at its ends."""

    row: int
    low: float
    high: float
    values: tuple[float, float]


def refined(case: Case, start: Any, tolerance: float, most: int) -> Estimate:
    """Integrated gradients, each row's line cut into panels until its residual is below ``tolerance`` · |rise|.

    A panel is exact to itself: what its eight nodes add up to is compared with the target's rise from end to end. One
    that misses more than its share, tolerance · |rise| · √width / 2, is halved; misses of different panels differ in
    sign, hence the root. A row that spends ``most`` nodes keeps what it has, and a note says so.
    """
    if not 0 < tolerance < 1:
        raise InputError(f"tolerance={tolerance}; a share of the target's rise between 0 and 1 is needed.")
    begun = started(case, start)
    base = case.value(begun)
    rise = case.output - base
    line = case.rows.x - begun
    xp = array_namespace(line)
    total = xp.zeros_like(line.double() if is_torch_array(line) else line)
    if most < NODES * (len(EDGES) - 1):
        raise InputError(f"most={most}; the first panels take {NODES * (len(EDGES) - 1)} nodes.")
    spent, share, residual = np.zeros(len(case), dtype=int), np.full(len(case), 0.5), rise.copy()
    rows = np.flatnonzero(rise != 0)
    while len(rows):
        total[rows] = 0.0
        residual[rows] = 0.0
        waiting = _first(case, begun, line, rows, base, rise)
        while waiting:
            spent += NODES * _each(case, waiting)
            halves: list[Panel] = []
            for panel, term, miss in _asked(case, begun, line, waiting):
                row = panel.row
                allowed = share[row] * tolerance * abs(rise[row]) * np.sqrt(panel.high - panel.low)
                if abs(miss) <= allowed or spent[row] + 2 * NODES * (1 + _each(case, halves)[row]) > most:
                    total[row] += term
                    residual[row] += miss
                else:
                    halves.append(panel)
            waiting = _halved(case, begun, line, halves)
        missed = np.abs(residual) > tolerance * np.abs(rise)
        rows = np.flatnonzero(missed & (4 * spent < most))  # the misses had one sign: again, more strictly
        share[rows] /= 4
    late = np.flatnonzero(np.abs(residual) > tolerance * np.abs(rise))
    notes: tuple[Note, ...] = ()
    if len(late):
        text = f"residual above {tolerance:g} of the rise after {most} nodes for {len(late)} rows: {some(late)}"
        notes = (Note("tolerance", text, tuple(case.rows.ids[i] for i in late)),)
    return Estimate(total, base=base, notes=notes, extra={"nodes": spent.astype(np.float64)})


def _each(case: Case, panels: list[Panel]) -> Ints:
    """How many panels each row has among these."""
    return np.bincount([panel.row for panel in panels], minlength=len(case))


def _points(begun: Array, line: Array, rows: Any, places: Floats) -> Array:
    wide = places.reshape(-1, *(1,) * (len(line.shape) - 1))
    xp = array_namespace(line)
    return begun[rows] + xp.asarray(wide, dtype=line.dtype, device=line.device) * line[rows]


def _first(case: Case, begun: Array, line: Array, rows: Any, base: Floats, rise: Floats) -> list[Panel]:
    """The first panels of each row; the target at inner edges is asked."""
    inner = np.array(EDGES[1:-1])
    which = np.repeat(rows, len(inner))
    asked = case.value(_points(begun, line, which, np.tile(inner, len(rows))), which).reshape(len(rows), -1)
    ends = np.concatenate([base[rows][:, None], asked, (base + rise)[rows][:, None]], axis=1)
    return [
        Panel(int(row), low, high, (float(one), float(other)))
        for row, values in zip(rows, ends)
        for low, high, one, other in zip(EDGES, EDGES[1:], values, values[1:])
    ]


def _halved(case: Case, begun: Array, line: Array, panels: list[Panel]) -> list[Panel]:
    """Both halves of each panel."""
    if not panels:
        return []
    which = np.array([panel.row for panel in panels])
    middles = np.array([(panel.low + panel.high) / 2 for panel in panels])
    values = case.value(_points(begun, line, which, middles), which)
    return [
        half
        for panel, middle, value in zip(panels, middles.tolist(), values.tolist())
        for half in (
            Panel(panel.row, panel.low, middle, (panel.values[0], value)),
            Panel(panel.row, middle, panel.high, (value, panel.values[1])),
        )
    ]


def _asked(case: Case, begun: Array, line: Array, panels: list[Panel]) -> Iterator[tuple[Panel, Array, float]]:
    """Each panel's integral (*shape), and how far it is from the target's rise over the panel."""
    nodes = np.array(gauss_legendre(NODES))
    together = max(1, case.room(KEPT) // NODES)
    for first in range(0, len(panels), together):
        group = panels[first : first + together]
        which = np.repeat([panel.row for panel in group], NODES)
        places = np.concatenate([panel.low + (panel.high - panel.low) * nodes[:, 0] for panel in group])
        slopes = case.gradient(_points(begun, line, which, places), which)
        slopes = slopes.double() if is_torch_array(slopes) else slopes
        for place, panel in enumerate(group):
            part = slopes[place * NODES : (place + 1) * NODES]
            weights = (panel.high - panel.low) * nodes[:, 1]
            wide = array_namespace(part).asarray(weights.reshape(-1, *(1,) * (len(part.shape) - 1)), dtype=part.dtype)
            term = (wide * part).sum(0) * line[panel.row]
            yield panel, term, panel.values[1] - panel.values[0] - float(to_floats(term).sum())
