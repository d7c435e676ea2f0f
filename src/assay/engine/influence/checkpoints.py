# SPDX-License-Identifier: Apache-2.0
"""TracIn: what the steps of training on each row changed the target by, summed over checkpoints."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.optional import need
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.influence.curvature import training_products
from assay.engine.influence.weight_gradients import target_gradients, weight_layers
from assay.model.adapters.torch import net_fingerprint


def at_checkpoint(case: Case, checkpoint: Any) -> Case:
    """The case with the net's weights of a checkpoint: a net of the same architecture, or its ``state_dict``."""
    pt = need("torch", extra="torch")
    model = case.model
    net = copy.deepcopy(model.net)
    state = checkpoint.state_dict() if isinstance(checkpoint, pt.nn.Module) else checkpoint
    if not isinstance(state, Mapping):
        raise InputError(f"a checkpoint is a {type(checkpoint).__name__}; give nets, or their state_dict().")
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"a checkpoint does not fit the net of {model.name}: {error}") from error
    other = model.with_net(net, digest(model.fingerprint, net_fingerprint(net)), model.name)
    kept = {name: getattr(model, name) for name in ("meter", "batch", "memory", "classes")}
    return replace(case, model=replace(other, **kept))


def tracin(
    case: Case, train: Case, checkpoints: Sequence[Any], rates: Sequence[float], memory: int
) -> tuple[Floats, Floats]:
    """(1/n) Σ_c rate_c ∇T(test) · ∇ℓ(row), (test, row), and the same of each row's own loss, (row,).

    ``rates`` are the learning rates of a step on the mean loss, times the steps that a checkpoint stands for. For
    full-batch descent with every step a checkpoint, the sum over rows is the fall of the target, up to O(rate).
    """
    if not checkpoints or len(rates) != len(checkpoints):
        raise InputError(
            f"{len(checkpoints)} checkpoints and {len(rates)} rates; method='tracin' needs checkpoints=, nets or state "
            f"dicts of the training, and rates=, for each the learning rate times the steps that it stands for."
        )
    found, selves = np.zeros((len(case), len(train))), np.zeros(len(train))
    for checkpoint, rate in zip(checkpoints, rates):
        here, rows = at_checkpoint(case, checkpoint), at_checkpoint(train, checkpoint)
        layers, _ = weight_layers(here.model)
        tests = target_gradients(here, layers, memory)
        own_layers, _ = weight_layers(rows.model)
        products, own = training_products(rows, own_layers, tests, memory, lambda gradients: gradients)
        found += rate / len(train) * products
        selves += rate / len(train) * own
    return found, selves
