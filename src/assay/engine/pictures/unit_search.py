# SPDX-License-Identifier: Apache-2.0
"""The search for a picture that a unit, a class or a direction responds to most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Array, Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.removals import blurred
from assay.engine.pictures.parametrisations import Parametrisation, Transformation
from assay.engine.search.ascent import ascend
from assay.engine.search.ball import Ball
from assay.model.layer_trace import find_channel_axis
from assay.nouns.inputs.features import default_unit_axis
from assay.nouns.inputs.output_kind import Gives
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import Target, class_scores, unit

UNLIMITED = 1e12
"""The radius of a ball that limits nothing."""


@dataclass(frozen=True, eq=False)
class Responses:
    """What responds: ``inner`` has one line a unit, whose label is the unit; ``names`` (unit,) name them.

    ``at_rows`` (row, all units) is the response of every unit at the rows of the case; ``which`` (unit,) are the units
    searched for.
    """

    inner: Case
    names: tuple[str, ...]
    at_rows: Floats
    which: Ints

    def value(self, x: Any) -> Floats:
        """The response (unit,) of each unit to its own picture."""
        return to_floats(self.inner.value(self._like_rows(x)))

    def values(self, x: Floats, which: Ints) -> Floats:
        """The response of the units at places ``which`` (line,) to pictures (line, *shape)."""
        return to_floats(self.inner.value(self._like_rows(x), which))

    def gradient(self, x: Any) -> Floats:
        """Its derivative by the picture (unit, *shape)."""
        return to_floats(self.inner.gradient(self._like_rows(x)))

    def _like_rows(self, x: Any) -> Array:
        return self.inner.rows.convert(to_floats(x))

    @cached_property
    def best_rows(self) -> Ints:
        """The row (unit,) with the highest response."""
        return np.asarray(self.at_rows[:, self.which].argmax(axis=0))


def class_responses(case: Case, units: tuple[int, ...], top: int) -> Responses:
    """Scores of classes (before softmax), or values of a regression: those named, else the ``top`` decided most."""
    gives = case.model.gives
    scores = class_scores(case.prediction, gives) if gives != "values" else case.prediction
    names = case.model.classes or case.model.output_names or tuple(map(str, range(scores.shape[1])))
    decided = np.bincount(scores.argmax(axis=1), minlength=scores.shape[1])
    which = _chosen(units, np.argsort(-decided, kind="stable")[:top], scores.shape[1], "classes")
    name = "value" if gives == "values" else "logit" if gives in ("logits", "margin") else "log_odds"
    inner = _repeated(case.with_target(name, label=0), which)
    everyone = case.with_target(name, label=0)
    read = [
        to_floats(everyone.target.read(case.prediction, np.full(len(case), one), gives)) for one in range(len(names))
    ]
    return Responses(inner, tuple(names[i] for i in which), np.stack(read, axis=1), which)


def count_outputs(case: Case) -> int:
    """How many classes or values there are; where none is named, from one pass of one row that is not counted."""
    named = case.model.classes or case.model.output_names
    if named:
        return len(named)
    one = replace(case.take(np.array([0])), model=replace(case.model, meter=case.model.meter.separate()))
    outputs, gives = one.prediction, case.model.gives
    return outputs.shape[1] if gives == "values" else class_scores(outputs, gives).shape[1]


def layer_responses(case: Case, layer: str, units: tuple[int, ...], top: int, direction: Floats | None) -> Responses:
    """Units of a layer (a channel: its mean over positions): those named, else the ``top`` that vary most over rows.

    With a ``direction`` v (unit,) there is one response, v · a.
    """
    lower, axis = case.model.up_to_layer(layer), find_channel_axis(case.model, case.rows, layer)
    below = replace(case, model=lower, target=unit(layer, 0).with_unit_axis(axis), label=np.zeros(len(case), np.int64))
    means = channel_means(to_floats(below.outputs(case.rows.x)), axis)
    if direction is not None:
        if direction.shape != means.shape[1:] or not np.abs(direction).max() > 0:
            raise InputError(
                f"direction has shape {direction.shape}, layer {layer!r} {means.shape[1]} units; give one number a "
                f"unit, not all 0."
            )
        target = _along(layer, direction, axis)
        inner = _repeated(replace(below, target=target), np.array([0]))
        return Responses(inner, ("direction",), (means @ direction)[:, None], np.array([0]))
    spread = np.argsort(-means.std(axis=0), kind="stable")[:top]
    which = _chosen(units, spread, means.shape[1], f"units in layer {layer!r}")
    return Responses(_repeated(below, which), tuple(f"unit {i}" for i in which), means, which)


def channel_means(outputs: Floats, axis: int | None) -> Floats:
    """Activations (row, *shape) as (row, unit), a channel's positions averaged."""
    own = default_unit_axis(outputs.ndim - 1) if axis is None else axis
    return np.asarray(np.moveaxis(outputs, 1 + own, 1).reshape(len(outputs), outputs.shape[1 + own], -1).mean(axis=2))


