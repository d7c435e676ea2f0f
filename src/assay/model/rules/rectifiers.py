# SPDX-License-Identifier: Apache-2.0
"""Deconvolution and guided backprop: other derivatives for rectifiers alone."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch

from assay.model.model import Returned
from assay.model.rules import steps
from assay.model.rules.interception import Args, Interception, Kwargs, tensors
from assay.model.rules.vocabulary import JOINS, POOLS, RECTIFIERS, SILENT, STRUCTURE, SUMS, WEIGHTED

PLAIN = STRUCTURE | SUMS | JOINS | POOLS | WEIGHTED | {"amax", "max", "mul", "multiply", "div", "batch_norm"}


class Rectifiers:
    """The table: what goes back through a rectifier keeps its positive part only.

    ``guided`` lets pass what was positive on the way forward, too; without it (deconvolution) the way forward does not
    matter. ``allow`` names other functions that may keep their own derivative. ``met`` counts rectifiers.
    """

    folded = True

    def __init__(self, who: str, guided: bool, allow: Collection[str] = ()) -> None:
        self.who = who
        self.guided = guided
        self.allow = frozenset(allow)
        self.met = 0
        self.mode = Interception(self)

    def begin(self, x: torch.Tensor, start: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """The input itself."""
        leaf = x.detach().requires_grad_(True)
        return leaf, leaf

    def end(self, values: torch.Tensor, total: torch.Tensor) -> Returned:
        """What reached the input."""
        return Returned(values)

    def follows(self, tensor: torch.Tensor) -> bool:
        """Whether the tensor depends on the input."""
        return tensor.requires_grad

    def step(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs, written: bool) -> Any:
        """One operation."""
        if name in SILENT:
            return func(*args, **kwargs)
        steps.refuse_chance(self.who, name, args, kwargs)
        if name in RECTIFIERS or (name == "hardtanh" and _floor(args, kwargs) == 0):
            self.met += 1
            return self._rectify(name, func, args, kwargs, written)
        if name in PLAIN | self.allow and (name not in ("mul", "multiply", "div") or self._scaled(args)):
            return func(*args, **kwargs)
        out = func(*args, **kwargs)
        if not any(tensor.is_floating_point() and tensor.requires_grad for tensor in tensors(out)):
            return out
        raise steps.no_rule(
            self.who, name, RECTIFIERS | {"hardtanh from 0"}, f"Let it keep its own derivative with allow=({name!r},)."
        )

    def _scaled(self, args: Args) -> bool:
        """Whether one factor only follows the input."""
        return sum(self.follows(tensor) for tensor in tensors(args)) == 1

    def _rectify(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs, written: bool) -> torch.Tensor:
        if self.guided:  # its own derivative lets pass what was on
            kept: torch.Tensor = func(*args, **kwargs)
            steps.on_way_back(kept, lambda g: g.clamp(min=0))
            return kept
        x = args[0].clone() if written else args[0]
        if written:
            func, kwargs = steps.out_of_place(name), steps.without(kwargs, "inplace")
        with torch.no_grad():
            value = func(x, *args[1:], **kwargs)
        out = steps.straight(x, value)
        steps.on_way_back(out, lambda g: g.clamp(min=0))
        if not written:
            return out
        args[0].copy_(out)
        return args[0]


def _floor(args: Args, kwargs: Kwargs) -> float:
    """The lower end of a clip."""
    return float(kwargs.get("min_val", args[1] if len(args) > 1 else -1.0))
