# SPDX-License-Identifier: Apache-2.0
"""Gaussian clusters, each with columns of its own that tell the class (after OpenXAI's synthetic data)."""

from __future__ import annotations

import numpy as np

from assay.basics.seed import Seed
from assay.basics.stats import clopper_pearson
from assay.cases.case import case
from assay.model.adapters.torch import torch as of_net
from assay.planted.nets import classes_of, drawn, perceptron, tensor, trained
from assay.planted.planted import Competence, Planted

COLUMNS = 20
APART = 5.0
"""Distance of a cluster's centre from the origin."""


def clusters(seed: Seed, *, count: int = 6, rows: int = 64, train: int = 12000) -> Planted:
    """Twenty columns in clusters; in cluster c the class is the side of its median on which x · (m_c ∘ w_c) lies.

    Weights w_c are uniform in −1 … 1, masks m_c are fair coins. Truth: the masked weights of a row's cluster; agreement
    is Spearman's correlation of sizes over columns. The model is competent if it is still right when every column that
    a row's cluster masks is drawn anew from the cluster.
    """
    chance = seed.child("clusters").generator()
    centres = chance.standard_normal((count, COLUMNS))
    centres *= APART / np.linalg.norm(centres, axis=1, keepdims=True)
    weights = chance.uniform(-1, 1, (count, COLUMNS))
    masks = chance.random((count, COLUMNS)) < 0.5
    masked = weights * masks
    total = train + 1000
    of = np.arange(total) % count
    x = centres[of] + chance.standard_normal((total, COLUMNS))
    score = np.einsum("ni,ni->n", x, masked[of])
    middle = np.array([np.median(score[of == c]) for c in range(count)])
    y = (score > middle[of]).astype(np.int64)
    net = trained(drawn(perceptron(COLUMNS, 96, 2), seed), x[:train], y[:train], seed, epochs=15, batch=128)
    test, truly, where = x[train:], y[train:], of[train:]
    anew = np.where(masks[where], test, centres[where] + chance.standard_normal(test.shape))
    right = classes_of(net, anew) == truly
    label = truly[:rows]
    return Planted(
        name="Gaussian clusters",
        case=case(of_net(net, name="clusters"), tensor(test[:rows]), label=label, seed=seed),
        truth=masked[where[:rows]] * np.where(label == 1, 1.0, -1.0)[:, None],
        mask=masks[where[:rows]],
        agreement="rank of size",
        chance=0.0,
        competence=Competence(
            "accuracy when idle columns are drawn anew",
            float(right.mean()),
            clopper_pearson(int(right.sum()), len(right)),
            0.8,
            {"accuracy": float(np.mean(classes_of(net, test) == truly))},
        ),
        start=np.zeros(COLUMNS),
        background=x[:32],
        many=x[:500],
        meaning="masked weights of the row's cluster, for the row's class",
        should="order the columns by the size of their weight in the row's own cluster",
        sources=("openxai2022",),
    )
