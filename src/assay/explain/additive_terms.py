# SPDX-License-Identifier: Apache-2.0
"""The terms of an additive model, as they are."""

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.cost import free
from assay.engine.declare import explainer
from assay.engine.trees.tree_case import linear_target
from assay.model.additive_scores import AdditiveScores, read_additive
from assay.nouns.results.result import Estimate, Note

LISTED = 40
"""Terms that the description lists."""


@explainer(source="lou2013", needs={"additive"}, claims={"complete"}, cost=free)
def additive_terms(case: Case) -> Estimate:
    """The terms that the model itself adds up at a row: no approximation, no background, no model evaluation.

    For linear models coefficient · column, for explainable boosting machines (interpret-core) the learned functions of
    one and two columns, for ``interpretable.RiskScore`` the points divided by the multiplier. A term of several columns
    is split equally among the features it reads; extra["terms"] (row, term) has all terms unsplit, in the order of the
    description. Base is the intercept, and values add up to output − base to rounding. In units of the target where
    that is a weighted sum of the model's scores (margin, log odds of two classes, value of a linear regression). For
    any other target (a probability, a decision, a value behind a logarithm) in units of the score of the explained
    class, which is then the output that the values distribute, and a note says so.

    Exact for the model, yet relative to the zero of each term: a linear model's coefficient · column depends on where
    the column's zero is, and an EBM's terms are centred on its training rows. Shapley values against a background
    subtract the background's mean term instead; for correlated columns neither says what the world would do.
    """
    scores = read_additive(case.model)
    features = case.features
    if features.per_row or (features.index < 0).any():
        raise InputError("additive_terms needs features that are columns or groups of columns, the same for every row.")
    found = _readout(case, scores)
    weights, constant = found or _own_score(case, scores)
    terms = np.einsum("rto,ro->rt", scores.terms(case.rows), weights)
    player, values = features.index.ravel(), np.zeros((len(case), len(features)))
    for position, columns in enumerate(scores.origin):
        for one in columns:
            values[:, player[one]] += terms[:, position] / len(columns)
    base = weights @ scores.intercept + constant
    notes: tuple[Note, ...] = ()
    output = None
    if found is None:
        output = base + terms.sum(axis=1)
        text = (
            f"target {case.target.name!r} is not a weighted sum of the terms of {case.model.name}; the terms of its "
            f"score are given"
        )
        notes = (Note("other_target", text),)
    return Estimate(
        values, base=base, extra={"terms": terms}, output=output, notes=notes, description=_description(scores)
    )


def _readout(case: Case, scores: AdditiveScores) -> tuple[Floats, Floats] | None:
    if scores.kind.link == "none" and case.model.kind != "margin":
        return None
    return linear_target(case, len(scores.intercept), scores.kind)


def _own_score(case: Case, scores: AdditiveScores) -> tuple[Floats, Floats]:
    """Weights that read the score of the explained class, and no constant; of two classes with one score its sign."""
    out = len(scores.intercept)
    if out > 1:
        return np.eye(out)[case.label], np.zeros(len(case))
    sign = np.where(case.label == 0, -1.0, 1.0) if case.model.kind != "values" else np.ones(len(case))
    return sign[:, None], np.zeros(len(case))


def _description(scores: AdditiveScores) -> tuple[str, ...]:
    listed = scores.names[:LISTED]
    more = f" … ({len(scores.names)} in total)" if len(scores.names) > len(listed) else ""
    return (f"Terms: {'; '.join(listed)}{more}",)
