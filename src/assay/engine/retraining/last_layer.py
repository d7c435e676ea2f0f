# SPDX-License-Identifier: Apache-2.0
"""Retraining of the last linear layer of a net alone."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError
from assay.basics.fingerprint import digest
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.types import Array
from assay.cases.case import Case
from assay.engine.retraining.fine_tuning import fine_tune, row_losses
from assay.engine.shortcuts.layer_directions import input_activations, last_linear
from assay.model.adapters.torch import net_fingerprint
from assay.model.layer_slices import submodule
from assay.model.model import Model

CHECKED = 8
"""Rows at which the layer's outputs are compared with the model's."""


def with_other_net(model: Model, net: Any, what: str) -> Model:
    """The model with another net of the same outputs; passes are counted with the model's."""
    other = model.with_net(net, digest(model.fingerprint, what, net_fingerprint(net)), f"{model.name}, {what}")
    return replace(other, meter=model.meter, batch=model.batch, memory=model.memory, classes=model.classes)


def last_layer_retrained(
    case: Case, x: Array, labels: Any, *, epochs: int, batch: int = 64, rate: float, seed: Seed, name: str
) -> Model:
    """The case's model with its last linear layer trained on rows in the case's form and class positions.

    The layer starts from its own weights; what it receives at the rows is read once. Its outputs must be the model's.
    """
    pt = need("torch", extra="torch")
    layer = last_linear(case)
    net = copy.deepcopy(case.model.net)
    linear = submodule(net, layer)
    received = pt.as_tensor(input_activations(case, x, layer), dtype=linear.weight.dtype, device=linear.weight.device)
    given = case.outputs(x[:CHECKED], np.zeros(len(x[:CHECKED]), dtype=np.int64))
    with pt.no_grad():
        own = linear(received[:CHECKED])
    if own.shape != given.shape or not pt.allclose(own.double(), given.double(), rtol=1e-3, atol=1e-3):
        raise CapabilityError(
            f"{case.model.name} does more after its last linear layer, which cannot be trained alone."
        )
    known = pt.as_tensor(np.asarray(labels), device=linear.weight.device).long()

    def loss(part: Any, rows: Any, own: Any) -> Any:
        return row_losses(part(rows), own, case.model).mean()

    fine_tune(linear, received, known, loss, epochs=epochs, batch=batch, rate=rate, seed=seed)
    return with_other_net(case.model, net, name)
