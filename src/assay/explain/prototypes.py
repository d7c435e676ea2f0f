# SPDX-License-Identifier: Apache-2.0
"""Evidence by similarity to parts of training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.default_removal import DEFAULT
from assay.cases.removals import Removal
from assay.engine.concepts.activations import content_order, position_matrix
from assay.engine.cost import Given
from assay.engine.declare import explainer
from assay.engine.gradients.activation_maps import find_units_layer
from assay.engine.influence.training_rows import training_case
from assay.engine.pictures.thumbnails import is_shape_of_picture, thumbnail
from assay.engine.prototypes.network import declared_head
from assay.engine.prototypes.regions import (
    WindowSearch,
    cell_centres,
    evidence_rows,
    is_picture,
    window_steps,
)
from assay.engine.prototypes.similarity import best_matches, choose_prototypes, fit_head
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.features import elements
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import predicted_class, probabilities
from assay.nouns.results.result import Estimate, Note

MOST_ROWS = 20
"""Rows whose evidence is written as text."""

SHOWN = 3
"""Prototypes of the class, and of its rival, that are named for each row."""

PICTURED = 3
"""Rows whose training pictures are part of the result."""


@dataclass(frozen=True, eq=False)
class _Head:
    """Prototypes (prototype, unit) with the id, position and class of each, and the weights W (class, prototype)."""

    cells: Floats
    ids: tuple[str, ...]
    position: Ints
    label: Ints
    weights: Floats
    declared: bool


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """A pass of the rows; of the training rows their outputs and the layer; the windows."""
    head = declared_head(case.model.net)
    found = Cost(len(case) + (0 if o.layer or head else 1)) + Cost((1 if head else 2) * len(o.train[1]))
    if o.regions and _has_regions(case, o.layer):
        remove = case.default_removal[0] if o.remove is DEFAULT else o.remove
        places = min(o.regions, o.per_class, len(head[1].prototypes) if head else o.regions)
        found = found + Cost(len(case) * places * 2 * window_steps(case.rows.shape) * remove.fills)
    return found * case.model.passes_per_row


def _has_regions(case: Case, layer: str | None) -> bool:
    """Whether windows are searched, from passes of one row that the meter does not count."""
    one = replace(case.take([0]), model=replace(case.model, meter=case.model.meter.separate()))
    head = declared_head(case.model.net)
    name = _body(head[0]) if head else find_units_layer(one, layer)[0]
    return is_picture(one, one.from_layer(name))


@explainer(source="chen2019", needs={"net", "classes", "train"}, cost=_cost)
def prototypes(
    case: Case,
    *,
    train: Any,
    layer: str | None = None,
    per_class: int = 5,
    penalty: float = 1e-4,
    regions: int = 1,
    keeps: float = 0.8,
    ids: Sequence[str] = (),
    remove: Removal = DEFAULT,
) -> Estimate:
    """Points that the logit of a row's class gets from its similarity to each prototype, a part of a training row.

    Values (row, prototype) are points s · W, in units of the logit; they sum to it. s = log((d + 1) / (d + 1e-4)), at
    most 9.21, with d the squared distance between the prototype and the nearest cell of the row's map at ``layer``
    (``extra["similarity"]``, ``extra["position"]``); W is the connection of the prototype to the class
    (``extra["connection"]``). ``train`` is the pair of training rows and labels, named by ``ids``.

    A net with a head of prototypes (``assay.interpretable.PrototypeNet``), in itself or as a part, is explained by its
    own: ``layer``, ``per_class`` and ``penalty`` are not read, and the sum is the logit that this head gives. For any
    other net the body is frozen: prototypes are ``per_class`` cells of training rows of each class, near to rows of the
    class and far from others, and W is fitted to the probabilities of the model at the training rows, a convex problem
    with L1 ``penalty`` on connections to other classes. The sum is then the logit of this head, not of the model:
    ``extra["agreement"]`` (1,) is the share of rows explained for which both decide the same, and a note prints it.

    ``extra["class"]``, ``["training_row"]``, ``["training_position"]`` (prototype,) say where each prototype is from;
    ``["own_total"]`` (row,) is the sum over prototypes of the row's class, ``["other_total"]`` the rest; ``["rival"]``
    the class with the next highest logit, ``["rival_logit"]`` and ``["rival_own_total"]`` its sums,
    ``["rival_connection"]`` its connections. The text has the strongest prototypes of the class and one line for all
    others, so that it adds up: the own-class total alone is not the logit, as prototypes of other classes count too.

    Of pictures, ``extra["window"]`` (row, place, 4: top, left, bottom, right) is the smallest square around the cell of
    the ``regions`` strongest prototypes of the row's class, then as many of its rival, that keeps ``keeps`` of what s
    loses when all is removed by ``remove``; often it is the whole picture, and NaN where s loses nothing.
    ``["window_keeps"]`` is the share of s that is left, ``["window_prototype"]`` whose it is. ``["training_pictures"]``
    are small pictures of the training rows of ``["pictured"]``, the strongest prototypes for the first rows. Packages
    draw the upsampled map's 95th percentile instead, which the cell did not see alone. Compression moves the nearest
    cell of some pictures; explain a compressed copy to see.

    A close prototype is no proof that the decision is right: people find evidence for wrong decisions convincing.
    """
    if per_class < 1 or regions < 0 or not 0 < keeps <= 1:
        raise InputError(f"per_class={per_class}, regions={regions}, keeps={keeps}; needed: ≥ 1, ≥ 0, in (0, 1].")
    known = training_case(case, train, ids)
    name, head, notes = _head_of(case, known, layer, per_class, penalty)
    inner = case.from_layer(name)
    s, position = best_matches(position_matrix(inner), head.cells)
    extra, values, rivals, logit = _points(case, head, s, position)
    extra["training_row"] = np.array([known.rows.ids.index(one) for one in head.ids])
    lines = _lines(case, head, extra, values, rivals)
    if is_shape_of_picture(case.rows.shape):
        extra.update(_pictures(known, extra, case.label, values))
    if regions and is_picture(case, inner):
        search = WindowSearch(case, name, remove, head.cells)
        more, seen = _windows(search, head, extra, values, inner.rows.shape[1:], (min(regions, per_class), keeps))
        extra.update(more)
        lines = (*lines, *seen)
    names = [f"{one} ({_class(case, int(c))})" for one, c in zip(head.ids, head.label)]
    return Estimate(
        values,
        base=np.zeros(len(case)),
        notes=(*notes, *_doubts(case, head, float(extra["agreement"][0]), len(known))),
        extra=extra,
        features=elements((len(names),), _distinct(names)),
        output=logit,
        description=lines,
    )


def _body(place: str) -> str:
    """The layer whose cells a head of prototypes at this place of the net compares."""
    return f"{place}.body" if place else "body"


def _head_of(
    case: Case, known: Case, layer: str | None, per_class: int, penalty: float
) -> tuple[str, _Head, tuple[Note, ...]]:
    """The layer with the cells, the net's own head or a fitted one, and notes."""
    head = declared_head(case.model.net)
    if head is not None:
        return _body(head[0]), _declared(head[1], known), ()
    name, notes = find_units_layer(case, layer)
    return name, _fitted(known, name, per_class, penalty), notes


