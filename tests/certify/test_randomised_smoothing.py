# SPDX-License-Identifier: Apache-2.0
"""Randomised smoothing against closed forms: half-spaces, an interval, and attacks on the smoothed net."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import stats
from scipy.optimize import brentq
from tests.contract.nets import net

import assay
from assay import attack, certify
from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.engine.neighbourhoods.noisy_points import count_noisy_classes
from assay.model import smooth

WEIGHTS = np.array([2.0, -1.0, 2.0])


def half_space(x, **options):
    """Class 1 where w·x > 0; the smoothed model is the same half-space."""
    model = assay.model.function(
        lambda rows: np.eye(2)[(rows @ WEIGHTS > 0).astype(int)], gives="probabilities", name="half-space"
    )
    return assay.case(model, x, **options)


def at_distance(distances):
    """Rows at these distances from the plane."""
    return np.asarray(distances)[:, None] * WEIGHTS / np.linalg.norm(WEIGHTS)


def test_the_radius_of_a_half_space_is_below_its_margin_as_often_as_stated():
    rows, distance = 500, 0.4
    case = half_space(at_distance(np.full(rows, distance)))
    found = certify.randomised_smoothing(case, sigma=0.5, draws=200, selection_draws=20, alpha=0.1)
    too_large = int((found.radius > distance).sum())
    assert stats.binomtest(too_large, rows, 0.1, alternative="greater").pvalue > 0.01
    assert too_large > 0  # the limit is not vacuous
    assert np.nanmean(found.radius) > 0.8 * distance


def test_the_radius_converges_to_the_margin_over_the_norm():
    distances = np.array([0.1, 0.5, -0.8])
    found = certify.randomised_smoothing(half_space(at_distance(distances)), sigma=0.5, draws=20_000)
    assert_allclose(found.radius, np.abs(distances), atol=0.03)
    assert (found.radius <= np.abs(distances)).all()
    assert found.extra["class"].tolist() == [1.0, 1.0, 0.0]


def test_the_class_of_an_interval_is_certified_no_further_than_where_the_smoothed_class_changes():
    model = assay.model.function(lambda x: np.eye(2)[(np.abs(x[:, 0]) < 1).astype(int)], gives="probabilities")
    points, sigma = np.linspace(-0.9, 0.9, 13), 0.4

    def inside(x):
        return stats.norm.cdf((1 - x) / sigma) - stats.norm.cdf((-1 - x) / sigma)

    edge = brentq(lambda x: inside(x) - 0.5, 0.5, 3)
    found = certify.randomised_smoothing(assay.case(model, points[:, None]), sigma=sigma, draws=5000)
    certified = ~found.abstained
    assert certified.sum() > 6
    assert (found.radius[certified] <= np.abs(edge - np.abs(points[certified]))).all()


def test_unanimous_draws_reach_the_cap_and_no_more():
    found = certify.randomised_smoothing(half_space(at_distance([50.0])), sigma=0.5, draws=100, alpha=0.01)
    assert_allclose(found.radius, 0.5 * stats.norm.ppf(0.01 ** (1 / 100)), rtol=1e-10)
    assert_allclose(found.cap, found.radius[0], rtol=1e-12)
    assert "at most" in repr(found)


def test_a_row_on_the_boundary_is_abstained_from_by_name():
    found = certify.randomised_smoothing(half_space(at_distance([0.0, 3.0]), ids=["edge", "far"]), sigma=0.5, draws=200)
    assert found.abstained.tolist() == [True, False]
    assert np.isnan(found.radius[0])
    assert next(note for note in found.notes if note.code == "abstained").rows == ("edge",)


def test_too_few_draws_certify_nothing_and_say_so():
    found = certify.randomised_smoothing(half_space(at_distance([9.0])), sigma=0.5, draws=5, alpha=0.001)
    assert found.abstained.all()
    assert found.cap == 0.0
    assert "so few draws" in found.notes[-1].text


def test_no_attack_inside_the_radius_changes_the_smoothed_class():
    x = np.random.default_rng(3).normal(size=(6, 4))
    case = assay.case(assay.wrap(net()), torch.as_tensor(x))
    found = certify.randomised_smoothing(case, sigma=0.5, draws=2000, alpha=0.001)
    certified = np.flatnonzero(~found.abstained)
    assert len(certified) >= 3
    soft = smooth(case.model, sigma=0.5, draws=64, seed=Seed(9))
    for row in certified:
        one = assay.case(soft, torch.as_tensor(x[[row]]))
        moved = attack.pgd(one, assay.Ball("l2", float(found.radius[row])), steps=8, step=0.4).x
        counts = count_noisy_classes(case.take([row]).at(torch.tensor(moved)), 0.5, 4000, Seed(5))[0]
        share = counts[int(found.extra["class"][row])] / 4000
        assert share > 0.5 - 4 * np.sqrt(0.25 / 4000)


def test_the_certified_model_is_described_by_its_agreement_and_its_classes():
    far = half_space(at_distance([3.0, 3.0, -3.0]))
    found = certify.randomised_smoothing(far, sigma=0.5, draws=50)
    assert found.agreement == 1.0
    assert_allclose(found.histogram, [1 / 3, 2 / 3])
    rare = assay.model.function(lambda x: np.eye(2)[(np.abs(x[:, 0]) < 0.1).astype(int)], gives="probabilities")
    lost = certify.randomised_smoothing(assay.case(rare, np.zeros((2, 1))), sigma=1.0, draws=50)
    assert lost.agreement == 0.0


def test_rows_are_certified_alike_alone_and_together_in_any_batch():
    case = half_space(at_distance([0.3, 0.5, 0.7]), ids=list("abc"))
    together = certify.randomised_smoothing(case, sigma=0.5, draws=100)
    alone = certify.randomised_smoothing(case.take([1]), sigma=0.5, draws=100)
    small = replace(case.model, batch=7)
    batched = certify.randomised_smoothing(assay.case(small, case.rows.x, ids=list("abc")), sigma=0.5, draws=100)
    assert alone.radius[0] == together.radius[1]
    np.testing.assert_array_equal(batched.radius, together.radius)


def test_evaluations_are_those_declared():
    from assay.engine.cost import cost_of

    case = half_space(at_distance([0.3, 0.5]))
    meter, _ = case.model.meter, case.prediction
    before = meter.requested
    certify.randomised_smoothing(case, sigma=0.5, draws=70, selection_draws=9)
    declared = cost_of(certify.randomised_smoothing.method, case, {"draws": 70, "selection_draws": 9})
    assert meter.requested - before == declared.forwards == 2 * 80


@pytest.mark.parametrize("wrong", [{"sigma": 0.0}, {"draws": 0}, {"selection_draws": 0}, {"alpha": 1.0}])
def test_impossible_options_are_refused(wrong):
    with pytest.raises(InputError):
        certify.randomised_smoothing(half_space(at_distance([1.0])), **{"sigma": 0.5, **wrong})


def test_regressions_are_refused():
    with pytest.raises(CapabilityError, match="needs a classifier"):
        certify.randomised_smoothing(assay.examples.linear(), sigma=0.1)
