# SPDX-License-Identifier: Apache-2.0
"""Tetrominoes in noise (XAI-TRIS), 8 × 8 pixels: four ways in which a shape can tell the class."""

from __future__ import annotations

from typing import Literal

import numpy as np

from assay.basics.seed import Seed
from assay.basics.stats import clopper_pearson
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import case
from assay.model.adapters.torch import torch as of_net
from assay.planted.nets import classes_of, drawn, perceptron, pooled, tensor, trained
from assay.planted.planted import Competence, Planted

Scenario = Literal["linear", "multiplicative", "rigid", "xor"]
STRENGTH: dict[Scenario, float] = {"linear": 0.18, "multiplicative": 0.7, "rigid": 0.65, "xor": 0.35}
"""α, the share of the signal beside white noise."""
SHAPES = (((0, 0), (1, 0), (2, 0), (1, 1)), ((0, 0), (1, 0), (2, 0), (2, 1)))
"""A T and an L."""
PLACES = ((1, 1), (4, 5))
SIDE = 8


def drawn_shape(kind: int, place: tuple[int, int], turns: int = 0) -> Floats:
    """A tetromino (8, 8), turned by quarters, its box's corner at ``place``."""
    small = np.zeros((3, 2))
    small[tuple(np.array(SHAPES[kind]).T)] = 1.0
    small = np.rot90(small, turns)
    whole = np.zeros((SIDE, SIDE))
    whole[place[0] : place[0] + small.shape[0], place[1] : place[1] + small.shape[1]] = small
    return whole


def pictures(seed: Seed, scenario: Scenario, count: int) -> tuple[Floats, Ints, Masks]:
    """Pictures (row, 8, 8), classes, and the pixels where the class can be read (row, 64).

    Noise is white with variance ½; signal and noise are each scaled to one Frobenius norm over all rows, then mixed,
    and all is scaled to −1 … 1. Of shapes that stand still both places tell the class, whichever is filled; of those
    that wander, the pixels of the shape that is there.
    """
    chance = seed.child("pictures", scenario).generator()
    y = np.arange(count) % 2
    alpha = STRENGTH[scenario]
    noise = chance.standard_normal((count, SIDE, SIDE)) * np.sqrt(0.5)
    t, l = (drawn_shape(kind, place) for kind, place in enumerate(PLACES))
    if scenario == "rigid":
        signal = np.stack([_wandering(int(kind), chance) for kind in y])
    elif scenario == "xor":
        sign = chance.choice([-1.0, 1.0], size=count)[:, None, None]
        signal = sign * (t + np.where(y == 0, 1.0, -1.0)[:, None, None] * l)
    else:
        signal = np.where((y == 0)[:, None, None], t, l)
    mask = signal != 0 if scenario == "rigid" else np.broadcast_to(t + l > 0, signal.shape)
    if scenario == "multiplicative":
        x = (1 - alpha * signal) * noise
    else:
        x = alpha * signal / np.linalg.norm(signal) + (1 - alpha) * noise / np.linalg.norm(noise)
    return x / np.abs(x).max(), y, mask.reshape(count, -1)


def _wandering(kind: int, chance: np.random.Generator) -> Floats:
    turns = int(chance.integers(4))
    height, width = (3, 2) if turns % 2 == 0 else (2, 3)
    return drawn_shape(kind, (int(chance.integers(SIDE - height + 1)), int(chance.integers(SIDE - width + 1))), turns)


def xai_tris(seed: Seed, scenario: Scenario = "linear", *, rows: int = 32, train: int = 6000) -> Planted:
    """A T or an L in white noise. Explained are test pictures that a convolutional net and a perceptron get right.

    The net explained is the perceptron where shapes stand still, the convolutional net where they wander. Truth is the
    mask × how much the accuracy falls when its pixels are exchanged with those of other pictures. Agreement is the
    paper's precision: the share of the k largest values by size that lies on the k pixels of the mask.
    """
    x, y, mask = pictures(seed, scenario, train + 1000)
    x = x[:, None]
    scale = float(x[:train].std())
    dense = drawn(perceptron(64, 64, 2), seed.child("dense"))
    wide = drawn(pooled((1, 8, 16), 2), seed.child("wide"))
    nets = {
        "perceptron": trained(dense, x[:train] / scale, y[:train], seed, epochs=12, batch=128, rate=2e-3),
        "convolutional net": trained(wide, x[:train] / scale, y[:train], seed, epochs=5, batch=64, rate=1e-2),
    }
    test, truly, where = x[train:] / scale, y[train:], mask[train:]
    right = {name: classes_of(net, test) == truly for name, net in nets.items()}
    chosen = "convolutional net" if scenario == "rigid" else "perceptron"
    net, hit = nets[chosen], right[chosen]
    other = seed.child("exchange").generator().permutation(len(test))
    without = np.where(where.reshape(test.shape), test[other], test)
    fall = float(hit.mean() - np.mean(classes_of(net, without) == truly))
    picked = np.flatnonzero(right["perceptron"] & right["convolutional net"])[:rows]
    return Planted(
        name=f"tetrominoes, {scenario}",
        case=case(of_net(net, name=f"tetrominoes, {chosen}"), tensor(test[picked]), label=truly[picked], seed=seed),
        truth=where[picked] * fall,
        mask=where[picked],
        agreement="precision",
        chance=float(where[picked].mean()),
        competence=Competence(
            f"accuracy of the {chosen}",
            float(hit.mean()),
            clopper_pearson(int(hit.sum()), len(hit)),
            0.8,
            {f"accuracy of the {name}": float(found.mean()) for name, found in right.items() if name != chosen}
            | {"fall when the pixels of the mask are exchanged": fall},
        ),
        start=np.zeros((1, SIDE, SIDE)),
        background=x[:16] / scale,
        meaning="fall of the accuracy when the pixels of the mask are exchanged",
        should="give the pixels of the tetrominoes the largest values by size",
        sources=("clark2024",),
    )
