# SPDX-License-Identifier: Apache-2.0
"""Gaussian clusters, in each of which other columns determine the class (after OpenXAI's synthetic data)."""

from __future__ import annotations

import numpy as np

from assay.basics.seed import Seed
from assay.cases.new_case import case
from assay.model.adapters.torch import torch as torch_model
from assay.planted.benchmark_case import BenchmarkCase, Competence
from assay.planted.networks import initialise, perceptron, predict_classes, to_tensor, train_network

COLUMNS = 20
CENTRE_DISTANCE = 5.0
"""Distance of a cluster's centre from the origin."""


def clusters(seed: Seed, *, count: int = 6, rows: int = 64, train: int = 12000) -> BenchmarkCase:
    """Twenty columns in clusters; in cluster c the class is the side of its median on which x · (m_c ∘ w_c) lies.

    Weights w_c are uniform in −1 … 1, masks m_c are Bernoulli(½). Truth: the masked weights of a row's cluster;
    agreement is the Spearman correlation of absolute values over columns. The model is competent if it is still correct
    after every column that a row's cluster masks is redrawn from the cluster.
    """
    generator = seed.child("clusters").generator()
    centres = generator.standard_normal((count, COLUMNS))
    centres *= CENTRE_DISTANCE / np.linalg.norm(centres, axis=1, keepdims=True)
    weights = generator.uniform(-1, 1, (count, COLUMNS))
    masks = generator.random((count, COLUMNS)) < 0.5
    masked_weights = weights * masks
    total = train + 1000
    cluster = np.arange(total) % count
    x = centres[cluster] + generator.standard_normal((total, COLUMNS))
    score = np.einsum("ni,ni->n", x, masked_weights[cluster])
    median = np.array([np.median(score[cluster == c]) for c in range(count)])
    y = (score > median[cluster]).astype(np.int64)
    net = initialise(perceptron(COLUMNS, 96, 2), seed)
    net = train_network(net, x[:train], y[:train], seed, epochs=15, batch=128)
    test, true_class, test_cluster = x[train:], y[train:], cluster[train:]
    redrawn = np.where(masks[test_cluster], test, centres[test_cluster] + generator.standard_normal(test.shape))
    correct = predict_classes(net, redrawn) == true_class
    label = true_class[:rows]
    return BenchmarkCase(
        name="Gaussian clusters",
        case=case(torch_model(net, name="clusters"), to_tensor(test[:rows]), label=label, seed=seed),
        truth=masked_weights[test_cluster[:rows]] * np.where(label == 1, 1.0, -1.0)[:, None],
        mask=masks[test_cluster[:rows]],
        agreement="rank of size",
        chance=0.0,
        competence=Competence.of_successes(
            "accuracy after the masked columns are redrawn",
            correct,
            0.8,
            {"accuracy": float(np.mean(predict_classes(net, test) == true_class))},
        ),
        start=np.zeros(COLUMNS),
        background=x[:32],
        training_rows=x[:500],
        meaning="masked weights of the row's cluster, for the row's class",
        should="rank the columns by the absolute weight in the row's own cluster",
        sources=("openxai2022",),
    )
