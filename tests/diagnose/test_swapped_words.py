"""Exchanged words: how texts are rewritten, planted biases that fire, controls that do not, and refusals."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from tests.contract.subjects import reader, whitespace

import assay
from assay import diagnose
from assay.auditing.audit import prepare
from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.engine.word_swaps.neutral_words import NeutralWords
from assay.engine.word_swaps.word_pairs import GENDER, SwapTable, swap_words
from assay.nouns.results.finding import Finding

TABLE = SwapTable.of(GENDER)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He is a good man.", "She is a good woman."),
        ("SHE told HIM: no!", "HE told HER: no!"),
        ("We saw her today, and her dog.", "We saw him today, and his dog."),
        ("I gave it to her.", "I gave it to him."),
        ("His car is new; the house is his.", "Her car is new; the house is hers."),
        ("The boy's mother left.", "The girl's father left."),
        ("The theme is human.", "The theme is human."),
    ],
)
def test_words_are_exchanged_with_capitals_endings_and_by_position(text: str, expected: str) -> None:
    assert swap_words(text, TABLE).text == expected


def test_an_exchange_and_its_way_back_are_the_text() -> None:
    for word in sorted(TABLE.words - {"her", "his", "hers", "him"}):
        text = f"Once {word} met {word.upper()} and {word.capitalize()}'s friends."
        assert swap_words(swap_words(text, TABLE).text, TABLE).text == text


def test_pairs_of_texts_and_sides_are_counted() -> None:
    found = swap_words(("He and his wife", "no such words"), TABLE)
    assert found.text == ("She and her husband", "no such words")
    assert (found.firsts, found.seconds) == (2, 1)
    assert found.partners == (("he", "she"), ("his", "her"), ("wife", "husband"))


@pytest.mark.parametrize("pairs", [("he",), ("he/he",), ("he/she", "she/he"), ("a b/c",), (3,)])
def test_pairs_that_are_none_are_refused(pairs: Any) -> None:
    with pytest.raises(InputError, match="pair"):
        SwapTable.of(pairs)


FILLERS = [f"{a}{b}" for a in ("kal", "mor", "tel", "sin", "dov", "ral") for b in ("an", "es", "ip", "or", "um", "ax")]


def texts(rows: int = 300, seed: int = 0, bias: float = 0.0) -> tuple[list[str], np.ndarray]:
    """Texts of neutral words, one good or bad word and one pronoun; the label follows good, or the pronoun."""
    g = np.random.default_rng(seed)
    found, labels = [], []
    for _ in range(rows):
        is_she, is_good = g.random() < 0.5, g.random() < 0.5
        label = is_she if g.random() < bias else is_good
        words = [*g.choice(FILLERS, 5), "good" if is_good else "bad", "she" if is_she else "he"]
        found.append(" ".join(g.permutation(words)))
        labels.append(int(label))
    return found, np.array(labels)


@cache
def pipeline(bias: float) -> Any:
    rows, labels = texts(800, bias=bias)
    return make_pipeline(TfidfVectorizer(), LogisticRegression(C=20.0)).fit(rows, labels)


def swapped(bias: float, rows: int = 300, seed: int = 1, **options: Any) -> list[Finding]:
    given = texts(rows, seed)[0]
    return diagnose.swapped_words(assay.case(assay.wrap(pipeline(bias)), given, label=1), **options)


def test_a_planted_bias_fires_and_says_in_which_texts() -> None:
    decisions, shift = swapped(0.7)
    assert (decisions.code, decisions.verdict) == ("FAI401", "fail")
    assert decisions.estimate > 0.3
    assert shift.estimate > 0.2
    rows = texts(300, 1)[0]
    model = pipeline(0.7)
    other = [" ".join({"he": "she", "she": "he"}.get(word, word) for word in text.split()) for text in rows]
    changed = np.flatnonzero(model.predict(rows) != model.predict(other))
    assert decisions.rows == tuple(map(str, changed[:200]))
    assert decisions.evidence["changed"] == pytest.approx(len(changed) / 300)
    side = np.array([1 if "she" in text.split() else -1 for text in rows])
    moved = -side * (model.predict_proba(other)[:, 1] - model.predict_proba(rows)[:, 1])
    assert shift.estimate == pytest.approx(moved.mean())


def test_a_model_that_ignores_the_words_passes() -> None:
    decisions, shift = swapped(0.0)
    assert decisions.verdict == "pass"
    assert shift.interval is not None
    assert abs(shift.estimate) < 0.1


def null_failures(runs: range, rows: int = 150) -> int:
    """Pairs of fillers, drawn at random, in a model that has a chance weight for each: as good as the control."""
    failed = 0
    for run in runs:
        words = np.random.default_rng(run).permutation(FILLERS)[:8]
        pairs = tuple(f"{one}/{other}" for one, other in zip(words[:4], words[4:]))
        found, _ = swapped(0.0, rows, seed=100 + run, pairs=pairs, draws=1, threshold=0.0)
        failed += found.verdict == "fail"
    return failed


def test_exchanged_neutral_words_rarely_fire() -> None:
    assert null_failures(range(20)) <= 3


@pytest.mark.judge
def test_exchanged_neutral_words_fire_in_at_most_16_of_200_runs() -> None:
    assert null_failures(range(200)) <= 16


def test_the_control_has_as_many_words_of_the_nearest_frequency() -> None:
    rows = texts(200, 3)[0]
    neutral = NeutralWords.of(rows, pipeline(0.0).predict(rows), TABLE.words)
    assert not {"good", "bad", "he", "she"} & set(neutral.words)
    for place, text in enumerate(rows[:50]):
        new = neutral.swap(text, swap_words(text, TABLE), Seed(0).child(place))
        assert isinstance(new, str)
        changed = [(one, other) for one, other in zip(text.split(), new.split()) if one != other]
        assert len(changed) == 1
        assert set(changed[0]) <= set(neutral.words)


def test_equal_texts_count_once() -> None:
    given = texts(60, 4)[0]
    model = assay.wrap(pipeline(0.7))
    one, many = (diagnose.swapped_words(assay.case(model, rows, label=1))[0] for rows in (given, given * 3))
    assert many.n == one.n == len(set(given))


def test_texts_without_such_words_are_not_applicable() -> None:
    found = diagnose.swapped_words(assay.case(assay.wrap(pipeline(0.0)), ["good kalan mores", "bad telip"], label=1))
    assert [one.verdict for one in found] == ["not applicable"] * 2
    assert "0 of 2 texts" in found[0].claim


def test_a_net_that_reads_tokens_is_tested_with_a_table_of_its_own() -> None:
    model = assay.model.text(reader(), whitespace, embedding="embed", classes=["x", "y", "z"], read="mean")
    rows = ["not a dull film", "bad film", "a good good film", "a bad dull film", "good film not bad"]
    case = assay.case(model, rows, label="y")
    decisions, shift = diagnose.swapped_words(case, pairs=("good/bad",))
    other = [" ".join({"good": "bad", "bad": "good"}.get(word, word) for word in text.split()) for text in rows]
    with_words = [i for i, text in enumerate(rows) if {"good", "bad"} & set(text.split())]
    new = assay.case(model, [other[i] for i in with_words], label="y")
    sides = [np.sign(rows[i].split().count("good") - rows[i].split().count("bad")) for i in with_words]
    was = assay.case(model, rows, label="y").with_target("probability").output[with_words]
    moved = [side * (b - a) for side, a, b in zip(sides, was, new.with_target("probability").output) if side]
    assert shift.estimate == pytest.approx(np.mean(moved), abs=1e-6)
    assert decisions.code == "FAI401"


def test_the_same_seed_gives_the_same_findings() -> None:
    assert swapped(0.7, rows=100) == swapped(0.7, rows=100)


def test_tables_and_impossible_options_are_refused() -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    model = assay.wrap(LogisticRegression().fit(x, x[:, 0] > 0))
    with pytest.raises(CapabilityError, match="needs texts"):
        diagnose.swapped_words(assay.case(model, x))
    case = assay.case(assay.wrap(pipeline(0.0)), texts(10)[0], label=1)
    for options in ({"level": 0.0}, {"threshold": 2.0}, {"rows": 1}, {"draws": 0}, {"pairs": "he/she"}):
        with pytest.raises(InputError):
            diagnose.swapped_words(case, **options)


def test_an_audit_of_texts_plans_it_and_its_cost_is_an_upper_limit() -> None:
    given, labels = texts(40, 5)
    ready = prepare(assay.wrap(pipeline(0.0)), given, labels)
    (step,) = [step for step in ready.plan.steps if step.method == "swapped_words"]
    case = assay.case(assay.wrap(pipeline(0.0)), given, label=1)
    before = case.model.meter.forwards
    diagnose.swapped_words(case)
    assert 0 < case.model.meter.forwards - before <= step.cost.forwards
