"""A suspected artefact pasted into rows: a tag that counts is flagged, one that does not is not, controls count."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from tests.tagged_digits import CLASS, TRAIN, tag_image, tagged, tagged_case

import assay
from assay import diagnose
from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.planted.watermark import DECOY, TAG, stamp_images


def held_out(share: float = 0.5) -> tuple[Case, Any]:
    """Rows that were not trained on, without tags, and their classes."""
    case, (_, _, y, has_tag) = tagged_case(1, share), tagged(1, share)
    which = np.flatnonzero((np.arange(len(case)) >= TRAIN) & ~has_tag)
    return case.take(which), y[which]


def decoy() -> np.ndarray:
    return np.stack([np.ones((8, 8)), DECOY.astype(float)])


def test_a_tag_that_the_net_uses_is_flagged_and_its_class_named() -> None:
    case, y = held_out()
    odds, lost = diagnose.pasted_artefact(case, artefact=tag_image(), labels=y)
    assert (odds.verdict, lost.verdict) == ("fail", "fail")
    assert odds.evidence["class"] == str(CLASS)
    assert odds.n + odds.evidence["class chosen on"] == len(case)
    assert odds.evidence["share of rows that rise"] > 0.9
    assert lost.estimate == pytest.approx(
        lost.evidence["accuracy with the control"] - lost.evidence["accuracy with the artefact"]
    )


def test_the_numbers_are_those_of_the_net_at_stamped_rows() -> None:
    case, y = held_out()
    odds, lost = diagnose.pasted_artefact(case, artefact=tag_image(), labels=y, toward=CLASS)
    rows = np.asarray(case.rows.x.numpy(), dtype=float)
    stamped = stamp_images(rows, np.ones(len(rows), dtype=bool), TAG)
    hidden = np.where(TAG, rows[:, :, TAG].mean(axis=2)[:, :, None, None], rows)
    target = "log_odds"
    pasted, control = (
        assay.case(case.model, one.astype(np.float32), target=target, label=CLASS).output for one in (stamped, hidden)
    )
    floor = math.log(1e-6 / (1 - 1e-6))
    expected = (pasted.clip(floor, -floor) - control.clip(floor, -floor)).mean()
    assert odds.estimate == pytest.approx(expected, abs=1e-5)
    assert odds.n == len(case)
    decided = case.predicted(case.rows.convert(stamped))
    assert lost.evidence["accuracy with the artefact"] == pytest.approx((decided == y).mean())


def test_a_mark_that_the_net_never_saw_raises_the_class_of_the_tag_no_more_than_its_control() -> None:
    case, y = held_out()
    odds, lost = diagnose.pasted_artefact(case, artefact=decoy(), control=decoy(), toward=CLASS, labels=y)
    assert (odds.estimate, lost.estimate) == (0.0, 0.0)
    assert (odds.verdict, lost.verdict) == ("pass", "pass")
    tag, _ = diagnose.pasted_artefact(case, artefact=tag_image(), control=decoy(), toward=CLASS, labels=y)
    assert tag.verdict == "fail"


def test_a_net_trained_without_the_tag_is_not_flagged() -> None:
    net_rows = tagged(2, 0.0)[1][TRAIN:]
    case = tagged_case(2, 0.0).take(range(TRAIN, TRAIN + len(net_rows)))
    odds, lost = diagnose.pasted_artefact(case, artefact=tag_image(), toward=CLASS, labels=tagged(2, 0.0)[2][TRAIN:])
    assert odds.verdict != "fail"
    assert lost.verdict != "fail"


def test_without_labels_only_the_odds_are_judged() -> None:
    assert [one.code for one in diagnose.pasted_artefact(held_out()[0], artefact=tag_image())] == ["SHC302"]


def test_a_function_and_an_image_of_the_same_artefact_give_the_same_numbers() -> None:
    case, y = held_out()

    def stamped(x: Any) -> Any:
        return np.where(TAG, 1.0, x)

    first = diagnose.pasted_artefact(case, artefact=stamped, control=decoy(), labels=y)
    second = diagnose.pasted_artefact(case, artefact=tag_image(), control=decoy(), labels=y)
    assert [one.estimate for one in first] == [one.estimate for one in second]


def test_a_column_of_a_table_can_be_the_artefact() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 4))
    model = assay.wrap(LogisticRegression().fit(x, x[:, 0] > 0))
    case = assay.case(model, x)
    used, unused = (
        diagnose.pasted_artefact(case, artefact=lambda rows, c=c: rows + 3.0 * np.eye(4)[c], toward=1)[0]
        for c in (0, 3)
    )
    assert used.verdict == "fail"
    assert unused.verdict == "pass"


@pytest.mark.judge
def test_two_equal_marks_differ_in_at_most_16_of_200_samples() -> None:
    """The control is another draw of the artefact, and the threshold is at no difference."""
    case, _ = held_out()
    generator, fails = np.random.default_rng(0), 0
    for _ in range(200):
        which = generator.permutation(len(case))[:60]

        def speckled(x: Any) -> Any:
            return np.where(generator.random(x.shape) < 0.05, 1.0, x)

        found = diagnose.pasted_artefact(case.take(which), artefact=speckled, control=speckled, toward=CLASS, odds=1.0)
        fails += found[0].verdict == "fail"
    assert fails <= 16


def test_few_rows_are_not_judged_and_wrong_options_get_a_typed_error() -> None:
    case, _ = held_out()
    assert diagnose.pasted_artefact(case.take(range(12)), artefact=tag_image())[0].verdict == "not run"
    for wrong in ({"odds": 0.5}, {"lost": 1.0}, {"white": 0.0}, {"level": 1.0}, {"toward": "none"}, {"labels": [1]}):
        with pytest.raises(InputError):
            diagnose.pasted_artefact(case, **{"artefact": tag_image(), **wrong})
