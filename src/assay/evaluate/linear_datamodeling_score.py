# SPDX-License-Identifier: Apache-2.0
"""Linear datamodeling score (LDS)."""

import numpy as np

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.cost import Given
from assay.engine.declare import scorer
from assay.engine.influence.subsets import RetrainedTargets
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.result import Estimate, Explanation, Note


def _cost(case: Case, o: Given, again: Cost) -> Cost:
    """The rows explained, by each retrained model."""
    return Cost(len(case)) * (o.subsets * o.seeds * case.model.passes_per_row)


@scorer(source="park2023", better="higher", needs={"train"}, cost=_cost)
def linear_datamodeling_score(
    explanation: Explanation, case: Case, *, recipe: Recipe, subsets: int = 40, seeds: int = 2
) -> Estimate:
    """Rank correlation of what training influence predicts for random halves of the training rows with retraining.

    Spearman correlation over ``subsets`` random halves, −1 … 1, of Σ v_j over the training rows j that a half lacks
    (v is the explanation, by ``explain.training_influence``) with the target of the models that ``recipe`` trains on
    that half, the mean over ``seeds``. Near 1 the influence orders the halves as retraining does; near 0 it says
    nothing about retraining. ``subsets`` × ``seeds`` models are trained, as one program where the recipe can.

    Undefined (NaN) where the retrained target or the influence is constant. ``stderr`` is the jackknife over subsets;
    rows share the subsets, so that the interval of the mean over rows understates its error: ``extra["mean_stderr"]``
    is right. ``extra["ceiling"]`` (row,) is what a perfect prediction would reach with this noise of the seeds; NaN for
    one seed. The paper sums over the rows that a half has, with influence of the opposite sign: the same number.
    """
    rows = len(recipe.y)
    if len(explanation.features) != rows:
        raise InputError(
            f"the explanation has {len(explanation.features)} parts, the recipe {rows} training rows. Give an "
            f"explanation by explain.training_influence with train=(recipe.x, recipe.y), without groups."
        )
    found = RetrainedTargets.of(case, recipe, subsets, seeds)
    values = found.correlation(explanation.values)
    stderr, mean_stderr = found.jackknife_error(explanation.values)
    ceiling = found.ceiling
    notes = []
    if np.isfinite(ceiling).any():
        text = f"the noise of {seeds} seeds allows at most about {np.nanmean(ceiling):.2f} in the mean over rows"
        notes.append(Note("ceiling", text))
    return Estimate(
        values,
        stderr,
        notes=tuple(notes),
        extra={"ceiling": ceiling, "mean_stderr": np.array([mean_stderr])},
    )
