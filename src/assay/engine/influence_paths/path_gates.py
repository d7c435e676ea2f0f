# SPDX-License-Identifier: Apache-2.0
"""The gates and heads on the paths of some parts, and the model in which all others take their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.gradients.distributions import Line
from assay.engine.influence_paths.path_passes import PathNet, Projection
from assay.engine.influence_paths.row_paths import (
    MAX_RESIDUAL,
    RowPaths,
    cut_case,
    record_row,
    relative_residual,
    row_paths,
)
from assay.model.model import Model
from assay.model.nets.ablated_sites import GATES_SITE, ablate_sites, record_sites
from assay.model.nets.open_lstm import GATES, has_lstm, open_lstm
from assay.nouns.inputs.rows import to_floats

OUTPUT = GATES.index("output")


@dataclass(frozen=True, eq=False)
class PathGates:
    """The gates or heads of a net at every position: their means, and which lie on the paths of the sources.

    ``on_path``, ``reads`` and ``means`` have for each site (position, 4, unit) of gates, or (position, width) of heads.
    ``on_path`` are the entries that the sources' own positions determine, and heads; ``reads`` those at the end in the
    layers above a crossing, which the paths of all other positions use as well. ``text`` names the crossings.
    """

    case: Case
    means: Mapping[str, Floats]
    on_path: Mapping[str, Masks]
    reads: Mapping[str, Masks]
    text: str

    def model(self, mode: str, name: str) -> tuple[Model, float]:
        """The model with the entries on the path and those that read it alone (``"keep"``), or without those on it.

        Also the share of entries that are kept.
        """
        keep = {site: mask | self.reads[site] if mode == "keep" else ~mask for site, mask in self.on_path.items()}
        share = sum(mask.sum() for mask in keep.values()) / sum(mask.size for mask in keep.values())
        return ablate_sites(self.case.model, keep, self.means, name), float(share)


def path_gates(case: Case, over: Line, sources: Sequence[int], crossings: int) -> PathGates:
    """The entries on the largest paths of the ``sources`` (parts), by the rows of the case.

    The largest are those with the largest mean size over the rows: so many layers of recurrent cells, or pairs of
    layer and head. Without ``sources``, the part with the largest mean |value|. Rows whose residual is above
    ``MAX_RESIDUAL`` choose nothing; ``CapabilityError`` where all are.
    """
    opened = replace(case, model=open_lstm(case.model)) if has_lstm(case.model) else case
    cut = cut_case(opened, ())
    sites = _sites(opened, cut)
    part = _shared_parts(opened)
    found = _ranked(opened, cut, over)
    if not sources:
        size = np.mean([np.abs(one.influence[np.argsort(one.sources)]) for one in found], axis=0)
        sources = [int(np.argmax(size))]
    if any(not 0 <= one < len(opened.features) for one in sources):
        raise InputError(f"sources={list(sources)}; the rows have {len(opened.features)} parts, numbered from 0.")
    end = _end(opened, cut, over)
    means = site_means(opened, sites)
    on_path = {site: np.zeros(mean.shape, dtype=bool) for site, mean in means.items()}
    reads = {site: np.zeros(mean.shape, dtype=bool) for site, mean in means.items()}
    lines = []
    for source in sources:
        own = [one.transfers[int(np.flatnonzero(one.sources == source)[0])] for one in found]
        at = np.flatnonzero(part == source)
        for layer, head in _largest(own, cut, crossings):
            place = "stays at its position" if (at == end).all() else f"crosses at {cut.layers[layer]}"
            lines.append(f"{opened.features.names[source]} {place}{'' if head < 0 else f' head {head}'}")
            if head < 0:
                _add_cells(on_path, reads, layer, at, end)
            else:
                _add_head(on_path, cut.projections[cut.layers[layer]], head, end)
    return PathGates(opened, means, on_path, reads, "; ".join(dict.fromkeys(lines)))


def _shared_parts(case: Case) -> Ints:
    """The part of each position (position,), which must be the same in all rows."""
    if case.rows.text is not None and not case.rows.text.real.all():
        raise InputError(
            "the rows have different numbers of positions; give texts of one length, since gates and heads are "
            "averaged position by position."
        )
    index: Any = np.broadcast_to(case.features.index, (len(case), *case.rows.shape))[..., 0]
    if (index != index[0]).any():
        raise InputError("the parts lie at other positions in other rows; give rows cut into the same parts.")
    return np.asarray(index[0])


def _ranked(case: Case, cut: PathNet, over: Line) -> list[RowPaths]:
    """The paths of all parts of every row whose sum over all paths is the difference of the target."""
    base = over.base(case)
    assert base is not None
    found = [row_paths(case, row, cut, over, len(case.features)) for row in range(len(case))]
    residual = relative_residual(np.stack([one.values for one in found]), case.output - base)
    if (residual > MAX_RESIDUAL).all():
        raise CapabilityError(
            f"no row's paths can be ranked: with {over.steps} nodes at least {residual.min():.0%} of f(x) − f(start) "
            f"is missing from the sum over all paths. Use more nodes (steps=…), or another start."
        )
    return [one for one, left in zip(found, residual) if left <= MAX_RESIDUAL]


def site_means(case: Case, sites: Sequence[str]) -> dict[str, Floats]:
    """The mean over the rows of what each site gets: gates (position, 4, unit), or heads' states (position, width)."""
    recorded: dict[str, list[Any]] = {}
    _ = case.prediction  # the passes that check a model come before its first batch
    with record_sites(case.model.net, sites, recorded):
        case.outputs(case.rows.x)
    length = case.rows.shape[0]
    means = {}
    for site, values in recorded.items():
        each = [to_floats(value) for value in values]
        if site.endswith(GATES_SITE):  # one call a time, in every batch
            batches = [np.stack(each[first : first + length], axis=1) for first in range(0, len(each), length)]
            means[site] = np.concatenate(batches).mean(axis=0)
        else:
            means[site] = np.concatenate(each).mean(axis=0)
    return means


