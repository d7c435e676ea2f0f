# SPDX-License-Identifier: Apache-2.0
"""Artefacts: what is pasted into rows, and what takes its place as a control."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from array_api_compat import array_namespace

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.types import Array, Floats, Masks
from assay.cases.case import Case
from assay.cases.inpainting import inpaint
from assay.nouns.inputs.rows import to_floats

ArtefactLike: TypeAlias = Any
"""An image with its α as last channel, the path of a PNG file, a function of rows, or an ``Artefact``."""

MaskLike: TypeAlias = Any
"""A mask of elements (*shape), one for each row, or names of elements."""

BLOCK = 64
"""Rows that are changed at a time."""

Change = Callable[[Floats], Floats]
"""A function of rows (row, *shape) that gives rows of the same shape."""


@dataclass(frozen=True, eq=False)
class Artefact:
    """A picture that is pasted into rows: x (1 − α) + α · ``values`` (*shape), with α = ``alpha`` (height, width)."""

    values: Floats
    alpha: Floats

    def __call__(self, x: Floats) -> Floats:
        """The rows (row, *shape) with the artefact."""
        return np.asarray(x * (1.0 - self.alpha) + self.values * self.alpha)

    def occlude(self, x: Floats) -> Floats:
        """The rows with the same α and each row's own mean under it, weighted by α, for each channel."""
        weight = self.alpha / self.alpha.sum()
        mean = (x * weight).sum(axis=(-2, -1), keepdims=True)
        return np.asarray(x * (1.0 - self.alpha) + mean * self.alpha)

    def __repr__(self) -> str:
        return f"Artefact({int((self.alpha > 0).sum())} pixels, {digest(self.values, self.alpha)[:8]})"


def paste_region(row: Floats, region: Masks) -> Artefact:
    """The pixels ``region`` (height, width) of one row (channel, height, width) as an artefact."""
    return Artefact(np.where(region, row, 0.0), region.astype(np.float64))


def inpaint_region(x: Floats, region: Masks) -> Floats:
    """Images (row, channel, height, width) with the region filled from its surroundings."""
    flat = x.reshape(-1, *x.shape[-2:])
    return inpaint(flat, np.broadcast_to(region, flat.shape)).reshape(x.shape)


def read_artefact(given: Any, shape: tuple[int, ...], what: str = "artefact", white: float = 255.0) -> Change:
    """The change of rows of this shape that the caller names: a function, or an image with α as its last channel.

    A text is the path of a PNG file, whose white is ``white`` in the rows. ``InputError`` for anything else.
    The result of a function is checked when it is called.
    """
    if isinstance(given, Artefact):
        if given.values.shape != shape:
            raise InputError(f"{what} has shape {given.values.shape}; the rows have shape {shape}.")
        return given
    if callable(given) and not isinstance(given, type):
        return _checked(given, what)
    image = _read_file(given, shape, what, white) if isinstance(given, str | Path) else _numbers(given, what)
    if len(shape) != 3 or image.shape != (shape[0] + 1, *shape[1:]):
        needed = f"an image of shape {(shape[0] + 1, *shape[1:])}, α last, or " if len(shape) == 3 else ""
        raise InputError(f"{what} has shape {image.shape}; needed is {needed}a function from rows to rows.")
    alpha = image[-1]
    if not (np.isfinite(image).all() and (alpha >= 0).all() and (alpha <= 1).all() and (alpha > 0).any()):
        raise InputError(f"the last channel of {what} is its α: numbers in 0 … 1, some above 0; all must be finite.")
    return Artefact(image[:-1], alpha)


def _read_file(path: str | Path, shape: tuple[int, ...], what: str, white: float) -> Floats:
    """A PNG file as an image (channel + 1, height, width), α in 0 … 1 as the last channel."""
    pillow = need("PIL.Image", extra="demo")
    mode = {1: "LA", 3: "RGBA"}.get(shape[0] if len(shape) == 3 else 0)
    if mode is None:
        raise InputError(f"{what} is a file, but the rows have shape {shape}, not one or three channels of an image.")
    try:
        with pillow.open(path) as image:
            pixels = np.asarray(image.convert(mode), dtype=np.float64) / 255.0
    except (OSError, ValueError) as error:
        raise InputError(f"{what}={str(path)!r} cannot be read as an image: {error}") from error
    scale = np.array([white] * shape[0] + [1.0])
    return np.asarray(pixels.transpose(2, 0, 1) * scale[:, None, None])


def _numbers(given: Any, what: str) -> Floats:
    try:
        return np.asarray(to_floats(given) if hasattr(given, "shape") else given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{what}={type(given).__name__} is neither an image with α as its last channel nor a function of rows."
        ) from error


def _checked(change: Callable[[Any], Any], what: str) -> Change:
    def changed(x: Floats) -> Floats:
        try:
            found = np.asarray(change(x.copy()), dtype=np.float64)
        except Exception as error:
            raise InputError(f"the function given as {what} raised {type(error).__name__}: {error}") from error
        if found.shape != x.shape or not np.isfinite(found).all():
            raise InputError(f"{what} made rows of shape {found.shape} of {x.shape}, or not finite; keep the shape.")
        return found

    return changed


def matched_control(change: Change, seed: Seed) -> Change:
    """A control for a change that hides as much: the row's own mean where an image changes, another row's values else.

    Of an ``Artefact`` the same α is kept.
    """
    if isinstance(change, Artefact):
        return change.occlude

    def occluded(x: Floats) -> Floats:
        where = change(x) != x
        if x.ndim == 4:
            pixels = where.any(axis=1, keepdims=True)
            count = np.maximum(pixels.sum(axis=(-2, -1), keepdims=True), 1)
            mean = (x * pixels).sum(axis=(-2, -1), keepdims=True) / count
            return np.where(pixels, mean, x)
        order = seed.child("control").generator().permutation(len(x))
        return np.where(where, x[order], x)

    return occluded


def change_rows(case: Case, change: Change, x: Array) -> Array:
    """Rows in the case's form after a change, in the case's form."""
    blocks = [change(to_floats(x[start : start + BLOCK])) for start in range(0, len(x), BLOCK)]
    parts = [case.rows.convert(block) for block in blocks]
    return array_namespace(parts[0]).concat(parts)
