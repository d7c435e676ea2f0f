# SPDX-License-Identifier: Apache-2.0
"""Gradients on the straight way from one net's weights to another's."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats, PerRow
from assay.cases.case import Case
from assay.model.adapters.torch import fingerprint_of
from assay.model.layer_slices import ROWS
from assay.model.model import Model
from assay.nouns.inputs.rows import to_floats

if TYPE_CHECKING:
    import torch as pt

COUNTED = "num_batches_tracked"
"""A batch norm's count of batches, which no evaluation reads."""


@dataclass(frozen=True, eq=False)
class Segment:
    """How the gradients by the rows moved along the way. ``distance`` (row,) lies between those at its ends.

    ``weights`` is the Euclidean distance of the weights (running means of a batch norm among them). ``constant`` is
    the largest, over neighbouring points of the way, of (mean over rows of the distance of gradients) / (distance of
    weights); ``coarse`` the same with every second point left out, ``whole`` between the ends alone. No grid gives
    more than the Lipschitz constant itself: all three are bounds from below.
    """

    distance: PerRow
    weights: float
    constant: float
    coarse: float
    whole: float
    steps: int


def segment(case: Case, other: Model, *, steps: int) -> Segment:
    """The gradient–parameter Lipschitz constant between two nets, estimated (Meyer et al. 2023, Lemma 1).

    L = sup over pairs θ, θ' of the segment of E_x‖∇ₓf(x; θ) − ∇ₓf(x; θ')‖₂ / ‖θ − θ'‖₂, f the case's target. Of all
    pairs of points on the grid the largest quotient is one of neighbours (triangle inequality), so ``steps`` + 1
    gradients a row tell it. The gradients of ReLU nets jump: for few rows the estimate then grows with ``steps``
    without end, as ``coarse`` beside ``constant`` shows.
    """
    if steps < 2 or steps % 2:
        raise InputError(f"steps={steps}; an even number of at least 2 is needed, 16 say.")
    ends = _ends(case.model, other)
    apart = float(np.sqrt(sum(float(((b.double() - a.double()) ** 2).sum()) for a, b in ends.values())))
    if apart == 0:
        return Segment(np.zeros(len(case)), 0.0, float("nan"), float("nan"), float("nan"), steps)
    start = _gradient(case, case.model)
    near, far, fine, coarse = start, start, [], []
    for step in range(1, steps + 1):
        here = _gradient(case, _between(case.model, ends, step / steps))
        fine.append(_mean_distance(near, here) * steps / apart)
        if step % 2 == 0:
            coarse.append(_mean_distance(far, here) * steps / (2 * apart))
            far = here
        near = here
    _reached(case, other, near)
    distance = np.linalg.norm(near - start, axis=1)
    return Segment(distance, apart, max(fine), max(coarse), float(distance.mean()) / apart, steps)


def _ends(one: Model, other: Model) -> dict[str, tuple[pt.Tensor, pt.Tensor]]:
    """The floating tensors of both nets by name; ``CapabilityError`` where no way leads from one to the other."""
    if one.net is None or other.net is None or one.place != ROWS:
        raise CapabilityError(f"the way between weights needs two torch nets; {one.name} or {other.name} is none.")
    if one.encode is not None:
        raise CapabilityError(f"{one.name} embeds its inputs, so they change with the weights.")
    ours, theirs = one.net.state_dict(), other.net.state_dict()
    shapes = [{name: (tuple(t.shape), t.dtype) for name, t in held.items()} for held in (ours, theirs)]
    if shapes[0] != shapes[1]:
        differing = sorted({name for name, _ in set(shapes[0].items()) ^ set(shapes[1].items())})
        raise CapabilityError(f"the nets differ in the weights they have: {', '.join(differing[:5])}.")
    whole = [name for name, tensor in ours.items() if not tensor.is_floating_point() and not name.endswith(COUNTED)]
    if any(not bool((ours[name] == theirs[name]).all()) for name in whole):
        raise CapabilityError(f"the nets differ in {', '.join(whole[:5])}, which are no floating-point weights.")
    moving = (name for name, tensor in ours.items() if tensor.is_floating_point())
    return {name: (ours[name], theirs[name].to(ours[name].device)) for name in moving}


def _between(model: Model, ends: Mapping[str, Any], share: float) -> Model:
    net = copy.deepcopy(model.net)
    net.load_state_dict({name: (1 - share) * a + share * b for name, (a, b) in ends.items()}, strict=False)
    there = model.with_net(net, fingerprint_of(net), f"{model.name}, {share:.0%} of the way")
    return replace(there, meter=model.meter, batch=model.batch, memory=model.memory)


def _gradient(case: Case, model: Model) -> Floats:
    asked = replace(case, model=model)
    return to_floats(asked.gradient(asked.rows.x)).reshape(len(case), -1)


def _mean_distance(one: Floats, other: Floats) -> float:
    return float(np.linalg.norm(one - other, axis=1).mean())


def _reached(case: Case, other: Model, end: Floats) -> None:
    own = _gradient(case, other)
    if not np.allclose(own, end, rtol=1e-3, atol=1e-5 * (1e-30 + float(np.abs(own).max()))):
        raise CapabilityError(
            f"{case.model.name} with the weights of {other.name} is not {other.name}: they differ in more than weights "
            f"(preprocess, output). Put what differs into the net as buffers."
        )
