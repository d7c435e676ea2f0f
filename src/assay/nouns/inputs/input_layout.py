# SPDX-License-Identifier: Apache-2.0
"""Several inputs of a net, or whole numbers, as the one float matrix that methods perturb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Array
from assay.nouns.inputs.frames import list_first

NumberKind = Literal["real", "whole", "truth"]
"""The numbers of an input: real, whole (ids), or truth values. The last two have no derivative."""


@dataclass(frozen=True)
class InputLayout:
    """How the elements of a row are split into the inputs of a net.

    ``names`` are the keyword arguments of the net, or ``None`` for inputs by position; ``shapes`` are those of one row,
    ``kinds`` says what the numbers of each input are, ``single`` that the row is the one input itself.
    """

    names: tuple[str, ...] | None
    shapes: tuple[tuple[int, ...], ...]
    kinds: tuple[NumberKind, ...]
    single: bool = False

    @property
    def any_whole(self) -> bool:
        """Whether some input has no derivative."""
        return any(kind != "real" for kind in self.kinds)

    def split(self, x: Array, dtype: Any) -> tuple[tuple[Array, ...], dict[str, Array]]:
        """Positional and keyword inputs of the net from rows ``x`` (row, element); ``InputError`` for broken ids."""
        parts = [x] if self.single else list(x.split([prod(shape) for shape in self.shapes], dim=1))
        inputs = tuple(
            (part.to(dtype) if kind == "real" else self._to_whole(part, place)).reshape(len(x), *shape)
            for place, (part, shape, kind) in enumerate(zip(parts, self.shapes, self.kinds))
        )
        return (inputs, {}) if self.names is None else ((), dict(zip(self.names, inputs)))

    def _to_whole(self, part: Array, place: int) -> Array:
        part, truth = part.detach(), self.kinds[place] == "truth"
        valid = (part == 0) | (part == 1) if truth else part.round() == part
        broken = ~valid.reshape(len(part), -1).all(dim=1)
        if broken.any():
            what = "the net's input" if self.single else f"input {self.input_names[place]!r}"
            needed, found = ("truth values", "other numbers") if truth else ("whole numbers", "fractions")
            rows = np.flatnonzero(broken.cpu().numpy())
            raise InputError(
                f"{what} takes {needed}; a removal or a step gave {found} (row {list_first(rows)}). Use a removal by "
                f"values that occur, such as Marginal(background)."
            )
        return part.bool() if truth else part.long()

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs, for texts and features."""
        return self.names or tuple(f"input {place}" for place in range(len(self.shapes)))

    def in_order(self, x: Any) -> Any:
        """Inputs by name in the order of this layout; anything else unchanged."""
        same = isinstance(x, Mapping) and self.names is not None and set(map(str, x)) == set(self.names)
        return {name: x[name] for name in self.names or ()} if same else x

    def element_names(self) -> tuple[str, ...]:
        """A name for each element of a row."""
        return tuple(
            name if prod(shape) == 1 else f"{name} {','.join(map(str, place))}"
            for name, shape in zip(self.input_names, self.shapes)
            for place in np.ndindex(*shape)
        )


def is_several_inputs(x: Any) -> bool:
    """Whether ``x`` is a mapping or tuple of tensors or arrays, one for each input of a net."""
    if isinstance(x, Mapping) and not hasattr(x, "shape"):  # one of scipy's sparse matrices is a mapping
        values: Sequence[Any] = list(x.values())
    elif isinstance(x, tuple):
        values = x
    else:
        return False
    return len(values) > 0 and all(hasattr(value, "shape") and hasattr(value, "dtype") for value in values)


def pack_inputs(x: Any) -> tuple[Array, InputLayout]:
    """The inputs as one float64 matrix (row, element), and their layout; ``InputError`` where rows differ in number."""
    import torch

    names = tuple(map(str, x)) if isinstance(x, Mapping) else None
    values = [
        v if isinstance(v, torch.Tensor) else np.asarray(v) for v in (x.values() if isinstance(x, Mapping) else x)
    ]
    _refuse_no_numbers(values)
    device = next((value.device for value in values if isinstance(value, torch.Tensor)), None)
    given = [torch.as_tensor(value, device=device).detach() for value in values]
    counts = [value.shape[0] if value.ndim else 0 for value in given]
    if min(counts) == 0 or len(set(counts)) > 1:
        raise InputError(f"the inputs have {counts} rows; each needs one entry a row, the same number everywhere.")
    layout = InputLayout(
        names,
        tuple(tuple(map(int, value.shape[1:])) for value in given),
        tuple(
            "real" if value.dtype.is_floating_point else "truth" if value.dtype == torch.bool else "whole"
            for value in given
        ),
    )
    return torch.cat([value.reshape(len(value), -1).double() for value in given], dim=1), layout


def _refuse_no_numbers(values: Sequence[Any]) -> None:
    """Raise ``InputError`` for inputs of texts or objects."""
    for place, value in enumerate(values):
        if isinstance(value, np.ndarray) and value.dtype.kind not in "biuf":
            raise InputError(f"input {place} is of type {value.dtype}; a net's inputs are numbers or truth values.")
