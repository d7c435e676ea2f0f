# SPDX-License-Identifier: Apache-2.0
"""Deconvolution and guided backprop: backward rules for rectifiers (ReLU), all other operations unchanged."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch

from assay.model.model import BackwardResult
from assay.model.rules import operations
from assay.model.rules.interception import Args, Interception, Kwargs, tensors
from assay.model.rules.operation_names import JOINS, POOLS, QUERIES, RECTIFIERS, STRUCTURE, SUMS, WEIGHTED

PLAIN = STRUCTURE | SUMS | JOINS | POOLS | WEIGHTED | {"amax", "max", "mul", "multiply", "div", "batch_norm"}


class RectifierRules:
    """The backward pass through a rectifier keeps only the positive part of the gradient.

    With ``guided`` the gradient is also 0 where the rectifier's input is not positive (guided backprop); without it
    (deconvolution) the forward values have no effect. ``allow`` names other functions that may keep their own
    derivative. ``rectifier_count`` counts the rectifiers of the pass.
    """

    allows_folding = True

    def __init__(self, method: str, guided: bool, allow: Collection[str] = ()) -> None:
        self.method = method
        self.guided = guided
        self.allow = frozenset(allow)
        self.rectifier_count = 0
        self.mode = Interception(self, method)

    def begin(self, x: torch.Tensor, start: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """The input itself, for both."""
        leaf = x.detach().requires_grad_(True)
        return leaf, leaf

    def end(self, values: torch.Tensor, total: torch.Tensor) -> BackwardResult:
        """The modified gradient at the input."""
        return BackwardResult(values)

    def is_tracked(self, tensor: torch.Tensor) -> bool:
        """Whether the tensor depends on the input."""
        return tensor.requires_grad

    def run_operation(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs, in_place: bool) -> Any:
        """Run one operation."""
        if name in QUERIES or not torch.is_grad_enabled():
            return func(*args, **kwargs)
        operations.refuse_randomness(self.method, name, args, kwargs)
        if name in RECTIFIERS or (name == "hardtanh" and _lower_bound(args, kwargs) == 0):
            self.rectifier_count += 1
            return self._rectify(name, func, args, kwargs, in_place)
        if name in PLAIN | self.allow and (
            name not in ("mul", "multiply", "div") or self._has_one_tracked_factor(args)
        ):
            return func(*args, **kwargs)
        out = func(*args, **kwargs)
        if not any(tensor.requires_grad for tensor in tensors(out)):
            return out
        advice = f"Let it keep its own derivative with allow=({name!r},)."
        raise operations.missing_rule_error(self.method, name, RECTIFIERS | {"hardtanh from 0"}, advice)

    def _has_one_tracked_factor(self, args: Args) -> bool:
        """Whether exactly one factor depends on the input."""
        return sum(self.is_tracked(tensor) for tensor in tensors(args)) == 1

    def _rectify(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs, in_place: bool) -> torch.Tensor:
        x = args[0].clone() if in_place else args[0]
        if in_place:
            func, kwargs = operations.out_of_place(name), operations.without(kwargs, "inplace")
        if self.guided:  # the rectifier's own derivative is 0 for inputs that are not positive
            out: torch.Tensor = func(x, *args[1:], **kwargs)
        else:
            with torch.no_grad():
                value = func(x, *args[1:], **kwargs)
            out = operations.with_gradient_of(x, value)
        operations.hook_gradient(out, lambda g: g.clamp(min=0))
        if not in_place:
            return out
        args[0].copy_(out)
        return args[0]


def _lower_bound(args: Args, kwargs: Kwargs) -> float:
    """The lower bound of a hardtanh."""
    return float(kwargs.get("min_val", args[1] if len(args) > 1 else -1.0))
