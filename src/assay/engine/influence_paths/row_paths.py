# SPDX-License-Identifier: Apache-2.0
"""The influence paths of one row of a case: values of all parts, and the paths of the parts with most influence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.labels import labels_like
from assay.engine.gradients.distributions import Line, Node
from assay.engine.influence_paths.cut_layers import find_cut
from assay.engine.influence_paths.path_passes import PathNet, PathStates, Read, open_net, pair
from assay.engine.influence_paths.transfer_paths import TransferPaths, transfer_paths
from assay.engine.influence_paths.unit_paths import UnitPath, greedy_path
from assay.model.texts.padding import trim
from assay.nouns.inputs.rows import Rows, to_double

if TYPE_CHECKING:
    import torch as pt

MAX_RESIDUAL = 0.1
"""The largest relative residual at which paths are ranked."""


@dataclass(frozen=True, eq=False)
class RowPaths:
    """The paths of one row: ``values`` (*shape) of all paths of each element, and those of the ``sources`` (parts)."""

    values: Floats
    sources: Ints
    influence: Floats
    transfers: tuple[TransferPaths, ...]
    units: tuple[UnitPath, ...]


def cut_case(case: Case, layers: Sequence[str]) -> PathNet:
    """The net of a case, cut at layers that every path crosses; read from a pass of the first row, which is counted."""
    if len(case.rows.shape) > 2:
        raise CapabilityError(
            f"influence paths need rows (unit,) or (position, width); those of {case.model.name} have shape "
            f"{case.rows.shape}. Use conductance, which splits influence over the units of one layer."
        )
    net = open_net(case.model.layer_access, case.model.name)
    first = np.array([0])
    rows, _ = _unpadded(case.take(first).rows)
    case.model.meter.count(forwards=1, backwards=1)
    return find_cut(net, rows, reader(case, first), layers, case.seed)


def reader(case: Case, which: Ints) -> Read:
    """The target as a function of the outputs at points of the rows ``which``."""
    labels = case.label[which]
    return lambda out: case.target.read(to_double(out), labels_like(labels, out), case.model.gives)


def record_row(case: Case, row: int, cut: PathNet, nodes: Sequence[Node]) -> tuple[PathStates, pt.Tensor, Ints]:
    """The states at the points of one row, the path's derivative there, and the places of its positions."""
    import torch

    which = np.full(len(nodes), row)
    points = torch.cat([node.point[row : row + 1] for node in nodes])
    along = torch.cat([_along(node)[row : row + 1] for node in nodes])
    rows, places = _unpadded(case.rows.with_inputs(points, which))
    with case.model.meter.lock:
        states = cut.record(rows, reader(case, which))
    case.model.meter.count(forwards=len(nodes))
    return states, (along[:, places] if len(places) else along).to(rows.x), places


def row_paths(case: Case, row: int, cut: PathNet, over: Line, sources: int) -> RowPaths:
    """The influence of each element by all paths, and the paths of the ``sources`` parts that have most of it."""
    nodes = list(over.nodes(case))
    weights = np.array([node.weight for node in nodes])
    states, along, places = record_row(case, row, cut, nodes)
    products = pair(states.gradients[0], along)
    inner = np.tensordot(weights, products.cpu().numpy(), axes=1)
    values = np.zeros(case.rows.shape)
    values[places if len(places) else slice(None)] = inner
    index = np.broadcast_to(case.features.index, (len(case), *case.rows.shape))[row]
    parts = np.array([values[index == part].sum() for part in range(len(case.features))])
    order = np.argsort(-np.abs(parts), kind="stable")[:sources]
    own = index[places] if len(places) else index
    masks = [own == part for part in order]
    meter, count = case.model.meter, len(nodes)
    transfers: tuple[TransferPaths, ...] = ()
    units: tuple[UnitPath, ...] = ()
    with meter.lock:
        if index.ndim == 2:
            moving = [mask for mask in masks if mask.any()]
            found, ends = transfer_paths(states, weights, position_groups(own), moving, along)
            none = TransferPaths(0.0, np.zeros(len(cut.layers)), np.zeros_like(found[0].heads))
            following = iter(found)
            transfers = tuple(next(following) if mask.any() else none for mask in masks)
            meter.count(forwards=count * len(moving), backwards=count * (1 + ends))
        else:
            units = tuple(greedy_path(states, weights, None, mask, along) for mask in masks)
            meter.count(forwards=count * len(masks), backwards=count * (1 + len(masks)))
    return RowPaths(values, order, parts[order], transfers, units)


def position_groups(index: Any) -> Ints:
    """The number of each position's node: positions of one part together, positions of no part each alone."""
    part = np.asarray(index).reshape(len(index), -1)[:, 0]
    shared = np.array([len(set(row.tolist())) == 1 for row in np.asarray(index).reshape(len(index), -1)])
    key = np.where(shared & (part >= 0), part, len(part) + part.max(initial=0) + 1 + np.arange(len(part)))
    return np.asarray(np.unique(key, return_inverse=True)[1]).ravel()


def _along(node: Node) -> Any:
    if node.along is None:
        raise CapabilityError("influence paths need a path from a start to the input.")
    return node.along


def _unpadded(rows: Rows) -> tuple[Rows, Ints]:
    """Copies of one text without padding, and the places of its tokens; other rows as they are, and no places."""
    real = None if rows.text is None else rows.text.real
    if real is None:
        return replace(rows, text=None), np.arange(0)
    places = np.flatnonzero(real[0])
    return replace(trim(rows, np.arange(len(rows)), places), text=None), places


def relative_residual(values: Floats, change: Floats) -> Floats:
    """|change − Σ values| / |change| (row,); 0 where both are 0, infinite where only the change is."""
    left = np.abs(change - values.reshape(len(values), -1).sum(axis=1))
    scale = np.abs(change)
    tiny = 1e-9 * np.maximum(1.0, scale)
    return np.where(left <= tiny, 0.0, np.divide(left, scale, out=np.full(len(left), np.inf), where=scale > 0))
