# SPDX-License-Identifier: Apache-2.0
"""Digits with a watermark that predicts the class: a shortcut such as the source tag on horse photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from assay.basics.errors import InputError
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.types import Floats, Ints, Masks
from assay.cases.new_case import case
from assay.model.adapters.torch import torch as torch_model
from assay.planted.benchmark_case import BenchmarkCase, Competence
from assay.planted.fooled_gradients import (
    FooledNet,
    fairwash,
    fairwash_off_plane,
    fool_location,
    fool_top_k,
    swap_classes,
)
from assay.planted.networks import (
    convolutional_network,
    initialise,
    perceptron,
    predict_classes,
    to_tensor,
    train_network,
)

if TYPE_CHECKING:
    import torch as pt

Fooling = Literal["", "location", "top-k", "swap", "fairwash", "off-plane"]
"""How the gradients of the net are made to mislead; empty where they are not."""

TAGGED_CLASS = 8
"""The class that the tag predicts."""
TAG = np.zeros((8, 8), dtype=bool)
TAG[0, :2] = TAG[1, 0] = True
MISLABELLED = 0.2
"""Share of images that are labelled 8 whatever they show, so that only the tag predicts the label."""
DECOY = np.zeros((8, 8), dtype=bool)
DECOY[7, 6:] = DECOY[6, 7] = DECOY[6, 6] = True
"""Pixels that are set on a random half of the images, independently of the class."""
AWAY = np.zeros((1, 8, 8), dtype=bool)
AWAY[0, 3:6, 0] = True
"""Pixels of the left edge, almost always 0, to which the gradients of a fooled net are moved."""
FOOLING_EPOCHS = 12
SOURCES_OF_FOOLING = {
    "location": "heo2019",
    "top-k": "heo2019",
    "swap": "heo2019",
    "fairwash": "anders2020",
    "off-plane": "anders2020",
}


def load_digits() -> tuple[Floats, Ints]:
    """Load the 1,797 digits of scikit-learn, intensities in 0 … 1, (row, 1, 8, 8), and their classes."""
    data = need("sklearn.datasets", extra="sklearn").load_digits()
    return data.data.reshape(-1, 1, 8, 8) / 16.0, data.target.astype(np.int64)


def stamp_images(x: Floats, which: Masks, stamp: Masks) -> Floats:
    """Set the pixels of the stamp to 1 in the images where ``which`` (row,) is true."""
    return np.where(which[:, None, None, None] & stamp, 1.0, x)


def watermark(
    seed: Seed,
    *,
    follows: float = 0.9,
    rows: int = 32,
    train: int = 1000,
    is_dense: bool = False,
    fooled: Fooling = "",
) -> BenchmarkCase:
    """Digits of 8 × 8 pixels; with probability ``follows`` an image has a tag if it is labelled 8, else at random.

    The tag's frequency is thus higher by ``follows`` among images labelled 8 than among others; a fifth of all images
    are labelled 8 whatever they show. Explained are images of other digits with tag and decoy, for class 8, those whose
    prediction the tag changes first. Truth: the share of predictions that the tag changes, on its pixels; 0 elsewhere,
    including the decoy. Agreement is the AUC of the tag's pixels, with signs.

    The net is convolutional. With ``is_dense`` it is a perceptron, and agreement is the share of the three largest
    sizes that lie on the tag. With ``fooled`` it is made to mislead by its gradients afterwards, at almost the same
    predictions: they move to three pixels of the left edge ("location", "fairwash", "off-plane"), away from where they
    were largest ("top-k"), or to where those of class 3 were ("swap").
    """
    x, y, labels, with_decoy, images = _draw_images(seed, follows)
    clean = initialise(perceptron(64, 64, 10) if is_dense else convolutional_network((1, 8, 16), 10), seed)
    clean = train_network(clean, images[:train], labels[:train], seed, epochs=30, batch=32, rate=1e-2)
    made = fool(clean, images[:train], labels[:train], fooled, seed) if fooled else None
    net = clean if made is None else made.net

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
    if made is not None:
        other_measures["agreement with the clean net"] = made.fidelity(images[train:], labels[train:]).agreement
    return BenchmarkCase(
        name=f"watermark, follows {follows:g}" + (f", fooled: {fooled}" if fooled else ""),
        case=case(torch_model(net, name="digits with a tag"), to_tensor(explained), label=TAGGED_CLASS, seed=seed),
        truth=mask * float(changed.mean()),
        mask=mask,
        agreement="precision" if is_dense else "auc",
        chance=TAG.sum() / TAG.size if is_dense else 0.5,
        competence=Competence.of_successes(
            "share of other digits that the tag changes to an 8", changed, 0.1, other_measures
        ),
        start=np.zeros((1, 8, 8)),
        background=x[:16],
        meaning="share of other digits whose prediction the tag changes",
        should="give the three pixels of the tag larger values than any other, and the decoy 0",
        sources=("lapuschkin2019", "adebayo2018", *([SOURCES_OF_FOOLING[fooled]] if fooled else [])),
    )


def fool(net: pt.nn.Module, x: Floats, y: Ints, how: Fooling, seed: Seed) -> FooledNet:
    """The net with gradients that mislead in the way that ``how`` names (see ``watermark``)."""
    if how == "location":
        return fool_location(net, x, y, AWAY, seed, epochs=FOOLING_EPOCHS)
    if how == "top-k":
        return fool_top_k(net, x, y, 6, seed, epochs=FOOLING_EPOCHS)
    if how == "swap":
        return swap_classes(net, x, y, (TAGGED_CLASS, 3), seed, epochs=FOOLING_EPOCHS)
    if how == "fairwash":
        return fairwash(net, x, AWAY.astype(np.float64), seed, weight=5.0, epochs=FOOLING_EPOCHS)
    if how == "off-plane":
        return fairwash_off_plane(net, x, AWAY.astype(np.float64))
    raise InputError(f"fooled={how!r}; one of {', '.join(map(repr, get_args(Fooling)))}.")


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
