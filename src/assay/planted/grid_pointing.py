# SPDX-License-Identifier: Apache-2.0
"""Grid pointing game: images of four digits, and whether an explanation of one class is inside its own cell."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from assay.basics.errors import NumericalError
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints
from assay.cases.new_case import case
from assay.model.adapters.torch import torch as torch_model
from assay.nouns.inputs.features import Features, grid
from assay.planted.benchmark_case import BenchmarkCase, Competence
from assay.planted.networks import initialise, predict, predict_classes, to_tensor, train_network
from assay.planted.watermark import load_digits

if TYPE_CHECKING:
    import torch as pt

MARGIN = 2
"""Empty pixels around a digit: the receptive field of two 3 × 3 convolutions without padding extends so far."""
CELL = 8 + 2 * MARGIN
CHANNELS = (1, 8, 16)
MIN_GRIDS = 160
"""Least number of grids drawn to measure the model's competence; the first correct ones are explained."""
MIN_SCORE = 0.5
"""Least score of a digit's own class, of at most about 1, for the digit to be used in a grid."""


def convolutions(head: Callable[[], list[pt.nn.Module]]) -> Callable[[], pt.nn.Module]:
    """Two 3 × 3 convolutions without padding, then a head; the receptive field of a unit is ± 2 pixels."""

    def build() -> pt.nn.Module:
        nn = need("torch", extra="torch").nn
        layers = [m for i, o in pairwise(CHANNELS) for m in (nn.Conv2d(i, o, 3), nn.ReLU())]
        return nn.Sequential(*layers, *head())

    return build


def shared_head() -> list[pt.nn.Module]:
    """One head: global average pooling, then the scores of the ten digits (GridPG)."""
    nn = need("torch", extra="torch").nn
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS[-1], 10)]


def disconnected_heads() -> list[pt.nn.Module]:
    """One head per cell: average pooling over the cell, then scores of digit and cell at 4 · digit + cell (DiFull)."""
    nn = need("torch", extra="torch").nn
    return [nn.AvgPool2d(8, stride=CELL), nn.Conv2d(CHANNELS[-1], 10, 1), nn.Flatten()]


