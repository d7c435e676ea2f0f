# SPDX-License-Identifier: Apache-2.0
"""A case whose rows are the amounts of concepts, decoded into the activations of a layer: concepts become players."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.basics.fingerprint import digest
from assay.basics.types import Array, Floats, Ints
from assay.cases.case import Case
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.rows import Rows

REST = "rest of the activations"
"""The carried part of the activations that the concepts do not describe."""


@dataclass(frozen=True, eq=False)
class Decoder:
    """The net from a layer on, as a function of the amounts of concepts (row, position, concept)."""

    forward: Callable[[Rows], Array]
    directions: Any
    place: Ints
    shape: tuple[int, ...]

    def __call__(self, rows: Rows) -> Array:
        """The outputs at amounts · directions + what is carried."""
        found = rows.x @ self.directions
        flat = found.swapaxes(1, 2).reshape(len(rows), -1)[:, self.place]
        carried = {name: values for name, values in rows.carried.items() if name != REST}
        inside = flat.reshape(len(rows), *self.shape) + rows.carried[REST]
        return self.forward(replace(rows, x=inside, carried=carried))


def concept_case(inner: Case, codes: Floats, directions: Floats, names: tuple[str, ...], rest: Floats) -> Case:
    """The case, cut at a layer, as a function of the amounts ``codes`` (row, position, concept) of concepts.

    Activations are codes · ``directions`` (concept, unit) + ``rest`` (row, *shape of the layer).
    """
    like = inner.rows.x
    place = np.argsort(np.argsort(inner.features.index.ravel(), kind="stable"), kind="stable")

    def as_rows(values: Floats) -> Any:
        return like.new_tensor(values)

    forward = Decoder(inner.model.forward, as_rows(directions), place, inner.rows.shape)
    model = replace(
        inner.model,
        forward=forward,
        name=f"{inner.model.name} of concepts",
        fingerprint=digest(inner.model.fingerprint, directions),
        net=None,
        cut=None,
        layer_access=None,
        rebuild=None,
        fast=False,
    )
    carried = {**inner.rows.carried, REST: as_rows(rest)}
    rows = replace(inner.rows, x=as_rows(codes), carried=carried)
    index = np.broadcast_to(np.arange(len(names)), codes.shape[1:])
    found = replace(inner, model=model, rows=rows, features=Features(index, names))
    found.__dict__.pop("prediction", None)
    return found
