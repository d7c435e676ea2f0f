"""What outputs mean: links, thresholds, exclusive classes and independent labels."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from assay.basics.errors import CapabilityError, InputError
from assay.nouns.inputs.output_kind import OUTPUTS, OutputKind
from assay.nouns.inputs.target import log_probabilities, predicted_class, probabilities, target_named

SCORES = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 3.0]])
FIRST = np.zeros(2, dtype=np.int64)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_a_kind_is_its_plain_name_with_more() -> None:
    kind = OutputKind("margin", link="sigmoid", scale=2.0)
    assert kind == "margin"
    assert kind in ("margin", "logits")
    assert {"margin": 1}[kind] == 1
    again = pickle.loads(pickle.dumps(kind))  # noqa: S301  # made here
    assert (again.key, again.scale, again.link) == (kind.key, 2.0, "sigmoid")


def test_the_key_names_what_is_special_and_nothing_else() -> None:
    assert OutputKind("logits").key == "logits"
    assert OutputKind("logits", assumed=True).key == "logits"
    assert OutputKind("probabilities").with_threshold(0.2).key == "probabilities, threshold 0.2"
    assert OutputKind("logits", exclusive=False).key != OutputKind("logits").key


def test_independent_labels_have_a_sigmoid_each() -> None:
    kind = OutputKind.named("multilabel logits")
    assert_allclose(probabilities(SCORES, kind), sigmoid(SCORES))
    assert_allclose(log_probabilities(SCORES, kind), np.log(sigmoid(SCORES)))
    assert_allclose(target_named("log_odds").read(SCORES, FIRST, kind), SCORES[:, 0])
    assert_array_equal(target_named("decision").read(SCORES, FIRST + 2, kind), [1, 1])
    assert_array_equal(target_named("decision").read(SCORES, FIRST + 1, kind), [0, 0])  # 0.5 is not decided for


def test_one_against_all_has_a_sigmoid_each_and_one_decision() -> None:
    kind = OutputKind("margin", link="sigmoid", scale=0.5)
    assert_allclose(target_named("probability").read(SCORES, FIRST, kind), sigmoid(SCORES[:, 0] / 2))
    assert_allclose(target_named("log_odds").read(SCORES, FIRST, kind), SCORES[:, 0] / 2)
    assert_array_equal(target_named("decision").read(SCORES, FIRST + 2, kind), [0, 1])


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("columns", [1, 2])
def test_a_threshold_decides_for_the_last_of_two_classes(threshold: float, columns: int) -> None:
    chance = np.linspace(0, 1, 21)
    outputs = chance[:, None] if columns == 1 else np.stack([1 - chance, chance], axis=1)
    kind = OutputKind("probabilities").with_threshold(threshold)
    assert_array_equal(predicted_class(outputs, kind), chance >= threshold)
    decided = target_named("decision")
    labels = np.ones(21, dtype=np.int64)
    assert_array_equal(decided.read(outputs, labels, kind), chance >= threshold)
    assert_array_equal(decided.read(outputs, 1 - labels, kind), chance < threshold)


def test_a_threshold_of_the_probability_decides_raw_scores_too() -> None:
    scores = np.linspace(-3, 3, 13)[:, None]
    kind = OutputKind("margin").with_threshold(0.8)
    assert_array_equal(predicted_class(scores, kind), sigmoid(scores[:, 0]) >= 0.8)


def test_scores_that_are_no_log_odds_have_no_probability() -> None:
    kind = OutputKind("margin", link="none")
    with pytest.raises(CapabilityError, match="no log odds"):
        target_named("probability").read(SCORES, FIRST, kind)
    assert_allclose(target_named("margin").read(SCORES, FIRST, kind), SCORES[:, 0])


@pytest.mark.parametrize(("link", "raw"), [("log", np.log), ("logit", lambda p: np.log(p / (1 - p)))])
def test_the_margin_of_a_regression_is_the_score_before_its_link(link: Any, raw: Any) -> None:
    value = np.array([[0.2], [0.7]])
    kind = OutputKind("values", link=link)
    assert_allclose(target_named("margin").read(value, FIRST, kind), raw(value[:, 0]))
    assert_allclose(target_named("value").read(value, FIRST, kind), value[:, 0])


@pytest.mark.parametrize("text", ["logit", "", None, "units", 3])
def test_an_unknown_kind_is_refused_with_the_known_ones(text: Any) -> None:
    with pytest.raises(InputError, match="multilabel probabilities"):
        OutputKind.named(text)


@pytest.mark.parametrize("threshold", [-0.1, 1.5, "0.5", True])
def test_a_threshold_is_a_probability(threshold: Any) -> None:
    with pytest.raises(InputError, match="threshold"):
        OutputKind("probabilities").with_threshold(threshold)


def test_a_threshold_needs_classes() -> None:
    with pytest.raises(InputError, match="needs a classifier"):
        OutputKind("values").with_threshold(0.5)


def test_every_text_names_a_kind() -> None:
    assert {str(OutputKind.named(text)) for text in OUTPUTS} == {"logits", "margin", "probabilities", "values"}
