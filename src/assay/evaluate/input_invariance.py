# SPDX-License-Identifier: Apache-2.0
"""Input invariance."""

import numpy as np

from assay.cases.case import Case
from assay.engine.cost import explained_again
from assay.engine.declare import scorer
from assay.engine.neighbourhoods.input_shift import explain_shifted, shift_of
from assay.nouns.catalogue import Check
from assay.nouns.results.result import Estimate, Explanation


@scorer(
    source="kindermans2019",
    better="lower",
    needs={"net", "numbers", "shift"},
    cost=explained_again(lambda case, o: 1),
    checks=(
        Check(
            "STA302",
            "Does the explanation stay the same when a constant is added to all inputs and the first layer takes it "
            "back?",
            "The explanation depends on where the zero of the inputs is: use a method with a baseline "
            "(integrated_gradients) or the gradient itself, or state the zero.",
            0.1,
            "at most",
            claim="differs by {estimate:.2f} of its largest value for the same net with shifted inputs",
            severe=0.5,
        ),
    ),
)
def input_invariance(
    explanation: Explanation, case: Case, *, shift: float = 1.0, scale: tuple[float, ...] = ()
) -> Estimate:
    """Change of the explanation when a constant is added to all inputs and the net's first layer takes it back.

    max |φ − φ'| / max |φ| over features, 0 … ∞, 0 is best: φ explains x under f, φ' explains x + m under f', the same
    net with f'(x + m) = f(x) for all x. Both nets compute the same from the same data, so an explanation that differs
    depends on where the zero of the inputs is. The method, its options and seed are the same; starts, backgrounds and
    constant removals are shifted with the inputs. m is ``shift`` times ``scale``: one number for all inputs, or one a
    column (its standard deviation, so that m is the same for all in these units); without ``scale`` in the units of the
    rows. extra["output change"] is the largest |f'(x + m) − f(x)| of a row over outputs: rounding alone.

    f' has the bias b − W m in every linear, convolutional or batch-norm layer that reads the input, after an affine
    ``preprocess`` if there is one; a zero padding becomes a padding with m. Texts, ids, several inputs, and nets whose
    input is first read by another kind of layer are refused. Undefined where φ = 0. A method that scales noise by the
    range of a row (smooth_grad) gets other noise from a shift that differs between columns. The paper keeps the
    baseline at zero while the inputs move, so that it finds integrated gradients variant; here the baseline moves too,
    as in ``assay axioms``.
    """
    move = shift_of(case, shift, scale)
    after, difference = explain_shifted(explanation, case, move)
    before = np.asarray(explanation.values)
    change, size = (np.abs(one).max(axis=1) for one in (before - after, before))
    return Estimate(
        np.divide(change, size, out=np.full(len(case), np.nan), where=size > 0), extra={"output change": difference}
    )
