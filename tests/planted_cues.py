"""Data with a cue that tells the class in training and nothing afterwards: decoy digits and Iris-Cancer (Ross 2017)."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_iris


def decoys(x: Any, shade: Any, generator: Any) -> tuple[Any, Any]:
    """Digits with a 2 × 2 swatch of this shade (row,) in a random corner, and its mask."""
    x, mask = x.copy(), np.zeros(x.shape, dtype=bool)
    for row in range(len(x)):
        down, across = 6 * generator.integers(2), 6 * generator.integers(2)
        place = row, 0, slice(down, down + 2), slice(across, across + 2)
        x[place], mask[place] = shade[row] / 9, True
    return x, mask


def iris_cancer(seed: int) -> tuple[Any, Any]:
    """Two kinds of iris joined to 50 of each kind of tumour: 34 columns, the first four from the flowers."""
    flowers, tumours = load_iris(), load_breast_cancer()
    parts = [
        np.hstack([flowers.data[flowers.target == kind], tumours.data[tumours.target == label][:50]])
        for label, kind in ((0, 1), (1, 2))
    ]
    order = np.random.default_rng(seed).permutation(100)
    return np.concatenate(parts)[order], np.repeat([0, 1], 50)[order]
