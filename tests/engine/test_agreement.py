"""Agreement between explanations, by hand and by a slow transcription of the paper's definitions."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats

import assay
from assay import examples, explain
from assay.basics.errors import InputError
from assay.basics.stats import bounded_mean_interval
from assay.nouns.comparisons.agreement import BOUNDS
from assay.nouns.inputs.features import Features
from assay.nouns.results.result import Explanation


def with_values(*tables: Any) -> dict[str, Explanation]:
    """Explanations of one case with these values."""
    rows, parts = np.shape(tables[0])
    case = examples.analytic(lambda x: x.sum(axis=1), lambda x: np.ones(x.shape), np.zeros((rows, parts)), "sum")
    start = explain.random(case)
    return {"abcdef"[i]: replace(start, values=np.asarray(table, dtype=np.float64)) for i, table in enumerate(tables)}


def slow(a: np.ndarray, b: np.ndarray, k: int) -> dict[str, float]:
    """Krishna et al. 2022, section 3.2, one row, with lists."""
    first, second = (sorted(range(len(v)), key=lambda i: (-abs(v[i]), i))[:k] for v in (a, b))
    signs = [i for i in first if i in second and np.sign(a[i]) == np.sign(b[i])]
    same = [i for i, j in zip(first, second) if i == j]
    counts = {"feature": len(set(first) & set(second)), "rank": len(same), "sign": len(signs)}
    counts["signed_rank"] = len(set(same) & set(signs))
    return {name: count / k for name, count in counts.items()} | {"spearman": scipy_stats.spearmanr(a, b).statistic}


@pytest.mark.parametrize("k", [1, 3, 7])
def test_every_measure_is_the_papers(k: int) -> None:
    tables = np.random.default_rng(0).normal(size=(3, 5, 7)).round(1)
    tables[1] = tables[0] + 0.3 * tables[2]
    found = assay.agreement(with_values(*tables), k=k)
    for (i, j), row, measure in product(product(range(3), repeat=2), range(5), BOUNDS):
        assert found.each[measure][row, i, j] == pytest.approx(slow(tables[i, row], tables[j, row], k)[measure])


def test_an_explanation_agrees_with_itself_and_its_negative_in_all_but_sign() -> None:
    values = np.array([[3.0, -1.0, 2.0, 0.5]])
    found = assay.agreement(with_values(values, -values), k=2)
    assert_allclose(found.mean("feature"), 1)
    assert_allclose(found.mean("rank"), 1)
    assert_allclose(found.mean("sign"), np.eye(2))
    assert_allclose(found.mean("signed_rank"), np.eye(2))
    assert_allclose(found.mean("spearman"), [[1, -1], [-1, 1]])


def test_the_map_shows_where_methods_agree_and_with_which_sign() -> None:
    a, b, c = [[3.0, -2.0, 0.1]], [[3.0, 2.0, 0.1]], [[1.0, 0.0, 2.0]]
    found = assay.agreement(with_values(a, b, c), k=2)
    assert_allclose(found.share, [[1, 1 / 3, 1 / 3]])
    assert found.sign.tolist() == [[1, 0, 1]]  # the signs of two methods differ on the second feature
    assert_allclose(found.map(), [[1, 0, 1 / 3]])


def test_means_have_bounded_intervals() -> None:
    tables = np.random.default_rng(1).normal(size=(2, 20, 6))
    found = assay.agreement(with_values(*tables), k=2)
    assert found.interval("feature", "a", "b") == bounded_mean_interval(found.each["feature"][:, 0, 1], 0.0, 1.0)
    assert found.interval("spearman", "a", "a").high == 1.0


def test_parts_that_a_row_lacks_do_not_count() -> None:
    index = np.array([[0, 1, 2, 3], [0, 0, 1, 1]])
    cut = Features(index, ("p", "q", "r", "s"), per_row=True)
    explanations = with_values(
        [[4.0, 3.0, 2.0, 1.0], [2.0, 1.0, 0.0, 0.0]], [[4.0, 3.0, 1.0, 2.0], [1.0, 2.0, 0.0, 0.0]]
    )
    found = assay.agreement({name: replace(one, features=cut) for name, one in explanations.items()}, k=3)
    assert_allclose(found.each["feature"][:, 0, 1], [2 / 3, 1.0])
    assert_allclose(found.each["rank"][:, 0, 1], [2 / 3, 0.0])
    assert found.each["spearman"][1, 0, 1] == -1.0


def test_undefined_rows_stay_undefined_and_do_not_vote() -> None:
    gone = np.array([[np.nan, 1.0], [2.0, 1.0]])
    found = assay.agreement(with_values(gone, [[1.0, 2.0], [2.0, 1.0]]), k=1)
    assert np.isnan(found.each["feature"][0, 0, 1])
    assert found.mean("feature")[0, 1] == 1.0
    assert found.share.tolist() == [[0, 1], [1, 0]]


def test_what_does_not_fit_is_refused() -> None:
    explanations = with_values([[1.0, 2.0]], [[1.0, 2.0]])
    with pytest.raises(InputError, match="1 ≤ k ≤ 2"):
        assay.agreement(explanations, k=3)
    with pytest.raises(InputError, match="two explanations by"):
        assay.agreement(list(explanations.values()), k=1)
    with pytest.raises(InputError, match="same rows"):
        assay.agreement(explanations | {"c": with_values([[1.0, 2.0]] * 2)["a"]}, k=1)
    with pytest.raises(InputError, match="there are feature"):
        assay.agreement(explanations, k=1).mean("top")


def test_the_short_view_names_the_pair_furthest_apart() -> None:
    found = assay.agreement(with_values([[3.0, 1.0, 0.0]], [[2.0, 1.0, 0.0]], [[0.0, 1.0, 3.0]]), k=1)
    assert "least agreement: a and c, 0.00" in repr(found)
    assert len(found.to_frame()) == 3 * 5
