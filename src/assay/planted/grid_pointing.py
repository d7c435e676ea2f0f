# SPDX-License-Identifier: Apache-2.0
"""Mosaics of four digits: does an explanation of one class point at its own cell?"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from assay.basics.errors import NumericalError
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.stats import clopper_pearson
from assay.basics.types import Floats, Ints
from assay.cases.case import case
from assay.model.adapters.torch import torch as of_net
from assay.nouns.inputs.features import Features, grid
from assay.planted.nets import classes_of, drawn, outputs, tensor, trained
from assay.planted.planted import Competence, Planted
from assay.planted.watermark import digits

if TYPE_CHECKING:
    import torch as pt

RIM = 2
"""Empty pixels around a digit: what two 3 × 3 convolutions without padding see beyond it."""
CELL = 8 + 2 * RIM
CHANNELS = (1, 8, 16)
MOSAICS = 160
"""Drawn at least, to measure the net by; the first that it reads as planted are explained."""
SURE = 0.5
"""What the net says of a digit's class, of at most about 1, for the digit to go into a mosaic."""


def convolutions(head: Callable[[], list[pt.nn.Module]]) -> Callable[[], pt.nn.Module]:
    """Two convolutions without padding, then a head. A unit of the map sees ± 2 pixels."""

    def build() -> pt.nn.Module:
        nn = need("torch", extra="torch").nn
        below = [m for i, o in pairwise(CHANNELS) for m in (nn.Conv2d(i, o, 3), nn.ReLU())]
        return nn.Sequential(*below, *head())

    return build


def one_head() -> list[pt.nn.Module]:
    """The map's mean over all places, then the digits' scores (GridPG)."""
    nn = need("torch", extra="torch").nn
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS[-1], 10)]


def a_head_a_cell() -> list[pt.nn.Module]:
    """Means over each cell's own places alone, then scores of digit and cell: number 4 · digit + cell (DiFull)."""
    nn = need("torch", extra="torch").nn
    return [nn.AvgPool2d(8, stride=CELL), nn.Conv2d(CHANNELS[-1], 10, 1), nn.Flatten()]


def rimmed(x: Floats) -> Floats:
    """Digits with an empty rim."""
    return np.pad(x, ((0, 0), (0, 0), (RIM, RIM), (RIM, RIM)))


def mosaics(x: Floats, y: Ints, count: int, chance: np.random.Generator) -> tuple[Floats, Ints]:
    """Mosaics (row, 1, 24, 24) of four digits of four classes, and the classes (row, cell)."""
    there = np.unique(y)
    if len(there) < 4:
        raise NumericalError(
            f"the net is sure of {len(there)} classes of digits; a mosaic needs 4. Train on more rows."
        )
    found, told = np.zeros((count, 1, 2 * CELL, 2 * CELL)), np.zeros((count, 4), dtype=np.int64)
    for row in range(count):
        for cell, kind in enumerate(chance.permutation(there)[:4]):
            top, left = CELL * (cell // 2), CELL * (cell % 2)
            tile = x[chance.choice(np.flatnonzero(y == kind))][None]
            found[row, :, top : top + CELL, left : left + CELL] = rimmed(tile)
            told[row, cell] = kind
    return found, told


def grid_pointing(seed: Seed, *, disconnected: bool = False, rows: int = 24, train: int = 1000) -> Planted:
    """Mosaics of digits of whose class the net says at least 0.5 of 1, explained for the class of one cell.

    One head reads the whole mosaic (GridPG); ``disconnected``, each cell has a head of its own that sees nothing else
    (DiFull), so that all that is outside the cell is outside the net. Parts are 2 × 2 pixels. Truth: what the target
    loses when the own cell is emptied, on the cell's parts; agreement is the share of positive values in the cell.
    """
    x, y = digits()
    chance = seed.child("mosaics").generator()
    order = chance.permutation(len(x))
    x, y = x[order], y[order]
    single = _single(seed, x[:train], y[:train])
    test, truly = x[train:], y[train:]
    sure = outputs(single, rimmed(test))[np.arange(len(test)), truly] >= SURE
    shown, told = mosaics(test[sure], truly[sure], max(MOSAICS, 2 * rows), chance)
    cell = np.arange(len(shown)) % 4
    kind = told[np.arange(len(shown)), cell]
    net, label = (_apart(single), 4 * kind + cell) if disconnected else (single, kind)
    falls = np.stack([_fall(net, shown, label, np.full(len(shown), c)) for c in range(4)], axis=1)
    own = falls[np.arange(len(shown)), cell]
    most = (own > 0) & (falls.argmax(axis=1) == cell)
    chosen = np.flatnonzero(most)[:rows]
    parts = grid((1, 2 * CELL, 2 * CELL), 2)
    mask = _in_cells(parts, cell[chosen])
    return Planted(
        name="grid pointing, " + ("disconnected heads" if disconnected else "one head"),
        case=case(of_net(net, name="mosaic"), tensor(shown[chosen]), label=label[chosen], features=parts, seed=seed),
        truth=mask * own[chosen, None],
        mask=mask,
        agreement="energy",
        chance=0.25,
        competence=Competence(
            "mosaics whose own cell matters most when emptied",
            float(most.mean()),
            clopper_pearson(int(most.sum()), len(most)),
            0.7,
            {"accuracy on single digits": float(np.mean(classes_of(single, rimmed(test)) == truly))},
        ),
        start=np.zeros((1, 2 * CELL, 2 * CELL)),
        background=mosaics(x[:train], y[:train], 16, chance)[0],
        meaning="what the target loses when the own cell is emptied",
        should="give positive values to the own cell alone",
        sources=("boehle2021", "rao2022"),
        budget=256,
    )


def _single(seed: Seed, x: Floats, y: Ints) -> pt.nn.Module:
    """A net of one digit that says 1 of its class and 0 of others, of nothing 0: so that evidence is never relative."""
    blank = len(x) // 5
    seen = np.concatenate([x, np.zeros((blank, 1, 8, 8))])
    told = np.concatenate([np.eye(10)[y], np.zeros((blank, 10))])
    return trained(drawn(convolutions(one_head), seed), rimmed(seen), told, seed, epochs=30, batch=32, rate=1e-2)


def _apart(single: pt.nn.Module) -> pt.nn.Module:
    """The same weights with a head for each cell."""
    pt = need("torch", extra="torch")
    with pt.device("meta"):
        net = convolutions(a_head_a_cell)()
    net = net.to_empty(device="cpu")
    with pt.no_grad():
        for after, before in zip(net.parameters(), single.parameters()):
            after.copy_(before.reshape(after.shape))
    return net.eval()


def _fall(net: pt.nn.Module, x: Floats, label: Ints, cell: Ints) -> Floats:
    emptied = x.copy()
    for row, place in enumerate(cell):
        top, left = CELL * (place // 2), CELL * (place % 2)
        emptied[row, :, top : top + CELL, left : left + CELL] = 0.0
    lines = np.arange(len(x))
    return outputs(net, x)[lines, label] - outputs(net, emptied)[lines, label]


def _in_cells(parts: Features, cell: Ints) -> np.ndarray:
    """Parts of each row's cell, (row, part)."""
    side = 2 * CELL
    down, across = np.arange(side) // CELL, np.arange(side) // CELL
    of = (2 * down[:, None] + across[None])[None]
    number = np.zeros(len(parts), dtype=np.int64)
    number[parts.index.ravel()] = of.ravel()
    return np.asarray(number[None] == cell[:, None])
