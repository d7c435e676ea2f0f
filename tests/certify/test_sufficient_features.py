# SPDX-License-Identifier: Apache-2.0
"""Sufficient features: enumeration of all completions, brute force over all sets, and random completions."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from tests.contract.nets import filled

import assay
from assay import Ball, certify, explain
from assay.basics.errors import CapabilityError, InputError
from assay.engine.boxes.flip_search import FreeTrees, find_flip
from assay.engine.feature_sets.domains import Reference, drawn_completions
from assay.engine.feature_sets.sufficient_search import completions_of
from assay.nouns.inputs.target import predicted_class

LEVELS = ("u", "v", "w")


def table(classes: int = 2, gaps: bool = False, rows: int = 120) -> tuple[pd.DataFrame, np.ndarray]:
    """Two numbers, a whole number and a column of levels; the label depends on all of them."""
    draws = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": draws.normal(size=rows).round(2),
            "b": draws.normal(size=rows).round(2) * 10,
            "n": draws.integers(0, 4, rows).astype(float),
            "c": pd.Categorical(draws.choice(LEVELS, rows)),
        }
    )
    score = frame.a + 0.1 * frame.b * np.sign(frame.n - 1.5) + (frame.c == "v")
    y = np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1]))
    if gaps:
        frame.loc[::6, "a"] = np.nan
        frame.loc[::10, "c"] = None
    return frame, y


def encoded(*steps: Any, numbers: Any = "passthrough") -> Any:
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["c"]), (numbers, ["a", "b", "n"]), sparse_threshold=0.0
    )
    return make_pipeline(encode, *steps)


def xgboost(**options: Any) -> Any:
    made = pytest.importorskip("xgboost").XGBClassifier(n_estimators=6, max_depth=3, n_jobs=1, **options)
    return made


def lightgbm() -> Any:
    return pytest.importorskip("lightgbm").LGBMClassifier(
        n_estimators=6, num_leaves=6, min_child_samples=5, min_data_per_group=5, n_jobs=1, verbose=-1
    )


def catboost() -> Any:
    return pytest.importorskip("catboost").CatBoostClassifier(
        iterations=6, depth=3, thread_count=1, verbose=False, allow_writing_files=False
    )


TREES: dict[str, Any] = {
    "tree": lambda: encoded(DecisionTreeClassifier(max_depth=4, random_state=0)),
    "forest": lambda: encoded(RandomForestClassifier(6, max_depth=4, random_state=0)),
    "boosting": lambda: encoded(GradientBoostingClassifier(n_estimators=6, random_state=0)),
    "bins": lambda: encoded(
        RandomForestClassifier(5, max_depth=4, random_state=0), numbers=KBinsDiscretizer(3, encode="onehot-dense")
    ),
    "hist": lambda: HistGradientBoostingClassifier(
        max_iter=6, max_depth=3, min_samples_leaf=5, random_state=0, categorical_features="from_dtype"
    ),
    "xgboost": lambda: xgboost(enable_categorical=True),
    "lightgbm": lightgbm,
    "catboost": lambda: encoded(catboost()),
}
LINEAR: dict[str, Any] = {
    "logistic": lambda: encoded(StandardScaler(), LogisticRegression()),
    "ridge": lambda: encoded(RidgeClassifier()),
    "bins": lambda: encoded(LogisticRegression(), numbers=KBinsDiscretizer(3, encode="onehot-dense")),
}
WITH_GAPS = ("hist", "xgboost", "lightgbm")


def fitted(kind: str, classes: int, gaps: bool = False) -> tuple[Any, pd.DataFrame]:
    frame, y = table(classes, gaps)
    return (TREES | LINEAR)[kind]().fit(frame, y), frame


def completions(case: assay.Case, row: int, reference: Any) -> tuple[np.ndarray, np.ndarray]:
    """Completions (completion, element) of which one lies in each cell of the domain, and whether each has the class.

    For linear models the ends of the ranges, at one of which every sum is largest.
    """
    other = np.asarray(case.rows.convert(reference))
    domain = Reference.of(case.rows, other).around(np.asarray(case.rows.x)[row])
    values = []
    for element in range(4):
        if domain.coded[element]:
            values.append(domain.levels[element])
            continue
        seen = np.union1d(domain.levels[element][~np.isnan(domain.levels[element])], [domain.low[element]])
        thresholds = np.sort(np.concatenate([seen, (seen[1:] + seen[:-1]) / 2]))
        grid = np.unique(np.round(thresholds[:: max(1, len(thresholds) // 7)], 3))
        grid = grid[np.equal(grid, np.round(grid))] if domain.whole[element] else grid
        gap = [np.nan] if domain.gaps[element] else []
        values.append(np.unique(np.array([*grid, domain.low[element], domain.high[element], domain.x[element], *gap])))
    points = np.array(list(product(*values)))
    own = case.predicted(case.rows.x)[row]
    return points, predicted(case, points) == own


def predicted(case: assay.Case, points: np.ndarray) -> np.ndarray:
    """The model's class (point,) at any number of points, in the codes of the case."""
    which = np.zeros(len(points), dtype=np.int64)
    outputs = case.model.forward(case.rows.with_inputs(points, which))
    return predicted_class(np.asarray(outputs), case.model.gives)


