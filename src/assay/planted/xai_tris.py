# SPDX-License-Identifier: Apache-2.0
"""Tetrominoes in noise (XAI-TRIS), 8 × 8 pixels, in four scenarios of how the shape determines the class."""

from __future__ import annotations

from typing import Literal

import numpy as np

from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.cases.new_case import case
from assay.model.adapters.torch import torch as torch_model
from assay.planted.benchmark_case import BenchmarkCase, Competence
from assay.planted.networks import (
    convolutional_network,
    initialise,
    perceptron,
    predict_classes,
    to_tensor,
    train_network,
)

Scenario = Literal["linear", "multiplicative", "rigid", "xor"]
SIGNAL_STRENGTH: dict[Scenario, float] = {"linear": 0.18, "multiplicative": 0.7, "rigid": 0.65, "xor": 0.35}
"""α, the weight of the signal; white noise has weight 1 − α."""
SHAPES = (((0, 0), (1, 0), (2, 0), (1, 1)), ((0, 0), (1, 0), (2, 0), (2, 1)))
"""A T and an L."""
POSITIONS = ((1, 1), (4, 5))
SIDE = 8


def render_tetromino(kind: int, position: tuple[int, int], turns: int = 0) -> Floats:
    """Render a tetromino (8, 8) after quarter turns, with the upper left corner of its box at ``position``."""
    small = np.zeros((3, 2))
    small[tuple(np.array(SHAPES[kind]).T)] = 1.0
    small = np.rot90(small, turns)
    image = np.zeros((SIDE, SIDE))
    image[position[0] : position[0] + small.shape[0], position[1] : position[1] + small.shape[1]] = small
    return image


def draw_images(seed: Seed, scenario: Scenario, count: int) -> tuple[Floats, Ints, Masks]:
    """Draw images (row, 8, 8), classes (row,), and the masks (row, 64) of the pixels that determine the class.

    Noise is white with variance ½; signal and noise are each scaled to Frobenius norm 1 over all rows, then mixed, and
    the result is scaled to −1 … 1. At fixed positions the mask covers both shapes, whichever is present; in the
    scenario "rigid" it covers the shape that is present.
    """
    generator = seed.child("pictures", scenario).generator()
    y = np.arange(count) % 2
    alpha = SIGNAL_STRENGTH[scenario]
    noise = generator.standard_normal((count, SIDE, SIDE)) * np.sqrt(0.5)
    t, l = (render_tetromino(kind, position) for kind, position in enumerate(POSITIONS))
    if scenario == "rigid":
        signal = np.stack([_draw_moved_tetromino(int(kind), generator) for kind in y])
    elif scenario == "xor":
        sign = generator.choice([-1.0, 1.0], size=count)[:, None, None]
        signal = sign * (t + np.where(y == 0, 1.0, -1.0)[:, None, None] * l)
    else:
        signal = np.where((y == 0)[:, None, None], t, l)
    mask = signal != 0 if scenario == "rigid" else np.broadcast_to(t + l > 0, signal.shape)
    if scenario == "multiplicative":
        x = (1 - alpha * signal) * noise
    else:
        x = alpha * signal / np.linalg.norm(signal) + (1 - alpha) * noise / np.linalg.norm(noise)
    return x / np.abs(x).max(), y, mask.reshape(count, -1)


def _draw_moved_tetromino(kind: int, generator: np.random.Generator) -> Floats:
    """A tetromino with a random rotation at a random position."""
    turns = int(generator.integers(4))
    height, width = (3, 2) if turns % 2 == 0 else (2, 3)
    top, left = int(generator.integers(SIDE - height + 1)), int(generator.integers(SIDE - width + 1))
    return render_tetromino(kind, (top, left), turns)


def xai_tris(seed: Seed, scenario: Scenario = "linear", *, rows: int = 32, train: int = 6000) -> BenchmarkCase:
    """A T or an L in white noise, on test images that a convolutional network and a perceptron both classify correctly.

    The explained model is the perceptron at fixed positions, the convolutional network in the scenario "rigid". Truth:
    the decrease of the accuracy when the pixels of the mask are exchanged with those of other images, on these pixels.
    Agreement is the precision of the paper: the share of the k largest absolute values on the k pixels of the mask.
    """
    x, y, mask = draw_images(seed, scenario, train + 1000)
    x = x[:, None]
    scale = float(x[:train].std())
    dense = initialise(perceptron(64, 64, 2), seed.child("dense"))
    wide = initialise(convolutional_network((1, 8, 16), 2), seed.child("wide"))
    nets = {
        "perceptron": train_network(dense, x[:train] / scale, y[:train], seed, epochs=12, batch=128, rate=2e-3),
        "convolutional network": train_network(wide, x[:train] / scale, y[:train], seed, epochs=5, batch=64, rate=1e-2),
    }
    test, true_class, test_mask = x[train:] / scale, y[train:], mask[train:]
    correct = {name: predict_classes(net, test) == true_class for name, net in nets.items()}
    chosen = "convolutional network" if scenario == "rigid" else "perceptron"
    net, is_correct = nets[chosen], correct[chosen]
    other = seed.child("exchange").generator().permutation(len(test))
    exchanged = np.where(test_mask.reshape(test.shape), test[other], test)
    decrease = float(is_correct.mean() - np.mean(predict_classes(net, exchanged) == true_class))
    rows_explained = np.flatnonzero(correct["perceptron"] & correct["convolutional network"])[:rows]
    label = true_class[rows_explained]
    return BenchmarkCase(
        name=f"tetrominoes, {scenario}",
        case=case(
            torch_model(net, name=f"tetrominoes, {chosen}"), to_tensor(test[rows_explained]), label=label, seed=seed
        ),
        truth=test_mask[rows_explained] * decrease,
        mask=test_mask[rows_explained],
        agreement="precision",
        chance=float(test_mask[rows_explained].mean()),
        competence=Competence.of_successes(
            f"accuracy of the {chosen}",
            is_correct,
            0.8,
            {f"accuracy of the {name}": float(one.mean()) for name, one in correct.items() if name != chosen}
            | {"decrease of the accuracy when the pixels of the mask are exchanged": decrease},
        ),
        start=np.zeros((1, SIDE, SIDE)),
        background=x[:16] / scale,
        meaning="decrease of the accuracy when the pixels of the mask are exchanged",
        should="give the pixels of the tetrominoes the largest absolute values",
        sources=("clark2024",),
    )
