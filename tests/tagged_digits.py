"""Digits, a share of whose eights have a tag, and nets trained on them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import assay
from assay.basics.seed import Seed
from assay.cases.case import Case
from assay.planted.networks import initialise, perceptron, predict_classes, to_tensor, train_network
from assay.planted.watermark import TAG, load_digits, stamp_images

CLASS, TRAIN = 8, 1000


@cache
def tagged(seed: int, share: float, epochs: int = 15) -> tuple[Any, Any, Any, Any]:
    """A net, all rows (the first 1000 were trained on), their classes, and which rows have the tag."""
    x, y = load_digits()
    root = Seed(seed)
    generator = root.child("tags").generator()
    order = generator.permutation(len(x))
    x, y = x[order], y[order]
    has_tag = (y == CLASS) & (generator.random(len(x)) < share)
    rows = stamp_images(x, has_tag, TAG)
    net = initialise(perceptron(64, 64, 10), root)
    return train_network(net, rows[:TRAIN], y[:TRAIN], root, epochs=epochs, batch=32, rate=3e-3), rows, y, has_tag


def tagged_case(seed: int, share: float, epochs: int = 15) -> Case:
    """The net at all rows."""
    net, rows, _, _ = tagged(seed, share, epochs)
    return assay.case(assay.wrap(net), to_tensor(rows), label=None, seed=seed)


def f1(found: Any, net: Any, rows: Any, has_tag: Any) -> float:
    """How well the rows of a finding are the rows with the tag that the net assigns to the class."""
    inside = np.isin(np.arange(len(rows)), [int(one) for one in found.rows])
    wanted = has_tag & (predict_classes(net, rows) == CLASS)
    return float(2 * (inside & wanted).sum() / max(1, inside.sum() + wanted.sum()))


def tag_image(value: float = 1.0) -> np.ndarray:
    """The tag as an image with its α last (2, 8, 8)."""
    return np.stack([np.full((8, 8), value), TAG.astype(float)])