def is_kept(points: np.ndarray, same: np.ndarray, x: np.ndarray, members: np.ndarray) -> bool:
    """Whether all completions that agree with the row on the members have its class."""
    agrees = (points == x) | (np.isnan(points) & np.isnan(x))
    return bool(same[agrees[:, members].all(axis=1)].all())


KINDS = [("forest", 2, False), ("hist", 2, True), ("xgboost", 2, True), ("logistic", 3, False), ("ridge", 2, False)]
MORE = [(kind, classes, False) for kind in (*TREES, *LINEAR) for classes in (2, 3)]
MORE += [(kind, classes, True) for kind in WITH_GAPS for classes in (2, 3)]
CASES = [*KINDS, *(pytest.param(*one, marks=pytest.mark.judge) for one in MORE if one not in KINDS)]


@pytest.mark.parametrize(("kind", "classes", "gaps"), CASES, ids=lambda one: str(one))
def test_no_completion_changes_the_class_and_every_member_has_a_counterexample(
    kind: str, classes: int, gaps: bool
) -> None:
    model, frame = fitted(kind, classes, gaps)
    case = assay.case(assay.wrap(model), frame.iloc[:4])
    found = certify.sufficient_features(case, reference=frame)
    x, own = np.asarray(case.rows.x), case.predicted(case.rows.x)
    members, changed = found.extra["members"].astype(bool), found.extra["counterexample"]
    assert not found.extra["undecided"].any()
    for row in range(4):
        points, same = completions(case, row, frame)
        assert is_kept(points, same, x[row], members[row])
        agrees = (changed[row] == x[row]) | (np.isnan(changed[row]) & np.isnan(x[row]))
        for part in np.flatnonzero(members[row]):
            assert agrees[part, members[row] & (np.arange(4) != part)].all()
        assert_array_equal(predicted(case, changed[row]) != own[row], members[row])
    assert_array_equal(found.size, members.sum(axis=1))
    assert (found.extra["minimal"] == 1).all()
    if gaps:
        assert "missing values are allowed in a" in " ".join(found.assumptions)


@pytest.mark.parametrize(("kind", "classes"), [("forest", 2), ("logistic", 3)])
def test_the_smallest_set_is_that_of_brute_force(kind: str, classes: int) -> None:
    model, frame = fitted(kind, classes)
    case = assay.case(assay.wrap(model), frame.iloc[:4])
    found = certify.sufficient_features(case, reference=frame, smallest=True)
    ways = completions_of(case, case.predicted(case.rows.x), frame, None)
    for row in range(4):
        decide = ways.around(row).decide
        sizes = [
            size
            for size in range(5)
            for held in combinations(range(4), size)
            if decide(~np.isin(np.arange(4), held), 10_000).verdict == "stays"
        ]
        assert found.size[row] == min(sizes) == found.extra["size_low"][row]
    plain = certify.sufficient_features(case, reference=frame)
    assert (found.size <= plain.size).all()


@pytest.mark.parametrize("kind", ["boosting", pytest.param("lightgbm", marks=pytest.mark.judge), "logistic"])
def test_random_completions_never_change_the_class(kind: str) -> None:
    model, frame = fitted(kind, 2)
    case = assay.case(assay.wrap(model), frame.iloc[:5])
    found = certify.sufficient_features(case, reference=frame)
    reference = Reference.of(case.rows, np.asarray(case.rows.convert(frame)))
    for row, own in enumerate(case.predicted(case.rows.x)):
        domain = reference.around(np.asarray(case.rows.x)[row])
        drawn = drawn_completions(domain, found.extra["members"][row] > 0, 4000, np.random.default_rng(row))
        assert (predicted(case, drawn) == own).all()


def test_within_a_ball_fewer_features_suffice_and_levels_stay() -> None:
    model, frame = fitted("forest", 2)
    case = assay.case(assay.wrap(model), frame.iloc[:10])
    near = certify.sufficient_features(case, ball=Ball("linf", 0.2))
    far = certify.sufficient_features(case, ball=Ball("linf", 1e6))
    assert (near.size <= far.size).all()
    assert near.size.sum() < far.size.sum()
    assert not far.extra["members"][:, 3].any()
    moved = np.abs(near.extra["counterexample"] - np.asarray(case.rows.x)[:, None])
    assert moved.max() <= 0.2 + 1e-12
    robust = certify.tree_robustness(case, Ball("linf", 0.2)).radius == 0.2
    assert_array_equal(near.size == 0, robust)  # nothing has to be fixed exactly where the whole ball keeps the class


