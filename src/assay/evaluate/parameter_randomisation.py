# SPDX-License-Identifier: Apache-2.0
"""Model parameter randomisation test (MPRT)."""

from assay.cases.case import Case
from assay.engine.cost import explained_again
from assay.engine.declare import scorer
from assay.engine.retraining.randomised_weights import compare_stages, count_stages, explain_randomised
from assay.engine.retraining.randomised_weights import randomisation_stages as stages_of
from assay.nouns.catalogue import Check
from assay.nouns.results.result import Estimate, Explanation


@scorer(
    source="adebayo2018",
    better="lower",
    needs={"net"},
    cost=explained_again(count_stages),
    checks=(
        Check(
            "SAN102",
            "Does the explanation, signs included, change when the weights are randomised?",
            "The explanation depends on the input more than on the model: use a method that depends on the weights.",
            0.3,
            "at most",
            claim="rank correlation {estimate:.2f} after weight randomisation",
            reads="signed",
            bounds=(-1.0, 1.0),
            kind="sane",
            severe=0.8,
        ),
        Check(
            "SAN104",
            "Do the magnitudes of the explanation change when the weights are randomised?",
            "Interpret the signs too: the magnitudes depend more on the input than on the model.",
            0.3,
            "at most",
            claim="rank correlation {estimate:.2f} of the magnitudes after weight randomisation",
            reads="absolute",
            bounds=(-1.0, 1.0),
            severe=0.8,
        ),
    ),
)
def parameter_randomisation(
    explanation: Explanation, case: Case, *, absolute: bool = True, cascade: bool = False, stages: int = 0
) -> Estimate:
    """Rank correlation of the explanation with that of the net after weight randomisation.

    Spearman correlation over features, −1 … 1, with the same explanation, for the same label, of a net with all
    parameters randomised (attention projections and class tokens included). Near 0 the explanation depends on what was
    learned; near 1 it reflects the input more than the model. Of magnitudes |φ| if ``absolute``, else of signed values;
    extra["absolute"] and extra["signed"] have both. ``cascade`` randomises cumulatively, layer by layer from the output
    side, and takes the mean over the stages with a defined value. extra["stages"] counts them (the original net is not
    a stage), and extra["<layer>"] has the value of each stage, by the last layer randomised. ``stages`` above 0 sets
    their number; each stage adds about equally many layers. Features that a row lacks are excluded. Undefined where
    either explanation is constant.

    All rows share one randomised net, so an interval over rows does not cover other randomised nets. A low value does
    not make an explanation faithful: random values have 0. Quantus differs: it skips parameters of modules without a
    reset, gives layers of equal shape equal weights, and includes the original net's correlation of 1 in the mean.
    """
    which = stages_of(case, cascade, stages)
    after = [explain_randomised(explanation, case, stage) for stage in which]
    return compare_stages(explanation.values, after, case, which, absolute=absolute, cascade=cascade)
