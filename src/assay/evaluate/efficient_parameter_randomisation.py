# SPDX-License-Identifier: Apache-2.0
"""The efficient model parameter randomisation test."""

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, PerRow
from assay.cases.case import Case
from assay.engine.coalitions.masks import present
from assay.engine.cost import explained_again
from assay.engine.declare import scorer
from assay.engine.retraining.randomised_weights import stages, weights_lost
from assay.nouns.results.result import Estimate, Explanation, Note


@scorer(source="hedstrom2024", better="higher", needs={"net"}, cost=explained_again(lambda case, o: 1))
def efficient_parameter_randomisation(
    explanation: Explanation, case: Case, *, bins: int = 100, least: float = 0.1
) -> Estimate:
    """How much more complex the explanation becomes, in shares of itself, when the net's weights are drawn afresh.

    (H(φ̂) − H(φ)) / H(φ), −1 … ∞, high is best, where φ̂ is the explanation of a net whose every parameter has been
    drawn anew and H the entropy of a histogram of a row's values, ``bins`` of equal width from its own least to its
    own greatest; extra["before"] and extra["after"] tell both in nats. Undefined, with a note, where H(φ) is below
    ``least`` nats: a small divisor makes any quotient. Parts a row lacks do not count; with few parts H is coarse, and
    full randomisation cannot raise what is at its greatest, ln n. Free after ``parameter_randomisation``.

    A value jumps where one of φ crosses the edge of a bin. Quantus divides by it however small.
    """
    if bins < 2 or not least > 0:
        raise InputError(f"bins={bins}, least={least}; at least 2 bins and an entropy above 0 are needed.")
    (everywhere,) = stages(case, cascade=False)
    after = _complexity(weights_lost(explanation, case, everywhere), case, bins)
    before = _complexity(explanation.values, case, bins)
    known = before >= least
    rise = np.divide(after - before, before, out=np.full(before.shape, np.nan), where=known)
    return Estimate(rise, notes=_small(case, ~known, least), extra={"before": before, "after": after})


def _complexity(values: Floats, case: Case, bins: int) -> PerRow:
    """Entropy (row,) in nats of the histogram of each row's values."""
    return np.array([_histogram_entropy(row[held], bins) for row, held in zip(values, present(case))])


def _histogram_entropy(values: Floats, bins: int) -> float:
    width = float(np.ptp(values))
    if width == 0:
        return 0.0
    place = np.minimum(np.floor((values - values.min()) / width * bins), bins - 1).astype(np.int64)
    share = np.bincount(place) / len(values)
    return float(-(share[share > 0] * np.log(share[share > 0])).sum())


def _small(case: Case, rows: np.ndarray, least: float) -> tuple[Note, ...]:
    if not rows.any():
        return ()
    ids = tuple(case.rows.ids[i] for i in np.flatnonzero(rows))
    text = f"histogram entropy of the explanation below {least:g} nats in {len(ids)} rows: no quotient is formed"
    return (Note("small entropy", text, ids),)
