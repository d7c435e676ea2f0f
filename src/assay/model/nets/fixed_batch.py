# SPDX-License-Identifier: Apache-2.0
"""Batches of one size for a program that was exported for that size."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils import _pytree as pytree

from assay.basics.errors import CapabilityError


class FixedBatch(torch.nn.Module):
    """A module that runs ``program`` on batches of ``least`` to ``most`` rows, filled up with the last row, and cut."""

    def __init__(self, program: torch.nn.Module, least: int, most: int | None) -> None:
        super().__init__()
        self.program = program
        self.least = least
        self.most = most
        self.training = False

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The program's return value for any number of rows; every tensor of it must have one entry a row."""
        given, structure = pytree.tree_flatten((args, kwargs))
        rows = next(len(one) for one in given if isinstance(one, torch.Tensor))
        outputs: list[tuple[list[Any], Any]] = []
        size = max(rows, self.least) if self.most is None else self.most
        for start in range(0, rows, size):
            end = start + max(min(size, rows - start), self.least)
            place = torch.arange(start, end).clamp(max=rows - 1)
            some = [one[place] if isinstance(one, torch.Tensor) else one for one in given]
            positional, named = pytree.tree_unflatten(some, structure)
            tensors, shape = pytree.tree_flatten(self.program(*positional, **named))
            if not all(isinstance(one, torch.Tensor) and one.ndim and len(one) == len(place) for one in tensors):
                raise CapabilityError(
                    f"the exported program returns something else than {len(place)} entries for {len(place)} rows, so "
                    f"its batches cannot be filled up. Export it with a dynamic number of rows (dynamic_shapes=…)."
                )
            outputs.append((tensors, shape))
        joined = [
            (torch.cat(parts) if len(parts) > 1 else parts[0])[:rows]
            for parts in zip(*(tensors for tensors, _ in outputs))
        ]
        return pytree.tree_unflatten(joined, outputs[0][1])
