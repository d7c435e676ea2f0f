# SPDX-License-Identifier: Apache-2.0
"""The validity report of an attack as texts: each field with its value and a sentence that says what it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.nouns.results.result import AttackResult
from assay.report.drawing.formatting import format_number

STATED = frozenset({"robust_accuracy", "robust_accuracy_interval", "robust_accuracy_of", "rows"})
"""Fields that the text in front of the list states already."""

SENTENCES = {
    "deterministic": "Whether two passes of the same rows give the same outputs; if not, success is chance.",
    "evaluation_mode": "Whether no layer is in training mode, where dropout and batch statistics are active.",
    "outputs": "What the outputs of the model are read as.",
    "rows_sum_to_one": "Whether the outputs look like probabilities; read as logits they would mask the gradient.",
    "input_range": "The smallest and the largest value of the rows; compare them with the bounds.",
    "bounds": "The values that an attacked row must stay within.",
    "radius": "How far a row may be moved.",
    "norm": "How the distance is measured.",
    "largest_distance": "The largest distance of an attacked row, computed again in float64; at most the radius.",
    "inside_ball_and_bounds": "Whether all attacked rows are within the radius and the bounds.",
    "batch_sizes": "Success is computed again in these two batch sizes.",
    "batches_agree": "Whether both batch sizes give the same successes; only those that agree are counted.",
    "smallest_margin_of_success": "How clear the weakest success is; near 0 it is a matter of rounding.",
    "random_robust_accuracy": "The same accuracy after random changes of full size: the attack must not be weaker.",
    "still_rising": "Share of the unchanged rows whose margin still fell at the end: more steps may find more.",
    "zero_gradient_rows": "Share of the rows whose gradient is 0 at every step: the attack cannot search there.",
    "zero_gradient_elements": "Share of the elements of the gradient that are 0.",
    "not_finite_gradient_rows": "Share of the rows with a gradient that is NaN or infinite.",
    "restarts": "How often the search started.",
    "targeted": "Whether the attack had to reach one given class.",
    "stages": "The rows that no attack had changed after each stage.",
    "short_robust_accuracy": "The robust accuracy of a short attack with each loss: a large difference shows a masked "
    "gradient.",
    "found_by_square_only": "Rows that only the search without gradients changed: many show a masked gradient.",
    "minimal_distance_median": "The median of the smallest distances that change the decision.",
    "rows_without_success": "Rows for which no changed decision was found.",
    "searched": "The model whose gradient, or outputs, the search follows.",
    "evaluated": "The model on which every point was evaluated.",
    "steps": "Steps of the search.",
    "queries": "Explanations, or evaluations of a row, that the search may ask for.",
    "largest_queries": "The most evaluations that a row took; never more than allowed.",
    "changes_median": "The median number of columns or words that changed where the attack succeeded.",
    "max_words": "How many words of a text may change.",
    "changed_share_median": "The median share of a text's words that changed where the attack succeeded.",
    "texts_refused": "Changed texts that the model does not take; they count as failures.",
    "max_columns": "How many columns of a row may change.",
    "max_cost": "What the changes of a row may cost.",
    "cost_of_a_change": "The unit of the costs.",
    "rows_proved": "Rows for which the cheapest change, or that there is none, is proved.",
    "rows_proved_robust": "Rows of which it is proved that no allowed change alters the decision.",
    "prediction_unchanged": "Share of the rows whose predicted class is the same after the attack.",
    "random_prediction_unchanged": "The same share after a random perturbation of full size.",
    "constant_maps": "Rows whose explanation is constant, so that it has no order.",
    "top_k_overlap": "Share of the top features that stay after the attack.",
    "random_top_k_overlap": "The same after a random perturbation of full size: what any small change does.",
    "reseeded_top_k_overlap": "The same when the row is only explained again with another seed.",
    "rank_correlation": "Rank correlation of the sizes of the values before and after the attack.",
    "random_rank_correlation": "The same after a random perturbation of full size.",
    "reseeded_rank_correlation": "The same when the row is only explained again with another seed.",
}
"""What each field means, in a sentence."""


def describe_validity(result: AttackResult) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The robust accuracy with its interval, and (name, value) of the other fields; empty without a report."""
    if "robust_accuracy" not in result.validity:
        return "", ()
    limits = result.interval()
    robust = f"{result.robust_accuracy:.1%} [{limits.low:.1%}, {limits.high:.1%}]"
    return robust, tuple((name, value) for name, value, _ in explain_validity(result))


def explain_validity(result: AttackResult) -> tuple[tuple[str, str, str], ...]:
    """(name, value, sentence) of each field that has a value and that the text in front of the list does not state."""
    fields = [(name, value) for name, value in result.validity.items() if name not in STATED and value is not None]
    return tuple((name.replace("_", " "), _text(value), SENTENCES.get(name, "")) for name, value in fields)


def _text(value: Any) -> str:
    """A field's value as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | str):
        return str(value)
    if isinstance(value, float):
        return format_number(value)
    if isinstance(value, Mapping) and {"mean", "low", "high"} <= set(value):
        return f"{_text(value['mean'])} [{_text(value['low'])}, {_text(value['high'])}]"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items()) or "none"
    if all(isinstance(one, tuple) and len(one) == 2 for one in value):
        return ", ".join(f"{name} {_text(one)}" for name, one in value)
    return " … ".join(map(_text, value))
