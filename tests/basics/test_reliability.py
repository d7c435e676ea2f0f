"""The intraclass correlation against its paper's example and cases done by hand."""

import numpy as np
import pytest

from assay.basics.reliability import intraclass_correlation, krippendorff_alpha

JUDGES = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)


def test_it_is_that_of_the_papers_example() -> None:
    found, interval = intraclass_correlation(JUDGES)  # Shrout and Fleiss 1979, tables 2 to 4: 0.17
    assert found == pytest.approx(0.166, abs=5e-4)
    assert interval.low == pytest.approx(-0.133, abs=5e-4)
    assert interval.high == pytest.approx(0.723, abs=5e-4)


def test_measurements_that_repeat_exactly_give_one_and_rows_that_never_differ_give_none() -> None:
    assert intraclass_correlation(np.array([[1.0, 1.0], [2.0, 2.0]]))[0] == 1.0
    assert np.isnan(intraclass_correlation(np.ones((4, 3)))[0])
    assert intraclass_correlation(np.array([[1.0, 2.0], [2.0, 1.0]]))[0] == -1.0


def test_the_interval_covers_a_known_share_of_variance() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        values = generator.normal(size=(20, 1)) + generator.normal(size=(20, 4))
        covered += 0.5 in intraclass_correlation(values)[1]
    assert 0.92 <= covered / 300 <= 0.98


def test_krippendorffs_alpha_is_the_ratio_of_disagreements_counted_pair_by_pair() -> None:
    values = np.random.default_rng(4).integers(0, 5, (4, 6)).astype(float)  # rater, unit
    within = [(a - b) ** 2 for unit in values.T for i, a in enumerate(unit) for j, b in enumerate(unit) if i != j]
    flat = values.ravel()
    overall = [(a - b) ** 2 for i, a in enumerate(flat) for j, b in enumerate(flat) if i != j]
    assert krippendorff_alpha(values) == pytest.approx(1 - np.mean(within) / np.mean(overall))


def test_krippendorffs_alpha_at_its_ends() -> None:
    assert krippendorff_alpha(np.tile(np.arange(3.0), (5, 1))) == 1.0
    assert krippendorff_alpha(np.array([[1.0, 2.0], [2.0, 1.0]])) == pytest.approx(-0.5)
    assert np.isnan(krippendorff_alpha(np.ones((3, 3))))
    assert np.isnan(krippendorff_alpha(np.array([[1.0, 2.0]])))
