# SPDX-License-Identifier: Apache-2.0
"""Training again without, or with other labels for, rows whose labels are called wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs
from assay.engine.data_quality.cleaned_training import (
    Cleaning,
    CleaningOptions,
    How,
    difference_note,
    fit,
    hits,
    refuse_training_rows,
)
from assay.engine.declare import repairer
from assay.engine.performance.held_out import compare_performance, overlap_notes
from assay.engine.retraining.fine_tuning import require_pair
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.frames import is_frame, open_frame
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.finding import Finding

RANDOM, AGAIN, RANKED = ", as many random rows dropped", ", trained again on all rows", ", largest losses dropped"
"""What follows the names of the numbers of the models that show what the choice of rows adds."""

CHANGES: dict[How, str] = {
    "drop": "without {count} of {rows} training rows, whose labels are called wrong",
    "relabel": "with the most probable other label for {count} of {rows} training rows",
    "weight": "each of {rows} training rows kept with the probability that its label is right ({kept} were)",
}


def _proposals(inputs: AuditInputs, failed: Sequence[Finding]) -> list[Mapping[str, Any]]:
    """One attempt, whose note counts the flagged rows by the sensitive columns that the recipe's rows have."""
    assert inputs.recipe is not None
    x = inputs.recipe.x
    known = open_frame(x).columns if is_frame(x) else []
    sensitive = tuple(name for name in inputs.groups if name in known)
    return [{"sensitive": sensitive} if sensitive else {}]


def _audit_cost(inputs: AuditInputs) -> Cost:
    """The training rows twice, and the held-out rows by five models, some of them twice."""
    assert inputs.recipe is not None
    return Cost(2 * len(inputs.recipe.y) + 8 * len(inputs.case)) * inputs.model.passes_per_row


@repairer(
    source="northcutt2021",
    needs={"classes", "recipe", "labels"},
    answers=("DAT201",),
    side_effects="Rows of small groups are flagged more often, since models know them less: the cleaned model can "
    "decide worse for them. The note says which classes and groups the flagged rows belong to.",
    proposals=_proposals,
    audit_cost=_audit_cost,
)
def cleaning(
    case: Case,
    *,
    recipe: Recipe,
    held_out: tuple[Any, Any],
    how: Literal["drop", "relabel", "weight"] = "drop",
    by: Literal["auto", "default", "recipe"] = "auto",
    filter: Literal[
        "mixture",
        "confident_learning",
        "prune_by_noise_rate",
        "prune_by_class",
        "both",
        "predicted_neq_given",
        "low_normalized_margin",
    ] = "mixture",
    folds: int = 5,
    sensitive: tuple[str, ...] = (),
) -> Mapping[str, Any]:
    """A model trained again after its training labels were cleaned, and its accuracy on held-out rows.

    The labels called wrong are those of ``diagnose.label_errors`` with these ``filter``, ``by`` and ``folds``, from the
    recipe's rows alone. ``how``: "drop" leaves their rows out; "relabel" gives them the most probable other label;
    "weight" keeps every row with the probability that its label is right (recipes take no weights). ``sensitive`` names
    columns of the recipe's frame by whose groups the flagged rows are counted in a note, as by class.

    ``held_out`` are rows and labels that chose nothing; ``InputError`` where most of them are training rows: choosing
    training rows by the labels of the rows that measure is leakage. ``before`` is the model as it is, ``after`` the
    cleaned one, both with Clopper–Pearson limits at 95 %. Three more models, trained with the same seed, show what the
    choice adds: on all rows, without as many random rows, and without the rows of the largest loss of the model itself
    (``baseline``). Notes have the paired differences. Wrong labels among the held-out rows make all differences
    smaller.

    It trains four models, and ``folds`` more where the recipe gives the out-of-fold probabilities.
    """
    require_pair("held_out", held_out)
    if not 2 <= folds <= 50:
        raise InputError(f"folds={folds}; 2 to 50 are needed.")
    refuse_training_rows(case, recipe, held_out)
    found = Cleaning.of(case, recipe, CleaningOptions(how, filter, by, folds, sensitive))
    cleaned, ranked = found.cleaned(how, case.seed.child("cleaning")), found.without(found.largest_losses())
    model = fit(case, cleaned, f"labels cleaned ({how})")
    baseline = fit(case, ranked, "largest losses dropped")
    again = fit(case, recipe, "trained again")
    random = fit(case, found.without(found.random_rows(case.seed.child("cleaning"))), "random rows dropped")
    before, after, difference = compare_performance(case, model, held_out)
    own, *others = hits(case, (model, again, random, baseline), held_out)
    names = (AGAIN, RANDOM, RANKED)
    text = CHANGES[how].format(count=int(found.flagged.sum()), rows=len(recipe.y), kept=len(cleaned.y))
    return {
        "model": model,
        "recipe": cleaned,
        "baseline": baseline,
        "baseline_recipe": ranked,
        "baseline_change": "trained without as many rows, those of the largest loss of the model itself",
        "change": f"trained again {text}, by {found.found.model}",
        "before": before | {f"accuracy{name}": before["accuracy"] for name in names},
        "after": after | {f"accuracy{name}": float(right.mean()) for name, right in zip(names, others)},
        "notes": (
            *overlap_notes(recipe.x, held_out[0]),
            difference,
            *(
                difference_note(code, f"{name.removeprefix(', ')}", right, own)
                for code, name, right in zip(("trained-again", "random-rows", "loss-ranking"), names, others)
            ),
            found.composition_note(),
        ),
    }
