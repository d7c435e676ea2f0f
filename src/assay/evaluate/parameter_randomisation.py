# SPDX-License-Identifier: Apache-2.0
"""The model parameter randomisation test."""

from assay.cases.case import Case
from assay.engine.cost import explained_again
from assay.engine.declare import scorer
from assay.engine.retraining.randomised_weights import compared, staged, weights_lost
from assay.engine.retraining.randomised_weights import stages as stages_of
from assay.nouns.results.result import Estimate, Explanation


@scorer(
    source="adebayo2018",
    better="lower",
    needs={"net"},
    cost=explained_again(staged),
)
def parameter_randomisation(
    explanation: Explanation, case: Case, *, absolute: bool = True, cascade: bool = False, stages: int = 0
) -> Estimate:
    """How alike the explanation stays, in rank, when the net's weights are drawn afresh.

    Spearman correlation over parts, −1 … 1, between the explanation and the same one of a net whose every parameter
    (attention projections and class tokens too) has been drawn anew, for the same label; near 0 it depends on what was
    learned, near 1 it shows the input more than the model. Of magnitudes |φ| if ``absolute``, else of signed values;
    extra["absolute"] and extra["signed"] tell both. ``cascade`` draws one place after another, from the output side,
    and takes the mean over the stages that have a value (extra["places"] counts them; the intact net is none of them);
    extra["<place>"] tells each, by the last place drawn. With ``stages`` above 0 the cascade has so many, about equally
    many places joining at each. Parts a row lacks do not count. Undefined where either explanation is constant.

    One random net serves all rows, so an interval over rows does not speak for other random nets. A low value does not
    make an explanation faithful: random values get 0. Quantus differs: it skips parameters of modules without a reset,
    draws equally shaped layers alike, and averages in the intact net's correlation of 1.
    """
    which = stages_of(case, cascade, stages)
    after = [weights_lost(explanation, case, stage) for stage in which]
    return compared(explanation.values, after, case, which, absolute=absolute, cascade=cascade)
