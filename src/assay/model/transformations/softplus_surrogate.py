# SPDX-License-Identifier: Apache-2.0
"""Softplus surrogate: a net with softplus in place of ReLU, for attacks that need second derivatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from assay.basics.errors import CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.basics.optional import need
from assay.basics.types import Array
from assay.model.model import Model
from assay.nouns.inputs.rows import Rows


def softplus_surrogate(model: Model, *, sharpness: float = 20.0) -> Model:
    """The net with every ReLU (module, function, in place or clipped at 6) replaced by softplus.

    softplus(z) = log(1 + exp(βz))/β with β = ``sharpness``; it differs from the ReLU by at most log(2)/β. A clip to
    [a, b] (ReLU6, hardtanh) becomes a + softplus(z − a) − softplus(z − b). The module itself stays unchanged: calls
    are replaced while the surrogate runs. Other non-smooth functions (leaky ReLU, max pooling, clamp) stay.
    """
    if not 0 < sharpness < float("inf"):
        raise InputError(f"sharpness={sharpness}; a finite number above 0 is needed, for example 20.")
    if not model.differentiable:
        raise CapabilityError(f"softplus_surrogate needs a torch net; {model.name} is none.")

    def forward(rows: Rows) -> Array:
        with softplus_for_relu(sharpness):
            return model.forward(rows)

    def rebuild(net: Any, fingerprint: str, name: str) -> Model:
        other = replace(model.with_net(net, fingerprint, name), batch=model.batch, memory=model.memory)
        return softplus_surrogate(other, sharpness=sharpness)

    settle = model.with_kind
    return replace(
        model,
        forward=forward,
        name=f"{model.name}, softplus {sharpness:g}",
        fingerprint=digest(model.fingerprint, "softened", sharpness),
        rebuild=rebuild if model.rebuild is not None else None,
        cut=None,
        layer_access=None,
        with_kind=None if settle is None else lambda kind: softplus_surrogate(settle(kind), sharpness=sharpness),
        read_from=model,
    )


def softplus_for_relu(sharpness: float) -> Any:
    """Context in which every ReLU that runs is a softplus."""
    torch = need("torch", extra="torch")
    functional = torch.nn.functional
    relu = {torch.relu, torch.relu_, functional.relu, torch.Tensor.relu, torch.Tensor.relu_}
    hardtanh = {functional.hardtanh, functional.hardtanh_}
    in_place = {torch.relu_, torch.Tensor.relu_, functional.hardtanh_}

    def softplus(z: Array) -> Array:
        return functional.softplus(z, beta=sharpness)

    def replacement(func: Any, z: Array, rest: Sequence[Any], options: Mapping[str, Any]) -> Array:
        if func in relu:
            return softplus(z)
        low, high = (0.0, 6.0) if func is functional.relu6 else (-1.0, 1.0)
        low = rest[0] if rest else options.get("min_val", low)
        high = rest[1] if len(rest) > 1 else options.get("max_val", high)
        return low + softplus(z - low) - softplus(z - high)

    class SoftplusMode(torch.overrides.TorchFunctionMode):  # type: ignore[misc, name-defined]  # torch is loaded at run time only
        def __torch_function__(
            self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            options = dict(kwargs or {})
            if func not in relu and func not in hardtanh and func is not functional.relu6:
                return func(*args, **options)
            z, *rest = args if args else (options.pop("input"),)
            if func in in_place or options.get("inplace"):
                return z.copy_(replacement(func, z.clone(), rest, options))
            return replacement(func, z, rest, options)

    return SoftplusMode()