def _points(case: Case, head: _Head, s: Floats, position: Ints) -> tuple[dict[str, Any], Floats, Floats, Floats]:
    """The extras, the points of the row's class and of its rival (row, prototype), and the logit (row,)."""
    decided = predicted_class(case.prediction, case.model.gives)
    logits, label, each = s @ head.weights.T, np.asarray(case.label), np.arange(len(case))
    values, own = s * head.weights[label], head.label == label[:, None]
    others = logits.copy()
    others[each, label] = -np.inf
    rival = others.argmax(axis=1)
    rivals = s * head.weights[rival]
    extra: dict[str, Any] = {
        "similarity": s,
        "position": position,
        "connection": head.weights[label],
        "rival_connection": head.weights[rival],
        "class": head.label,
        "training_position": head.position,
        "own_total": np.where(own, values, 0.0).sum(axis=1),
        "other_total": np.where(own, 0.0, values).sum(axis=1),
        "rival": rival,
        "rival_logit": logits[each, rival],
        "rival_own_total": np.where(head.label == rival[:, None], rivals, 0.0).sum(axis=1),
        "agreement": np.array([float((logits.argmax(axis=1) == decided).mean())]),
    }
    return extra, values, rivals, logits[each, label]


def _doubts(case: Case, head: _Head, agreement: float, rows: int) -> tuple[Note, ...]:
    """Notes on a fitted head, and on rows whose class has no prototypes."""
    notes = []
    if not head.declared:
        text = (
            f"the points add up to the logit of a head of {len(head.ids)} prototypes among {rows:,} training rows, "
            f"fitted on the frozen body, which decides as the model on {agreement:.1%} of the rows explained"
        )
        notes.append(Note("fitted-head", text))
    without = tuple(one for one, label in zip(case.rows.ids, case.label) if label not in head.label)
    if without:
        text = "no training row has the class of some rows explained, so they have no prototypes of their own class"
        notes.append(Note("no-prototypes", text, without))
    return tuple(notes)


def _declared(net: Any, known: Case) -> _Head:
    """The head of a prototype net; its prototypes are rows of its training, so ``train`` must be that."""
    rows = to_floats(net.training_row).astype(np.int64)
    if rows.min() < 0 or rows.max() >= len(known):
        raise InputError(
            f"the net's prototypes are cells of training rows {rows.min()} … {rows.max()}; train has {len(known)}. "
            f"Push the prototypes, and give the rows that the net was trained on, in the same order."
        )
    place = to_floats(net.training_position).astype(np.int64)
    label = to_floats(net.prototype_class).astype(np.int64)
    ids = tuple(known.rows.ids[row] for row in rows)
    return _Head(to_floats(net.prototypes.data), ids, place, label, to_floats(net.last.weight.data), True)


