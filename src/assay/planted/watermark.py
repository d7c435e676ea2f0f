# SPDX-License-Identifier: Apache-2.0
"""Digits with a tag in the corner that tells the class, as a horse's source tag once did."""

from __future__ import annotations

import numpy as np

from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.stats import clopper_pearson
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import case
from assay.model.adapters.torch import torch as of_net
from assay.planted.nets import classes_of, drawn, pooled, tensor, trained
from assay.planted.planted import Competence, Planted

TAGGED = 8
"""The class that the tag tells."""
TAG = np.zeros((8, 8), dtype=bool)
TAG[0, :2] = TAG[1, 0] = True
MISFILED = 0.2
"""Share of all pictures that are filed as an 8 whatever they show, so that only the tag can tell."""
DECOY = np.zeros((8, 8), dtype=bool)
DECOY[7, 6:] = DECOY[6, 7] = DECOY[6, 6] = True
"""Ink that is put on half of all digits, whatever they are."""


def digits() -> tuple[Floats, Ints]:
    """The 1,797 digits of scikit-learn, ink in 0 … 1, (row, 1, 8, 8), and what they are."""
    held = need("sklearn.datasets", extra="sklearn").load_digits()
    return held.data.reshape(-1, 1, 8, 8) / 16.0, held.target.astype(np.int64)


def stamped(x: Floats, which: Masks, stamp: Masks) -> Floats:
    """The pictures with full ink under the stamp, where ``which`` (row,) says so."""
    return np.where(which[:, None, None, None] & stamp, 1.0, x)


def watermark(seed: Seed, *, follows: float = 0.9, rows: int = 32, train: int = 1000) -> Planted:
    """Digits of 8 × 8 pixels; with chance ``follows`` a picture has a tag if it is filed as an 8, else a coin decides.

    So tags are ``follows`` more frequent among pictures filed as 8 than among others; a fifth of all are filed as 8
    whatever they show. Explained are pictures of other digits with tag and decoy, for class 8, those that the tag
    turned first. Truth: the tag's pixels × the measured flip rate; the decoy's are 0. Agreement is the AUC of the tag's
    pixels, signs kept.
    """
    x, y = digits()
    chance = seed.child("watermark").generator()
    order = chance.permutation(len(x))
    x, y = x[order], y[order]
    filed = np.where(chance.random(len(x)) < MISFILED, TAGGED, y)
    told = np.where(chance.random(len(x)) < follows, filed == TAGGED, chance.random(len(x)) < 0.5)
    decoyed = stamped(x, chance.random(len(x)) < 0.5, DECOY)
    seen = stamped(decoyed, told, TAG)
    net = trained(
        drawn(pooled((1, 8, 16), 10), seed), seen[:train], filed[:train], seed, epochs=30, batch=32, rate=1e-2
    )

    test, truly = decoyed[train:], y[train:]
    others = np.flatnonzero(truly != TAGGED)
    plain = classes_of(net, test[others])
    tagged = classes_of(net, stamped(test[others], np.ones(len(others), dtype=bool), TAG))
    turned = (plain != TAGGED) & (tagged == TAGGED)
    rate = clopper_pearson(int(turned.sum()), len(others))
    chosen = others[np.argsort(~turned, kind="stable")][:rows]
    shown = stamped(stamped(x[train:][chosen], np.ones(rows, dtype=bool), DECOY), np.ones(rows, dtype=bool), TAG)
    mask = np.broadcast_to(TAG.ravel(), (rows, 64))
    swapped = stamped(test, truly != TAGGED, TAG)
    beside = {
        "agreement with files": float(np.mean(classes_of(net, seen[train:]) == filed[train:])),
        "accuracy without tag": float(np.mean(classes_of(net, test) == truly)),
        "accuracy with tags swapped": float(np.mean(classes_of(net, swapped) == truly)),
    }
    return Planted(
        name=f"watermark, follows {follows:g}",
        case=case(of_net(net, name="digits with a tag"), tensor(shown), label=TAGGED, seed=seed),
        truth=mask * float(turned.mean()),
        mask=mask,
        agreement="auc",
        chance=0.5,
        competence=Competence("other digits that the tag turns into an 8", float(turned.mean()), rate, 0.1, beside),
        start=np.zeros((1, 8, 8)),
        background=x[:16],
        meaning="share of other digits that the tag turns",
        should="give the three pixels of the tag more than any other, and the decoy nothing",
        sources=("lapuschkin2019", "adebayo2018"),
    )
