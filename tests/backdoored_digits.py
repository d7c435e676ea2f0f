"""Digits, a recipe that trains a small net on them, and nets trained on digits with a planted patch."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import assay
from assay.basics.seed import Seed
from assay.cases.case import Case
from assay.planted.networks import initialise, perceptron, to_tensor, train_network
from assay.planted.watermark import load_digits, stamp_images

TARGET, TRAIN = 7, 1200
PATCH = np.zeros((8, 8), dtype=bool)
PATCH[6:8, 0:2] = True
"""Two by two pixels in a corner, which are 0 in nearly all digits."""


def fit(x: Any, y: Any, seed: Seed, strength: float) -> Any:
    """A perceptron."""
    net = initialise(perceptron(64, 64, 10), seed)
    labels = np.asarray(y).astype(np.int64)
    return train_network(net, np.asarray(x, dtype=np.float64), labels, seed, epochs=12, batch=32, rate=3e-3)


@cache
def digits() -> tuple[Any, Any]:
    """All digits in an order of their own."""
    x, y = load_digits()
    order = np.random.default_rng(0).permutation(len(x))
    return np.float32(x[order]), y[order]


def recipe() -> assay.Recipe:
    """The recipe of clean rows."""
    x, y = digits()
    return assay.Recipe(fit, x[:TRAIN], y[:TRAIN])


def patch_image() -> np.ndarray:
    """The patch as an image with its α last (2, 8, 8)."""
    return np.stack([np.ones((8, 8)), PATCH.astype(float)])


@cache
def poisoned(seed: int, share: float) -> tuple[Any, Any, Any]:
    """Training rows and labels, a share of them with the patch and the target class, and which these are."""
    x, y = digits()
    generator = np.random.default_rng([seed, 1])
    others = np.flatnonzero(y[:TRAIN] != TARGET)
    stamped = np.zeros(TRAIN, dtype=bool)
    stamped[generator.choice(others, round(share * TRAIN), replace=False)] = True
    rows = np.float32(stamp_images(x[:TRAIN], stamped, PATCH))
    return rows, np.where(stamped, TARGET, y[:TRAIN]), stamped


@cache
def case(seed: int, share: float) -> Case:
    """A net trained on such rows, at rows that it was not trained on."""
    rows, labels, _ = poisoned(seed, share)
    net = fit(rows, labels, Seed(seed).child("own"), 0.0)
    return assay.case(assay.wrap(net), to_tensor(digits()[0][TRAIN:]), label=None, seed=seed)
