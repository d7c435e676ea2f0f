# SPDX-License-Identifier: Apache-2.0
"""Frozen random masks over features: the noise of models that are smoothed by removing features."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.seed import Seed
from assay.basics.types import Ints, Masks, MaskSet

MaskNoise = Literal["quantised", "bernoulli"]
"""How masks are drawn: with exact marginals (MuS), or each feature of each mask by itself."""


@dataclass(frozen=True)
class QuantisedMasks:
    """q masks over features: mask j keeps feature i where (v_i + j) mod q < k, so that k of the q keep each feature.

    The offsets v define the smoothed model: they are drawn once and used for all rows.
    """

    offsets: Ints
    q: int
    keep_count: int

    @classmethod
    def draw(cls, parts: int, smoothing: float | Fraction, q: int, seed: Seed) -> QuantisedMasks:
        """Masks with offsets from the seed; ``InputError`` where λq is not an integer from 1 to q."""
        count = Fraction(smoothing).limit_denominator(10**6) * q if 0 < smoothing <= 1 else Fraction(0)
        if q < 2 or count.denominator != 1 or not 1 <= count <= q:
            raise InputError(
                f"smoothing · q = {float(smoothing):g} · {q} is not a whole number from 1 to q; give q ≥ 2 and "
                f"smoothing = k/q with a whole number k, for example {min(max(1, round(count)), q)}/{q}."
            )
        return cls(seed.child("mus").generator().integers(q, size=parts), q, int(count))

    @property
    def masks(self) -> MaskSet:
        """All q masks, (mask, part)."""
        return (self.offsets[None, :] + np.arange(self.q)[:, None]) % self.q < self.keep_count

    @property
    def text(self) -> str:
        """λ and q as text."""
        return f"λ = {Fraction(self.keep_count, self.q)}, q = {self.q}"

    @property
    def fingerprint(self) -> str:
        """Hash of the masks."""
        return digest("quantised", self.offsets, self.q, self.keep_count)


@dataclass(frozen=True)
class BernoulliMasks:
    """Masks (mask, part) that keep each feature with probability ``smoothing``, drawn once and used for all rows."""

    masks: Masks
    smoothing: float

    @classmethod
    def draw(cls, parts: int, smoothing: float | Fraction, count: int, seed: Seed) -> BernoulliMasks:
        """``count`` masks from the seed; more masks begin with the same ones."""
        if not 0 < smoothing <= 1 or count < 1:
            raise InputError(f"smoothing={float(smoothing):g}, {count} masks; needed are 0 < smoothing ≤ 1, one mask.")
        stream = seed.child("bernoulli masks").generator()
        return cls(stream.random((count, parts)) < float(smoothing), float(smoothing))

    @property
    def text(self) -> str:
        """λ and the number of masks as text."""
        return f"λ = {self.smoothing:g}, {len(self.masks)} frozen Bernoulli masks"

    @property
    def fingerprint(self) -> str:
        """Hash of the masks."""
        return digest("bernoulli", self.masks.astype(np.int64), self.smoothing)


FrozenMasks = QuantisedMasks | BernoulliMasks


def draw_masks(noise: MaskNoise, parts: int, smoothing: float | Fraction, count: int, seed: Seed) -> FrozenMasks:
    """``count`` masks of this kind."""
    if noise not in ("quantised", "bernoulli"):
        raise InputError(f"noise={noise!r}; there are 'quantised' and 'bernoulli'.")
    kind = QuantisedMasks if noise == "quantised" else BernoulliMasks
    return kind.draw(parts, smoothing, count, seed)
