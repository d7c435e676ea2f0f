# SPDX-License-Identifier: Apache-2.0
"""A model computed from another one, whose inside is no longer that of one net or forest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from assay.basics.types import Array
from assay.model.model import Model
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.rows import Rows


def opaque_variant(
    model: Model,
    forward: Callable[[Rows], Array],
    name: str,
    fingerprint: str,
    again: Callable[[Model], Model],
    **changes: Any,
) -> Model:
    """The model that ``forward`` computes from ``model``: without layers, weights, trees or a closed-form gradient.

    ``again`` makes the same variant of another model, for another reading of the outputs. ``changes`` are further
    fields.
    """

    def with_kind(kind: OutputKind) -> Model:
        assert model.with_kind is not None
        return again(model.with_kind(kind))

    fields: dict[str, Any] = {
        "closed_form_gradient": None,
        "rebuild": None,
        "cut": None,
        "layer_access": None,
        "net": None,
        "forest": None,
        "with_kind": None if model.with_kind is None else with_kind,
        "read_from": model,
    }
    return replace(model, forward=forward, name=name, fingerprint=fingerprint, **(fields | changes))
