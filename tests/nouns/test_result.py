"""Results: explanations, scores, attack results, certificates."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.nouns import specimens

from assay.basics.errors import InputError, MissingExtra
from assay.nouns.results.result import Certificate, Note, Result


@pytest.mark.parametrize(
    "array",
    [
        specimens.explanation().values,
        specimens.explanation().x,
        specimens.explanation().extra["curve"],
        specimens.attack_result().success,
        specimens.certificate().bounds["incremental"],
    ],
)
def test_no_array_of_a_result_can_be_written_to(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="read-only"):
        array[...] = 0


def test_a_result_keeps_a_copy_of_its_own() -> None:
    values = np.ones((1, 2))
    result = specimens.explanation(values)
    values[:] = 7
    assert_array_equal(result.values, [[1.0, 1.0]])
    values[:] = 8
    assert values.flags.writeable


def test_values_are_float64_and_inputs_keep_their_type() -> None:
    result = specimens.explanation(values=np.ones((1, 2), dtype=np.float32))
    assert result.values.dtype == np.float64
    assert result.x.dtype == np.float32


@pytest.mark.parametrize(
    "result", [specimens.explanation(), specimens.score(), specimens.attack_result(), specimens.certificate()]
)
def test_a_result_prints_at_most_six_lines_and_a_certificate_what_it_is_worth(result: Result) -> None:
    many = tuple(Note("n", f"note {i}") for i in range(9))
    object.__setattr__(result, "notes", many)
    assert len(repr(result).splitlines()) <= (9 if isinstance(result, Certificate) else 6)
    assert result.method in repr(result)


def test_parts_are_ordered_from_the_highest_and_ties_fall_in_part_order() -> None:
    result = specimens.explanation([[1.0, 3.0, 1.0, -5.0]])
    assert_array_equal(result.order(), [[1, 0, 2, 3]])


def test_undefined_values_come_last() -> None:
    assert_array_equal(specimens.explanation([[np.nan, -3.0]]).order(), [[1, 0]])


@pytest.mark.parametrize(("share", "count"), [(0.25, 1), (0.26, 2), (0.5, 2), (1.0, 4), (0.001, 1)])
def test_the_top_share_is_rounded_up(share: float, count: int) -> None:
    assert specimens.explanation([[1.0, 3.0, 1.0, -5.0]]).top(share).sum() == count


def test_a_tenth_of_ten_parts_is_one_part() -> None:
    assert specimens.explanation(np.ones((1, 10))).top(0.1).tolist() == [[True] + [False] * 9]
    assert specimens.explanation(np.ones((1, 10))).top(0.3).sum() == 3


@pytest.mark.parametrize("share", [0.0, 1.5, -1.0])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="fraction of the features"):
        specimens.explanation().top(share)


def test_the_residual_is_what_the_values_leave_unexplained() -> None:
    result = specimens.explanation([[3.0, -1.0]], base=np.array([1.0]), output=np.array([3.25]))
    assert_allclose(result.residual, [0.25])
    assert np.isnan(specimens.explanation([[3.0, -1.0]], base=np.array([np.nan])).residual).all()


def test_a_map_paints_parts_unless_finer_values_are_known() -> None:
    assert_array_equal(specimens.explanation([[3.0, -1.0]], dense=None).map(), [[3.0, -1.0, 0.0]])
    assert_array_equal(specimens.explanation([[3.0, -1.0]]).map(), [[1.0, 1.0, 1.0]])


@pytest.mark.parametrize(("backend", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_a_frame_has_one_line_a_row_and_part(backend: str, kind: type) -> None:
    frame = specimens.explanation([[3.0, -1.0], [0.5, 2.0]]).to_frame(backend)
    assert isinstance(frame, kind)
    assert list(frame["row"]) == ["r0", "r0", "r1", "r1"]
    assert list(frame["part"]) == ["0", "1", "0", "1"]
    assert list(frame["value"]) == [3.0, -1.0, 0.5, 2.0]
    assert list(frame["stderr"]) == [0.1] * 4


def test_going_to_shap_without_shap_says_what_is_missing() -> None:
    with pytest.raises(MissingExtra, match="shap"):
        specimens.explanation().to_shap()


def test_a_mean_is_over_the_defined_rows() -> None:
    result = specimens.score([0.5, np.nan, 1.5])
    assert result.mean == 1.0
    assert_array_equal(result.defined, [True, False, True])
    assert "2 of 3 rows" in repr(result)


def test_a_score_that_is_nowhere_defined_has_no_mean() -> None:
    result = specimens.score([np.nan, np.nan])
    assert np.isnan(result.mean)
    assert np.isnan(result.interval().low)


def test_an_interval_holds_the_mean_and_widens_with_its_level() -> None:
    result = specimens.score(np.random.default_rng(0).normal(size=30))
    narrow, wide = result.interval(0.8), result.interval(0.99)
    assert result.mean in narrow
    assert wide.low < narrow.low < narrow.high < wide.high


def test_a_certificates_bounds_are_attributes() -> None:
    assert_array_equal(specimens.certificate().incremental, [1.0, np.nan])
    with pytest.raises(AttributeError, match="incremental, decremental; there is no 'radius'"):
        specimens.certificate().radius  # noqa: B018  # reading it is what fails
