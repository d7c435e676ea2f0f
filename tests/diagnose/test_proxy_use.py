"""Proxy use: influence and association against their definitions, planted proxies, runs without any, refusals."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import mutual_info_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier
from tests.diagnose.proxies import influence_by_enumeration, people

import assay
from assay import diagnose
from assay.auditing.audit import prepare
from assay.basics.errors import CapabilityError, InputError, MissingExtra
from assay.basics.seed import Seed
from assay.engine.proxies.association import associations, cramers_v
from assay.engine.proxies.tree_parts import RoutedForest, influence_of, tree_parts
from assay.nouns.results.finding import Finding


def routed(estimator: Any, x: np.ndarray) -> RoutedForest:
    case = assay.case(assay.wrap(estimator), x)
    forest = case.model.forest()
    return RoutedForest.of(forest, case.model.kind, forest.matrix(case.rows))


@cache
def tree() -> Any:
    x, y, _ = people()
    return DecisionTreeClassifier(max_depth=4, random_state=0).fit(x, y)


def proxies(estimator: Any, x: Any, groups: Any, **options: Any) -> Finding:
    (found,) = diagnose.proxy_use(assay.case(assay.wrap(estimator), x), groups, **options)
    return found


def test_the_influence_of_every_sub_tree_is_that_of_all_pairs_of_rows() -> None:
    x, estimator = people()[0][:40], tree()
    every, left_out = tree_parts(routed(estimator, x))
    parts = [part for part in every if part.turns is None]
    decisions = estimator.tree_.value[:, 0].argmax(axis=1)
    assert left_out == 0
    assert len(parts) >= 2
    for part in parts:
        given, taken = influence_of(routed(estimator, x), part)
        expected = influence_by_enumeration(
            [estimator.tree_], [(0, part.nodes[0])], x, lambda leaves: decisions[leaves[0]]
        )
        np.testing.assert_allclose([given.mean(), taken.mean()], expected, atol=1e-12)


def test_the_influence_of_sums_of_sub_trees_is_that_of_all_pairs_of_rows() -> None:
    x, y, _ = people()
    estimator = GradientBoostingClassifier(n_estimators=4, max_depth=2, learning_rate=0.8, random_state=0).fit(x, y)
    trees, few = [one.tree_ for one in estimator.estimators_[:, 0]], x[:30]
    found = routed(estimator, few)
    starts = found.forest.roots

    def decide(leaves: list[int]) -> bool:
        return bool(base + sum(0.8 * one.value[leaf, 0, 0] for one, leaf in zip(trees, leaves)) > 0)

    base = float(estimator._raw_predict_init(few)[0, 0])
    several = [part for part in tree_parts(found)[0] if len(part.nodes) > 1 and part.turns is None]
    assert several
    for part in several:
        places = [int(np.searchsorted(starts, node, side="right")) - 1 for node in part.nodes]
        chosen = [(place, node - int(starts[place])) for place, node in zip(places, part.nodes)]
        given, _ = influence_of(found, part)
        np.testing.assert_allclose(given.mean(), influence_by_enumeration(trees, chosen, few, decide), atol=1e-12)


@pytest.mark.parametrize("make", [tree, lambda: boosted(), lambda: forest()])
def test_the_influence_of_the_splits_on_a_column_is_that_of_the_column_of_another_row(make: Any) -> None:
    x, estimator = people()[0][:36], make()
    found = routed(estimator, x)
    before = estimator.predict(x)
    splits = [part for part in tree_parts(found)[0] if part.turns is not None]
    assert {part.elements[0] for part in splits} >= {0, 1}
    for part in splits:
        moved = np.repeat(x[:, None], len(x), axis=1)
        moved[:, :, part.elements[0]] = x[:, part.elements[0]][None, :]
        changed = estimator.predict(moved.reshape(-1, x.shape[1])).reshape(len(x), -1) != before[:, None]
        given, _ = influence_of(found, part)
        np.testing.assert_allclose(given.mean(), changed.sum() / (len(x) * (len(x) - 1)), atol=1e-12)


def entropy(*columns: Any) -> float:
    _, counts = np.unique(np.stack(columns), axis=1, return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


@pytest.mark.parametrize("groups", [2, 3])
def test_the_association_is_the_normalised_information_of_the_paper(groups: int) -> None:
    g = np.random.default_rng(0)
    u, z = g.integers(4, size=300), g.integers(groups, size=300)
    both = entropy(u, z)
    paper = 1 - ((both - entropy(z)) + (both - entropy(u))) / both
    found = associations([u, z], z, Seed(0), 99)
    np.testing.assert_allclose(found.value, [paper, 1.0], atol=1e-12)
    np.testing.assert_allclose(found.value[0], mutual_info_score(u, z) / both, atol=1e-12)
    assert found.p[1] == 0.01
    assert found.cramer[1] == pytest.approx(1.0)


def test_information_of_independent_codes_is_positive_and_is_what_permuted_groups_give() -> None:
    g = np.random.default_rng(1)
    runs = [associations([g.integers(8, size=200)], g.integers(2, size=200), Seed(i), 49) for i in range(40)]
    assert min(float(one.value[0]) for one in runs) > 0
    excess = np.array([float(one.excess[0]) for one in runs])
    assert abs(excess.mean()) < 3 * excess.std() / np.sqrt(len(runs))


def test_cramers_v_of_two_by_two_is_the_correlation() -> None:
    g = np.random.default_rng(2)
    u, z = g.integers(2, size=200), g.integers(2, size=200)
    counts = np.array([[((u == i) & (z == j)).sum() for j in (0, 1)] for i in (0, 1)], dtype=float)
    assert cramers_v(counts) == pytest.approx(abs(np.corrcoef(u, z)[0, 1]))


def test_a_planted_sub_tree_is_found_and_named() -> None:
    x, _, group = people(seed=5)
    found = proxies(tree(), pd.DataFrame(x, columns=["score", "married", "noise"]).to_numpy(), group.tolist())
    assert (found.code, found.verdict) == ("FAI201", "fail")
    (witness, *_) = found.evidence["witnesses"]
    assert witness["columns"] == ["1"]
    assert witness["Cramér's V"] == pytest.approx(0.5, abs=0.08)
    assert witness["influence"] == found.estimate > 0.2
    assert witness["AUC"] > 0.6
    assert 0 < len(found.rows) <= 200


@pytest.mark.parametrize("kind", [GradientBoostingClassifier, RandomForestClassifier])
def test_a_planted_proxy_is_found_in_several_trees(kind: Any) -> None:
    x, y, _ = people()
    x_other, _, group = people(seed=6)
    estimator = kind(n_estimators=12, max_depth=2, random_state=0).fit(x, y)
    found = proxies(estimator, x_other, group.tolist())
    assert found.verdict == "fail"
    assert found.evidence["witnesses"][0]["columns"] == ["1"]


def test_codes_of_one_column_behind_a_pipeline_are_one_column() -> None:
    x, y, group = people()
    frame = pd.DataFrame({"score": x[:, 0], "status": np.where(x[:, 1] > 0, "married", "single"), "noise": x[:, 2]})
    steps = make_column_transformer((OneHotEncoder(), ["status"]), remainder="passthrough")
    estimator = make_pipeline(steps, DecisionTreeClassifier(max_depth=4, random_state=0)).fit(frame, y)
    found = proxies(estimator, frame, group.tolist())
    assert found.evidence["witnesses"][0]["columns"] == ["status"]
    assert "status" in found.claim


def test_allowed_columns_and_functions_are_a_veto() -> None:
    x, _, group = people(seed=5)
    assert proxies(tree(), x, group, allowed=("1",)).verdict == "pass"
    asked: list[dict[str, Any]] = []

    def justify(witness: dict[str, Any]) -> bool:
        asked.append(witness)
        return witness["columns"] == ["1"]

    found = proxies(tree(), x, group, justifies=justify)
    assert found.verdict == "pass"
    assert found.evidence["parts allowed"] >= 1
    assert {"columns", "influence", "association"} <= set(asked[0])


def test_overlapping_witnesses_are_listed_once() -> None:
    x, _, group = people(seed=5)
    case = assay.case(assay.wrap(tree()), x)
    (found,) = diagnose.proxy_use(case, group, threshold=0.0)
    nodes = [set(one["nodes"]) for one in found.evidence["witnesses"]]
    assert len(nodes) <= found.evidence["parts that are associated with the groups"]
    assert sum(map(len, nodes)) == len(set().union(*nodes))


def test_few_rows_do_not_exclude_a_proxy() -> None:
    x, _, group = people(seed=5)
    assert proxies(tree(), x[:30], group[:30][::-1]).verdict == "undecided"


def null_failures(runs: range, estimator: Any, rows: int) -> int:
    failed = 0
    for run in runs:
        x, _, group = people(rows, seed=1000 + run)
        failed += proxies(estimator, x, np.random.default_rng(run).permutation(group)).verdict == "fail"
    return failed


def test_permuted_groups_rarely_fire() -> None:
    assert null_failures(range(40), tree(), 200) <= 4


@cache
def boosted() -> Any:
    x, y, _ = people()
    return GradientBoostingClassifier(n_estimators=10, max_depth=3, random_state=0).fit(x, y)


@cache
def forest() -> Any:
    x, y, _ = people()
    return RandomForestClassifier(10, random_state=0).fit(x, y)


@cache
def logistic() -> Any:
    x, y, _ = people()
    return LogisticRegression().fit(x, y)


@pytest.mark.judge
@pytest.mark.parametrize("make", [tree, boosted, forest, logistic])
def test_permuted_groups_fire_in_at_most_16_of_200_runs(make: Any) -> None:
    assert null_failures(range(200), make(), 300) <= 16


def test_a_linear_proxy_is_found_with_a_proof_that_none_is_stronger() -> None:
    x, _, group = people(seed=7)
    found = proxies(logistic(), x, group.tolist())
    chosen = found.evidence["in the rows that chose it"]
    assert (found.code, found.verdict) == ("FAI202", "fail")
    assert found.evidence["columns"][0]["column"] == "1"
    assert chosen["gap to the bound"] <= 1e-3
    assert chosen["influence"] >= chosen["convex approximation"] - 1e-6
    assert "no part is stronger" in found.claim


def test_permuted_groups_rarely_fire_in_a_linear_model() -> None:
    assert null_failures(range(6), logistic(), 200) <= 1


def test_enough_rows_exclude_a_linear_proxy() -> None:
    x, _, group = people(4000, seed=8, strength=0.0)
    found = proxies(logistic(), x, group.tolist())
    assert (found.verdict, found.estimate) == ("pass", 0.0)
    assert found.interval is not None
    assert found.interval.high < 0.15


def test_several_attributes_are_tested_one_by_one() -> None:
    x, _, group = people(seed=5)
    other = np.random.default_rng(0).choice(["a", "b", "c"], len(x))
    found = diagnose.proxy_use(assay.case(assay.wrap(tree()), x), {"sex": group, "region": other})
    assert [(one.subject, one.verdict) for one in found] == [("sex", "fail"), ("region", "pass")]


def test_the_same_seed_gives_the_same_finding_and_a_subset_is_drawn_by_it() -> None:
    x, _, group = people(seed=5)
    first, again = (proxies(tree(), x, group, rows=200) for _ in range(2))
    assert first == again
    assert first.n == 200


def test_what_has_no_parts_is_refused() -> None:
    x, y, group = people()
    net = assay.wrap(lambda rows: rows[:, :2], output="logits", classes=["a", "b"])
    with pytest.raises(CapabilityError, match="trees that can be read or a linear classifier"):
        diagnose.proxy_use(assay.case(net, x), group)
    with pytest.raises(CapabilityError, match="needs a classifier"):
        diagnose.proxy_use(assay.case(assay.wrap(LinearRegression().fit(x, y)), x), group)


@pytest.mark.parametrize(
    "options",
    [
        {"level": 2.0},
        {"threshold": 3.0},
        {"association": 0.0},
        {"rows": 1},
        {"allowed": "married"},
        {"allowed": ("marital",)},
    ],
)
def test_impossible_options_are_refused(options: Any) -> None:
    x, _, group = people()
    with pytest.raises(InputError):
        proxies(tree(), x, group, **options)


def test_without_cvxpy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    x, _, group = people()
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    with pytest.raises(MissingExtra, match=r"assay\[proxies\]"):
        proxies(logistic(), x, group)
    assert proxies(logistic(), x, group, linear=False).verdict == "not applicable"


@pytest.mark.parametrize(("profile", "expected"), [("quick", False), ("standard", True)])
def test_an_audit_with_groups_plans_it_from_the_standard_profile_on(profile: str, expected: bool) -> None:
    x, y, group = people()
    ready = prepare(assay.wrap(tree()), x, y, sensitive={"sex": group.tolist()}, profile=profile)
    steps = ready.plan.steps if hasattr(ready, "plan") else ready[-1].steps
    assert any(step.method == "proxy_use" for step in steps) is expected


def test_linear_models_of_three_groups_compare_each_with_the_rest_and_codes_share_a_weight() -> None:
    x, y, group = people(900, seed=11, strength=0.9)
    region = np.where(group == 1, "north", np.random.default_rng(0).choice(["east", "west"], len(x)))
    frame = pd.DataFrame({"score": x[:, 0], "status": np.where(x[:, 1] > 0, "married", "single"), "noise": x[:, 2]})
    steps = make_column_transformer((OneHotEncoder(), ["status"]), remainder="passthrough")
    estimator = make_pipeline(steps, LogisticRegression()).fit(frame, y)
    found = proxies(estimator, frame, region.tolist())
    assert found.verdict == "fail"
    assert found.evidence["group"] == "north"
    assert [line["column"] for line in found.evidence["columns"]].count("status") == 1
    assert found.evidence["columns"][0]["column"] == "status"


def test_a_linear_model_of_three_classes_is_refused() -> None:
    x, _, group = people()
    estimator = LogisticRegression().fit(x, np.digitize(x[:, 0], [-0.5, 0.5]))
    with pytest.raises(CapabilityError, match="3 scores"):
        proxies(estimator, x, group)


def test_units_of_a_column_do_not_matter() -> None:
    x, y, group = people(seed=7)
    units = np.array([1000.0, 1.0, 0.01])
    one, other = (
        proxies(LogisticRegression(C=1e6, max_iter=20000, tol=1e-10).fit(given, y), given, group)
        for given in (x, (x - x.mean(axis=0)) / x.std(axis=0))
    )
    np.testing.assert_allclose(one.estimate, other.estimate, rtol=2e-3)
    trees = [DecisionTreeClassifier(max_depth=3, random_state=0).fit(given, y) for given in (x, x * units)]
    first, second = (proxies(model, given, group) for model, given in zip(trees, (x, x * units)))
    assert first.estimate == pytest.approx(second.estimate, abs=0.02)
