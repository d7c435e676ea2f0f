"""Nets as torch wraps them: compiled, scripted, exported, of other precision, with shared and normalised weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from tests.model.nets_as_written import IMAGES, TABLE, WINDOWS, Recurrent, Segmenting, Shared, Tabular, add
from torch import nn
from torch.nn.utils import parametrizations

import assay


class Scaled(nn.Module):
    """A net whose forward takes further inputs by keyword, one of them optional."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor, *, mask: torch.Tensor, scale: torch.Tensor | None = None) -> torch.Tensor:
        out = self.last(torch.tanh(x * mask))
        return out if scale is None else out * scale[:, None]


class Packed(nn.Module):
    """A recurrent net on windows of different length."""

    def __init__(self) -> None:
        super().__init__()
        self.steps, self.last = nn.GRU(2, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return self.last(self.steps(packed)[1][-1])


def convolution() -> nn.Module:
    """A small convolutional net."""
    return nn.Sequential(nn.Conv2d(1, 2, 2), nn.Tanh(), nn.Flatten(), nn.Linear(4, 2))


def half_recurrent(kind: torch.dtype) -> nn.Module:
    """A recurrent net of this precision."""
    return Recurrent(nn.LSTM, True).to(kind)


def compiled(net: nn.Module) -> Any:
    """The net compiled, without a compiler."""
    return torch.compile(net, backend="eager")


def compiled_in_place(net: nn.Module) -> nn.Module:
    """The net with a compiled forward pass."""
    net.compile(backend="eager")
    return net


def compiled_inside(net: Any) -> nn.Module:
    """A compiled layer in a net."""
    net.first = torch.compile(net.first, backend="eager")
    return net


def exported(rows: int | None) -> Callable[[nn.Module], Any]:
    """An exported program for so many rows, or for any number."""

    def export(net: nn.Module) -> Any:
        shapes = None if rows is not None else ({0: torch.export.Dim("rows")},)
        return torch.export.export(net.eval(), (TABLE[: rows or 3],), dynamic_shapes=shapes)

    return export


def old_norm(net: Any) -> nn.Module:
    """The net with a normalised weight in torch's old way."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.nn.utils.weight_norm(net.first)
        torch.nn.utils.spectral_norm(net.last)
    return net


def new_norm(net: Any) -> nn.Module:
    """The net with parametrised weights."""
    parametrizations.weight_norm(net.first)
    parametrizations.spectral_norm(net.last)
    return net


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "compiled": compiled,
    "a compiled forward pass": compiled_in_place,
    "a compiled layer": compiled_inside,
    "scripted": lambda net: torch.jit.script(net),
    "traced": lambda net: torch.jit.trace(net.eval(), TABLE[:2]),
    "traced and frozen": lambda net: torch.jit.freeze(torch.jit.trace(net.eval(), TABLE[:2])),
    "exported for 3 rows": exported(3),
    "exported for any number of rows": exported(None),
    "data parallel": nn.DataParallel,
    "data parallel and compiled": lambda net: compiled(nn.DataParallel(net)),
    "weights normalised, the old way": old_norm,
    "weights normalised, the new way": new_norm,
    "double precision": lambda net: net.double(),
}


class Plain(nn.Module):
    """A net that TorchScript can read."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(self.first(x)))


for name, wrap in WRAPPERS.items():
    x = TABLE.double() if name == "double precision" else TABLE
    add(name, lambda wrap=wrap: wrap(Plain()), x, rows=3 if name == "exported for 3 rows" else None)
for kind, tolerance in ((torch.float16, 5e-3), (torch.bfloat16, 5e-2)):
    add(f"{kind}", lambda kind=kind: Plain().to(kind), TABLE.to(kind), tolerance=tolerance)
    add(f"{kind}, convolutions", lambda kind=kind: convolution().to(kind), IMAGES.to(kind), tolerance=tolerance)
    steps = partial(half_recurrent, kind)
    add(f"{kind}, a recurrent net", steps, WINDOWS.to(kind), tolerance=tolerance)
add("shared and tied layers", Shared)
add("shared layers, exported", lambda: exported(2)(Shared()), rows=2)
add("a regression of three values", Tabular, options={"output": "values"})
add("dropout", lambda: nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.5), nn.Tanh(), nn.AlphaDropout(), nn.Linear(5, 2)))
add("batch norm with statistics", lambda: nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 2)))
REGION = np.zeros((2, 3), dtype=bool)
REGION[0, 1:] = True
for name, after in (
    ("a map", lambda z: z),
    ("a map in a mapping", lambda z: {"out": z, "aux": z}),
    ("a map of one class", lambda z: z[:, 0]),
):
    add(
        name,
        lambda after=after: Segmenting(after),
        IMAGES,
        scores=lambda out: region_scores(out["out"] if isinstance(out, dict) else out),
        options={"output": assay.model.region_mean(REGION)}
        | ({"gives": "values"} if name == "a map of one class" else {}),
    )


def region_scores(maps: torch.Tensor) -> torch.Tensor:
    """The mean of each class over the region, by hand."""
    maps = maps[:, None] if maps.ndim == 3 else maps
    return torch.stack([maps[:, :, 0, 1], maps[:, :, 0, 2]]).mean(0)
