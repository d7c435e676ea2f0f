# SPDX-License-Identifier: Apache-2.0
"""Seeds: named random streams, the only source of randomness in the package."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Seed:
    """A node in a tree of named random streams.

    A stream depends on the root number and on the names of the path, not on the order in which streams are
    opened: rows give the same random numbers in any batch, in any shard or alone.
    """

    root: int = 0
    path: tuple[str, ...] = ()

    def child(self, *names: object) -> Seed:
        """The descendant node at the path ``names``."""
        return Seed(self.root, self.path + tuple(map(str, names)))

    @property
    def entropy(self) -> int:
        """Hash (128 bits) of the root number and the path."""
        text = "\x1f".join((str(self.root), *self.path))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")

    def generator(self) -> np.random.Generator:
        """A new numpy generator for this node."""
        return np.random.Generator(np.random.PCG64(self.entropy))

    def torch(self, device: str = "cpu") -> torch.Generator:
        """A new torch generator for this node."""
        from assay.basics.optional import need

        generator: torch.Generator = need("torch", extra="torch").Generator(device)
        return generator.manual_seed(self.entropy % 2**63)