def _along(layer: str, direction: Floats, axis: int | None) -> Target:
    def read(outputs: Array, label: Array, gives: Gives) -> Array:
        from array_api_compat import array_namespace, is_torch_array

        xp = array_namespace(outputs)
        own = 1 + (default_unit_axis(outputs.ndim - 1) if axis is None else axis)
        channels = xp.moveaxis(outputs, own, 1)
        means = xp.mean(xp.reshape(channels, (*channels.shape[:2], -1)), axis=2)
        where = {"device": outputs.device} if is_torch_array(outputs) else {}
        return xp.sum(means * xp.asarray(direction, dtype=outputs.dtype, **where), axis=1)

    return Target(f"direction in {layer}", read, f"v · activations of layer {layer}", layer=layer)


def _repeated(case: Case, units: Ints) -> Case:
    """A line for each unit, whose label is the unit."""
    return replace(case.take(np.zeros(len(units), dtype=np.int64)), label=np.asarray(units, dtype=np.int64))


def _chosen(units: tuple[int, ...], ranked: Ints, count: int, what: str) -> Ints:
    which = np.asarray(units if units else ranked, dtype=np.int64)
    if len(np.unique(which)) < len(which) or which.min() < 0 or which.max() >= count:
        raise InputError(f"units={tuple(units)}; needed are different positions 0 … {count - 1} of the {count} {what}.")
    return which


@dataclass(frozen=True)
class SearchOptions:
    """``steps`` of length ``step`` from each of ``starts``; ``norm`` and ``radius`` of the ball around the start.

    ``decay`` is the weight of the squared distance from the start, ``blur`` the standard deviation in pixels of the
    blur after each step.
    """

    steps: int
    step: float
    starts: int
    norm: Any
    radius: float | None
    decay: float
    blur: float
    transformation: Transformation

    def __post_init__(self) -> None:
        if self.starts < 1 or self.decay < 0 or self.blur < 0:
            raise InputError(
                f"starts={self.starts}, decay={self.decay}, blur={self.blur}; needed are starts ≥ 1 and the others ≥ 0."
            )


@dataclass(frozen=True, eq=False)
class Found:
    """Pictures (unit, *shape) with their responses, those at the first start, and units without any slope."""

    pictures: Floats
    reached: Floats
    begun: Floats
    flat: Masks


def search_pictures(responses: Responses, space: Parametrisation, options: SearchOptions) -> Found:
    """Ascend each unit's response from every start; the picture of the highest value on any way is the result.

    Passes of a unit: 1 + starts · 2 · steps forwards, starts · steps backwards, and 2 forwards at the end.
    """
    import torch

    transform, units = options.transformation, responses.inner.label.tolist()
    seeds = [
        responses.inner.seed.child("feature visualisation", *responses.names[i : i + 1]) for i in range(len(units))
    ]
    length = options.step * (space.side if options.norm == "linf" else space.diameter)
    bounds = (space.low, space.high) if space.kind == "pixels" else (-np.inf, np.inf)
    starts = [
        torch.as_tensor(np.stack([space.start(number, seed) for seed in seeds])) for number in range(options.starts)
    ]
    origin, streams = space.decode(starts[0]).detach(), [seed.child("moves").generator() for seed in seeds]

    def penalty(x: Any) -> Any:
        return options.decay * ((x - origin) ** 2).flatten(1).sum(dim=1)

    def slope(z: Any) -> Any:
        with torch.enable_grad():
            variables = z.detach().requires_grad_(True)
            x = space.decode(variables)
            seen = transform.apply(x, streams)
            total = (seen * torch.as_tensor(responses.gradient(seen.detach()))).sum() - penalty(x).sum()
            return torch.autograd.grad(total, variables)[0]

    def objective(z: Any) -> Floats:
        x = space.decode(z)
        return responses.value(x) - to_floats(penalty(x))

    radius = UNLIMITED if options.radius is None else options.radius
    found = ascend(
        starts[0],
        slope,
        objective,
        lambda z: np.ones(len(z), dtype=bool),
        Ball(options.norm, radius, *bounds),
        starts=starts,
        steps=options.steps,
        step=length / radius,
        process=_blur(options.blur) if options.blur and space.kind == "pixels" else None,
    )
    pictures = to_floats(space.decode(found.x))
    return Found(pictures, responses.value(pictures), responses.value(to_floats(origin)), found.has_zero_gradient)


def _blur(sigma: float) -> Callable[[Array], Array]:
    return lambda x: blurred(x, sigma)


def noise_responses(responses: Responses, found: Found, space: Parametrisation, draws: int) -> Floats:
    """Responses (unit, draw) to the plain start plus normal noise as long as the picture's distance from it."""
    middle = space.middle
    lengths = np.linalg.norm((found.pictures - middle).reshape(len(found.pictures), -1), axis=1)
    points = []
    for name, length in zip(responses.names, lengths):
        noise = responses.inner.seed.child("feature visualisation", "noise", name).generator()
        drawn = noise.normal(size=(draws, *space.shape))
        size = np.linalg.norm(drawn.reshape(draws, -1), axis=1).reshape(-1, 1, 1, 1)
        points.append(np.clip(middle + drawn * (length / size), space.low, space.high))
    which = np.repeat(np.arange(len(lengths)), draws)
    return responses.values(np.concatenate(points), which).reshape(len(lengths), draws)