def _sites(case: Case, cut: PathNet) -> list[str]:
    """The gates of all cells, or the mixers of heads; ``CapabilityError`` where the net has neither."""
    names = [name for name, _ in case.model.net.named_modules() if name.rpartition(".")[2] == GATES_SITE]
    if any(".backwards." in name for name in names):
        raise CapabilityError("paths along a net that also reads backwards are not compressed; give one direction.")
    found = names or [one.layer for one in cut.projections.values()]
    if not found or (names and len(names) != len(cut.layers)):
        raise CapabilityError(
            f"{case.model.name} is no stack of nn.LSTM layers, and no heads of attention were found in its layers "
            f"({', '.join(cut.layers[:6])}), so there is nothing to average along a path."
        )
    return found


def _end(case: Case, cut: PathNet, over: Line) -> int:
    """The one position that the output is read from."""
    states, _, _ = record_row(case, 0, cut, list(over.nodes(case))[:1])
    read = np.flatnonzero(to_floats(states.gradients[-1]).any(axis=(0, 2)))
    if len(read) != 1:
        raise CapabilityError(f"the output is read from {len(read)} positions; compression needs one, the last say.")
    return int(read[0])


def _largest(own: Sequence[Any], cut: PathNet, crossings: int) -> list[tuple[int, int]]:
    """The layers, or pairs of layer and head, whose crossing is the largest in the mean over the rows."""
    if cut.projections:
        size = np.nan_to_num(np.mean([np.abs(one.heads) for one in own], axis=0))
        order = np.argsort(-size, axis=None, kind="stable")[:crossings]
        return [(int(place // size.shape[1]), int(place % size.shape[1])) for place in order]
    size = np.mean([np.abs(one.crossings) for one in own], axis=0)
    return [(int(layer), -1) for layer in np.argsort(-size, kind="stable")[:crossings]]


def _add_head(on_path: dict[str, Masks], projection: Projection, head: int, end: int) -> None:
    """Mark the states of one head at the position that is read."""
    mask = on_path[projection.layer]
    width = mask.shape[1] // projection.heads
    mask[end, head * width : (head + 1) * width] = True


def _add_cells(on_path: dict[str, Masks], reads: dict[str, Masks], layer: int, at: Ints, end: int) -> None:
    """Mark the gates of a path that crosses in a layer: written at the source, and read at the end in higher layers.

    At the source all gates of lower layers, and those of the layer that change its cells (no output). In between the
    path runs along the cells, where the gates belong to other positions. A source that is the end itself has the path
    that never crosses: all gates there, in all layers.
    """
    for number, site in enumerate(on_path):
        if end in at:
            on_path[site][end] = True
        for start in at[at < end].tolist():
            if number < layer:
                on_path[site][start] = True
            elif number == layer:
                on_path[site][start, :OUTPUT] = True
            else:
                reads[site][end] = True
