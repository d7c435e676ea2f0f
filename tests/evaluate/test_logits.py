"""The random and the runner-up logit."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tests.evaluate.settings import curved, digits, digits_net
from tests.oracles.rank_correlation import spearman

from assay import contrast, evaluate, explain, model
from assay.basics.errors import CapabilityError
from assay.cases.new_case import case as ask

SCORES = (evaluate.random_logit, evaluate.runner_up_logit)


@pytest.mark.parametrize("score", SCORES)
def test_it_equals_the_literal_rank_correlation_with_the_other_class(score: Any) -> None:
    case = digits(5)
    e = explain.saliency(case, signed=True)
    found = score(e, case)
    other = explain.saliency(digits(5, label=found.extra["class"].astype(int)), signed=True).values
    assert_allclose(found.values, [spearman(a, b) for a, b in zip(e.values, other)])
    assert_allclose(found.extra["absolute"], [spearman(abs(a), abs(b)) for a, b in zip(e.values, other)])
    assert_allclose(score(e, case, absolute=True).values, found.extra["absolute"])


def test_the_runner_up_is_the_best_class_but_the_one_explained() -> None:
    predicted, given = digits(5), digits(5, label=3)
    second = np.argsort(-predicted.prediction, axis=1)[:, 1]
    assert_array_equal(evaluate.runner_up_logit(explain.saliency(predicted), predicted).extra["class"], second)
    best_else = np.argmax(np.where(np.arange(10) == 3, -np.inf, given.prediction), axis=1)
    assert_array_equal(evaluate.runner_up_logit(explain.saliency(given), given).extra["class"], best_else)


@pytest.mark.parametrize("score", SCORES)
def test_q13_the_classes_are_the_models_own_however_many(score: Any) -> None:
    case = digits(60)
    drawn = score(explain.saliency(case), case).extra["class"]
    assert set(drawn) <= set(range(10))
    assert (drawn != case.label).all()


def test_q13_random_classes_come_from_the_rows_own_stream() -> None:
    case = digits(40)
    drawn = evaluate.random_logit(explain.saliency(case), case).extra["class"]
    some = case.take([31, 4])
    assert_array_equal(evaluate.random_logit(explain.saliency(some), some).extra["class"], drawn[[31, 4]])
    assert len(set(drawn)) > 6


def test_of_two_scores_in_one_the_other_class_has_the_sign_turned() -> None:
    net = torch.nn.Linear(5, 1)
    case = ask(model.torch(net.eval()), torch.ones(2, 5), label=1)
    score = evaluate.runner_up_logit(explain.saliency(case, signed=True), case)
    assert_allclose([score.values, score.extra["signed"]], -1)
    assert_allclose(score.extra["absolute"], 1)


def test_an_explanation_that_does_not_hear_of_the_class_stays_as_it_is() -> None:
    case = digits(3)
    for score in SCORES:
        assert_allclose(score(explain.input_itself(case), case).values, 1.0)


def test_names_that_look_like_positions_are_not_taken_for_them() -> None:
    net, images, _ = digits_net()
    names = [str(9 - i) for i in range(10)]
    case, plain = ask(model.torch(net, classes=names), images[:4]), digits(4)
    for score in SCORES:
        one, two = (score(explain.saliency(c), c) for c in (case, plain))
        assert_array_equal(one.extra["class"], two.extra["class"])
        assert_allclose(one.values, two.values)


def test_the_rival_of_a_contrast_is_not_explained_against_itself() -> None:
    case = digits(8, label=3, target=contrast(8))
    for score in SCORES:
        assert not set(score(explain.saliency(case), case).extra["class"]) & {3.0, 8.0}


def test_a_model_without_another_class_is_refused() -> None:
    with pytest.raises(CapabilityError, match="needs a classifier"):
        evaluate.random_logit(explain.saliency(curved()), curved())
    case = ask(model.torch(torch.nn.Linear(3, 2).eval()), torch.ones(2, 3), label=1, target=contrast(0))
    with pytest.raises(CapabilityError, match="no other class"):
        evaluate.runner_up_logit(explain.saliency(case), case)
