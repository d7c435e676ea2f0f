# SPDX-License-Identifier: Apache-2.0
"""Denoisers: functions from noisy inputs to the mean of the data that they may have been."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.optional import need
from assay.model.diffusion.schedule import COSINE, Schedule
from assay.nouns.inputs.number_checks import require_number
from assay.nouns.inputs.rows import to_numpy

Predicts = Literal["clean", "noise", "velocity"]
"""What a net gives: x₀, ε, or v = √ā ε − √(1 − ā) x₀."""


@dataclass(frozen=True, eq=False)
class Denoiser:
    """E[x₀ | x_t] for inputs of one shape, with the schedule of the noise.

    ``clean(x, t)`` takes a tensor (draw, *shape) in the denoiser's units and a time, and gives x̂₀ of the same shape; it
    must be differentiable in ``x`` for guidance and counterfactuals. Rows z of a model are x = (z − ``center``) /
    ``scale``. x̂₀ is clipped to ``bounds`` (low, high), in the denoiser's units, where they are given.
    ``net`` is the torch net behind it, if there is one.
    """

    clean: Callable[[Any, float], Any]
    shape: tuple[int, ...]
    fingerprint: str
    schedule: Schedule = COSINE
    center: float = 0.0
    scale: float = 1.0
    bounds: tuple[float, float] | None = None
    dtype: Literal["float32", "float64"] = "float32"
    name: str = "denoiser"
    net: Any = None

    def __post_init__(self) -> None:
        require_number("center", self.center, meaning="what a denoiser takes from the rows")
        require_number("scale", self.scale, above=0, meaning="what a denoiser divides the rows by")

    def in_units(self, center: float, scale: float) -> Denoiser:
        """The denoiser for a model whose rows are center + scale · those that this one takes now."""
        return replace(self, center=center + scale * self.center, scale=scale * self.scale)

    def estimate(self, x: Any, t: float) -> Any:
        """x̂₀ (draw, *shape) of ``x`` at time ``t``, in the denoiser's units; ``InputError`` for another shape."""
        found = self.clean(x, t)
        if tuple(found.shape) != tuple(x.shape):
            raise InputError(f"{self.name} gives shape {tuple(found.shape)} for inputs of shape {tuple(x.shape)}.")
        return self.clip(found)

    def clip(self, x: Any) -> Any:
        """``x`` within the bounds."""
        return x if self.bounds is None else x.clamp(*self.bounds)

    def tensor(self, values: Any) -> Any:
        """Numbers as a tensor of the denoiser's type, on the device of its net."""
        torch = need("torch", extra="torch")
        weight = None if self.net is None else next(iter(self.net.parameters()), None)
        device = "cpu" if weight is None else weight.device
        return torch.as_tensor(np.asarray(values), dtype=getattr(torch, self.dtype), device=device)

    def from_rows(self, rows: Any) -> Any:
        """Rows of the model (array or tensor) in the denoiser's units."""
        return (rows - self.center) / self.scale

    def to_rows(self, x: Any) -> Any:
        """What the denoiser gives, in the units of the model's rows."""
        return x * self.scale + self.center


def net_denoiser(
    net: Any,
    shape: Sequence[int],
    *,
    schedule: Schedule = COSINE,
    predicts: Predicts = "velocity",
    bounds: tuple[float, float] | None = None,
    name: str = "",
) -> Denoiser:
    """A torch net as a denoiser: ``net(x, t)`` with x (draw, *shape) and the times t (draw,) between 0 and 1.

    ``predicts`` says what the net gives. The net is put into evaluation mode, and its weights are no longer trained.
    """
    torch = need("torch", extra="torch")
    _check_prediction(predicts)
    net.eval().requires_grad_(False)
    weight = next(iter(net.parameters()), torch.zeros(()))

    def clean(x: Any, t: float) -> Any:
        times = torch.full((len(x),), t, dtype=x.dtype, device=x.device)
        return clean_from(net(x, times), x, schedule.signal(t), predicts)

    dtype: Literal["float32", "float64"] = "float64" if weight.dtype == torch.float64 else "float32"
    mark = digest("denoiser", type(net).__name__, predicts, schedule.kind, schedule.table, _weights(net))
    return Denoiser(
        clean, tuple(shape), mark, schedule, bounds=bounds, dtype=dtype, name=name or type(net).__name__, net=net
    )


def clean_from(prediction: Any, x: Any, signal: float, predicts: Predicts) -> Any:
    """x̂₀ from what a net predicts at ``x`` with the share ``signal`` of the variance; of the shape of ``x``."""
    if tuple(prediction.shape) != tuple(x.shape):
        raise InputError(f"the net gives shape {tuple(prediction.shape)} for inputs of shape {tuple(x.shape)}.")
    if predicts == "clean":
        return prediction
    a, b = math.sqrt(signal), math.sqrt(1 - signal)
    return a * x - b * prediction if predicts == "velocity" else (x - b * prediction) / a


def diffusers_denoiser(
    unet: Any,
    signal: Any,
    shape: Sequence[int],
    *,
    predicts: Predicts = "noise",
    bounds: tuple[float, float] | None = None,
    name: str = "",
) -> Denoiser:
    """A model of the diffusers library, or anything called like one: ``unet(x, number of the step).sample``.

    ``signal`` is its scheduler's ``alphas_cumprod``; ``predicts`` the scheduler's ``prediction_type``: "noise" for
    "epsilon", "clean" for "sample", "velocity" for "v_prediction". diffusers itself is not imported.
    """
    torch = need("torch", extra="torch")
    _check_prediction(predicts)
    table = np.asarray(signal, dtype=np.float64)
    if table.ndim != 1 or not len(table):
        raise InputError(f"the scheduler's alphas_cumprod is one list of numbers; found shape {table.shape}.")
    schedule = Schedule("table", tuple(table.tolist()))
    unet.eval().requires_grad_(False)

    def clean(x: Any, t: float) -> Any:
        step = max(schedule.position(t) - 1, 0)
        answer = unet(x, torch.full((len(x),), step, dtype=torch.long, device=x.device))
        prediction = getattr(answer, "sample", None)
        if prediction is None:
            raise InputError(f"{type(unet).__name__} gives {type(answer).__name__} without .sample; wrap it as a net.")
        return clean_from(prediction, x, schedule.signal(t), predicts)

    weight = next(iter(unet.parameters()), torch.zeros(()))
    dtype: Literal["float32", "float64"] = "float64" if weight.dtype == torch.float64 else "float32"
    mark = digest("diffusers", type(unet).__name__, predicts, schedule.table, _weights(unet))
    return Denoiser(
        clean, tuple(shape), mark, schedule, bounds=bounds, dtype=dtype, name=name or type(unet).__name__, net=unet
    )


def _check_prediction(predicts: str) -> None:
    if predicts not in ("clean", "noise", "velocity"):
        raise InputError(f"predicts={predicts!r}; a denoiser's net predicts clean, noise or velocity.")


def _weights(net: Any) -> dict[str, Any]:
    return {name: to_numpy(weight.detach()) for name, weight in net.state_dict().items()}
