"""Risk scores against every score of small problems, traps, permuted labels, and COMPAS beside stored peers."""

import time
from itertools import product

import numpy as np
import pytest
from tests.interpretable.brute_force import best_score_objective, random_binary
from tests.interpretable.compas import compas_conditions
from tests.interpretable.test_rule_list import planted

import assay
from assay.basics.errors import InputError
from assay.basics.stats import wilson
from assay.engine.distinct.risk_scores import PointsProblem, _Search, best_points
from assay.engine.distinct.table import distinct_rows
from assay.interpretable import RiskScore

FASTER_RISK = 0.6182
"""Loss of FasterRisk 0.1.10 on 5,000 rows of COMPAS with 5 items (another split; its multiplier was 3.13)."""


def difference_from_brute_force(seed: int) -> float:
    """The largest of: objective above the best of all scores, best above the objective, gap left at tolerance 0."""
    x, y = random_binary(seed, 4 if seed % 5 == 0 else 3)
    penalty, items = (0.0, 0.005, 0.02)[seed % 3], 1 + seed % x.shape[1]
    multipliers = (1.0,) if seed % 2 else (1.0, 2.0)
    problem = PointsProblem(distinct_rows(x.astype(bool), y, 2), penalty, 3, items)
    found = best_points(problem, multipliers, 0.0, 10**6)
    expected = best_score_objective(x, y, penalty, 3, items, multipliers)
    return max(abs(found.objective - expected), found.objective - found.lower_bound)


def test_scores_are_the_best_of_all_scores_of_small_problems() -> None:
    assert max(difference_from_brute_force(seed) for seed in range(16)) < 1e-9


def test_the_search_needs_no_coordinate_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Search, "improve", only_evaluate)
    assert max(difference_from_brute_force(seed) for seed in range(16)) < 1e-9


def only_evaluate(self: _Search, points: np.ndarray, limit: float = np.inf) -> tuple[float, np.ndarray]:
    """The points themselves, without moves."""
    points = self._with_few_items(np.clip(points, self.low, self.high))
    self.found = min(self.found, (self.value(points), points), key=lambda one: one[0])
    return self.found


@pytest.mark.parametrize("seed", range(8))
def test_no_points_of_a_box_are_below_its_bound(seed: int) -> None:
    x, y = random_binary(seed, 3)
    draws, items = np.random.default_rng(seed), 1 + seed % x.shape[1]
    search = _Search(PointsProblem(distinct_rows(x.astype(bool), y, 2), 0.01, 3, items), 1.0 + seed % 2)
    for _ in range(10):
        low = draws.integers(-3, 3, x.shape[1] + 1).astype(float)
        high = low + draws.integers(0, 4, len(low))
        points = np.array(list(product(*(range(int(a), int(b) + 1) for a, b in zip(low, high)))), dtype=float)
        points = points[(points[:, 1:] != 0).sum(axis=1) <= items]
        least = min((search.value(one) for one in points), default=np.inf)
        for at in (low, high, search.loss.relaxed(low, high, low, np.zeros(len(low)))):
            if len(points):
                assert search.plane_bound(at, low, high) <= least + 1e-12
        box = search.box(low, high, low, np.inf)
        assert (box is None) == (len(points) == 0)
        if box is None:
            continue
        parts = search.children(box, np.inf)
        inside = np.array([((points >= one.low) & (points <= one.high)).all(axis=1) for one in parts])
        assert (inside.sum(axis=0) == 1).all() or not len(parts)
        assert len(parts) or (low == high).all()


@pytest.mark.judge
def test_scores_are_the_best_of_all_scores_of_200_small_problems() -> None:
    assert max(difference_from_brute_force(seed) for seed in range(200)) < 1e-9


def test_a_stopped_search_has_a_bound_below_the_best() -> None:
    x, y = random_binary(10)
    table = distinct_rows(x.astype(bool), y, 2)
    for nodes in (1, 2, 5):
        found = best_points(PointsProblem(table, 0.005, 3, 4), (1.0,), 0.0, nodes)
        assert found.lower_bound <= best_score_objective(x, y, 0.005, 3, 4, (1.0,)) <= found.objective + 1e-12


def test_a_column_that_separates_the_classes_gets_bounded_points() -> None:
    x = np.random.default_rng(0).integers(0, 2, (200, 3))
    model = RiskScore(0.001, points=5).fit(x, x[:, 1])
    assert model.points_[1] == 5
    assert (model.predict(x) == x[:, 1]).all()
    assert model.certificate_.gap <= 1e-3