def add_margin(x: Floats) -> Floats:
    """Digits with an empty margin."""
    return np.pad(x, ((0, 0), (0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))


def draw_grids(x: Floats, y: Ints, count: int, generator: np.random.Generator) -> tuple[Floats, Ints]:
    """Draw grids (row, 1, 24, 24) of four digits of four classes, and the classes (row, cell)."""
    classes = np.unique(y)
    if len(classes) < 4:
        raise NumericalError(
            f"the network is confident on {len(classes)} classes of digits; a grid needs 4. Train on more rows."
        )
    grids, labels = np.zeros((count, 1, 2 * CELL, 2 * CELL)), np.zeros((count, 4), dtype=np.int64)
    for row in range(count):
        for cell, label in enumerate(generator.permutation(classes)[:4]):
            top, left = CELL * (cell // 2), CELL * (cell % 2)
            tile = x[generator.choice(np.flatnonzero(y == label))][None]
            grids[row, :, top : top + CELL, left : left + CELL] = add_margin(tile)
            labels[row, cell] = label
    return grids, labels


def grid_pointing(seed: Seed, *, disconnected: bool = False, rows: int = 24, train: int = 1000) -> BenchmarkCase:
    """Grids of four digits with score at least 0.5 of 1 each, explained for the class of one cell.

    By default one head reads the whole grid (GridPG). If ``disconnected``, each cell has its own head that reads only
    that cell (DiFull), so that no other cell can have an effect. Features are 2 × 2 pixels. Truth: the decrease of the
    target when the own cell is emptied, on the cell's features. Agreement is the share of positive values inside the
    cell.
    """
    x, y = load_digits()
    generator = seed.child("mosaics").generator()
    order = generator.permutation(len(x))
    x, y = x[order], y[order]
    digit_net = _train_on_digits(seed, x[:train], y[:train])
    test, true_class = x[train:], y[train:]
    confident = predict(digit_net, add_margin(test))[np.arange(len(test)), true_class] >= MIN_SCORE
    grids, digits = draw_grids(test[confident], true_class[confident], max(MIN_GRIDS, 2 * rows), generator)
    cell = np.arange(len(grids)) % 4
    digit = digits[np.arange(len(grids)), cell]
    net, label = (_disconnect_heads(digit_net), 4 * digit + cell) if disconnected else (digit_net, digit)
    effects = np.stack([_removal_effect(net, grids, label, np.full(len(grids), c)) for c in range(4)], axis=1)
    own_effect = effects[np.arange(len(grids)), cell]
    is_largest = (own_effect > 0) & (effects.argmax(axis=1) == cell)
    chosen = np.flatnonzero(is_largest)[:rows]
    features = grid((1, 2 * CELL, 2 * CELL), 2)
    mask = _features_in_cells(features, cell[chosen])
    model = torch_model(net, name="digit grid")
    return BenchmarkCase(
        name="grid pointing, " + ("disconnected heads" if disconnected else "one head"),
        case=case(model, to_tensor(grids[chosen]), label=label[chosen], features=features, seed=seed),
        truth=mask * own_effect[chosen, None],
        mask=mask,
        agreement="energy",
        chance=0.25,
        competence=Competence.of_successes(
            "share of grids in which emptying the own cell has the largest effect",
            is_largest,
            0.7,
            {"accuracy on single digits": float(np.mean(predict_classes(digit_net, add_margin(test)) == true_class))},
        ),
        start=np.zeros((1, 2 * CELL, 2 * CELL)),
        background=draw_grids(x[:train], y[:train], 16, generator)[0],
        meaning="decrease of the target when the own cell is emptied",
        should="give positive values only to the own cell",
        sources=("boehle2021", "rao2022"),
        budget=256,
    )


def _train_on_digits(seed: Seed, x: Floats, y: Ints) -> pt.nn.Module:
    """A network trained to score 1 for a digit's class and 0 for others, and 0 for an empty image.

    The scores are thus absolute and not relative to the other classes.
    """
    blank = len(x) // 5
    images = np.concatenate([x, np.zeros((blank, 1, 8, 8))])
    targets = np.concatenate([np.eye(10)[y], np.zeros((blank, 10))])
    net = initialise(convolutions(shared_head), seed)
    return train_network(net, add_margin(images), targets, seed, epochs=30, batch=32, rate=1e-2)


def _disconnect_heads(digit_net: pt.nn.Module) -> pt.nn.Module:
    """The same weights with one head per cell."""
    pt = need("torch", extra="torch")
    with pt.device("meta"):
        net = convolutions(disconnected_heads)()
    net = net.to_empty(device="cpu")
    with pt.no_grad():
        for after, before in zip(net.parameters(), digit_net.parameters()):
            after.copy_(before.reshape(after.shape))
    return net.eval()


def _removal_effect(net: pt.nn.Module, x: Floats, label: Ints, cell: Ints) -> Floats:
    """Decrease of the score (row,) when a cell of each row is emptied."""
    emptied = x.copy()
    for row, number in enumerate(cell):
        top, left = CELL * (number // 2), CELL * (number % 2)
        emptied[row, :, top : top + CELL, left : left + CELL] = 0.0
    rows = np.arange(len(x))
    return predict(net, x)[rows, label] - predict(net, emptied)[rows, label]


def _features_in_cells(features: Features, cell: Ints) -> np.ndarray:
    """Whether a feature lies in each row's cell, (row, feature)."""
    side = 2 * CELL
    down, across = np.arange(side) // CELL, np.arange(side) // CELL
    cell_of_pixel = (2 * down[:, None] + across[None])[None]
    cell_of_feature = np.zeros(len(features), dtype=np.int64)
    cell_of_feature[features.index.ravel()] = cell_of_pixel.ravel()
    return np.asarray(cell_of_feature[None] == cell[:, None])
