# SPDX-License-Identifier: Apache-2.0
"""The model parameter randomisation test."""

from dataclasses import replace

import numpy as np

from assay.cases.case import Case
from assay.engine.declare import remake, scorer
from assay.engine.price import explained_again
from assay.model.scramble import layers, scrambled
from assay.nouns.result import Estimate, Explanation
from assay.words.stats import spearman
from assay.words.types import Floats, Masks, PerRow


@scorer(
    source="adebayo2018",
    better="lower",
    needs={"net"},
    price=explained_again(lambda case, o: len(layers(case.model)) if o.cascade else 1),
)
def parameter_randomisation(
    explanation: Explanation, case: Case, *, absolute: bool = True, cascade: bool = False
) -> Estimate:
    """How alike the explanation stays, in rank, when the net's weights are drawn afresh.

    Spearman correlation over parts, −1 … 1, between the explanation and the same one of a net whose every parameter
    (attention projections and class tokens too) has been drawn anew, for the same label; near 0 it depends on what was
    learned, near 1 it shows the input more than the model. Of magnitudes |φ| if ``absolute``, else of signed values;
    extra["absolute"] and extra["signed"] tell both. ``cascade`` draws one place after another, from the output side,
    and takes the mean over the stages that have a value (extra["places"] counts them; the intact net is none of them);
    extra["<place>"] tells each. Parts a row lacks do not count. Undefined where either explanation is constant.

    One random net serves all rows, so an interval over rows does not speak for other random nets. A low value does not
    make an explanation faithful: random values get 0. Quantus differs: it skips parameters of modules without a reset,
    draws equally shaped layers alike, and averages in the intact net's correlation of 1.
    """
    places = layers(case.model)
    stages = [places[: k + 1] for k in range(len(places))] if cascade else [places]
    held = np.broadcast_to(explanation.features.sizes > 0, explanation.values.shape)
    signed, magnitude = [], []
    for stage in stages:
        model = scrambled(case.model, case.seed.child("scramble"), places=stage)
        after = remake(explanation, replace(case, model=model, seed=explanation.made.seed)).values
        signed.append(_alike(explanation.values, after, held))
        magnitude.append(_alike(np.abs(explanation.values), np.abs(after), held))
    chosen = np.stack(magnitude if absolute else signed)
    extra = {"signed": _mean(np.stack(signed)), "absolute": _mean(np.stack(magnitude))}
    if cascade:
        extra["places"] = np.isfinite(chosen).sum(axis=0).astype(np.float64)
        extra |= {stage[-1] or "the net itself": value for stage, value in zip(stages, chosen)}
    return Estimate(_mean(chosen), extra=extra)


def _alike(one: Floats, two: Floats, held: Masks) -> PerRow:
    """Rank correlation (row,) over the parts each row has."""
    return np.array([spearman(a[own][None], b[own][None])[0] for a, b, own in zip(one, two, held)], dtype=np.float64)


def _mean(correlation: Floats) -> PerRow:
    """Mean (row,) over the defined stages (stage, row); NaN where none is."""
    known = np.isfinite(correlation)
    total = np.where(known, correlation, 0.0).sum(axis=0)
    return np.divide(total, known.sum(axis=0), out=np.full(total.shape, np.nan), where=known.any(axis=0))
