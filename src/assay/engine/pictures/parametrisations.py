# SPDX-License-Identifier: Apache-2.0
"""How the variables of a search become a picture: pixels, a spectrum, or its phase; and random transformations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.basics.types import Floats

Parameters = Literal["pixels", "fourier", "phase"]
"""The variables of a search for a picture."""

START = 0.01
"""Standard deviation of the noise of the first start, as a share of the width of the bounds."""

SPREAD = 1.0
"""Standard deviation of the spectrum of further starts of ``fourier``, in units of the sigmoid's argument."""


@dataclass(frozen=True, eq=False)
class Parametrisation:
    """Pictures (unit, *shape) in ``low`` … ``high`` as a function of variables z, differentiable in torch.

    ``pixels``: z is the picture. ``fourier`` (Olah et al. 2017): z are the coefficients of its spectrum divided by
    their frequency, and a sigmoid maps to the bounds; without the colour decorrelation, which needs the statistics of
    a data set. ``phase`` (Fel et al. 2023, MACO): z is the phase of the spectrum, whose ``magnitude`` is fixed, and the
    picture is clipped to the bounds.
    """

    kind: Parameters
    shape: tuple[int, ...]
    low: float
    high: float
    magnitude: Floats | None = None
    origin: float | None = None

    @property
    def middle(self) -> float:
        """Where pictures begin, and noise is centred: ``origin``, by default the middle of the bounds."""
        return (self.low + self.high) / 2 if self.origin is None else self.origin

    @property
    def width(self) -> float:
        """The width of the bounds."""
        return self.high - self.low

    @property
    def variables(self) -> tuple[int, ...]:
        """The shape of the variables of one picture."""
        channels, height, width = self.shape
        spectrum = (channels, height, width // 2 + 1)
        return {"pixels": self.shape, "fourier": (*spectrum, 2), "phase": spectrum}[self.kind]

    @property
    def side(self) -> float:
        """The unit of the length of a step in one variable."""
        return self.width if self.kind == "pixels" else 1.0

    @property
    def diameter(self) -> float:
        """The unit of the length of a step: the diagonal of the box of pictures, or √ of the number of variables."""
        return float(np.sqrt(np.prod(self.variables))) * self.side

    def start(self, number: int, seed: Seed) -> Floats:
        """The variables of start ``number``: the middle of the bounds with a little noise, then noise of full width."""
        noise = seed.child("start", number).generator()
        if self.kind == "pixels":
            drawn = (
                START * noise.normal(size=self.variables) if not number else noise.uniform(-0.5, 0.5, self.variables)
            )
            return np.clip(self.middle + self.width * drawn, self.low, self.high)
        if self.kind == "fourier":
            return np.asarray((SPREAD if number else START) * noise.normal(size=self.variables))
        return np.asarray(noise.uniform(-np.pi, np.pi, self.variables))

    def decode(self, z: Any) -> Any:
        """The pictures (unit, *shape) as a torch tensor."""
        import torch

        if self.kind == "pixels":
            return z
        if self.kind == "fourier":
            spectrum = torch.complex(z[..., 0], z[..., 1]) * torch.as_tensor(self._scale())
            flat = torch.fft.irfft2(spectrum, s=self.shape[1:], norm="ortho")
            return self.low + self.width * torch.sigmoid(flat)
        magnitude = torch.as_tensor(self.magnitude)
        flat = torch.fft.irfft2(torch.polar(magnitude.expand_as(z), z), s=self.shape[1:], norm="ortho")
        return flat.clamp(self.low, self.high)

    def _scale(self) -> Floats:
        """1 / frequency of each coefficient, with mean square 1."""
        height, width = self.shape[1:]
        frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
        scale = 1 / np.maximum(frequency, 1 / max(height, width))
        return np.asarray(scale / np.sqrt((scale**2).mean()))


def mean_magnitude(pictures: Floats) -> Floats:
    """The mean over pictures (row, channel, height, width) of the magnitude of their spectra."""
    return np.asarray(np.abs(np.fft.rfft2(pictures, norm="ortho")).mean(axis=0))


@dataclass(frozen=True)
class Transformation:
    """Random shifts of at most ``jitter`` pixels and zooms by 1 ± ``zoom``, drawn for each step and unit."""

    jitter: int = 0
    zoom: float = 0.0

    def __post_init__(self) -> None:
        if self.jitter < 0 or not 0 <= self.zoom < 1:
            raise InputError(f"jitter={self.jitter}, zoom={self.zoom}; needed are jitter ≥ 0 and 0 ≤ zoom < 1.")

    def apply(self, x: Any, streams: list[np.random.Generator]) -> Any:
        """Pictures (unit, *shape) moved, each by its own stream; borders repeat their last pixel."""
        import torch

        if not self.jitter and not self.zoom:
            return x
        moves = np.stack([stream.integers(-self.jitter, self.jitter + 1, size=2) for stream in streams])
        zooms = np.array([1 + self.zoom * stream.uniform(-1, 1) for stream in streams])
        theta = np.zeros((len(x), 2, 3))
        theta[:, 0, 0], theta[:, 1, 1] = zooms, zooms
        theta[:, :, 2] = 2 * moves / np.array([x.shape[3], x.shape[2]])
        grid = torch.nn.functional.affine_grid(
            torch.as_tensor(theta, dtype=x.dtype), list(x.shape), align_corners=False
        )
        return torch.nn.functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
