# SPDX-License-Identifier: Apache-2.0
"""Efficient model parameter randomisation test (eMPRT)."""

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats, PerRow
from assay.cases.case import Case
from assay.engine.coalitions.masks import present_parts
from assay.engine.cost import explained_again
from assay.engine.declare import scorer
from assay.engine.retraining.randomised_weights import explain_randomised, randomisation_stages
from assay.nouns.results.result import Estimate, Explanation, Note


@scorer(source="hedstrom2024", better="higher", needs={"net"}, cost=explained_again(lambda case, o: 1))
def efficient_parameter_randomisation(
    explanation: Explanation, case: Case, *, bins: int = 100, least: float = 0.1
) -> Estimate:
    """Relative rise in the complexity of the explanation after the weights of the net are randomised.

    (H(φ̂) − H(φ)) / H(φ), −1 … ∞, high is best. φ̂ is the explanation of a net with all parameters randomised. H is the
    entropy of a histogram of a row's values, with ``bins`` of equal width from the row's smallest value to its largest;
    extra["before"] and extra["after"] are both entropies in nats. Undefined, with a note, where H(φ) is below ``least``
    nats: a small divisor makes the quotient arbitrary. Features that a row lacks are excluded. With few features H is
    coarse, and randomisation cannot raise an entropy that is already at its maximum, ln n. Needs no further model
    evaluations after ``parameter_randomisation``.

    The score is discontinuous: it jumps where a value crosses the edge of a bin. Quantus divides by H(φ) however small.
    """
    if bins < 2 or not least > 0:
        raise InputError(f"bins={bins}, least={least}; at least 2 bins and an entropy above 0 are needed.")
    (all_layers,) = randomisation_stages(case, cascade=False)
    after = _complexity(explain_randomised(explanation, case, all_layers), case, bins)
    before = _complexity(explanation.values, case, bins)
    known = before >= least
    rise = np.divide(after - before, before, out=np.full(before.shape, np.nan), where=known)
    return Estimate(rise, notes=_note_undefined(case, ~known, least), extra={"before": before, "after": after})


def _complexity(values: Floats, case: Case, bins: int) -> PerRow:
    """Entropy (row,) in nats of the histogram of each row's values."""
    return np.array([_histogram_entropy(row[available], bins) for row, available in zip(values, present_parts(case))])


def _histogram_entropy(values: Floats, bins: int) -> float:
    width = float(np.ptp(values))
    if width == 0:
        return 0.0
    bin_of = np.minimum(np.floor((values - values.min()) / width * bins), bins - 1).astype(np.int64)
    share = np.bincount(bin_of) / len(values)
    return float(-(share[share > 0] * np.log(share[share > 0])).sum())


def _note_undefined(case: Case, rows: np.ndarray, least: float) -> tuple[Note, ...]:
    if not rows.any():
        return ()
    ids = tuple(case.rows.ids[i] for i in np.flatnonzero(rows))
    text = f"histogram entropy of the explanation is below {least:g} nats in {len(ids)} rows: score undefined"
    return (Note("small entropy", text, ids),)
