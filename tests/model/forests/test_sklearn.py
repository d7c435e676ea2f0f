"""scikit-learn's trees, forests and gradient boosting as forests."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import ensemble, tree
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from tests.model.forests.checks import FRAME, GAPS, THREE, TWO, VALUE, WEIGHT, X, agrees, read, wired

import assay
from assay.basics.errors import CapabilityError, InputError
from assay.model.forests.sklearn import NAMES
from assay.nouns.inputs.output_kind import OutputKind

FEW: dict[str, Any] = {"n_estimators": 7, "random_state": 0}
CLASSIFIERS = [
    tree.DecisionTreeClassifier(random_state=0),
    tree.DecisionTreeClassifier(max_depth=1),
    tree.ExtraTreeClassifier(random_state=0),
    ensemble.RandomForestClassifier(**FEW),
    ensemble.RandomForestClassifier(bootstrap=False, class_weight="balanced", max_depth=13, **FEW),
    ensemble.ExtraTreesClassifier(**FEW),
    ensemble.BaggingClassifier(tree.DecisionTreeClassifier(), **FEW),
]
REGRESSORS = [
    tree.DecisionTreeRegressor(random_state=0),
    tree.DecisionTreeRegressor(criterion="absolute_error", max_depth=3),
    tree.ExtraTreeRegressor(random_state=0),
    ensemble.RandomForestRegressor(**FEW),
    ensemble.ExtraTreesRegressor(max_depth=2, **FEW),
    ensemble.BaggingRegressor(tree.DecisionTreeRegressor(), max_features=0.6, **FEW),
]


class Own(tree.DecisionTreeClassifier):  # type: ignore[misc]  # scikit-learn is not typed
    """Could predict in its own way."""


NAMED: dict[str, Any] = {"ids": lambda one: type(one).__name__}


@pytest.mark.parametrize("x", [X, GAPS], ids=["whole", "gaps"])
@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("estimator", CLASSIFIERS, **NAMED)
def test_the_mean_of_the_trees_is_the_classifiers_probability(estimator: Any, labels: Any, x: Any) -> None:
    estimator.fit(x, labels, sample_weight=WEIGHT)
    forest = agrees("sklearn", estimator, x, estimator.predict_proba(x))
    assert forest.gives == "probabilities"


@pytest.mark.parametrize("x", [X, GAPS], ids=["whole", "gaps"])
@pytest.mark.parametrize("estimator", REGRESSORS, **NAMED)
def test_the_mean_of_the_trees_is_the_regressors_value(estimator: Any, x: Any) -> None:
    estimator.fit(x, VALUE, sample_weight=WEIGHT)
    assert agrees("sklearn", estimator, x, estimator.predict(x)).gives == "values"


def test_gaps_met_for_the_first_time_go_where_the_tree_sends_them() -> None:
    estimator = ensemble.RandomForestRegressor(**FEW).fit(X, VALUE)
    agrees("sklearn", estimator, GAPS, estimator.predict(GAPS))


def test_a_regressor_of_several_values_keeps_them_apart() -> None:
    estimator = ensemble.RandomForestRegressor(**FEW).fit(X, np.column_stack([VALUE, X[:, 1]]))
    assert agrees("sklearn", estimator, X, estimator.predict(X)).value.shape[1] == 2


def test_a_bag_of_parts_of_the_columns_with_a_class_most_trees_do_not_meet() -> None:
    labels = np.where(np.arange(len(X)) < 1, 9, TWO)
    bag = ensemble.BaggingClassifier(tree.DecisionTreeClassifier(), max_features=2, max_samples=0.1, **FEW)
    bag.fit(X, labels)
    agrees("sklearn", bag, X, bag.predict_proba(X))


@pytest.mark.parametrize("start", [None, "zero", DummyClassifier(strategy="prior")], ids=str)
@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two", "three"])
def test_boosted_classes_are_the_raw_score(labels: Any, start: Any) -> None:
    estimator = ensemble.GradientBoostingClassifier(init=start, subsample=0.7, **FEW).fit(X, labels, WEIGHT)
    assert agrees("sklearn", estimator, X, estimator.decision_function(X)).gives == "margin"


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_boosted_values_are_the_prediction(loss: str) -> None:
    estimator = ensemble.GradientBoostingRegressor(loss=loss, **FEW).fit(X, VALUE, WEIGHT)
    assert agrees("sklearn", estimator, X, estimator.predict(X)).gives == "values"


def test_exponential_loss_begins_with_half_the_log_odds() -> None:
    estimator = ensemble.GradientBoostingClassifier(loss="exponential", **FEW).fit(X, TWO)
    agrees("sklearn", estimator, X, estimator.decision_function(X))


@pytest.mark.parametrize("kind", [tree.DecisionTreeRegressor, ensemble.GradientBoostingRegressor])
def test_trees_that_never_split_are_one_leaf(kind: Any) -> None:
    estimator = kind(random_state=0).fit(X, np.full(len(X), 3.0))
    forest = agrees("sklearn", estimator, X, estimator.predict(X))
    assert forest.depth == 0


def test_a_row_is_rounded_to_float32_before_it_is_compared() -> None:
    low, high = np.float32(0.1), np.float32(0.1) + np.float32(4e-7)
    x = np.array([[low], [high]], dtype=np.float64)
    estimator = tree.DecisionTreeRegressor().fit(x, [0.0, 1.0])
    threshold = estimator.tree_.threshold[0]
    rows = np.concatenate([np.linspace(low, high, 99), threshold + np.linspace(-1e-8, 1e-8, 9)])[:, None]
    forest = agrees("sklearn", estimator, rows, estimator.predict(rows))
    assert (forest.outputs(rows)[:, 0] != estimator.predict(rows)).any()  # unrounded, some would go elsewhere


def test_a_hand_made_tree_is_read_node_for_node() -> None:
    x = np.array([[0.0, 5.0], [1.0, 5.0], [1.0, 7.0], [1.0, 7.0]])
    forest, _ = read("sklearn", tree.DecisionTreeRegressor(random_state=0).fit(x, [1.0, 2.0, 4.0, 4.0]))
    assert_array_equal(forest.column, [1, 0, -1, -1, -1])
    assert_array_equal(forest.left, [1, 2, -1, -1, -1])
    assert_array_equal(forest.right, [4, 3, -1, -1, -1])
    assert_array_equal(forest.threshold[:2], [6.0, 0.5])
    assert_array_equal(forest.cover, [4, 2, 1, 1, 2])
    assert_allclose(forest.value[:, 0], [0, 0, 1, 2, 4])


def test_every_estimator_is_wired_to_its_model() -> None:
    numbers = FRAME[["age", "income", "old"]]
    wired(ensemble.RandomForestClassifier(**FEW).fit(numbers, THREE), numbers)
    wired(ensemble.GradientBoostingClassifier(**FEW).fit(X, THREE), X)
    assert {type(one).__name__ for one in CLASSIFIERS + REGRESSORS} | {
        "GradientBoostingClassifier",
        "GradientBoostingRegressor",
    } == NAMES


def test_a_boosted_model_read_for_probabilities_still_has_raw_score_trees() -> None:
    model = assay.wrap(ensemble.GradientBoostingClassifier(**FEW).fit(X, TWO), output="probabilities")
    assert model.forest is not None
    assert (model.gives, model.forest().gives) == ("probabilities", "margin")


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (ensemble.AdaBoostClassifier(**FEW), "AdaBoostClassifier has no trees"),
        (ensemble.VotingRegressor([("one", tree.DecisionTreeRegressor())]), "VotingRegressor has no trees"),
        (ensemble.BaggingClassifier(KNeighborsClassifier(), **FEW), "BaggingClassifier holds KNeighborsClassifier"),
        (ensemble.GradientBoostingClassifier(init=LogisticRegression(), **FEW), "starts from LogisticRegression"),
    ],
)
def test_estimators_that_are_not_a_sum_of_trees_are_refused(estimator: Any, message: str) -> None:
    model = assay.wrap(estimator.fit(X, TWO))
    assert model.forest is not None
    with pytest.raises(CapabilityError, match=message):
        model.forest()


def test_a_smoothed_model_is_no_forest_any_more() -> None:
    model = assay.wrap(tree.DecisionTreeClassifier().fit(X, TWO))
    assert assay.model.smooth(model, sigma=0.1).forest is None


def test_a_preprocess_hides_the_trees() -> None:
    model = assay.wrap(tree.DecisionTreeClassifier().fit(X, TWO), preprocess=np.abs)
    assert model.forest is not None
    with pytest.raises(CapabilityError, match="preprocess changes the rows"):
        model.forest()


def test_other_estimators_and_foreign_subclasses_have_no_forest() -> None:
    assert assay.wrap(LogisticRegression().fit(X, TWO)).forest is None
    assert assay.wrap(Own().fit(X, TWO)).forest is None


def test_texts_are_no_numbers() -> None:
    _, matrix = read("sklearn", tree.DecisionTreeClassifier().fit(X, TWO))
    with pytest.raises(InputError, match="the trees need numbers"):
        matrix(FRAME)


INITIAL = {
    "tree": tree.DecisionTreeRegressor(max_depth=3, random_state=0),
    "forest": ensemble.RandomForestRegressor(**FEW),
    "boosting": ensemble.GradientBoostingRegressor(init="zero", **FEW),
    "histograms": ensemble.HistGradientBoostingRegressor(max_iter=4, random_state=0),
    "boosting from boosting": ensemble.GradientBoostingRegressor(init=tree.ExtraTreeRegressor(max_depth=2), **FEW),
}


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
@pytest.mark.parametrize("start", INITIAL)
def test_the_trees_that_boosting_starts_from_are_part_of_the_sum(start: str, loss: str) -> None:
    estimator = ensemble.GradientBoostingRegressor(init=INITIAL[start], loss=loss, **FEW).fit(X, VALUE, WEIGHT)
    forest = agrees("sklearn", estimator, X, estimator.predict(X))
    assert_array_equal(np.unique(forest.origin), np.arange(5))
    wired(estimator, X)


@pytest.mark.parametrize("start", [ensemble.HistGradientBoostingRegressor(loss="poisson"), KNeighborsRegressor()])
def test_boosting_that_starts_from_no_sum_of_trees_is_refused(start: Any) -> None:
    estimator = ensemble.GradientBoostingRegressor(init=start, **FEW).fit(X, np.exp(VALUE))
    with pytest.raises(CapabilityError, match="neither a constant nor trees of values"):
        read("sklearn", estimator)


@pytest.mark.parametrize("kind", [tree.DecisionTreeClassifier, ensemble.RandomForestClassifier])
def test_several_labels_give_the_probability_of_each(kind: Any) -> None:
    labels = np.column_stack([TWO, np.where(X[:, 2] > 0, "b", "a") == "b", np.ones(len(X))])
    estimator = kind(max_depth=4, random_state=0).fit(X, labels)
    expected = [one[:, -1] for one in estimator.predict_proba(X)]
    forest = agrees("sklearn", estimator, X, np.column_stack(expected))
    assert not OutputKind.of(forest.gives).exclusive
    wired(estimator, X)


def test_several_targets_of_several_classes_are_refused() -> None:
    estimator = ensemble.RandomForestClassifier(**FEW).fit(X, np.column_stack([TWO, THREE]))
    with pytest.raises(CapabilityError, match=r"2 labels per row of \[2, 3\] classes"):
        read("sklearn", estimator)


def test_exponential_loss_gives_the_sigmoid_of_twice_the_score() -> None:
    estimator = ensemble.GradientBoostingClassifier(loss="exponential", **FEW).fit(X, TWO)
    forest, matrix = read("sklearn", estimator)
    scores = forest.outputs(matrix(X))[:, 0] * OutputKind.of(forest.gives).scale
    assert_allclose(1 / (1 + np.exp(-scores)), estimator.predict_proba(X)[:, 1])
    logs = ensemble.GradientBoostingClassifier(**FEW).fit(X, TWO)
    assert OutputKind.of(read("sklearn", logs)[0].gives).scale == 1.0


def test_a_matrix_of_another_width_is_refused() -> None:
    forest, _ = read("sklearn", tree.DecisionTreeRegressor(max_depth=2).fit(X, VALUE))
    with pytest.raises(InputError, match="trained on 5 columns"):
        forest.matrix(X[:, :4])  # type: ignore[arg-type]  # the reader of this forest takes arrays