def test_the_explanation_decides_what_is_left_out_first_and_start_where_to_begin() -> None:
    x = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]] * 20)
    y = (x.sum(axis=1) > 0).astype(int)  # either column alone suffices for class 1
    case = assay.case(assay.wrap(DecisionTreeClassifier(random_state=0).fit(x, y)), x[1:2])
    values = explain.shapley(case, remove=assay.Constant(0.0))
    for keep in (0, 1):
        weighted = np.where(np.arange(2) == keep, 2.0, 1.0)[None]
        one = replace(values, values=weighted)
        found = certify.sufficient_features(case, one, reference=x)
        assert_array_equal(found.extra["members"], [[keep == 0, keep == 1]])
        begun = certify.sufficient_features(case, reference=x, start=one.top(0.5))
        assert begun.extra["start"][0] == 1
        assert_array_equal(begun.extra["members"], [[keep == 0, keep == 1]])
    zero = assay.case(case.model, x[:1])
    refuted = certify.sufficient_features(zero, reference=x, start=np.array([[True, False]]))
    assert refuted.extra["start"][0] == 0
    assert_array_equal(refuted.extra["members"], [[1, 1]])


def test_groups_of_columns_are_one_feature() -> None:
    model, frame = fitted("boosting", 2)
    features = assay.groups({"numbers": ["a", "b", "n"]}, list(frame.columns))
    case = assay.case(assay.wrap(model), frame.iloc[:6], features=features)
    found = certify.sufficient_features(case, reference=frame)
    assert found.extra["members"].shape == (6, 2)
    assert found.extra["members"][:, 0].all()
    assert found.cap == 2


def test_a_stopped_search_keeps_the_feature_and_counts_the_row() -> None:
    draws = np.random.default_rng(0)
    x = draws.normal(size=(300, 8))
    y = (np.sin(3 * x).sum(axis=1) > 0).astype(int)
    case = assay.case(assay.wrap(RandomForestClassifier(40, random_state=0).fit(x, y)), x[:6])
    exact = certify.sufficient_features(case, reference=x)
    stopped = certify.sufficient_features(case, reference=x, max_nodes=1)
    assert (stopped.size >= exact.size).all()
    assert stopped.extra["undecided"].any()
    assert "undecided" in [note.code for note in stopped.notes]
    assert not exact.extra["undecided"].any()
    assert (stopped.extra["necessary"] <= stopped.extra["members"]).all()


def test_a_row_that_ties_is_abstained_from() -> None:
    x = np.array([[0.0], [1.0], [2.0], [3.0]] * 5)
    stumps = [DecisionTreeClassifier(random_state=0).fit(x, y * 5) for y in ([0, 1, 1, 1], [0, 0, 1, 1])]
    forest = RandomForestClassifier(2, random_state=0, bootstrap=False).fit(x, [0, 1, 1, 1] * 5)
    forest.estimators_ = stumps
    tied = assay.wrap(forest, threshold=0.5 + 1e-12)  # the first row has the probability 0.5
    found = certify.sufficient_features(assay.case(tied, np.array([[1.0], [3.0]])), reference=x)
    assert_array_equal(found.abstained, [True, False])
    assert np.isnan(found.size[0])
    assert "tied" in [note.code for note in found.notes]
    votes = assay.case(assay.wrap(forest), np.array([[1.0], [0.0]]))  # a tie is decided for the first class
    assert not certify.sufficient_features(votes, reference=x[x[:, 0] < 2]).size.any()


REACH = 0.6
"""Radius of the ball in which a net is certified."""


def small_net() -> torch.nn.Module:
    layers = torch.nn.Sequential(
        torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3)
    )
    return filled(layers.double(), 4)


def test_sets_of_nets_are_sound_and_say_that_they_may_not_be_minimal() -> None:
    x = np.random.default_rng(0).normal(size=(40, 4))
    module = small_net()
    case = assay.case(assay.wrap(module, output="logits"), torch.as_tensor(x[:6]))
    found = certify.sufficient_features(case, ball=Ball("linf", REACH))
    assert "sound, not minimal" in found.theorem
    members, own = found.extra["members"].astype(bool), case.predicted(case.rows.x)
    draws = np.random.default_rng(1)
    for row in range(6):
        moves = draws.uniform(-REACH, REACH, (4000, 4)) * ~members[row]
        classes = module(torch.as_tensor(x[row] + moves)).argmax(dim=1).numpy()
        assert (classes == own[row]).all()
        for part in np.flatnonzero(found.extra["necessary"][row]):
            changed = found.extra["counterexample"][row, part]
            assert int(module(torch.as_tensor(changed.copy())[None]).argmax()) != own[row]
            assert (changed == x[row])[members[row] & (np.arange(4) != part)].all()
    assert 0 < found.size.sum() < 24
    assert found.extra["necessary"].any()


