# SPDX-License-Identifier: Apache-2.0
"""The removal that draws absent features from a diffusion model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.basics.seed import Seed
from assay.basics.types import Array, Floats, Ints, Masks
from assay.cases.fillings import replace_absent
from assay.model.diffusion.denoiser import Denoiser
from assay.model.diffusion.infill import METHODS, Method, denoiser_calls, infill
from assay.nouns.inputs.number_checks import require_count
from assay.nouns.inputs.rows import Rows, to_floats
from assay.nouns.results.result import Note

OUTSIDE = 0.5
"""How far rows may lie outside the denoiser's bounds, as a share of their width."""


@dataclass(frozen=True, repr=False)
class Generative:
    """Absent elements are drawn by a diffusion model, given the present ones; the target is averaged over ``draws``.

    ``method`` "repaint" repeats each of ``steps`` steps ``repeats`` times; "guided" pulls the draw to the present
    elements by a derivative of the denoiser. Both estimate the conditional distribution: on a Gaussian mixture whose
    conditional is known the mean is off by less than .25 standard deviations in the median case. "replacement" only
    puts the noised row in at each step; it is no draw from the conditional, and is refused unless
    ``conditional=False`` says that none is claimed. One draw costs ``denoiser_calls`` calls of the denoiser.

    The noise of a draw depends on ``seed``, the row's id and the number of the draw, and is the same for all masks. So
    each draw is a game of its own: ``each_draw`` gives them one by one. The denoiser should have learnt from data like
    the model's. Rows are arrays of numbers of the denoiser's shape, without missing ones.
    """

    denoiser: Denoiser
    method: Method = "repaint"
    steps: int = 25
    repeats: int = 20
    draws: int = 4
    seed: int = 0
    conditional: bool = True
    first: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.denoiser, Denoiser):
            raise InputError(
                f"Generative: found {type(self.denoiser).__name__}; a Denoiser is needed (train_denoiser, "
                f"net_denoiser, diffusers_denoiser or load_denoiser of assay.model.diffusion)."
            )
        if self.method not in METHODS:
            raise InputError(f"method={self.method!r} of Generative; there are {', '.join(METHODS)}.")
        require_count("steps", self.steps, meaning="the steps of Generative from noise to data")
        require_count("repeats", self.repeats, meaning="how often Generative repeats a step")
        require_count("draws", self.draws, meaning="the filled versions of a row of Generative")
        require_count("seed", self.seed, least=0, meaning="the root of the noise of Generative")
        require_count("first", self.first, least=0, meaning="the number of the first draw of Generative")
        if self.method == "replacement" and self.conditional:
            raise CapabilityError(
                "replacement does not draw from the conditional distribution: it misses the mean of a known mixture by "
                "half a standard deviation and more, at any number of steps. Use method='repaint' or 'guided', or "
                "Conditional(background); or say conditional=False."
            )

    @property
    def fills(self) -> int:
        """The number of draws."""
        return self.draws

    @property
    def denoiser_calls(self) -> int:
        """Calls of the denoiser for one draw; "guided" takes a derivative at each. No evaluations of the model."""
        return denoiser_calls(self.method, self.steps, self.repeats)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the denoiser, its units, the method and the seed."""
        denoiser = self.denoiser
        units = (denoiser.center, denoiser.scale, denoiser.bounds)
        how = (self.method, self.steps, self.repeats if self.method == "repaint" else 1)
        return digest("generative", denoiser.fingerprint, units, how, self.draws, self.seed, self.first)

    def each_draw(self) -> tuple[Generative, ...]:
        """One removal for each draw, of this draw alone."""
        return tuple(replace(self, draws=1, first=self.first + number) for number in range(self.draws))

    @property
    def note(self) -> Note:
        """What a result says of the fill."""
        how = f"{self.draws} draws of {self.denoiser.name} by {self.method}, {self.denoiser_calls} calls each"
        if self.method == "replacement":
            return Note("no-conditional-fill", f"absent features are {how}: no draws from the conditional distribution")
        text = f"absent features are {how}; the error of so few draws is in no standard error of the values"
        return Note("drawn-fill", f"{text} (over_draws measures it)")

    def bind(self, rows: Rows) -> DrawnElements:
        """The rows in the denoiser's units; ``InputError`` unless they are numbers of its shape and range."""
        denoiser = self.denoiser
        if rows.text is not None or (rows.table is not None and rows.table.coded.any()):
            raise InputError(
                "Generative fills numbers; the rows have text or categorical columns. Use Marginal or Conditional."
            )
        if rows.shape != denoiser.shape:
            raise InputError(f"{denoiser.name} fills rows of shape {denoiser.shape}; the rows have shape {rows.shape}.")
        values = to_floats(denoiser.from_rows(to_floats(rows.x)))
        if not np.isfinite(values).all():
            raise InputError("Generative fills complete rows; some are missing (NaN). Use Marginal or Conditional.")
        if denoiser.bounds is not None:
            low, high = denoiser.bounds
            edge = OUTSIDE * (high - low)
            if values.min() < low - edge or values.max() > high + edge:
                ends = [denoiser.to_rows(end) for end in (low, high, values.min(), values.max())]
                raise InputError(
                    f"{denoiser.name} learnt rows in {ends[0]:g} … {ends[1]:g}; these lie in {ends[2]:g} … "
                    f"{ends[3]:g}. Say how they differ: denoiser.in_units(center, scale)."
                )
        return DrawnElements(rows.x, values, rows.ids, self)

    def __repr__(self) -> str:
        return f"Generative({self.denoiser.name}, {self.method!r}, {self.draws} draws, <{self.fingerprint[:8]}>)"


@dataclass(frozen=True, eq=False)
class DrawnElements:
    """One version a draw: absent elements as the denoiser draws them, given ``values`` (row, *shape) in its units.

    The draws of one query are one batch of the denoiser, so that they are the same bytes whatever else is asked.
    """

    x: Array
    values: Floats
    ids: tuple[str, ...]
    removal: Generative

    def fill(self, which: Ints, keep: Masks) -> Iterator[Array]:
        """Yield the versions in the order of the draws."""
        rows = self.x[which]
        drawn = [self._draw(int(row), np.ascontiguousarray(mask)) for row, mask in zip(which, keep)]
        xp = array_namespace(rows)
        where = {"device": rows.device} if is_torch_array(rows) else {}
        for number in range(self.removal.draws):
            filled = np.stack([one[number] for one in drawn]) if drawn else np.zeros(tuple(rows.shape))
            yield replace_absent(keep, rows, xp.asarray(filled, dtype=rows.dtype, **where))

    def _draw(self, row: int, mask: Masks) -> Floats:
        """All draws (draw, *shape) of one query, in the units of the rows."""
        removal, denoiser = self.removal, self.removal.denoiser
        root = Seed(removal.seed).child("generative", self.ids[row])
        streams = [root.child(removal.first + number).generator() for number in range(removal.draws)]
        shape = denoiser.shape
        filled = infill(
            denoiser,
            denoiser.tensor(self.values[row]),
            denoiser.tensor(mask) > 0,
            lambda: denoiser.tensor(np.stack([stream.normal(size=shape) for stream in streams])),
            method=removal.method,
            steps=removal.steps,
            repeats=removal.repeats,
        )
        return to_floats(denoiser.to_rows(filled))
