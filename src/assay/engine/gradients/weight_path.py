# SPDX-License-Identifier: Apache-2.0
"""Input gradients on the straight path between two nets' weights: the gradient–parameter Lipschitz constant."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats, PerRow
from assay.cases.case import Case
from assay.model.adapters.torch import net_fingerprint
from assay.model.layer_slices import ROWS
from assay.model.model import Model
from assay.nouns.inputs.rows import to_floats

if TYPE_CHECKING:
    import torch as pt

COUNTER = "num_batches_tracked"
"""Suffix of a batch norm's batch counter, which evaluation mode does not use."""


@dataclass(frozen=True, eq=False)
class GradientLipschitz:
    """Change of the input gradients along a path of weights: ``distance`` (row,) is that between the two ends.

    ``weight_distance`` is Euclidean (running statistics of batch norms included). ``constant`` is the maximum over
    neighbouring points of the path of (mean over rows of the gradients' distance) / (distance of weights); ``coarse``
    is the same without every second point, ``end_to_end`` for the two ends alone. All three are lower bounds of the
    Lipschitz constant.
    """

    distance: PerRow
    weight_distance: float
    constant: float
    coarse: float
    end_to_end: float
    steps: int


def estimate_gradient_lipschitz(case: Case, other: Model, *, steps: int) -> GradientLipschitz:
    """Estimate the gradient–parameter Lipschitz constant between two nets (Meyer et al. 2023, Lemma 1).

    L = sup over pairs θ, θ' of the segment of E_x‖∇ₓf(x; θ) − ∇ₓf(x; θ')‖₂ / ‖θ − θ'‖₂, f the case's target. On a grid
    the largest quotient is that of two neighbours (triangle inequality), so ``steps`` + 1 gradients per row suffice.
    The gradients of ReLU nets are discontinuous: for few rows the estimate grows with ``steps`` without bound; then
    ``constant`` is well above ``coarse``.
    """
    if steps < 2 or steps % 2:
        raise InputError(f"steps={steps}; an even number of at least 2 is needed, for example 16.")
    ends = _ends(case.model, other)
    length = float(np.sqrt(sum(float(((b.double() - a.double()) ** 2).sum()) for a, b in ends.values())))
    if length == 0:
        return GradientLipschitz(np.zeros(len(case)), 0.0, float("nan"), float("nan"), float("nan"), steps)
    start = _gradient(case, case.model)
    near, far, fine, coarse = start, start, [], []
    for step in range(1, steps + 1):
        here = _gradient(case, _between(case.model, ends, step / steps))
        fine.append(_mean_distance(near, here) * steps / length)
        if step % 2 == 0:
            coarse.append(_mean_distance(far, here) * steps / (2 * length))
            far = here
        near = here
    _require_same_end(case, other, near)
    distance = np.linalg.norm(near - start, axis=1)
    return GradientLipschitz(distance, length, max(fine), max(coarse), float(distance.mean()) / length, steps)


def _ends(one: Model, other: Model) -> dict[str, tuple[pt.Tensor, pt.Tensor]]:
    """The floating-point tensors of both nets by name; ``CapabilityError`` where the nets are not comparable."""
    if one.net is None or other.net is None or one.input_layer != ROWS:
        raise CapabilityError(f"the path between weights needs two torch nets; {one.name} or {other.name} is none.")
    if one.encode is not None:
        raise CapabilityError(f"{one.name} embeds its inputs, so the net's input changes with the weights.")
    ours, theirs = one.net.state_dict(), other.net.state_dict()
    shapes = [{name: (tuple(t.shape), t.dtype) for name, t in state.items()} for state in (ours, theirs)]
    if shapes[0] != shapes[1]:
        differing = sorted({name for name, _ in set(shapes[0].items()) ^ set(shapes[1].items())})
        raise CapabilityError(f"the nets have different weights: {', '.join(differing[:5])}.")
    integers = [name for name, tensor in ours.items() if not tensor.is_floating_point() and not name.endswith(COUNTER)]
    if any(not bool((ours[name] == theirs[name]).all()) for name in integers):
        raise CapabilityError(f"the nets differ in {', '.join(integers[:5])}, which are not floating-point weights.")
    floating = (name for name, tensor in ours.items() if tensor.is_floating_point())
    return {name: (ours[name], theirs[name].to(ours[name].device)) for name in floating}


def _between(model: Model, ends: Mapping[str, Any], share: float) -> Model:
    net = copy.deepcopy(model.net)
    net.load_state_dict({name: (1 - share) * a + share * b for name, (a, b) in ends.items()}, strict=False)
    blend = model.with_net(net, net_fingerprint(net), f"{model.name}, {share:.0%} of the path")
    return replace(blend, meter=model.meter, batch=model.batch, memory=model.memory)


def _gradient(case: Case, model: Model) -> Floats:
    changed = replace(case, model=model)
    return to_floats(changed.gradient(changed.rows.x)).reshape(len(case), -1)


def _mean_distance(one: Floats, other: Floats) -> float:
    return float(np.linalg.norm(one - other, axis=1).mean())


def _require_same_end(case: Case, other: Model, end: Floats) -> None:
    own = _gradient(case, other)
    if not np.allclose(own, end, rtol=1e-3, atol=1e-5 * (1e-30 + float(np.abs(own).max()))):
        raise CapabilityError(
            f"{case.model.name} with the weights of {other.name} is not {other.name}: they differ in more than weights "
            f"(preprocess, output). Register the differing tensors as buffers of the net."
        )
