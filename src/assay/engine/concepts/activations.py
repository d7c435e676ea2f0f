# SPDX-License-Identifier: Apache-2.0
"""Activations of rows at a layer as a matrix, in an order that depends on their content alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.cases.new_case import case as ask
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Note


def content_order(case: Case) -> Ints:
    """Positions of the case's rows sorted by a hash of their content, which neither order nor ids change."""
    values = to_floats(case.rows.x)
    return np.array(sorted(range(len(values)), key=lambda place: digest(values[place])), dtype=np.int64)


def other_case(case: Case, rows: Any, what: str) -> Case:
    """A case of the same model about other rows, sorted by their content."""
    if case.rows.text is not None:
        raise CapabilityError("concepts of texts are not supported: activations of texts differ in length.")
    found = ask(case.model, rows, target=case.target, label=None, seed=case.seed)
    if found.rows.shape != case.rows.shape:
        raise InputError(f"{what} have rows of shape {found.rows.shape}; the rows explained have {case.rows.shape}.")
    return found.take(content_order(found))


@dataclass(frozen=True, eq=False)
class LayerView:
    """How the activations of a layer become numbers: every element, or with ``pooled`` the mean of each unit."""

    layer: str
    features: Features
    pooled: bool

    def activations(self, values: Any) -> Floats:
        """Activations (row, *shape) as (row, number)."""
        array = to_floats(values)
        return self.features.pool(array) / self.features.sizes if self.pooled else array.reshape(len(array), -1)

    def gradient(self, values: Any) -> Floats:
        """Gradients (row, *shape) by those numbers: with ``pooled``, by a shift of a unit at all its positions."""
        array = to_floats(values)
        return self.features.pool(array) if self.pooled else array.reshape(len(array), -1)


def read_gradient(case: Case, layer: str, pooled: bool) -> tuple[LayerView, Floats, Floats]:
    """The view of a layer, and activations and gradients of the target there (row, number), in the order of the rows.

    They are evaluated in the order of the content, so that the order of the rows changes no digit.
    """
    order = content_order(case)
    inner = case.take(order).from_layer(layer)
    view = LayerView(layer, inner.features, pooled)
    back = np.argsort(order)
    return view, view.activations(inner.rows.x)[back], view.gradient(inner.gradient(inner.rows.x))[back]


def read_activations(case: Case, view: LayerView) -> Floats:
    """Activations (row, number) of a case's rows at the layer of the view."""
    return view.activations(case.from_layer(view.layer).rows.x)


def position_matrix(inner: Case) -> Floats:
    """Activations of a case cut at a layer as (row, position, unit); one position where the layer has no maps."""
    values = to_floats(inner.rows.x)
    index = inner.features.index.ravel()
    flat = values.reshape(len(values), -1)[:, np.argsort(index, kind="stable")]
    return np.moveaxis(flat.reshape(len(values), len(inner.features), -1), 1, 2)


def from_positions(inner: Case, matrix: Floats) -> Floats:
    """The inverse of ``position_matrix``: (row, *shape) from (row, position, unit)."""
    flat = np.moveaxis(matrix, 2, 1).reshape(len(matrix), -1)
    place = np.argsort(np.argsort(inner.features.index.ravel(), kind="stable"), kind="stable")
    return flat[:, place].reshape(len(matrix), *inner.rows.shape)


def few_rows_note(name: str, rows: int, least: int = 30) -> tuple[Note, ...]:
    """A note where a concept has fewer rows than a test with power needs."""
    text = f"concept {name!r} has {rows} rows; with fewer than about {least} its direction is mostly noise"
    return (Note("few-rows", text),) if rows < least else ()
