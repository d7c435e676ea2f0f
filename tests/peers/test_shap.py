"""Agreement with shap where shap enumerates: a second witness, never the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.contract.subjects import ROWS, curved, loan_pipeline, plain

import assay
from assay import explain

pytestmark = pytest.mark.peer
shap: Any = pytest.importorskip("shap", reason="shap is not installed (make peers)", exc_type=ImportError)

BACKGROUND = np.random.default_rng(3).normal(size=(7, 4))


@pytest.fixture(scope="module")
def ours() -> Any:
    return explain.shapley(plain(), remove=assay.Marginal(BACKGROUND))


def test_the_exact_explainer_agrees(ours: Any) -> None:
    theirs = shap.explainers.Exact(curved, shap.maskers.Independent(BACKGROUND, max_samples=100))(ROWS)
    assert_allclose(ours.values, theirs.values, atol=1e-8)
    assert_allclose(ours.base, theirs.base_values, atol=1e-8)


def test_the_kernel_explainer_agrees_when_it_enumerates(ours: Any) -> None:
    theirs = shap.KernelExplainer(curved, BACKGROUND).shap_values(ROWS, nsamples=2**4, l1_reg=False, silent=True)
    assert_allclose(ours.values, theirs, atol=1e-8)


def test_permutations_agree_with_the_permutation_explainer_within_errors(ours: Any) -> None:
    masker = shap.maskers.Independent(BACKGROUND, max_samples=100)
    theirs = shap.explainers.Permutation(curved, masker, seed=0)(ROWS, max_evals=2000)
    sampled = explain.permutation_shapley(plain(), remove=assay.Marginal(BACKGROUND), budget=600)
    assert_allclose(theirs.values, ours.values, atol=0.1)
    assert (np.abs(sampled.values - ours.values) <= 5 * sampled.stderr + 1e-9).all()


def test_a_linear_model_agrees_with_the_linear_explainer() -> None:
    weights = np.array([0.5, -2.0, 1.0, 3.0])
    case = assay.examples.linear(tuple(weights), x=ROWS)
    theirs = shap.LinearExplainer((weights, 0.0), shap.maskers.Independent(BACKGROUND, max_samples=100))(ROWS)
    assert_allclose(explain.shapley(case, remove=assay.Marginal(BACKGROUND)).values, theirs.values, atol=1e-8)


def test_a_boosted_tree_agrees_with_the_interventional_tree_explainer() -> None:
    from sklearn.ensemble import GradientBoostingRegressor

    generator = np.random.default_rng(5)
    x = generator.normal(size=(200, 4))
    fitted = GradientBoostingRegressor(n_estimators=10, max_depth=3, random_state=0).fit(x, curved(x))
    background = x[:20]
    case = assay.case(assay.wrap(fitted), x[100:104])
    theirs = shap.TreeExplainer(fitted, background, feature_perturbation="interventional").shap_values(x[100:104])
    assert_allclose(explain.shapley(case, remove=assay.Marginal(background)).values, theirs, atol=1e-6)


def test_a_result_becomes_an_explanation_of_theirs(ours: Any) -> None:
    theirs = ours.to_shap()
    assert isinstance(theirs, shap.Explanation)
    assert_allclose(theirs.values, ours.values)
    assert_allclose(theirs.base_values, ours.base)


@pytest.fixture(scope="module")
def lent() -> Any:
    """Shapley values, sampled, of a frame of numbers and words."""
    frame, pipeline = loan_pipeline()
    case = assay.case(assay.wrap(pipeline), frame.iloc[:30], label=1)
    return explain.permutation_shapley(case, remove=assay.Marginal(frame.iloc[40:50]), budget=26)


@pytest.mark.parametrize("name", ["bar", "beeswarm", "heatmap", "violin", "scatter"])
def test_shaps_plots_of_many_rows_accept_our_explanations(lent: Any, name: str) -> None:
    given = lent.to_shap()
    picture = _drawn(name, given[:, "age"] if name == "scatter" else given)
    assert len(picture.axes) >= 1


def test_shaps_waterfall_shows_words_as_words(lent: Any) -> None:
    picture = _drawn("waterfall", lent.to_shap()[0])
    told = " ".join(label.get_text() for axis in picture.axes for label in axis.get_yticklabels())
    assert lent.part_texts[0][lent.features.names.index("purpose")] in told


def test_errors_and_bounds_go_along(lent: Any) -> None:
    given = lent.to_shap()
    assert_allclose(given.error_std, lent.stderr)
    assert_allclose(given.upper_bounds - given.lower_bounds, 2 * 1.959964 * lent.stderr, atol=1e-12)
    assert_allclose(given.base_values + given.values.sum(axis=1), lent.output, atol=1e-9)


def _drawn(name: str, given: Any) -> Any:
    """The figure that one of shap's plots makes, off screen; its own warnings are not ours."""
    import warnings

    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.close("all")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        getattr(shap.plots, name)(given, show=False)
    return plt.gcf()
