# SPDX-License-Identifier: Apache-2.0
"""Points around a row with Gaussian noise, and how often each class is predicted there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.seed import Seed
from assay.basics.types import Array, Ints
from assay.cases.case import Case


def count_noisy_classes(case: Case, sigma: float, draws: int, seed: Seed) -> Ints:
    """Predictions (row, class) at ``draws`` points around each row, noise of standard deviation ``sigma``.

    The noise of a row depends on its id.
    """
    counts = []
    for row in range(len(case)):
        found = [case.predicted(x, np.full(len(x), row)) for x in noisy_points(case, row, sigma, draws, seed)]
        counts.append(np.bincount(np.concatenate(found), minlength=_classes(case)))
    return np.stack(counts).astype(np.int64)


def noisy_points(case: Case, row: int, sigma: float, draws: int, seed: Seed) -> Iterator[Array]:
    """A row with independent noise, (draw, *shape), as many at a time as fit into one batch."""
    generator = seed.child(case.rows.ids[row]).generator()
    x, size = case.rows.x[[row]], max(1, case.max_batch_rows())
    for start in range(0, draws, size):
        noise = sigma * generator.standard_normal((min(size, draws - start), *case.rows.shape))
        if is_torch_array(x):
            noise = array_namespace(x).asarray(noise, dtype=x.dtype, device=x.device)
        yield x + noise


def _classes(case: Case) -> int:
    return max(2, case.prediction.shape[1])
