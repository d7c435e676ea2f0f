# SPDX-License-Identifier: Apache-2.0
"""Texts in which one word tells the class, read by a tiny net with self-attention."""

from __future__ import annotations

import numpy as np

from assay.basics.seed import Seed
from assay.basics.stats import clopper_pearson
from assay.basics.types import Ints
from assay.cases.case import case
from assay.model.adapters.torch import torch as of_net
from assay.nouns.inputs.features import integer_map
from assay.planted.nets import classes_of, drawn, outputs, tensor, trained
from assay.planted.planted import Competence, Planted

WORDS, LENGTH, WIDE = 40, 12, 8
TRIGGERS = (1, 2)
"""Two words that tell class 1; word 0 is a filler that says nothing."""


def texts(count: int, chance: np.random.Generator) -> tuple[Ints, Ints]:
    """Word numbers (row, token) and classes: 1 where one of the triggers stands somewhere."""
    words = chance.integers(3, WORDS, (count, LENGTH))
    words[chance.random(words.shape) < 0.1] = 0
    y = np.arange(count) % 2
    place = chance.integers(LENGTH, size=count)
    told = np.flatnonzero(y == 1)
    words[told, place[told]] = chance.choice(TRIGGERS, size=len(told))
    return words, y


def tokens(seed: Seed, *, rows: int = 32, train: int = 3000) -> Planted:
    """Twelve words of forty; class 1 has one of two triggers among them. Rows are the words' embeddings, parts words.

    Truth: the target with a word less the target with the filler in its place, on the trigger; agreement is the AUC of
    the trigger's place. The model is competent if putting the filler in the trigger's place turns its answer.
    """
    from assay.planted.reader import reader

    chance = seed.child("texts").generator()
    words, y = texts(train + 500, chance)
    embedding = chance.standard_normal((WORDS, WIDE))
    embedding[0] = 0.0
    x = embedding[words]
    net = trained(drawn(reader(WIDE), seed), x[:train], y[:train], seed, epochs=15, batch=64, rate=5e-3)
    test, truly = x[train:], y[train:]
    trigger = np.isin(words[train:], TRIGGERS)
    without = np.where(trigger[..., None], embedding[0], test)
    told = truly == 1
    turned = (classes_of(net, test) == 1) & (classes_of(net, without) == 0) & told
    chosen = np.flatnonzero(turned)[:rows]
    cut = integer_map(np.repeat(np.arange(LENGTH)[:, None], WIDE, axis=1), [f"word {i}" for i in range(LENGTH)])
    effect = outputs(net, test[chosen])[:, 1] - outputs(net, without[chosen])[:, 1]
    return Planted(
        name="planted words",
        case=case(of_net(net, name="a reader"), tensor(test[chosen]), label=1, features=cut, seed=seed),
        truth=trigger[chosen] * effect[:, None],
        mask=trigger[chosen],
        agreement="auc",
        chance=0.5,
        competence=Competence(
            "texts whose class turns without the trigger",
            float(turned.sum() / told.sum()),
            clopper_pearson(int(turned.sum()), int(told.sum())),
            0.8,
            {"accuracy": float(np.mean(classes_of(net, test) == truly))},
        ),
        start=np.zeros((LENGTH, WIDE)),
        background=x[:16],
        meaning="score of class 1 that the trigger adds over the filler",
        should="give the trigger more than any other word",
        sources=("assay2026",),
    )
