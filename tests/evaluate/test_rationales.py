"""Scores of place against the passages of film reviews that people marked as the reason."""

from typing import Any

import numpy as np
import pytest
from bench import rationales
from numpy.testing import assert_array_equal
from tests.shared import folder

from assay import Constant, evaluate, explain
from assay.basics.stats import student_interval

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def sentiment() -> tuple[Any, np.ndarray, list[Any]]:
    """Forty whole test reviews, put to a net trained on the train reviews."""
    folder("eraser-movies")
    folder("sst2")
    texts = [rationales.ending(one, rationales.WHOLE) for one in rationales.reviews("test")][20:60]
    case, inside = rationales.question(rationales.of_words(), texts)
    return case, inside, texts


@pytest.fixture(scope="module")
def lines(sentiment: Any) -> Any:
    return explain.integrated_gradients(sentiment[0], steps=8)


def test_the_net_reads_sentiment(sentiment: Any) -> None:
    case, _, texts = sentiment
    assert np.mean(case.label == [one.label for one in texts]) > 0.6


def test_a_tokenizers_words_find_the_tokens_they_lie_in() -> None:
    tokens = ("it", "is", "n't", "half-bad", ",", "ok")
    words = ("it", "is", "n", "'", "t", "half", "-", "bad", ",", "ok")
    assert rationales.tokens_of(words, tokens) == [0, 1, 2, 2, 2, 3, 3, 3, 4, 5]


def test_marked_words_are_those_of_the_spans() -> None:
    folder("eraser-movies")
    one = rationales.reviews("test")[3]
    cut = rationales.ending(one)
    whole = " ".join(one["sentences"]).split()
    assert len(cut.tokens) <= rationales.LONGEST
    assert cut.tokens == tuple(whole[-len(cut.tokens) :])
    marked = [any(first <= i < last for first, last in one["rationales"]) for i in range(len(whole))]
    assert_array_equal(cut.marked, marked[-len(cut.tokens) :])


@pytest.mark.parametrize("score", ["mass_accuracy", "top_k_overlap", "rank_accuracy", "pointing_game"])
def test_integrated_gradients_lie_in_marked_passages_more_than_chance(sentiment: Any, lines: Any, score: str) -> None:
    case, inside, _ = sentiment
    found = getattr(evaluate, score)(lines, case, inside=inside)
    beyond = (found.values - found.extra["area"])[found.defined]
    assert len(beyond) >= 20
    assert student_interval(beyond).low > 0


def test_chance_lies_there_as_much_as_anywhere(sentiment: Any) -> None:
    case, inside, _ = sentiment
    found = evaluate.mass_accuracy(explain.random(case), case, inside=inside)
    assert 0.0 in student_interval(found.values - found.extra["area"])


def test_the_drop_without_the_top_words_is_larger_than_without_random_ones(sentiment: Any, lines: Any) -> None:
    case, _, _ = sentiment
    remove = Constant(0.0)
    chance = explain.random(case)
    lost, alone = (
        score(lines, case, remove=remove).values - score(chance, case, remove=remove).values
        for score in (evaluate.comprehensiveness, evaluate.sufficiency)
    )
    assert student_interval(lost).low > 0
    assert student_interval(alone).high < 0
