"""Gaussian blur in the cosine basis, with the basis written out as a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np


def cosines(n: int) -> np.ndarray:
    """The orthonormal cosine basis (frequency, place) of n places with mirrored edges."""
    basis = np.array([[np.cos(np.pi * k * (i + 0.5) / n) for i in range(n)] for k in range(n)])
    return basis / np.sqrt((basis**2).sum(1, keepdims=True))


def blurred(pictures: np.ndarray, sigma: float) -> np.ndarray:
    """Pictures (row, channel, height, width) under a Gaussian blur of ``sigma`` pixels."""
    down, across = cosines(pictures.shape[2]), cosines(pictures.shape[3])
    fade = [np.exp(-0.5 * (sigma * np.pi * np.arange(n) / n) ** 2) for n in pictures.shape[2:]]
    one, two = down.T @ np.diag(fade[0]) @ down, across.T @ np.diag(fade[1]) @ across
    return np.einsum("ij,rcjk,lk->rcil", one, pictures, two)


def cleared(pictures: np.ndarray, sigma: float, place: float) -> np.ndarray:
    """The path from the blur to the picture, at its cubic pace."""
    return blurred(pictures, sigma * (1 - place) ** 3)


def integrated(gradient: Any, pictures: np.ndarray, sigma: float, steps: int = 3000) -> np.ndarray:
    """Σ gradient at the middle of a short step times the step."""
    total, before = np.zeros(pictures.shape), cleared(pictures, sigma, 0.0)
    for step in range(1, steps + 1):
        after = cleared(pictures, sigma, step / steps)
        total += gradient((before + after) / 2) * (after - before)
        before = after
    return total
