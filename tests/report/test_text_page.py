"""Texts on the page: words in reading order on their colours, and means by word instead of by position."""

from __future__ import annotations

import functools
import re
from dataclasses import replace

import numpy as np
import pytest
from tests.report.page import Page
from tests.report.record import complete, credit

from assay.nouns.inputs.features import Features
from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Explanation
from assay.report.audit.page import render
from assay.report.drawing.bars import local_chart, mean_chart
from assay.report.drawing.words import LEVELS, MAX_WORDS, attributions_by_word, coloured_text

TEXTS = (("win", "a", "prize", "win"), ("see", "a", "friend"), ("prize", "now"))
VALUES = ((0.6, 0.0, -0.3, 0.2), (0.1, -0.2, 0.05), (0.9, np.nan))


def explanation(
    texts: tuple[tuple[str, ...], ...] = TEXTS, values: tuple[tuple[float, ...], ...] = VALUES
) -> Explanation:
    """Texts whose words have these attributions; shorter texts end with empty parts."""
    rows, longest = len(texts), max(map(len, texts))
    index = np.array([[i if i < len(t) else -1 for i in range(longest)] for t in texts])
    padded = np.array([[*v, *[0.0] * (longest - len(v))] for v in values])
    return replace(
        credit().explanations["shapley"],
        values=padded,
        stderr=None,
        base=np.full(rows, 0.5),
        output=0.5 + np.nansum(padded, axis=1),
        features=Features(index, tuple(f"word {i + 1}" for i in range(longest)), per_row=True),
        ids=tuple(f"message {i}" for i in range(rows)),
        x=index.astype(float),
        labels=("ham",) * rows,
        part_texts=tuple((*t, *[""] * (longest - len(t))) for t in texts),
    )


@functools.cache
def texts_record() -> Record:
    record = complete(credit())
    galleries = (replace(record.galleries[0], name="typical", rows=(0, 1, 2), of=3),)
    spam = {"rows": 47, "recall": 0.9}
    performance = Finding(
        "PER103", "pass", "x", "model",
        evidence={
            "metrics": {"accuracy": {"value": 0.99, "low": 0.9, "high": 1.0, "better": "higher"}},
            "by class": {"ham": spam, "spam": spam},
            "confusion matrix": {
                "true ham": {"decided ham": 353, "decided spam": 0},
                "true spam": {"decided ham": 4, "decided spam": 43},
            },
        },
    )  # fmt: skip
    return replace(
        record,
        explanations={"shapley": explanation()},
        rivals={},
        scores={},
        references=(),
        attack_results={},
        certificates={},
        views={},
        agreement=None,
        comparison=None,
        settings_grid=None,
        galleries=galleries,
        predictions=("ham",) * 3,
        truth=("ham",) * 3,
        findings=(performance, *(f for f in record.findings if f.code == "TRU001" and f.subject == "shapley")),
    )


def test_the_attributions_of_a_word_are_those_of_all_its_occurrences() -> None:
    found = attributions_by_word(explanation())
    assert found == {"win": [0.6, 0.2], "a": [0.0, -0.2], "prize": [-0.3, 0.9], "see": [0.1], "friend": [0.05]}


def test_the_mean_chart_of_texts_is_by_word_with_the_number_of_occurrences() -> None:
    lines = [(line.name, line.value) for line in mean_chart(explanation()).lines]
    assert lines == [("prize (2 ×)", "0.60"), ("win (2 ×)", "0.40"), ("a (2 ×)", "0.10"), ("see (1 ×)", "0.10"),
                     ("friend (1 ×)", "0.05")]  # fmt: skip


def test_the_words_of_a_text_are_in_reading_order_and_the_largest_ones_have_their_numbers() -> None:
    drawn = coloured_text(explanation(), 0)
    assert [word.text for word in drawn.words] == list(TEXTS[0])
    assert [word.colour for word in drawn.words] == [f"p{LEVELS}", "", f"n{LEVELS // 2}", f"p{LEVELS // 3}"]
    assert drawn.largest == (("win", "+0.60"), ("prize", "−0.30"), ("win", "+0.20"))


def test_a_text_without_attributions_has_no_colours() -> None:
    drawn = coloured_text(explanation((("a", "b"),), ((0.0, np.nan),)), 0)
    assert ([word.colour for word in drawn.words], drawn.largest) == (["", ""], ())


@pytest.mark.parametrize("peak", [0, 150, 399])
def test_of_a_long_text_the_part_with_the_largest_attributions_is_printed(peak: int) -> None:
    values = np.zeros(400)
    values[peak] = 1.0
    drawn = coloured_text(explanation((tuple(f"w{i}" for i in range(400)),), (tuple(values),)), 0)
    assert len(drawn.words) == MAX_WORDS
    assert drawn.before + MAX_WORDS + drawn.after == 400
    assert f"w{peak}" in [word.text for word in drawn.words]


def test_bars_of_one_text_are_named_by_its_words() -> None:
    assert [line.name for line in local_chart(explanation(), 1).lines] == ["a", "see", "friend"]


def test_no_position_of_a_word_is_on_the_page() -> None:
    page = render(texts_record())
    assert re.search(r"\bword \d", Page(page).text) is None
    assert "Words with the largest mean absolute attribution in 3 texts" in Page(page).text
    assert '<p class="words">' in page


def test_classes_and_errors_that_no_explained_text_has_are_named() -> None:
    text = Page(render(texts_record())).text
    assert "The 3 rows explained were drawn at random" in text
    assert "do not include class spam or any of the 4 misclassified rows." in text
    both = replace(texts_record(), truth=("ham", "spam", "ham"))
    assert "do not include" not in Page(render(both)).text


def test_words_are_escaped() -> None:
    record = replace(texts_record(), explanations={"shapley": explanation((("<i>", "b"),) * 3, ((1.0, 0.5),) * 3)})
    assert "<i>" not in render(record)
