"""Refitting: a column left out has no influence at all, regularisation is handed on, costs are measured elsewhere."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import assay
from assay import diagnose, explain, repair
from assay.basics.errors import CapabilityError, InputError
from assay.nouns.inputs.recipe import Recipe
from assay.repair.refit import ConstantColumns

CANCER, BENIGN = load_breast_cancer(return_X_y=True)


def line(x: Any, y: Any, seed: Any, strength: float) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=1 / (1 + strength), max_iter=2000)).fit(x, y)


def forest(x: Any, y: Any, seed: Any, strength: float) -> Any:
    leaf = 1 + int(strength)
    return RandomForestClassifier(20, min_samples_leaf=leaf, random_state=seed.root).fit(x, y)


def cancer(fit: Any = line, columns: int = 5, **options: Any) -> tuple[Any, Recipe, Any]:
    """A case on 40 training rows, its recipe of 300, and 269 held-out rows."""
    x = CANCER[:, :columns]
    recipe = Recipe(fit, x[:300], BENIGN[:300], regularises=True)
    model = assay.wrap(fit(x[:300], BENIGN[:300], assay.Seed(), 0.0))
    return assay.case(model, x[:40], **options), recipe, (x[300:], BENIGN[300:])


def people(kind: Any, rows: int = 200, seed: int = 0) -> tuple[Any, Any]:
    """A made-up table with a column of text that decides together with a number, and one that is noise."""
    generator = np.random.default_rng(seed)
    job, age = generator.choice(["smith", "baker", "clerk"], rows), generator.integers(20, 70, rows)
    town = generator.choice(["york", "bath"], rows)
    y = np.where((job == "smith") | (age > 55), "good", "bad")
    return kind({"job": job.tolist(), "age": age.tolist(), "town": town.tolist()}), y


def pipeline(x: Any, y: Any, seed: Any, strength: float) -> Any:
    encoder = make_column_transformer((OneHotEncoder(), ["job", "town"]), remainder="passthrough")
    return make_pipeline(encoder, DecisionTreeClassifier(max_depth=4, random_state=0)).fit(x, y)


def frames(kind: Any) -> tuple[Any, Recipe, Any]:
    x, y = people(kind)
    model = assay.wrap(pipeline(x, y, None, 0.0))
    return assay.case(model, x[:30]), Recipe(pipeline, x, y), people(kind, 100, seed=1)


def test_the_column_left_out_has_a_shapley_value_of_zero() -> None:
    case, recipe, held_out = cancer()
    repaired = repair.refit(case, recipe=recipe, without=("2",), held_out=held_out)
    remove = assay.Marginal(CANCER[300:310, :5])
    values = explain.shapley(assay.case(repaired.model, CANCER[:10, :5]), remove=remove).values
    assert_allclose(values[:, 2], 0.0, atol=1e-14)
    assert (np.abs(explain.shapley(case.take(range(10)), remove=remove).values[:, 2]) > 1e-4).all()
    assert (np.abs(values[:, 0]) > 1e-4).all()


def test_predictions_stay_when_the_column_left_out_varies() -> None:
    case, recipe, held_out = cancer()
    repaired = repair.refit(case, recipe=recipe, without=("0", "3"), held_out=held_out)
    moved = CANCER[:40, :5].copy()
    moved[:, [0, 3]] = np.random.default_rng(0).normal(size=(40, 2)) * 1e3
    same = assay.case(repaired.model, CANCER[:40, :5]).prediction
    assert np.array_equal(assay.case(repaired.model, moved).prediction, same)
    assert not np.allclose(assay.case(case.model, moved).prediction, case.prediction)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_a_column_of_text_can_be_left_out_of_a_pipeline(kind: Any) -> None:
    case, recipe, held_out = frames(kind)
    repaired = repair.refit(case, recipe=recipe, without=("job",), held_out=held_out)
    x, _ = people(kind, 30)
    other = people(kind, 30)[0].to_dict(as_series=False) if kind is pl.DataFrame else x.to_dict("list")
    moved = kind({**other, "job": ["clerk"] * 30})
    same = assay.case(repaired.model, x).prediction
    assert np.array_equal(assay.case(repaired.model, moved).prediction, same)
    assert repaired.after["accuracy"] < repaired.before["accuracy"]
    assert repaired.model.classes == ("bad", "good")


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_a_number_of_a_frame_gets_its_lower_median_and_text_its_most_frequent_level(kind: Any) -> None:
    seen: list[Any] = []

    def fit(x: Any, y: Any, seed: Any, strength: float) -> Any:
        seen.append(x)
        return pipeline(x, y, seed, strength)

    case, recipe, held_out = frames(kind)
    repaired = repair.refit(case, recipe=Recipe(fit, recipe.x, recipe.y), without=("job", "age"), held_out=held_out)
    ages, jobs = sorted(recipe.x["age"].to_list()), recipe.x["job"].to_list()
    assert set(seen[0]["age"].to_list()) == {ages[99]}
    assert set(seen[0]["job"].to_list()) == {max(sorted(set(jobs)), key=jobs.count)}
    assert seen[0]["town"].to_list() == recipe.x["town"].to_list()
    assert list(map(str, seen[0].dtypes)) == list(map(str, recipe.x.dtypes))
    assert f"age = {ages[99]}" in repaired.change


def test_of_an_even_number_of_values_the_lower_of_the_two_middle_ones_is_taken() -> None:
    seen: list[Any] = []

    def fit(x: Any, y: Any, seed: Any, strength: float) -> Any:
        seen.append(x)
        return line(x, y, seed, strength)

    x, y = np.array([[4.0, 0], [1, 1], [9, 0], [2, 1]]), np.array([0, 1, 0, 1])
    case = assay.case(assay.wrap(line(x, y, None, 0.0)), x)
    repair.refit(case, recipe=Recipe(fit, x, y), without=("0",), held_out=(x + 0.5, y))
    assert seen[0].tolist() == [[2.0, 0], [2, 1], [2, 0], [2, 1]]


def test_missing_values_count_neither_for_the_median_nor_for_the_most_frequent_level() -> None:
    x = pl.DataFrame(
        {"job": [None, "smith", None, "baker", None, "baker"], "age": [None, 40.0, None, 20.0, float("nan"), 30.0]}
    )
    for frame in (x, x.to_pandas()):
        found = ConstantColumns.of(frame, ("job", "age"), ("job", "age"))
        assert found.values == {"job": "baker", "age": 30.0}
        assert found.rows == {"job": 3, "age": 5}
        assert found.training(frame)["age"].to_list() == [30.0] * 6
    array = np.array([[np.nan], [7.0], [np.nan], [5.0]])
    assert ConstantColumns.of(array, ("0",), ("0",)).values == {"0": 5.0}


@pytest.mark.parametrize("column", [[None, None], [float("nan"), float("nan")], [None, float("nan")]])
def test_a_column_without_any_value_is_refused(column: list[Any]) -> None:
    with pytest.raises(InputError, match="'age' of the recipe has no value"):
        ConstantColumns.of(pl.DataFrame({"age": pl.Series(column, dtype=pl.Float64)}), ("age",), ("age",))


def test_categories_and_an_odd_index_survive_training() -> None:
    x, y = people(pd.DataFrame)
    x = x.astype({"job": "category", "town": "category"}).set_index(np.arange(200) * 7 + 3)
    model = assay.wrap(pipeline(x, y, None, 0.0))
    test_rows, labels = people(pd.DataFrame, 50, seed=1)
    test_rows = test_rows.astype({"job": x["job"].dtype, "town": x["town"].dtype})
    repaired = repair.refit(
        assay.case(model, x[:20]), recipe=Recipe(pipeline, x, y), without=("job",), held_out=(test_rows, labels)
    )
    assert 0.3 < repaired.after["accuracy"] < 1.0


def test_the_callers_training_rows_are_left_alone() -> None:
    case, recipe, held_out = cancer()
    before = CANCER.copy()
    repair.refit(case, recipe=recipe, without=("2",), held_out=held_out)
    assert np.array_equal(CANCER, before)
    case, recipe, held_out = frames(pd.DataFrame)
    table = recipe.x.copy()
    repair.refit(case, recipe=recipe, without=("age",), held_out=held_out)
    pd.testing.assert_frame_equal(recipe.x, table)


def test_more_regularisation_lowers_what_a_forest_leaks() -> None:
    generator = np.random.default_rng(0)
    x, y = CANCER[:, :4], np.where(generator.random(569) < 0.25, 1 - BENIGN, BENIGN)
    recipe = Recipe(forest, x[:280], y[:280], regularises=True)
    case = assay.case(assay.wrap(forest(x[:280], y[:280], assay.Seed(), 0.0)), x[:280])
    repaired = repair.refit(case, recipe=recipe, strength=20.0, held_out=(x[280:], y[280:]))
    after = assay.case(repaired.model, x[:280])
    leaks = [diagnose.membership(each, y[:280], x[280:], y[280:])[0].estimate for each in (case, after)]
    assert leaks[0] > 0.3
    assert leaks[1] < 0.5 * leaks[0]
    assert repaired.after["accuracy"] > repaired.before["accuracy"] - 0.1


def test_strength_and_seed_reach_the_recipe() -> None:
    given: list[Any] = []

    def fit(x: Any, y: Any, seed: Any, strength: float) -> Any:
        given.append((seed, strength))
        return line(x, y, seed, strength)

    case, recipe, held_out = cancer(seed=5)
    repair.refit(case, recipe=Recipe(fit, recipe.x, recipe.y, True), strength=3.0, held_out=held_out)
    assert given == [(assay.Seed(5).child("refit"), 3.0)]


def test_metrics_are_those_of_the_held_out_rows() -> None:
    case, recipe, (x, y) = cancer()
    repaired = repair.refit(case, recipe=recipe, without=("2",), held_out=(x, y))
    for model, figures in ((case.model, repaired.before), (repaired.model, repaired.after)):
        share = (assay.case(model, x).prediction.argmax(axis=1) == y).mean()
        assert_allclose(figures["accuracy"], share)
        assert figures["accuracy, low"] < share < figures["accuracy, high"]
    note = next(note for note in repaired.notes if note.code == "held-out")
    assert "269 held-out rows" in note.text


def test_an_unchanged_prediction_still_leaves_the_paired_difference_uncertain() -> None:
    case, recipe, held_out = cancer()
    repaired = repair.refit(case, recipe=recipe, strength=1e-9, held_out=held_out)
    (text,) = [note.text for note in repaired.notes if note.code == "held-out"]
    low, high = map(float, text.partition("[")[2].partition("]")[0].split(", "))
    assert repaired.before == repaired.after
    assert low == -high
    assert 0.001 < high < 0.02


def test_held_out_rows_that_were_trained_on_are_noted() -> None:
    case, recipe, (x, y) = cancer()
    repaired = repair.refit(case, recipe=recipe, without=("2",), held_out=(CANCER[290:320, :5], BENIGN[290:320]))
    note = next(note for note in repaired.notes if note.code == "held-out overlaps")
    assert note.text.startswith("10 of the held-out rows")
    clean = repair.refit(case, recipe=recipe, without=("2",), held_out=(x, y))
    assert "held-out overlaps" not in {note.code for note in clean.notes}


def test_the_new_model_says_what_it_is_and_shares_the_meter() -> None:
    case, recipe, held_out = cancer()
    repaired = repair.refit(case, recipe=recipe, without=("2",), strength=2.0, held_out=held_out)
    assert repaired.model.name == "LogisticRegression, refit without 2 and with strength 2"
    assert repaired.model.meter is case.model.meter
    assert repaired.provenance.cost["forwards"] == 2 * 269
    other = repair.refit(case, recipe=recipe, without=("3",), strength=2.0, held_out=held_out)
    assert len({case.model.fingerprint, repaired.model.fingerprint, other.model.fingerprint}) == 3


def test_columns_of_an_array_go_by_the_names_the_case_gives_them() -> None:
    names = ["radius", "texture", "perimeter", "area", "smoothness"]
    case, recipe, held_out = cancer(names=names)
    repaired = repair.refit(case, recipe=recipe, without=("perimeter",), held_out=held_out)
    by_place, _, _ = cancer()
    plain = repair.refit(by_place, recipe=recipe, without=("2",), held_out=held_out)
    assert_allclose(
        assay.case(repaired.model, CANCER[:9, :5]).prediction, assay.case(plain.model, CANCER[:9, :5]).prediction
    )


def test_a_net_refitted_without_a_column_has_no_gradient_there() -> None:
    def fit(x: Any, y: Any, seed: Any, strength: float) -> Any:
        module = torch.nn.Linear(3, 2).double()
        with torch.no_grad():
            module.weight.copy_(torch.tensor([[1.0, 2, 3], [-1, 0, 1]]))
        return module.eval()

    x, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    case = assay.case(assay.wrap(fit(x, y, None, 0.0)), x[:10])
    repaired = repair.refit(case, recipe=Recipe(fit, x[:30], y[:30]), without=("1",), held_out=(x[30:], y[30:]))
    values = explain.saliency(assay.case(repaired.model, x)).values
    assert (values[:, 1] == 0.0).all()
    assert (values[:, 0] > 0.0).all()


def test_a_regression_is_measured_by_its_squared_error() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(120, 3))
    y = x @ [2.0, 1.0, 0.0] + 0.1 * generator.normal(size=120)

    def fit(x: Any, y: Any, seed: Any, strength: float) -> Any:
        return LinearRegression().fit(x, y)

    case = assay.case(assay.wrap(fit(x[:80], y[:80], None, 0.0)), x[:10])
    repaired = repair.refit(case, recipe=Recipe(fit, x[:80], y[:80]), without=("0",), held_out=(x[80:], y[80:]))
    assert repaired.before["mean squared error"] < 0.02
    assert repaired.after["mean squared error"] > 2.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nothing to change"),
        ({"without": ("height",)}, r"\['height'\] are no columns of the recipe"),
        ({"without": "2"}, "is a single text"),
        ({"without": ("0", "1", "2", "3", "4")}, "all 5 columns"),
        ({"strength": -1.0}, "at least 0"),
        ({"strength": float("nan")}, "strength=nan is not a finite number"),
        ({"without": ("2",), "held_out": (CANCER[:5, :5], [1, 0])}, "2 labels for 5 rows"),
        ({"without": ("2",), "held_out": (CANCER[:5, :4], [1] * 5)}, r"shape \(4,\); the model's"),
        ({"without": ("2",), "held_out": None}, "is a pair"),
        ({"without": ("2",), "recipe": line}, "is not an assay.Recipe"),
    ],
)
def test_what_cannot_be_used_is_refused(options: Any, message: str) -> None:
    case, recipe, held_out = cancer()
    with pytest.raises(InputError, match=message):
        repair.refit(case, **{"recipe": recipe, "held_out": held_out, **options})


def test_strength_without_a_recipe_that_uses_it_is_refused() -> None:
    case, recipe, held_out = cancer()
    with pytest.raises(CapabilityError, match="uses it"):
        repair.refit(case, recipe=Recipe(line, recipe.x, recipe.y), strength=1.0, held_out=held_out)


def test_other_classes_are_refused_and_other_names_for_them_are_noted() -> None:
    x, y = CANCER[:, :5], np.array(["malignant", "benign"])[BENIGN]
    case, _, held_out = cancer()
    named = assay.case(assay.wrap(line(x[:300], BENIGN[:300], None, 0.0), classes=("malignant", "benign")), x[:40])
    repaired = repair.refit(named, recipe=Recipe(line, x[:300], BENIGN[:300]), without=("2",), held_out=held_out)
    assert repaired.model.classes == ("malignant", "benign")
    assert "classes by position" in {note.code for note in repaired.notes}
    with pytest.raises(CapabilityError, match="order and number"):  # scikit-learn sorts: benign, malignant
        repair.refit(named, recipe=Recipe(line, x[:300], y[:300]), without=("2",), held_out=held_out)
    three = np.arange(300) % 3
    with pytest.raises(CapabilityError, match="order and number"):
        repair.refit(case, recipe=Recipe(line, x[:300], three), without=("2",), held_out=held_out)
    with pytest.raises(CapabilityError, match="same kind"):
        repair.refit(
            case,
            recipe=Recipe(lambda x, y, seed, strength: LinearRegression().fit(x, y), x[:300], BENIGN[:300]),
            without=("2",),
            held_out=held_out,
        )


def test_a_recipe_needs_a_function_and_a_label_a_row() -> None:
    with pytest.raises(InputError, match="3 training rows has 2 labels"):
        Recipe(line, CANCER[:3], BENIGN[:2])
    with pytest.raises(InputError, match="fit must be a function"):
        Recipe(RandomForestClassifier(), CANCER[:3], BENIGN[:3])  # type: ignore[arg-type]  # that is the fault tested
