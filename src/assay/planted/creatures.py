# SPDX-License-Identifier: Apache-2.0
"""Drawn creatures of five parts, whose pictures can be drawn again without one (after FunnyBirds)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assay.basics.seed import Seed
from assay.basics.stats import clopper_pearson
from assay.basics.types import Floats, Ints, PerPart
from assay.cases.case import case
from assay.model.adapters.torch import torch as of_net
from assay.nouns.inputs.features import Features
from assay.planted.nets import classes_of, drawn, outputs, pooled, tensor, trained
from assay.planted.planted import Competence, Planted

if TYPE_CHECKING:
    import torch as pt

PARTS = ("beak", "eye", "foot", "tail", "wing")
NAMES = (*PARTS, "body", "surroundings")
BOXES = {"beak": (5, 12, 3, 4), "eye": (4, 9, 2, 2), "foot": (13, 8, 4, 2), "tail": (8, 0, 3, 4), "wing": (8, 5, 3, 5)}
"""Corner (down, across) and size (height, width) of each part; the body is a disc below them."""
COLOURS = np.array([[0.9, 0.2, 0.2], [0.2, 0.8, 0.3], [0.2, 0.3, 0.9]])
BODY, FIELD = np.array([0.6, 0.5, 0.4]), np.array([0.5, 0.5, 0.5])
SIDE, KINDS = 20, 8


@dataclass(frozen=True, eq=False)
class Creature:
    """One creature: its parts' colours (part,), where it stands, and discs around (disc, 6): place, size, colour."""

    colours: Ints
    shift: tuple[int, int]
    discs: Floats

    def drawn(self, without: frozenset[str] = frozenset()) -> tuple[Floats, Ints]:
        """Picture (3, side, side) and what is seen at each pixel: 0 … 4 parts, 5 body, 6 surroundings."""
        down, across = np.mgrid[:SIDE, :SIDE]
        picture = np.broadcast_to(FIELD[:, None, None], (3, SIDE, SIDE)).copy()
        seen = np.full((SIDE, SIDE), 6)
        if "surroundings" not in without:
            for y, x, size, *colour in self.discs:
                picture[:, (down - y) ** 2 + (across - x) ** 2 <= size**2] = np.array(colour)[:, None]
        top, left = self.shift
        if "body" not in without:
            body = (down - top - 9) ** 2 + (across - left - 7) ** 2 <= 25
            picture[:, body], seen[body] = BODY[:, None], 5
        for number, part in enumerate(PARTS):
            if part not in without:
                y, x, height, width = BOXES[part]
                box = np.s_[top + y : top + y + height, left + x : left + x + width]
                picture[(slice(None), *box)] = COLOURS[self.colours[number], :, None, None]
                seen[box] = number
        return picture, seen


def kinds(chance: np.random.Generator) -> Ints:
    """Colours (kind, part) of each kind, any two of which differ in two parts at least."""
    found: list[Ints] = []
    while len(found) < KINDS:
        one = chance.integers(3, size=len(PARTS))
        if all((one != other).sum() >= 2 for other in found):
            found.append(one)
    return np.stack(found)


def creature(colours: Ints, chance: np.random.Generator) -> Creature:
    """A creature of these colours at a place drawn, three discs around it."""
    place, size = chance.uniform(0, SIDE, (3, 2)), chance.uniform(1, 3, (3, 1))
    discs = np.concatenate([place, size, chance.uniform(0.2, 0.8, (3, 3))], axis=1)
    return Creature(colours, (int(chance.integers(0, 3)), int(chance.integers(0, 4))), discs)


def falls(net: pt.nn.Module, shown: Sequence[Creature], label: Ints) -> PerPart:
    """What the score of each row's class loses when the picture is drawn without each of ``NAMES``, (row, part)."""

    def score(without: frozenset[str]) -> Floats:
        pictures = np.stack([one.drawn(without)[0] for one in shown])
        return outputs(net, pictures)[np.arange(len(shown)), label]

    return score(frozenset())[:, None] - np.stack([score(frozenset({part})) for part in NAMES], axis=1)


def creatures(seed: Seed, *, rows: int = 32, train: int = 2500) -> Planted:
    """Eight kinds of creatures; a net learns them from pictures, a third of which lack a part.

    Truth: the target less the target of the picture drawn again without the part, without the body or without the
    discs around. Agreement is Spearman's correlation over these seven, signs kept. The net is competent if it knows
    the kinds and keeps to its answer when the discs go.
    """
    chance = seed.child("creatures").generator()
    colours = kinds(chance)
    y = np.arange(train + 400) % KINDS
    everyone = [creature(colours[kind], chance) for kind in y]
    gone = chance.integers(3 * len(PARTS), size=len(y))
    lacking = [
        frozenset(PARTS[g : g + 1]) if i < train and g < len(PARTS) else frozenset[str]() for i, g in enumerate(gone)
    ]
    x = np.stack([one.drawn(without)[0] for one, without in zip(everyone, lacking)])
    net = trained(drawn(pooled((3, 16, 32), KINDS, stride=2), seed), x[:train], y[:train], seed, epochs=15, rate=1e-2)
    test, truly, ones = x[train:], y[train:], everyone[train:]
    answer = classes_of(net, test)
    plain = np.stack([one.drawn(frozenset({"surroundings"}))[0] for one in ones])
    right = (answer == truly) & (classes_of(net, plain) == truly)
    chosen = np.flatnonzero(right)[:rows]
    shown, label = [ones[i] for i in chosen], truly[chosen]
    seen = np.stack([one.drawn()[1] for one in shown])
    cut = Features(np.broadcast_to(seen[:, None], (len(seen), 3, SIDE, SIDE)).copy(), NAMES, per_row=True)
    return Planted(
        name="creatures",
        case=case(of_net(net, name="creatures"), tensor(test[chosen]), label=label, features=cut, seed=seed),
        truth=falls(net, shown, label),
        mask=None,
        agreement="rank",
        chance=0.0,
        competence=Competence(
            "kinds known, with and without surroundings",
            float(right.mean()),
            clopper_pearson(int(right.sum()), len(right)),
            0.8,
            {"accuracy": float(np.mean(answer == truly))},
        ),
        start=np.broadcast_to(FIELD[:, None, None], (3, SIDE, SIDE)).copy(),
        background=x[:16],
        meaning="what the target loses when the picture is drawn without the part",
        should="order the parts by what the picture loses without them",
        sources=("hesse2023",),
        budget=128,
    )
