# SPDX-License-Identifier: Apache-2.0
"""Where all randomness comes from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Seed:
    """A named place in a tree of random streams.

    The stream depends on the root number and on the names walked through, never on the order in which
    streams are opened: rows may be re-batched, sharded or run alone and draw the same numbers.
    """

    root: int = 0
    path: tuple[str, ...] = ()

    def child(self, *names: object) -> Seed:
        """The place reached by walking down through ``names``."""
        return Seed(self.root, self.path + tuple(map(str, names)))

    @property
    def entropy(self) -> int:
        """128 bits that stand for this place."""
        text = "\x1f".join((str(self.root), *self.path))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")

    def generator(self) -> np.random.Generator:
        """A fresh numpy generator at this place."""
        return np.random.Generator(np.random.PCG64(self.entropy))

    def torch(self, device: str = "cpu") -> torch.Generator:
        """A fresh torch generator at this place."""
        from assay.basics.optional import need

        generator: torch.Generator = need("torch", extra="torch").Generator(device)
        return generator.manual_seed(self.entropy % 2**63)
