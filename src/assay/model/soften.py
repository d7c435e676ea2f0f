# SPDX-License-Identifier: Apache-2.0
"""A net whose kinks are rounded off, for attacks that need second derivatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from assay.model.model import Model
from assay.nouns.rows import Rows
from assay.words.digest import digest
from assay.words.errors import CapabilityError
from assay.words.optional import need
from assay.words.types import Array


def softened(model: Model, *, sharpness: float = 20.0) -> Model:
    """The net with every ReLU (module, function, in place or clipped at 6) replaced by softplus.

    softplus(z) = log(1 + exp(βz))/β with β = ``sharpness``; it differs from the ReLU by at most log(2)/β.
    """
    if not model.differentiable:
        raise CapabilityError(f"softened needs a torch net; {model.name} is none.")

    def forward(rows: Rows) -> Array:
        with _softly(sharpness):
            return model.forward(rows)

    return replace(
        model,
        forward=forward,
        name=f"{model.name}, softplus {sharpness:g}",
        mark=digest(model.mark, "softened", sharpness),
        remade=None,
        cut=None,
    )


def _softly(sharpness: float) -> Any:
    torch = need("torch", extra="torch")
    functional = torch.nn.functional
    relu = {torch.relu, torch.relu_, functional.relu, functional.relu_, torch.Tensor.relu, torch.Tensor.relu_}
    relu6 = {functional.relu6}
    hardtanh = {functional.hardtanh, functional.hardtanh_}

    def soft(z: Array) -> Array:
        return functional.softplus(z, beta=sharpness)

    class Softly(torch.overrides.TorchFunctionMode):  # type: ignore[misc, name-defined]  # torch is loaded at run time only
        def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
            options = dict(kwargs or {})
            if func in relu:
                return soft(args[0])
            if func in relu6:
                return soft(args[0]) - soft(args[0] - 6.0)
            if func in hardtanh:
                low = args[1] if len(args) > 1 else options.get("min_val", -1.0)
                high = args[2] if len(args) > 2 else options.get("max_val", 1.0)
                return low + soft(args[0] - low) - soft(args[0] - high)
            return func(*args, **options)

    return Softly()
