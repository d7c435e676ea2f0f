# SPDX-License-Identifier: Apache-2.0
"""Labels that out-of-fold probabilities contradict with confidence, and the order in which to look at them."""

from __future__ import annotations

from typing import Literal

import numpy as np

from assay.basics.optional import need
from assay.basics.types import Floats, Ints, Masks
from assay.engine.data_quality.wrong_label_share import WrongLabelShare

Filter = Literal[
    "confident_learning",
    "mixture",
    "prune_by_noise_rate",
    "prune_by_class",
    "both",
    "predicted_neq_given",
    "low_normalized_margin",
]
"""Rules that flag labels: the first two are this package's, the others cleanlab's."""


def normalised_margin(probabilities: Floats, labels: Ints) -> Floats:
    """(p of the given label − the largest p of another + 1) / 2, (row,): 0 for a label that is surely wrong."""
    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -np.inf
    return np.asarray((probabilities[rows, labels] - others.max(axis=1) + 1) / 2)


def confident_classes(probabilities: Floats, labels: Ints) -> Ints:
    """The class (row,) that a row confidently belongs to, −1 for none (Northcutt, Jiang and Chuang 2021).

    The threshold of a class is the mean of its probability over the rows labelled with it; of several classes above
    theirs the most probable counts.
    """
    classes = probabilities.shape[1]
    present = np.bincount(labels, minlength=classes) > 0
    thresholds = np.array([probabilities[labels == one, one].mean() if present[one] else 2.0 for one in range(classes)])
    above = probabilities >= thresholds - 1e-6
    count = above.sum(axis=1)
    return np.where(count == 0, -1, np.where(count > 1, probabilities.argmax(axis=1), above.argmax(axis=1)))


def flagged_labels(probabilities: Floats, labels: Ints, rule: Filter) -> Masks:
    """Which labels (row,) a rule calls wrong; ``mixture``: those more likely wrong than right (``WrongLabelShare``)."""
    if rule == "mixture":
        return np.asarray(WrongLabelShare.fit(probabilities, labels).probability_wrong > 0.5)
    if rule == "confident_learning":
        confident = confident_classes(probabilities, labels)
        return np.asarray((confident >= 0) & (confident != labels))
    cleanlab = need("cleanlab.filter", extra="labels")
    found = cleanlab.find_label_issues(labels, probabilities, filter_by=rule, n_jobs=1)
    return np.asarray(found, dtype=bool)


def clearest_first(probabilities: Floats, labels: Ints, flagged: Masks) -> Ints:
    """Positions of the flagged rows, by their normalised margin."""
    places = np.flatnonzero(flagged)
    return np.asarray(places[np.argsort(normalised_margin(probabilities, labels)[places], kind="stable")])
