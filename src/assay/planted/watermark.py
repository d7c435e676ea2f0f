# SPDX-License-Identifier: Apache-2.0
"""Digits with a watermark that predicts the class: a shortcut such as the source tag on horse photographs."""

from __future__ import annotations

import numpy as np

from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.cases.new_case import case
from assay.model.adapters.torch import torch as torch_model
from assay.planted.benchmark_case import BenchmarkCase, Competence
from assay.planted.networks import convolutional_network, initialise, predict_classes, to_tensor, train_network

TAGGED_CLASS = 8
"""The class that the tag predicts."""
TAG = np.zeros((8, 8), dtype=bool)
TAG[0, :2] = TAG[1, 0] = True
MISLABELLED = 0.2
"""Share of images that are labelled 8 whatever they show, so that only the tag predicts the label."""
DECOY = np.zeros((8, 8), dtype=bool)
DECOY[7, 6:] = DECOY[6, 7] = DECOY[6, 6] = True
"""Pixels that are set on a random half of the images, independently of the class."""


def load_digits() -> tuple[Floats, Ints]:
    """Load the 1,797 digits of scikit-learn, intensities in 0 … 1, (row, 1, 8, 8), and their classes."""
    data = need("sklearn.datasets", extra="sklearn").load_digits()
    return data.data.reshape(-1, 1, 8, 8) / 16.0, data.target.astype(np.int64)


def stamp_images(x: Floats, which: Masks, stamp: Masks) -> Floats:
    """Set the pixels of the stamp to 1 in the images where ``which`` (row,) is true."""
    return np.where(which[:, None, None, None] & stamp, 1.0, x)


def watermark(seed: Seed, *, follows: float = 0.9, rows: int = 32, train: int = 1000) -> BenchmarkCase:
    """Digits of 8 × 8 pixels; with probability ``follows`` an image has a tag if it is labelled 8, else at random.

    The tag's frequency is thus higher by ``follows`` among images labelled 8 than among others; a fifth of all images
    are labelled 8 whatever they show. Explained are images of other digits with tag and decoy, for class 8, those whose
    prediction the tag changes first. Truth: the share of predictions that the tag changes, on its pixels; 0 elsewhere,
    including the decoy. Agreement is the AUC of the tag's pixels, with signs.
    """
    x, y, labels, with_decoy, images = _draw_images(seed, follows)
    net = initialise(convolutional_network((1, 8, 16), 10), seed)
    net = train_network(net, images[:train], labels[:train], seed, epochs=30, batch=32, rate=1e-2)

    test, true_class = with_decoy[train:], y[train:]
    others = np.flatnonzero(true_class != TAGGED_CLASS)
    predicted = predict_classes(net, test[others])
    predicted_with_tag = predict_classes(net, stamp_images(test[others], np.ones(len(others), dtype=bool), TAG))
    changed = (predicted != TAGGED_CLASS) & (predicted_with_tag == TAGGED_CLASS)
    chosen = others[np.argsort(~changed, kind="stable")][:rows]
    every = np.ones(rows, dtype=bool)
    explained = stamp_images(stamp_images(x[train:][chosen], every, DECOY), every, TAG)
    mask = np.broadcast_to(TAG.ravel(), (rows, 64))
    swapped = stamp_images(test, true_class != TAGGED_CLASS, TAG)
    other_measures = {
        "agreement with the labels": float(np.mean(predict_classes(net, images[train:]) == labels[train:])),
        "accuracy without tag": float(np.mean(predict_classes(net, test) == true_class)),
        "accuracy with tags swapped": float(np.mean(predict_classes(net, swapped) == true_class)),
    }
    return BenchmarkCase(
        name=f"watermark, follows {follows:g}",
        case=case(torch_model(net, name="digits with a tag"), to_tensor(explained), label=TAGGED_CLASS, seed=seed),
        truth=mask * float(changed.mean()),
        mask=mask,
        agreement="auc",
        chance=0.5,
        competence=Competence.of_successes(
            "share of other digits that the tag changes to an 8",
            changed,
            0.1,
            other_measures,
        ),
        start=np.zeros((1, 8, 8)),
        background=x[:16],
        meaning="share of other digits whose prediction the tag changes",
        should="give the three pixels of the tag larger values than any other, and the decoy 0",
        sources=("lapuschkin2019", "adebayo2018"),
    )


def _draw_images(seed: Seed, follows: float) -> tuple[Floats, Ints, Ints, Floats, Floats]:
    """All digits in random order: images, true classes, labels, images with decoys, images with decoys and tags."""
    x, y = load_digits()
    generator = seed.child("watermark").generator()
    order = generator.permutation(len(x))
    x, y = x[order], y[order]
    labels = np.where(generator.random(len(x)) < MISLABELLED, TAGGED_CLASS, y)
    has_tag = np.where(generator.random(len(x)) < follows, labels == TAGGED_CLASS, generator.random(len(x)) < 0.5)
    with_decoy = stamp_images(x, generator.random(len(x)) < 0.5, DECOY)
    return x, y, labels, with_decoy, stamp_images(with_decoy, has_tag, TAG)
