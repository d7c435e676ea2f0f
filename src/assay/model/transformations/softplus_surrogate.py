# SPDX-License-Identifier: Apache-2.0
"""A net whose kinks are rounded off, for attacks that need second derivatives."""

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
    [a, b] (ReLU6, hardtanh) becomes a + softplus(z − a) − softplus(z − b). The module itself stays as it is: calls are
    replaced while the softened model runs. Other kinks (leaky ReLU, max pooling, clamp) are left alone.
    """
    if not 0 < sharpness < float("inf"):
        raise InputError(f"sharpness={sharpness}; a finite number above 0 is needed, 20 say.")
    if not model.differentiable:
        raise CapabilityError(f"softened needs a torch net; {model.name} is none.")

    def forward(rows: Rows) -> Array:
        with _softplus(sharpness):
            return model.forward(rows)

    def again(net: Any, fingerprint: str, name: str) -> Model:
        other = replace(model.with_net(net, fingerprint, name), batch=model.batch, memory=model.memory)
        return softplus_surrogate(other, sharpness=sharpness)

    return replace(
        model,
        forward=forward,
        name=f"{model.name}, softplus {sharpness:g}",
        fingerprint=digest(model.fingerprint, "softened", sharpness),
        recomputed=again if model.recomputed is not None else None,
        cut=None,
        inside=None,
    )


def _softplus(sharpness: float) -> Any:
    torch = need("torch", extra="torch")
    functional = torch.nn.functional
    relu = {torch.relu, torch.relu_, functional.relu, torch.Tensor.relu, torch.Tensor.relu_}
    hardtanh = {functional.hardtanh, functional.hardtanh_}
    in_place = {torch.relu_, torch.Tensor.relu_, functional.hardtanh_}

    def soft(z: Array) -> Array:
        return functional.softplus(z, beta=sharpness)

    def replaced(func: Any, z: Array, rest: Sequence[Any], options: Mapping[str, Any]) -> Array:
        if func in relu:
            return soft(z)
        low, high = (0.0, 6.0) if func is functional.relu6 else (-1.0, 1.0)
        low = rest[0] if rest else options.get("min_val", low)
        high = rest[1] if len(rest) > 1 else options.get("max_val", high)
        return low + soft(z - low) - soft(z - high)

    class Softly(torch.overrides.TorchFunctionMode):  # type: ignore[misc, name-defined]  # torch is loaded at run time only
        def __torch_function__(
            self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            options = dict(kwargs or {})
            if func not in relu and func not in hardtanh and func is not functional.relu6:
                return func(*args, **options)
            z, *rest = args if args else (options.pop("input"),)
            if func in in_place or options.get("inplace"):
                return z.copy_(replaced(func, z.clone(), rest, options))
            return replaced(func, z, rest, options)

    return Softly()