def test_a_rare_class_has_an_intercept_beyond_the_points() -> None:
    x = np.random.default_rng(0).integers(0, 2, (20_000, 2))
    y = np.zeros(20_000, dtype=int)
    y[[5, 900]] = 1
    model = RiskScore(0.005, points=2).fit(x, y)
    assert not model.points_.any()
    assert model.intercept_ == -9  # log odds of 1e-4 is −9.2
    assert model.certificate_.status == "optimal"


@pytest.mark.parametrize("seed", range(2))
def test_permuted_labels_get_no_points(seed: int) -> None:
    draws = np.random.default_rng(seed)
    x = draws.integers(0, 2, (1000, 8))
    y = (draws.random(1000) < 0.3 + 0.4 * x[:, 0]).astype(int)
    assert RiskScore(0.02).fit(x, y).points_[0] > 0
    none = sum(not RiskScore(0.02).fit(x, draws.permutation(y)).points_.any() for _ in range(20))
    assert none >= 19


def test_the_objective_is_that_of_the_score_returned() -> None:
    frame, labels = planted()
    model = RiskScore(0.005, multiplier="search").fit(frame, labels)
    risk = model.predict_proba(frame)[:, 1]
    loss = -np.log(np.where(labels == "yes", risk, 1 - risk)).mean()
    assert model.loss_ == pytest.approx(loss, abs=1e-12)
    assert model.certificate_.objective == pytest.approx(loss + 0.005 * np.count_nonzero(model.points_), abs=1e-12)


def test_the_calibration_table_counts_rows_by_score() -> None:
    frame, labels = planted()
    model = RiskScore(0.005).fit(frame, labels)
    totals = model.total_points(frame)
    for line in model.calibration_:
        own = labels[totals == line.score] == "yes"
        assert (line.rows, line.positives) == (len(own), own.sum())
        assert line.observed == wilson(int(own.sum()), len(own))
        assert line.text in model.text_
    assert sum(line.rows for line in model.calibration_) == len(frame)
    assert model.calibration(frame.iloc[:50], labels[:50])[0].rows == (totals[:50] == min(totals[:50])).sum()


def test_items_are_limited() -> None:
    x, y = random_binary(8, 6)
    assert np.count_nonzero(RiskScore(0.0, items=1).fit(x, y).points_) <= 1


def test_searched_multipliers_are_another_class_with_no_higher_loss() -> None:
    x, y = random_binary(4, 4)
    one, many = RiskScore(0.001).fit(x, y), RiskScore(0.001, multiplier="search").fit(x, y)
    assert "multiplier 1 on" in one.certificate_.text
    assert "multipliers 1 to 5 on" in many.certificate_.text
    assert many.certificate_.objective <= one.certificate_.objective * (1 + 1e-3)


def test_a_score_is_an_ordinary_model() -> None:
    frame, labels = planted()
    fitted = RiskScore(0.005).fit(frame, labels)
    wrapped = assay.wrap(fitted)
    assert not wrapped.partial_fingerprint
    case = assay.case(wrapped, frame.iloc[:5])
    np.testing.assert_allclose(case.outputs(case.rows.x), fitted.predict_proba(frame.iloc[:5]))


@pytest.mark.parametrize(
    "options",
    [{"penalty": -1.0}, {"items": 0}, {"points": 0}, {"multiplier": 2}, {"tolerance": 1.0}, {"nodes": 0}],
    ids=str,
)
def test_bad_options_are_refused(options: dict[str, object]) -> None:
    x, y = random_binary(0)
    with pytest.raises(InputError):
        RiskScore(**options).fit(x, y)


def test_compas_has_a_proved_gap_and_the_known_points() -> None:
    x, y = compas_conditions()
    started = time.process_time()
    model = RiskScore(0.005, items=15).fit(x[:5000], y[:5000])
    assert model.certificate_.gap <= 1e-3
    assert model.loss_ == pytest.approx(0.6227, abs=1e-4)
    points = {name.removesuffix(" = 1"): int(p) for name, p in zip(model.binariser_.names, model.points_) if p}
    assert points == {"age 18–20": 2, "age 21–22": 1, "age > 45": -1, "priors 2–3": 1, "priors > 3": 2}
    assert model.intercept_ == -1
    assert time.process_time() - started < 30


@pytest.mark.judge
def test_compas_with_five_items_is_as_good_as_faster_risk() -> None:
    x, y = compas_conditions()
    model = RiskScore(0.0, items=5, multiplier="search").fit(x[:5000], y[:5000])
    assert model.certificate_.gap <= 1e-3
    assert abs(model.loss_ - FASTER_RISK) <= 1e-3