def test_the_search_agrees_with_an_enumeration_of_random_leaf_tables() -> None:
    draws = np.random.default_rng(5)
    verdicts = set()
    for _ in range(60):
        trees = random_trees(draws)
        cells = np.array(list(product(*map(range, trees.sizes))))
        sums = np.zeros(len(cells))
        for leaf in range(len(trees.worth)):
            inside = (cells >= trees.first[leaf]) & (cells <= trees.last[leaf])
            inside[:, 2] = trees.inside[leaf, cells[:, 2]]
            sums += trees.worth[leaf] * inside.all(axis=1)
        limit = float(np.sort(sums)[-2] + draws.normal(scale=0.2))
        answer = find_flip(trees, limit, [], 10_000)
        verdicts.add(answer.verdict)
        assert answer.verdict == ("flip" if (sums >= limit).any() else "none")
        if answer.cells is not None:
            assert sums[(cells == answer.cells).all(axis=1)][0] >= limit
    assert verdicts == {"flip", "none"}


def random_trees(draws: np.random.Generator) -> FreeTrees:
    """Six random trees over two intervals and one list of five values, each cut twice."""
    sizes = np.array([5, 4, 5])
    first, last, inside, tree, worth = [], [], [], [], []
    for number in range(6):
        boxes = [(np.zeros(3, dtype=int), sizes - 1, np.ones(5, dtype=bool))]
        for _ in range(4):
            low, high, allowed = boxes.pop(0)
            element = int(draws.integers(3))
            if element == 2 and allowed.sum() > 1:
                left = allowed & (draws.random(5) < 0.5)
                sides = [(low, high, one) for one in (left, allowed & ~left) if one.any()]
            elif element != 2 and low[element] < high[element]:
                cut = int(draws.integers(low[element], high[element]))
                down, up = high.copy(), low.copy()
                down[element], up[element] = cut, cut + 1
                sides = [(low, down, allowed), (up, high, allowed)]
            else:
                sides = [(low, high, allowed)]
            boxes += sides
        for low, high, allowed in boxes:
            places = np.flatnonzero(allowed)
            first.append([low[0], low[1], places[0]])
            last.append([high[0], high[1], places[-1]])
            inside.append(allowed)
            tree.append(number)
            worth.append(draws.normal())
    listed, offset = np.array([False, False, True]), np.array([0, 0, 0])
    return FreeTrees(
        np.array(first), np.array(last), np.array(inside), listed, offset, sizes, np.array(tree), np.array(worth),
        np.zeros(3, dtype=int),
    )  # fmt: skip


def test_what_cannot_be_certified_is_refused() -> None:
    model, frame = fitted("forest", 2)
    case = assay.case(assay.wrap(model), frame.iloc[:3])
    with pytest.raises(InputError, match="max_nodes"):
        certify.sufficient_features(case, reference=frame, max_nodes=0)
    with pytest.raises(InputError, match="not both"):
        certify.sufficient_features(case, reference=frame, ball=Ball("linf", 1.0))
    with pytest.raises(InputError, match="one row alone"):
        certify.sufficient_features(case.take([0]))
    with pytest.raises(CapabilityError, match="linf"):
        certify.sufficient_features(case, ball=Ball("l2", 1.0))
    frame, y = table()
    near = assay.case(assay.wrap(KNeighborsClassifier().fit(frame[["a", "b"]], y)), frame[["a", "b"]].iloc[:3])
    with pytest.raises(CapabilityError, match="trees, a linear classifier or a torch net"):
        certify.sufficient_features(near)
    assert "domain" in [note.code for note in certify.sufficient_features(case).notes]


def test_the_certificate_says_what_it_is_worth_and_what_it_costs() -> None:
    model, frame = fitted("forest", 2)
    case = assay.case(assay.wrap(model), frame.iloc[:5])
    _ = case.prediction
    found = certify.sufficient_features(case, reference=frame)
    assert found.provenance.cost == {"forwards": 5 * 4}
    text = repr(found)
    assert "exact: a proof; in features, at most 4; a tie counts as a change" in text
    assert "of a random explanation of equal size" in text
    again = certify.sufficient_features(case.take([3, 1]), reference=frame)
    assert_array_equal(again.extra["members"], found.extra["members"][[3, 1]])
    assert_array_equal(again.control["size"], found.control["size"][[3, 1]])
