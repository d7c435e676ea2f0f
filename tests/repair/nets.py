# SPDX-License-Identifier: Apache-2.0
"""A small net of digits, and rows for repairs that fine-tune it."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn

import assay
from assay.engine.retraining.fine_tuning import fine_tune

BALL = assay.Ball("linf", 0.1, 0.0, 1.0)


@cache
def digits() -> tuple[Any, dict[str, Any], Any]:
    """A model of two hidden layers (93 % accurate), the rows that repairs train and are measured on, and its net."""
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))

    def loss(net: Any, x: Any, y: Any) -> Any:
        return nn.functional.cross_entropy(net(x), y)

    fine_tune(
        net, torch.tensor(x[:1000]), torch.tensor(y[:1000]), loss, epochs=20, batch=50, rate=0.01, seed=assay.Seed(0)
    )
    rows = {"train": (x[:500], y[:500]), "held_out": (x[1400:1500], y[1400:1500])}
    return assay.model.torch(net.eval(), gives="logits"), rows, net


def case(rows: int = 30) -> Any:
    """The digits after those that the net was trained on."""
    x = load_digits(return_X_y=True)[0][1400 : 1400 + rows]
    return assay.case(digits()[0], (x / 16).astype("float32"))
