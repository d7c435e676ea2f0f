"""Explanation shift between two models: by a slow transcription, and on cases with known answers."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.engine.test_agreement import with_values

import assay
from assay import examples, explain
from assay.basics.clustered import mean_interval
from assay.basics.errors import InputError
from assay.nouns.comparisons.explanation_shift import SIMILARITIES


def slow(a: np.ndarray, b: np.ndarray, k: int) -> dict[str, float]:
    """Meyer et al. 2023, section 5, one row, with sets."""
    first, second = (set(sorted(range(len(v)), key=lambda i: (-abs(v[i]), i))[:k]) for v in (a, b))
    same = {i for i in range(len(a)) if np.sign(a[i]) == np.sign(b[i])}
    return {
        "feature": len(first & second) / k,
        "sign": len(first & second & same) / k,
        "direction": float(first | second <= same),
        "signed_set": float(first == second and first <= same),
        "distance": sum((i - j) ** 2 for i, j in zip(a, b)) ** 0.5,
        "relative": (sum((i - j) ** 2 for i, j in zip(a, b)) / (a @ a)) ** 0.5,
        "turned": sum((i - j) ** 2 for i, j in zip(a / np.sqrt(a @ a), b / np.sqrt(b @ b))) ** 0.5,
    }


@pytest.mark.parametrize("k", [1, 3, 7])
def test_every_measure_is_the_papers(k: int) -> None:
    generator = np.random.default_rng(0)
    one = generator.normal(size=(40, 7)).round(1)
    other = one + generator.normal(size=(40, 1)) * generator.normal(size=(40, 7)).round(1)
    found = assay.explanation_shift(*with_values(one, other).values(), k=k)
    for row, measure in product(range(40), found.each):
        assert found.each[measure][row] == pytest.approx(slow(one[row], other[row], k)[measure])
    assert 0 < found.mean("direction") < 1


def test_agreement_between_methods_counts_features_and_signs_in_the_same_way() -> None:
    explanations = with_values(*np.random.default_rng(1).normal(size=(2, 9, 6)))
    expected = assay.agreement(explanations, k=3)
    found = assay.explanation_shift(explanations["a"], explanations["b"], k=3)
    for measure in ("feature", "sign"):
        assert_array_equal(found.each[measure], expected.each[measure][:, 0, 1])
    assert_array_equal(found.each["signed_set"], found.each["sign"] == 1)


def test_an_explanation_has_no_shift_from_itself() -> None:
    (one,) = with_values(np.random.default_rng(2).normal(size=(5, 4))).values()
    found = assay.explanation_shift(one, one, k=2)
    assert {measure: found.mean(measure) for measure in found.each} == {
        measure: float(measure in SIMILARITIES) for measure in found.each
    }
    assert found.interval("sign").low == found.interval("sign").high == 1


def test_of_two_linear_models_the_distance_is_that_of_the_weights() -> None:
    one, other = (explain.saliency(examples.linear(w, np.ones((3, 3)))) for w in ([3.0, 0.0, 4.0], [0.0, 0.0, 4.0]))
    found = assay.explanation_shift(one, other, k=2)
    assert_allclose(found.each["distance"], 3)
    assert_allclose(found.each["turned"], np.sqrt(0.6**2 + 0.2**2))
    assert_array_equal(found.each["feature"], [1.0] * 3)  # zeros tie and keep feature order: both top k are 2 and 0
    assert_array_equal(found.each["sign"], [0.5] * 3)  # 3 and 0 have different signs


def test_a_known_flip_of_sign_is_seen_where_it_is_and_nowhere_else() -> None:
    x = np.array([[1.0, 2.0], [1.0, -2.0]])
    one = examples.analytic(lambda x: 3 * x[:, 0] + x[:, 1] ** 2, lambda x: np.c_[3 + 0 * x[:, 0], 2 * x[:, 1]], x, "a")
    flipped = examples.analytic(
        lambda x: 3 * x[:, 0] + abs(x[:, 1]) * x[:, 1], lambda x: np.c_[3 + 0 * x[:, 0], 2 * abs(x[:, 1])], x, "b"
    )
    found = assay.explanation_shift(explain.saliency(one, signed=True), explain.saliency(flipped, signed=True), k=2)
    assert_array_equal(found.each["sign"], [1.0, 0.5])
    assert_array_equal(found.each["direction"], [1.0, 0.0])
    assert_array_equal(found.each["signed_set"], [1.0, 0.0])
    assert_array_equal(found.each["distance"], [0.0, 8.0])


def test_rows_of_nan_are_nan_and_rows_of_zeros_have_no_direction() -> None:
    explanations = with_values([[1.0, 2.0], [np.nan, 1.0], [0.0, 0.0]], [[1.0, 2.0], [1.0, 1.0], [1.0, 0.0]])
    found = assay.explanation_shift(explanations["a"], explanations["b"], k=1)
    for measure, values in found.each.items():
        assert_array_equal(np.isnan(values), [False, True, measure in ("turned", "relative")])
    assert found.mean("distance") == 0.5
    assert found.to_frame().set_index("measure").loc["turned", "rows"] == 1


def test_the_interval_draws_whole_clusters() -> None:
    generator = np.random.default_rng(3)
    names = np.repeat(list("abcdefgh"), 5)
    values = generator.normal(size=(2, 40, 3)) * np.repeat(generator.uniform(0, 3, 8), 5)[:, None]
    explanations = with_values(*values)
    alone, together = (
        assay.explanation_shift(explanations["a"], explanations["b"], k=2, clusters=groups) for groups in (None, names)
    )
    assert together.interval("distance").method == "student, for skewed clusters"
    wide, narrow = together.interval("distance"), alone.interval("distance")
    assert wide.high - wide.low > 1.2 * (narrow.high - narrow.low)
    direct = mean_interval(together.each["sign"], np.repeat(np.arange(8), 5))
    assert together.interval("sign") == direct


def test_what_does_not_fit_is_refused() -> None:
    one = explain.saliency(examples.linear([1.0, 2.0]))
    with pytest.raises(InputError, match="same rows in the same order and the same features"):
        assay.explanation_shift(one, explain.saliency(examples.linear([1.0, 2.0, 3.0])), k=1)
    with pytest.raises(InputError, match="k=3"):
        assay.explanation_shift(one, one, k=3)
    with pytest.raises(InputError, match="there are feature, sign"):
        assay.explanation_shift(one, one, k=1).mean("rank")
    assert "ExplanationShift of 1 explanations, top 1 features" in repr(assay.explanation_shift(one, one, k=1))
