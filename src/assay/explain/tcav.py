# SPDX-License-Identifier: Apache-2.0
"""Testing with concept activation vectors."""

from typing import Any, Literal

from assay.cases.case import Case
from assay.engine.concepts.tcav import RIDGE, TcavOptions, tcav_cost, tcav_estimate
from assay.engine.declare import explainer
from assay.nouns.results.result import Estimate


@explainer(source="kim2018", needs={"gradient", "net", "numbers", "shared parts", "concepts"}, cost=tcav_cost)
def tcav(
    case: Case,
    *,
    concepts: Any,
    random_rows: Any,
    controls: Any = (),
    layers: tuple[str, ...] = (),
    cav: Literal["pattern", "ridge"] = "pattern",
    pooled: bool = False,
    counterparts: int = 20,
    random_concepts: int = 99,
    smooth: float = 0.0,
    separability: float = 0.05,
    ridge: float = RIDGE,
) -> Estimate:
    """How the target changes when a layer's activations move in the direction of a concept.

    Values (row, concept) are the sensitivity S = ∇h(a) · v, in units of the target per unit of activation: h is the
    target as a function of the activations a of a layer, v the concept activation vector (CAV) of length 1, averaged
    over counterpart sets. ``concepts`` maps names to example rows, or is a list of ``assay.Concept``; ``random_rows``
    are ordinary rows, at least twice and better five times as many as a concept has. ``controls`` are concepts of the
    same kind as the others that should not matter. With several ``layers`` the parts are concept @ layer; without, the
    last hidden layer is used, with a note.

    ``"pattern"`` CAVs are the mean of the concept minus the mean of its counterparts (Pahde et al. 2022), ``"ridge"``
    CAVs the normal of a ridge regression with penalty ``ridge`` × mean eigenvalue. ``pooled`` takes the mean of each
    unit over its positions as activations, and sums the gradient over them.

    Extras have axes (concept, class of the rows). ``"tcav"``: the share of rows with S > 0, mean over ``counterparts``
    random sets of as many rows, with ``"tcav_stderr"`` for their choice; with ``smooth`` above 0 a smooth step
    Φ(S / (smooth · root mean square of S)) is averaged instead (α-TCAV). ``"magnitude"``: mean S / mean |S|, −1 … 1.
    ``"p"``: (1 + the number of ``random_concepts`` whose score is farther from ½, or as far, as 1 often is, with a mean
    sensitivity at least as large) / (1 + random_concepts): random concepts are as many random rows, with counterparts
    from the rest of the random rows; exact where concept and random rows are exchangeable. ``"p_holm"``: Holm's
    correction over concepts, layers and classes; controls are not counted. ``"contrast"``: TCAV minus the mean of the
    controls, with ``"contrast_stderr"`` and ``"contrast_p"`` among differences of random concepts. ``"accuracy"``
    (concept, 1): held-out accuracy of the CAV, balanced, and ``"accuracy_p"`` its rank among random concepts; where
    that is above ``separability`` the concept has no direction here, and its TCAV, magnitude and p are NaN, with a
    note. ``"null"`` (concept, random concept · class) are the random scores. ``"length"`` (concept, 1) is the CAV's
    length before it is normalised: S · length is the change to first order from the mean counterpart to the mean of the
    concept for pattern CAVs. ``x`` says how far a row lies along the CAV.

    From the last non-linearity on all gradients of a class have one direction: TCAV is 0 or 1 and says nothing about
    rows; p is NaN, with a note. ``"t_test"`` is the customary p-value (Kim et al. 2018), for comparison, and wrong: the
    scores of one concept share its rows, so that it calls 37–53 % of random concepts significant at 5 %.

    Order and ids of rows change nothing. Nothing is stored on disk: captum keys its stored CAVs by concept ids alone,
    and gives those of another model or other pictures. Its magnitude is the plain mean of S. A direction is a
    correlation, not a cause: verify by removing it.
    """
    options = TcavOptions(
        concepts,
        random_rows,
        controls,
        layers,
        cav,
        pooled,
        counterparts,
        random_concepts,
        smooth,
        separability,
        ridge,
    )
    return tcav_estimate(case, options).estimate()
