# SPDX-License-Identifier: Apache-2.0
"""Changes of pictures towards a class, by the gradient alone or through a denoiser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.optional import need
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.engine.adam import Adam
from assay.engine.search.threat import as_array
from assay.model.adapters.wrap import wrap
from assay.model.diffusion.denoiser import Denoiser
from assay.model.diffusion.reverse import denoise
from assay.model.diffusion.schedule import add_noise
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import class_scores, probabilities

SQUARE_DECAY = 0.99
"""β₂ of Adam."""


@dataclass(frozen=True)
class FoundChange:
    """The pictures reached (row, *shape) in the units of the rows, and the class probability (row,) there.

    ``found`` (row,) says where it is at least what was asked for.
    """

    x: Floats
    probability: Floats
    found: Masks


@dataclass(frozen=True, eq=False)
class DenoisedPictures:
    """x′(z) = x + D(z) − D(x): D adds noise of time ``depth`` and takes it away in ``steps`` deterministic steps.

    The noise (row, *shape) is the same for z and x, so that x′(x) = x, and x′ has the details of x that the denoiser
    loses. ``x`` are rows of the model, as tensors in float64.
    """

    denoiser: Denoiser
    depth: float
    steps: int
    noise: Floats
    x: Any

    @cached_property
    def _lost(self) -> Any:
        """x − D(x), in the units of the rows."""
        with need("torch", extra="torch").no_grad():
            return self.x - self._denoised(self.x)

    @cached_property
    def _times(self) -> Floats:
        return self.denoiser.schedule.times(self.steps, self.depth)

    def of(self, z: Any) -> Any:
        """x′ as a tensor in float64, a differentiable function of ``z``, both in the units of the rows."""
        return self._denoised(z) + self._lost

    def _denoised(self, z: Any) -> Any:
        denoiser = self.denoiser
        noise = denoiser.tensor(self.noise)
        start = denoiser.from_rows(z).to(noise)
        noisy = add_noise(start, denoiser.schedule.signal(float(self._times[0])), noise)
        return denoiser.to_rows(denoise(denoiser, noisy, self._times).to(z))


def as_double(x: Any) -> Any:
    """Rows as a tensor of float64 on the processor."""
    return need("torch", extra="torch").as_tensor(to_floats(x))


def move_to_class(
    case: Case,
    label: Ints,
    *,
    through: DenoisedPictures | None,
    limits: tuple[float, float],
    steps: int,
    rate: float,
    pull: float,
    probability: float,
) -> FoundChange:
    """Pictures near the rows to which the model gives at least the probability ``probability`` of ``label`` (row,).

    Through a denoiser x′(z), by Adam on −log odds of the class + ``pull`` · mean |x′ − x| / width, in steps of
    ``rate`` · the width of the ``limits``; without one x′ = z, by steps of ℓ2 length ``rate`` · width · √elements / 4
    along the gradient. x′ is clipped to the limits, z to twice
    their width. A row ends at the first picture that reaches ``probability``, else
    at its last. All rows are evaluated at each of the ``steps``, and at the last picture.
    """
    torch = need("torch", extra="torch")
    aimed, (low, high) = case.with_target("log_odds", label), limits
    rows, edge = as_double(case.rows.x), 0.0 if through is None else (high - low) / 2
    z, mover = rows.clone(), Adam(square_decay=SQUARE_DECAY) if through is not None else _Steepest()
    found, best, reached = np.zeros(len(case), dtype=bool), rows.numpy().copy(), np.zeros(len(case))
    for step in range(steps + 1):
        z = z.detach().requires_grad_(True)
        picture = (z if through is None else through.of(z)).clamp(low, high)
        points = picture.detach().numpy()
        share = _class_share(case, points, label)
        fresh = ~found
        best[fresh], reached[fresh] = points[fresh], share[fresh]
        found |= share >= probability
        if step < steps:
            slope = -to_floats(aimed.gradient(as_array(points, case.rows.x)))
            slope += pull * np.sign(points - rows.numpy()) / (rows[0].numel() * (high - low))
            (pulled,) = torch.autograd.grad(picture, z, torch.as_tensor(slope))
            z = (z.detach() - rate * (high - low) * mover.step(pulled)).clamp(low - edge, high + edge)
    return FoundChange(best, reached, found)


class _Steepest:
    """Moves along the gradient, of ℓ2 length √elements / 4; none where the gradient is zero or not finite."""

    def step(self, slope: Any) -> Any:
        length = (slope.flatten(1) ** 2).sum(1).sqrt().reshape(-1, *(1,) * (slope.ndim - 1))
        unit = (slope / length).nan_to_num(0.0, 0.0, 0.0)
        return unit * (slope[0].numel() ** 0.5 / 4)


def _class_share(case: Case, points: Floats, label: Ints) -> Floats:
    """The probability (row,) of the class of each row."""
    share = probabilities(to_floats(case.outputs(as_array(points, case.rows.x))), case.model.gives)
    return np.asarray(share[np.arange(len(label)), label])


def judges_of(models: Sequence[Any], case: Case) -> list[Case]:
    """Cases of other models at the same rows; ``InputError`` for a model of other classes."""
    found = []
    for number, one in enumerate(models):
        model = wrap(one, classes=case.model.classes or None)
        other = replace(case, model=model)
        if class_scores(other.prediction[:1], model.gives).shape[1] != _class_count(case):
            raise InputError(f"judge {number} ({model.name}) has other classes than {case.model.name}.")
        found.append(other)
    return found


def _class_count(case: Case) -> int:
    return int(class_scores(case.prediction[:1], case.model.gives).shape[1])


def share_of_judges(judges: Sequence[Case], x: Floats, label: Ints) -> Floats:
    """The share (row,) of judges that decide for ``label`` (row,) at ``x``; NaN without judges."""
    if not judges:
        return np.full(len(label), np.nan)
    agree = [judge.predicted(as_array(x, judge.rows.x)) == label for judge in judges]
    return np.asarray(np.mean(np.stack(agree), axis=0, dtype=np.float64))