def _fitted(known: Case, layer: str, per_class: int, penalty: float) -> _Head:
    """Prototypes among the training rows' cells, and a convex head fitted to the model's probabilities there."""
    order = content_order(known)
    prediction, known = known.prediction[order], known.take(order)
    cells = position_matrix(known.from_layer(layer))
    classes = max(2, prediction.shape[1])
    found = choose_prototypes(cells, np.asarray(known.label), classes, per_class)
    own = np.arange(classes)[:, None] == found.label
    chances = probabilities(prediction, known.model.gives)
    if chances.shape[1] == 1:
        chances = np.concatenate([1 - chances, chances], axis=1)
    s = best_matches(cells, found.cells)[0]
    weights = fit_head(s.round(9), chances.round(9), own, penalty)  # the path of the fit amplifies rounding
    ids = tuple(known.rows.ids[row] for row in found.row)
    return _Head(found.cells, ids, found.position, found.label, weights, False)


def _class(case: Case, place: int) -> str:
    names = case.model.classes
    return names[place] if place < len(names) else str(place)


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, with a number where one comes again: a training row may give several prototypes."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return found


def _lines(case: Case, head: _Head, extra: Any, values: Floats, rivals: Floats) -> tuple[str, ...]:
    """For each row and its class, then the rival: the three strongest prototypes, all others, the sum."""
    lines = []
    for row in range(min(len(case), MOST_ROWS)):
        for label, points in ((int(case.label[row]), values[row]), (int(extra["rival"][row]), rivals[row])):
            best = evidence_rows(points[None], np.array([label]), head.label, SHOWN)[0]
            best = best[head.label[best] == label]
            parts = [
                f"{head.ids[one]} {extra['similarity'][row, one]:.3f} × {head.weights[label, one]:+.3f} "
                f"= {points[one]:+.3f}"
                for one in best
            ]
            total, rest = points.sum(), points.sum() - points[best].sum()
            lines.append(
                f"row {case.rows.ids[row]}, {_class(case, label)}: {'; '.join(parts)}; all other prototypes "
                f"{rest:+.3f}; logit {total:+.3f}"
            )
    return tuple(lines)


def _pictures(known: Case, extra: Any, label: Any, values: Floats) -> dict[str, Any]:
    """Small pictures of the training rows whose prototypes are strongest for the first rows and their rivals."""
    rivals = extra["similarity"] * extra["rival_connection"]
    sides = ((values, np.asarray(label)), (rivals, extra["rival"]))
    found = [evidence_rows(p[:PICTURED], c[:PICTURED], extra["class"], SHOWN).ravel() for p, c in sides]
    shown = np.unique(np.concatenate(found))
    pictures = to_floats(known.rows.x[extra["training_row"][shown]])
    small = np.stack([thumbnail(one) for one in pictures])
    return {"pictured": shown, "training_pictures": small}


def _windows(
    search: WindowSearch, head: _Head, extra: Any, values: Floats, grid: tuple[int, ...], wanted: tuple[int, float]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The measured windows of the strongest prototypes of each row's class and of its rival, and a line for each."""
    case, size = search.case, search.case.rows.shape[-2:]
    rivals = extra["similarity"] * extra["rival_connection"]
    sides = ((values, np.asarray(case.label)), (rivals, extra["rival"]))
    best = np.concatenate([evidence_rows(points, label, head.label, wanted[0]) for points, label in sides], axis=1)
    centres = cell_centres(extra["position"], grid, size)
    window, kept = np.full((*best.shape, 4), np.nan), np.full(best.shape, np.nan)
    lines: list[str] = []
    for row, place in np.ndindex(best.shape):
        one = int(best[row, place])
        s = float(extra["similarity"][row, one])
        window[row, place], kept[row, place] = search.smallest(int(row), one, s, centres[row, one], wanted[1])
        if len(lines) < MOST_ROWS:
            told = f"{_place(window[row, place], size)}, keeps {kept[row, place]:.2f} of s"
            lines.append(f"row {case.rows.ids[row]}, {head.ids[one]}: {told}")
    return {"window": window, "window_keeps": kept, "window_prototype": best.astype(np.float64)}, tuple(lines)


def _place(window: Floats, size: tuple[int, ...]) -> str:
    """Where a measured window of a picture of this size is, as text."""
    if np.isnan(window).any():
        return "no region, the picture with all removed"
    top, left, bottom, right = window.astype(int)
    if (bottom - top, right - left) == size:
        return "region whole picture"
    return f"region {bottom - top} × {right - left} pixels at row {top}, column {left}"
