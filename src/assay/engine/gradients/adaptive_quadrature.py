# SPDX-License-Identifier: Apache-2.0
"""Adaptive quadrature of integrated gradients: panels of the line are halved until the values add up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import InputError
from assay.basics.types import Array, Floats, Ints
from assay.cases.case import GRADIENT_COPIES, Case
from assay.engine.gradients.distributions import broadcast_start
from assay.engine.gradients.quadrature import gauss_legendre
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate, Note

NODES = 8
"""Gauss–Legendre nodes per panel."""
EDGES = (0.0, 1 / 16, 1 / 4, 1.0)
"""Edges of the first panels: finer near the start, where the target of a net usually changes fastest."""


@dataclass(frozen=True)
class Panel:
    """An interval (``low``, ``high``) of one row's line, and the target's ``values`` at its two ends."""

    row: int
    low: float
    high: float
    values: tuple[float, float]


def integrate_to_tolerance(case: Case, start: Any, tolerance: float, most: int) -> Estimate:
    """Integrated gradients; each row's line is cut into panels until |residual| ≤ ``tolerance`` · |f(x) − f(start)|.

    The error of a panel is the difference between the sum of its eight nodes and the target's change from end to end.
    A panel whose error exceeds its share, tolerance · |change of the whole line| · √width / 2, is halved; the errors of
    different panels differ in sign, so the share uses √width. A row that spends ``most`` nodes keeps its current
    values, with a note.
    """
    if not 0 < tolerance < 1:
        raise InputError(f"tolerance={tolerance}; a fraction of the target's change between 0 and 1 is needed.")
    origin = broadcast_start(case, start)
    base = case.value(origin)
    change = case.output - base
    line = case.rows.x - origin
    xp = array_namespace(line)
    total = xp.zeros_like(line.double() if is_torch_array(line) else line)
    if most < NODES * (len(EDGES) - 1):
        raise InputError(f"most={most}; the first panels take {NODES * (len(EDGES) - 1)} nodes.")
    spent, share, residual = np.zeros(len(case), dtype=int), np.full(len(case), 0.5), change.copy()
    rows = np.flatnonzero(change != 0)
    while len(rows):
        total[rows] = 0.0
        residual[rows] = 0.0
        panels = _first_panels(case, origin, line, rows, base, change)
        while panels:
            spent += NODES * _panels_per_row(case, panels)
            halved: list[Panel] = []
            for panel, term, error in _integrate_panels(case, origin, line, panels):
                row = panel.row
                allowed = share[row] * tolerance * abs(change[row]) * np.sqrt(panel.high - panel.low)
                if abs(error) <= allowed or spent[row] + 2 * NODES * (1 + _panels_per_row(case, halved)[row]) > most:
                    total[row] += term
                    residual[row] += error
                else:
                    halved.append(panel)
            panels = _halve(case, origin, line, halved)
        exceeded = np.abs(residual) > tolerance * np.abs(change)
        rows = np.flatnonzero(exceeded & (4 * spent < most))  # the errors had one sign: repeat with a smaller share
        share[rows] /= 4
    unfinished = np.flatnonzero(np.abs(residual) > tolerance * np.abs(change))
    return Estimate(
        total,
        base=base,
        notes=_tolerance_note(case, unfinished, tolerance, most),
        extra={"nodes": spent.astype(np.float64)},
    )


def _tolerance_note(case: Case, rows: Ints, tolerance: float, most: int) -> tuple[Note, ...]:
    if not len(rows):
        return ()
    where = f"for {len(rows)} row(s): {list_first(rows)}"
    text = f"residual above {tolerance:g} of the target's change after {most} nodes {where}"
    return (Note("tolerance", text, tuple(case.rows.ids[i] for i in rows)),)


def _panels_per_row(case: Case, panels: list[Panel]) -> Ints:
    """Number of these panels for each row (row,)."""
    return np.bincount([panel.row for panel in panels], minlength=len(case))


def _points(origin: Array, line: Array, rows: Any, positions: Floats) -> Array:
    """Points of the rows' lines at the positions α."""
    alpha = positions.reshape(-1, *(1,) * (len(line.shape) - 1))
    xp = array_namespace(line)
    return origin[rows] + xp.asarray(alpha, dtype=line.dtype, device=line.device) * line[rows]


def _first_panels(case: Case, origin: Array, line: Array, rows: Any, base: Floats, change: Floats) -> list[Panel]:
    """The first panels of each row; the target is evaluated at the inner edges."""
    inner = np.array(EDGES[1:-1])
    which = np.repeat(rows, len(inner))
    inside = case.value(_points(origin, line, which, np.tile(inner, len(rows))), which).reshape(len(rows), -1)
    ends = np.concatenate([base[rows][:, None], inside, (base + change)[rows][:, None]], axis=1)
    return [
        Panel(int(row), low, high, (float(one), float(other)))
        for row, values in zip(rows, ends)
        for low, high, one, other in zip(EDGES, EDGES[1:], values, values[1:])
    ]


def _halve(case: Case, origin: Array, line: Array, panels: list[Panel]) -> list[Panel]:
    """Both halves of each panel; the target is evaluated at the midpoints."""
    if not panels:
        return []
    which = np.array([panel.row for panel in panels])
    middles = np.array([(panel.low + panel.high) / 2 for panel in panels])
    values = case.value(_points(origin, line, which, middles), which)
    return [
        half
        for panel, middle, value in zip(panels, middles.tolist(), values.tolist())
        for half in (
            Panel(panel.row, panel.low, middle, (panel.values[0], value)),
            Panel(panel.row, middle, panel.high, (value, panel.values[1])),
        )
    ]


def _integrate_panels(
    case: Case, origin: Array, line: Array, panels: list[Panel]
) -> Iterator[tuple[Panel, Array, float]]:
    """Each panel with its integral (*shape) and its error: the target's change over the panel minus that integral."""
    nodes = np.array(gauss_legendre(NODES))
    group_size = max(1, case.max_batch_rows(GRADIENT_COPIES) // NODES)
    for first in range(0, len(panels), group_size):
        group = panels[first : first + group_size]
        which = np.repeat([panel.row for panel in group], NODES)
        positions = np.concatenate([panel.low + (panel.high - panel.low) * nodes[:, 0] for panel in group])
        gradients = case.gradient(_points(origin, line, which, positions), which)
        gradients = gradients.double() if is_torch_array(gradients) else gradients
        for number, panel in enumerate(group):
            own = gradients[number * NODES : (number + 1) * NODES]
            weights = (panel.high - panel.low) * nodes[:, 1]
            column = array_namespace(own).asarray(weights.reshape(-1, *(1,) * (len(own.shape) - 1)), dtype=own.dtype)
            term = (column * own).sum(0) * line[panel.row]
            yield panel, term, panel.values[1] - panel.values[0] - float(to_floats(term).sum())
