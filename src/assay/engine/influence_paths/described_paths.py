# SPDX-License-Identifier: Apache-2.0
"""The influence paths of all rows of a case as arrays, as lines of text, and their cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.cost import Given
from assay.engine.influence_paths.contrast_line import line_to_rows
from assay.engine.influence_paths.row_paths import MAX_RESIDUAL, RowPaths, cut_case, relative_residual, row_paths
from assay.model.nets.open_lstm import has_lstm, open_lstm
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.number_checks import require_count
from assay.nouns.results.result import Estimate, Note

SHOWN_ROWS = 20
"""Rows whose largest paths are written out."""

OPENED = Note("opened-lstm", "paths are those of the same net with its nn.LSTM written out as a loop of cells")


def paths_of_rows(
    case: Case, start: Any, contrast: Sequence[str], steps: int, sources: int, layers: Sequence[str]
) -> Estimate:
    """The values of all parts by all paths, and the refined paths of the ``sources`` largest as extra arrays."""
    require_count("sources", sources, meaning="the parts whose paths are refined")
    over = line_to_rows(case, start, contrast, steps)
    base = over.base(case)
    opened = has_lstm(case.model)
    case = replace(case, model=open_lstm(case.model)) if opened else case
    cut = cut_case(case, layers)
    found = [row_paths(case, row, cut, over, min(sources, len(case.features))) for row in range(len(case))]
    values = np.stack([one.values for one in found])
    assert base is not None
    residual = relative_residual(values, case.output - base)
    unranked = residual > MAX_RESIDUAL
    extra = _arrays(found)
    for array in extra.values():
        array[unranked] = np.nan
    notes = (*_unranked_note(case, residual, unranked, steps), *((OPENED,) if opened else ()))
    lines: list[str] = []
    for row, one in enumerate(found[:SHOWN_ROWS]):
        missing = f"{case.rows.ids[row]}: not ranked, {residual[row]:.0%} of the change is missing"
        lines += [missing] if unranked[row] else path_lines(case, row, one, cut.layers)
    return Estimate(values, base=base, notes=notes, extra=extra | {"residual": residual}, description=tuple(lines))


def _arrays(found: Sequence[RowPaths]) -> dict[str, Floats]:
    """What was found for each row and source."""
    total = np.stack([one.influence for one in found])
    arrays: dict[str, Floats] = {
        "sources": np.stack([one.sources for one in found]).astype(np.float64),
        "influence": total,
    }
    if found[0].transfers:
        each = [one.transfers for one in found]
        arrays["copy"] = np.array([[one.copy for one in row] for row in each])
        arrays["crossings"] = np.array([[one.crossings for one in row] for row in each])
        arrays["heads"] = np.array([[one.heads for one in row] for row in each])
        arrays["graph"] = np.array([[one.graph for one in row] for row in each])
        carried = np.array([[one.total for one in row] for row in each])
    else:
        units = [one.units for one in found]
        arrays["nodes"] = np.array([[one.nodes for one in row] for row in units], dtype=np.float64)
        arrays["refined"] = np.array([[one.refined for one in row] for row in units])
        carried = arrays["refined"][..., 0]
    arrays["share"] = np.divide(carried, total, out=np.full(total.shape, np.nan), where=total != 0)
    return arrays


def path_lines(case: Case, row: int, one: RowPaths, layers: Sequence[str]) -> list[str]:
    """What the paths of the first source carry, as a line of text."""
    part = int(one.sources[0])
    texts = case.part_texts()
    name = texts[row][part] if texts else case.features.names[part]
    whole = float(one.influence[0])
    head = f"{case.rows.ids[row]}: {name} carries {whole:.3g}"
    if one.units:
        path = one.units[0]
        chain = ", ".join(f"{layer} {int(node)}" for layer, node in zip(layers, path.nodes))
        return [f"{head}; the path through {chain} carries {path.refined[0]:.3g}"]
    if whole == 0:
        return [f"{head}: no path"]
    paths = one.transfers[0]
    order = np.argsort(-np.abs(paths.crossings), kind="stable")[:2]
    crossed = ", ".join(_crossing(paths.crossings[place], paths.heads[place], layers[place]) for place in order)
    return [f"{head}; {paths.total / whole:.0%} by paths that cross at most once: copy {paths.copy:.3g}, {crossed}"]


def _crossing(value: float, heads: Floats, layer: str) -> str:
    known = len(heads) and np.isfinite(heads).all()
    first = int(np.argmax(np.abs(heads))) if known else 0
    by = f" (head {first}: {heads[first]:.3g})" if known else ""
    return f"{layer} {value:.3g}{by}"


def _unranked_note(case: Case, residual: Floats, unranked: Any, steps: int) -> tuple[Note, ...]:
    if not unranked.any():
        return ()
    names = tuple(case.rows.ids[row] for row in np.flatnonzero(unranked))
    worst = float(residual.max())
    text = (
        f"paths are not ranked: with {steps} nodes up to {worst:.0%} of f(x) − f(start) is missing from the sum over "
        f"all paths, and at most {MAX_RESIDUAL:.0%} may be. Use more nodes (steps=…)"
    )
    return (Note("paths-unranked", text, names),)


def influence_paths_cost(case: Case, o: Given, again: Cost) -> Cost:
    """A pass that finds the layers, the start, and a row's nodes: once, for each source, and back for each end."""
    sources = min(o.sources, len(case.features))
    if len(case.rows.shape) == 2:
        each = Cost(1 + o.steps * (1 + sources), o.steps * (1 + case.rows.shape[0]))
    else:
        each = Cost(1 + o.steps * (1 + sources), o.steps * (1 + sources))
    return (each * len(case) + Cost(1, 1)) * case.model.passes_per_row
