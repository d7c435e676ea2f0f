# SPDX-License-Identifier: Apache-2.0
"""Rendered birds of five parts; each image can be rendered without a part (after FunnyBirds)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, PerPart
from assay.cases.new_case import case
from assay.model.adapters.torch import torch as torch_model
from assay.nouns.inputs.features import Features
from assay.planted.benchmark_case import BenchmarkCase, Competence
from assay.planted.networks import (
    convolutional_network,
    initialise,
    predict,
    predict_classes,
    to_tensor,
    train_network,
)

if TYPE_CHECKING:
    import torch as pt

PARTS = ("beak", "eye", "foot", "tail", "wing")
NAMES = (*PARTS, "body", "surroundings")
BOXES = {"beak": (5, 12, 3, 4), "eye": (4, 9, 2, 2), "foot": (13, 8, 4, 2), "tail": (8, 0, 3, 4), "wing": (8, 5, 3, 5)}
"""Corner (row, column) and size (height, width) of each part in pixels; the body is a disc behind them."""
COLOURS = np.array([[0.9, 0.2, 0.2], [0.2, 0.8, 0.3], [0.2, 0.3, 0.9]])
BODY_COLOUR, BACKGROUND_COLOUR = np.array([0.6, 0.5, 0.4]), np.array([0.5, 0.5, 0.5])
SIDE, CLASSES = 20, 8


@dataclass(frozen=True, eq=False)
class Bird:
    """One bird: the colour of each part (part,), its position, and surrounding discs (disc, 6): centre, radius, RGB."""

    colours: Ints
    shift: tuple[int, int]
    discs: Floats

    def render(self, without: frozenset[str] = frozenset()) -> tuple[Floats, Ints]:
        """Render the image (3, side, side) and the part at each pixel: 0 … 4 parts, 5 body, 6 surroundings."""
        down, across = np.mgrid[:SIDE, :SIDE]
        image = np.broadcast_to(BACKGROUND_COLOUR[:, None, None], (3, SIDE, SIDE)).copy()
        part_map = np.full((SIDE, SIDE), 6)
        if "surroundings" not in without:
            for y, x, radius, *colour in self.discs:
                image[:, (down - y) ** 2 + (across - x) ** 2 <= radius**2] = np.array(colour)[:, None]
        top, left = self.shift
        if "body" not in without:
            body = (down - top - 9) ** 2 + (across - left - 7) ** 2 <= 25
            image[:, body], part_map[body] = BODY_COLOUR[:, None], 5
        for number, part in enumerate(PARTS):
            if part not in without:
                y, x, height, width = BOXES[part]
                box = np.s_[top + y : top + y + height, left + x : left + x + width]
                image[(slice(None), *box)] = COLOURS[self.colours[number], :, None, None]
                part_map[box] = number
        return image, part_map


def draw_class_colours(generator: np.random.Generator) -> Ints:
    """Draw the part colours (class, part) of each class; any two classes differ in at least two parts."""
    colours: list[Ints] = []
    while len(colours) < CLASSES:
        one = generator.integers(3, size=len(PARTS))
        if all((one != other).sum() >= 2 for other in colours):
            colours.append(one)
    return np.stack(colours)


def draw_bird(colours: Ints, generator: np.random.Generator) -> Bird:
    """Draw a bird of these colours at a random position, with three random discs."""
    centre, radius = generator.uniform(0, SIDE, (3, 2)), generator.uniform(1, 3, (3, 1))
    discs = np.concatenate([centre, radius, generator.uniform(0.2, 0.8, (3, 3))], axis=1)
    return Bird(colours, (int(generator.integers(0, 3)), int(generator.integers(0, 4))), discs)


def removal_effects(net: pt.nn.Module, birds: Sequence[Bird], label: Ints) -> PerPart:
    """Decrease of the score of each row's class when the image is rendered without each of ``NAMES``, (row, part)."""

    def score(without: frozenset[str]) -> Floats:
        images = np.stack([one.render(without)[0] for one in birds])
        return predict(net, images)[np.arange(len(birds)), label]

    return score(frozenset())[:, None] - np.stack([score(frozenset({part})) for part in NAMES], axis=1)


def synthetic_birds(seed: Seed, *, rows: int = 32, train: int = 2500) -> BenchmarkCase:
    """Eight classes of birds; a network is trained on images, a third of which lack a part.

    Truth: the target minus the target of the image rendered without the part, without the body or without the
    surrounding discs. Agreement is the Spearman correlation over these seven, with signs. The network is competent if
    it predicts the class with and without the discs.
    """
    generator = seed.child("creatures").generator()
    colours = draw_class_colours(generator)
    y = np.arange(train + 400) % CLASSES
    birds = [draw_bird(colours[number], generator) for number in y]
    missing = generator.integers(3 * len(PARTS), size=len(y))
    missing_parts = [
        frozenset(PARTS[part : part + 1]) if i < train and part < len(PARTS) else frozenset[str]()
        for i, part in enumerate(missing)
    ]
    x = np.stack([one.render(without)[0] for one, without in zip(birds, missing_parts)])
    net = initialise(convolutional_network((3, 16, 32), CLASSES, stride=2), seed)
    net = train_network(net, x[:train], y[:train], seed, epochs=15, rate=1e-2)
    test, true_class, test_birds = x[train:], y[train:], birds[train:]
    predicted = predict_classes(net, test)
    plain = np.stack([one.render(frozenset({"surroundings"}))[0] for one in test_birds])
    correct = (predicted == true_class) & (predict_classes(net, plain) == true_class)
    chosen = np.flatnonzero(correct)[:rows]
    explained, label = [test_birds[i] for i in chosen], true_class[chosen]
    part_map = np.stack([one.render()[1] for one in explained])
    parts = Features(np.broadcast_to(part_map[:, None], (len(part_map), 3, SIDE, SIDE)).copy(), NAMES, per_row=True)
    model, accuracy = torch_model(net, name="synthetic birds"), float(np.mean(predicted == true_class))
    return BenchmarkCase(
        name="synthetic birds",
        case=case(model, to_tensor(test[chosen]), label=label, features=parts, seed=seed),
        truth=removal_effects(net, explained, label),
        mask=None,
        agreement="rank",
        chance=0.0,
        competence=Competence.of_successes(
            "accuracy both with and without the surroundings", correct, 0.8, {"accuracy": accuracy}
        ),
        start=np.broadcast_to(BACKGROUND_COLOUR[:, None, None], (3, SIDE, SIDE)).copy(),
        background=x[:16],
        meaning="decrease of the target when the image is rendered without the part",
        should="rank the parts by the effect of their removal",
        sources=("hesse2023",),
        budget=128,
    )
