# SPDX-License-Identifier: Apache-2.0
"""The tensor of scores in what a torch net returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.nouns.inputs.rows import to_numpy

if TYPE_CHECKING:
    import torch as pt


@dataclass(frozen=True)
class Selector:
    """The entry of a mapping, tuple or dataclass that a net returns, by key, attribute or position."""

    entry: str | int

    def __call__(self, out: Any) -> Any:
        """The entry; ``InputError`` naming what there is instead."""
        entry = self.entry
        if isinstance(entry, str):
            if isinstance(out, Mapping) and entry in out:
                return out[entry]
            if hasattr(out, entry):
                return getattr(out, entry)
            known = list(out) if isinstance(out, Mapping) else type(out).__name__
            raise InputError(f"output={entry!r}: the net returns {known}, without such an entry.")
        if isinstance(out, Mapping):
            out = list(out.values())
        if not isinstance(out, tuple | list) or not -len(out) <= entry < len(out):
            size = len(out) if isinstance(out, tuple | list) else type(out).__name__
            raise InputError(f"output={entry}: the net returns {size} entries, without this position.")
        return out[entry]


@dataclass(frozen=True)
class NamedScores(Selector):
    """The entry named as the kind of outputs (``output="logits"``), where a net returns several entries; else all."""

    def __call__(self, out: Any) -> Any:
        """The entry of this name, else the whole return value."""
        is_entry = (isinstance(out, Mapping) and self.entry in out) or hasattr(out, str(self.entry))
        return super().__call__(out) if is_entry and not hasattr(out, "shape") else out


def selector(output: Any) -> Callable[[Any], Any] | None:
    """The function that selects the scores: a function, a key or a position as given by the caller."""
    if output is None or callable(output):
        return output
    if isinstance(output, str | int) and not isinstance(output, bool):
        return Selector(output)
    raise InputError(f"output={output!r}; a key, a position or a function of the net's return value is needed.")


def check_scores(out: Any, rows: int) -> pt.Tensor:
    """The scores (row, class); one number a row becomes a column, also where a net drops the axis of a single row."""
    import torch as pt

    if isinstance(out, Mapping) and not hasattr(out, "logits") and len(out) == 1:
        out = next(iter(out.values()))
    is_list = isinstance(out, list) and not any(isinstance(one, pt.Tensor) for one in out)
    if is_list or isinstance(out, np.ndarray):
        raise CapabilityError(
            f"the net returns {type(out).__name__}, not a tensor. Return a tensor, or convert it: "
            f"output=torch.as_tensor (no gradient passes through it then: removal methods only)."
        )
    if not isinstance(out, pt.Tensor):
        named = f" with {list(out)[:8]}" if isinstance(out, Mapping) else ""
        raise CapabilityError(
            f"the net returns {type(out).__name__}{named}, not a tensor. Select the tensor with output=: a key "
            f"(output='logits'), a position (output=0), or a function of the return value"
        )
    if rows == 1 and (out.ndim == 0 or (out.ndim == 1 and len(out) > 1)):  # squeezed to no axis, or to its columns
        out = out.reshape(1, -1)
    if out.ndim == 1:
        out = out[:, None]
    if out.ndim > 2 and len(out) == rows and max(out.shape[1:]) == prod(out.shape[1:]):  # the other axes have length 1
        out = out.reshape(rows, -1)
    if out.ndim != 2 or len(out) != rows:
        raise CapabilityError(
            f"the net returns shape {tuple(out.shape)} for {rows} rows; one row of scores per input is needed. Select "
            f"it with output=… (of a map a region's mean: output=assay.model.region_mean(mask))"
        )
    return out


@dataclass(frozen=True, eq=False)
class RegionMean:
    """The mean score of each class over a region of a segmentation map: ``output=assay.model.region_mean(mask)``.

    ``mask`` (*positions) is the same for all rows; maps are (row, class, *positions), or (row, *positions) of one
    class. ``output`` selects the maps in what the net returns; of a mapping that is ``out`` or ``logits`` by default.
    """

    mask: Any
    output: Callable[[Any], Any] | None = None

    def __call__(self, out: Any) -> pt.Tensor:
        """The scores (row, class); ``InputError`` where map and mask differ in shape."""
        import torch as pt

        if self.output is not None:
            out = self.output(out)
        elif isinstance(out, Mapping):
            known = [key for key in ("out", "logits") if key in out] or (list(out) if len(out) == 1 else [])
            if not known:
                raise InputError(f"the net returns {list(out)[:8]}; name the maps: region_mean(mask, output=…).")
            out = out[known[0]]
        if not isinstance(out, pt.Tensor):
            raise InputError(f"the net returns {type(out).__name__}; name the maps: region_mean(mask, output=…).")
        mask = to_numpy(self.mask).astype(bool)
        maps = out[:, None] if out.ndim == mask.ndim + 1 else out
        if tuple(maps.shape[2:]) != mask.shape or not mask.any():
            raise InputError(
                f"the region is {mask.shape} with {int(mask.sum())} positions, the net gives maps of shape "
                f"{tuple(out.shape)}; a mask of the positions with at least one true entry is needed."
            )
        return maps[:, :, pt.as_tensor(mask, device=out.device)].mean(dim=2)


def region_mean(mask: Any, *, output: Any = None) -> RegionMean:
    """What selects the mean score of each class over a region of a segmentation map, for ``output=`` of ``wrap``.

    ``output`` here selects the maps in what the net returns: a key, a position or a function.
    """
    return RegionMean(mask, selector(output))
