# SPDX-License-Identifier: Apache-2.0
"""Texts in which one trigger word determines the class, and a small network with self-attention."""

from __future__ import annotations

import numpy as np

from assay.basics.seed import Seed
from assay.basics.types import Ints
from assay.cases.new_case import case
from assay.model.adapters.torch import torch as torch_model
from assay.nouns.inputs.features import integer_map
from assay.planted.benchmark_case import BenchmarkCase, Competence
from assay.planted.networks import initialise, predict, predict_classes, to_tensor, train_network

VOCABULARY, LENGTH, DIMENSIONS = 40, 12, 8
TRIGGERS = (1, 2)
"""The two words of class 1; word 0 is a filler without meaning."""


def draw_texts(count: int, generator: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw word numbers (row, token) and classes (row,): 1 for texts that contain a trigger."""
    words = generator.integers(3, VOCABULARY, (count, LENGTH))
    words[generator.random(words.shape) < 0.1] = 0
    y = np.arange(count) % 2
    position = generator.integers(LENGTH, size=count)
    with_trigger = np.flatnonzero(y == 1)
    words[with_trigger, position[with_trigger]] = generator.choice(TRIGGERS, size=len(with_trigger))
    return words, y


def trigger_words(seed: Seed, *, rows: int = 32, train: int = 3000) -> BenchmarkCase:
    """Twelve words of forty; class 1 has one of two triggers among them. Rows are embeddings; features are words.

    Truth: for the trigger, the target minus the target with the filler in its place; 0 for the other words. Agreement
    is the AUC of the trigger's position. The model is competent if replacing the trigger by the filler changes its
    prediction.
    """
    from assay.planted.attention_network import attention_network

    generator = seed.child("texts").generator()
    words, y = draw_texts(train + 500, generator)
    embedding = generator.standard_normal((VOCABULARY, DIMENSIONS))
    embedding[0] = 0.0
    x = embedding[words]
    net = initialise(attention_network(DIMENSIONS), seed)
    net = train_network(net, x[:train], y[:train], seed, epochs=15, batch=64, rate=5e-3)
    test, true_class = x[train:], y[train:]
    is_trigger = np.isin(words[train:], TRIGGERS)
    without = np.where(is_trigger[..., None], embedding[0], test)
    has_trigger = true_class == 1
    changed = (predict_classes(net, test) == 1) & (predict_classes(net, without) == 0) & has_trigger
    chosen = np.flatnonzero(changed)[:rows]
    features = integer_map(
        np.repeat(np.arange(LENGTH)[:, None], DIMENSIONS, axis=1), [f"word {i}" for i in range(LENGTH)]
    )
    effect = predict(net, test[chosen])[:, 1] - predict(net, without[chosen])[:, 1]
    return BenchmarkCase(
        name="trigger words",
        case=case(
            torch_model(net, name="attention network"), to_tensor(test[chosen]), label=1, features=features, seed=seed
        ),
        truth=is_trigger[chosen] * effect[:, None],
        mask=is_trigger[chosen],
        agreement="auc",
        chance=0.5,
        competence=Competence.of_successes(
            "share of texts whose predicted class changes without the trigger",
            changed[has_trigger],
            0.8,
            {"accuracy": float(np.mean(predict_classes(net, test) == true_class))},
        ),
        start=np.zeros((LENGTH, DIMENSIONS)),
        background=x[:16],
        meaning="increase of the score of class 1 by the trigger, compared with the filler",
        should="give the trigger a larger value than any other word",
        sources=("assay2026",),
    )
