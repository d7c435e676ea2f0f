"""ROAR and KAR: planted features, copies, masks that tell the class, and the literal transcription."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

import assay
from assay import Constant, Recipe, evaluate, explain
from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.engine.ranked_removal.mask_leak import measure_mask_leak

TRAIN, TEST, PARTS = 400, 300, 10
FEW = (0.3, 0.5, 0.7)
CHANCE_ERROR = 4 * 0.5 / np.sqrt(TEST)


def linear(x: Any) -> Any:
    return x[:, 0] + x[:, 1] + x[:, 2]


def product(x: Any) -> Any:
    return x[:, 0] * x[:, 1]


def rings(x: Any) -> Any:
    return (x[:, :3] ** 2).sum(axis=1) - 2.37


def logistic(x: Any, y: Any, seed: Seed, strength: float) -> Any:
    return LogisticRegression().fit(x, y)


def tree(x: Any, y: Any, seed: Seed, strength: float) -> Any:
    return DecisionTreeClassifier(max_depth=6, random_state=0).fit(x, y)


PLANTED: dict[str, tuple[Callable[[Any], Any], Any, int]] = {
    "linear": (linear, logistic, 3),
    "product": (product, tree, 2),
    "rings": (rings, tree, 3),
}


def planted(name: str, seed: int = 0) -> tuple[Any, Any, Recipe, int]:
    """A case, its labels, a recipe and the number of features that the labels depend on."""
    rule, fit, count = PLANTED[name]
    x = np.random.default_rng(seed).normal(size=(TRAIN + TEST, PARTS))
    y = (rule(x) > 0).astype(int)
    model = assay.wrap(fit(x[:TRAIN], y[:TRAIN], Seed(0), 0.0))
    return assay.case(model, x[TRAIN:]), y[TRAIN:], Recipe(fit, x[:TRAIN], y[:TRAIN]), count


def ranked(case: Any, recipe: Recipe, scores: Any) -> tuple[Any, Any]:
    """Explanations of the case's and the training rows that rank the parts by these scores."""
    one = explain.input_itself(case)
    other = explain.input_itself(assay.case(case.model, recipe.x))
    values = np.asarray(scores, dtype=float)
    return tuple(replace(e, values=np.broadcast_to(values, e.values.shape).copy()) for e in (one, other))


def scored(score: Any, name: str, scores: Any, **options: Any) -> Any:
    case, labels, recipe, _ = planted(name)
    own, training = ranked(case, recipe, scores)
    return score(own, case, labels=labels, recipe=recipe, training=training, **{"seeds": 10, **options})


@pytest.mark.parametrize("name", PLANTED)
def test_removing_the_planted_features_leaves_chance(name: str) -> None:
    count = PLANTED[name][2]
    found = scored(evaluate.roar, name, np.arange(PARTS) < count, fractions=(count / PARTS,), seeds=2)
    assert abs(found.extra["accuracy"].mean() - 0.5) < CHANCE_ERROR + 0.02
    assert found.extra["intact_accuracy"].mean() > 0.8


@pytest.mark.parametrize("name", PLANTED)
def test_the_oracle_beats_random_and_random_beats_the_reverse(name: str) -> None:
    oracle = np.where(np.arange(PARTS) < PLANTED[name][2], 1.0, 0.0)
    best, worst = (scored(evaluate.roar, name, one, fractions=FEW) for one in (oracle, 1 - oracle))
    assert best.mean + 2 * best.extra["mean_stderr"] < 0 < worst.mean - 2 * worst.extra["mean_stderr"]
    best, worst = (scored(evaluate.kar, name, one, fractions=FEW) for one in (oracle, 1 - oracle))
    assert worst.mean + 2 * worst.extra["mean_stderr"] < 0 < best.mean - 2 * best.extra["mean_stderr"]


def test_copies_keep_the_accuracy_until_all_are_gone() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(TRAIN + TEST, 6))
    x[:, 1] = x[:, 2] = x[:, 0]
    y = (x[:, 0] > 0).astype(int)
    recipe = Recipe(logistic, x[:TRAIN], y[:TRAIN])
    case = assay.case(assay.wrap(logistic(x[:TRAIN], y[:TRAIN], Seed(0), 0.0)), x[TRAIN:])
    own, training = ranked(case, recipe, [6, 5, 4, 3, 2, 1])
    found = evaluate.roar(
        own, case, labels=y[TRAIN:], recipe=recipe, training=training, fractions=(1 / 6, 2 / 6, 3 / 6), seeds=2
    )
    one, two, all_gone = found.extra["accuracy"].mean(axis=0)
    assert min(one, two) > 0.97
    assert abs(all_gone - 0.5) < CHANCE_ERROR + 0.02


def test_it_equals_the_literal_transcription() -> None:
    case, labels, recipe, _ = planted("linear")
    e = explain.shapley(case, remove=Constant(0.0))
    found = evaluate.roar(e, case, labels=labels, recipe=recipe, fractions=(0.2, 0.6), seeds=2, order="row")
    training = explain.shapley(assay.case(case.model, recipe.x), remove=Constant(0.0)).values
    means, curve = recipe.x.mean(axis=0), []
    for count in (2, 6):
        moved = []
        for rows, values in ((recipe.x, training), (case.rows.x, e.values)):
            rows = rows.copy()
            for row, value in zip(rows, values):
                first = np.argsort(-abs(value), kind="stable")[:count]
                row[first] = means[first]
            moved.append(rows)
        curve.append(LogisticRegression().fit(moved[0], recipe.y).predict(moved[1]) == labels)
    assert_array_equal(found.extra["accuracy"], np.stack(curve, axis=1))
    assert_allclose(found.values, (found.extra["accuracy"] - found.extra["random_accuracy"]).mean(axis=1))


def test_a_global_order_ranks_by_the_mean_over_the_training_rows() -> None:
    case, labels, recipe, _ = planted("linear")
    e = explain.shapley(case, remove=Constant(0.0))
    found = evaluate.kar(e, case, labels=labels, recipe=recipe, fractions=(0.4,), seeds=2)
    training = explain.shapley(assay.case(case.model, recipe.x), remove=Constant(0.0)).values
    kept = np.argsort(-abs(training).mean(axis=0))[:4]
    means = recipe.x.mean(axis=0)
    rows, tests = (np.where(np.isin(np.arange(PARTS), kept), one, means) for one in (recipe.x, case.rows.x))
    right = LogisticRegression().fit(rows, recipe.y).predict(tests) == labels
    assert_array_equal(found.extra["accuracy"][:, 0], right)
    assert_array_equal(found.extra["without_retraining"][:, 0], case.predicted(tests) == labels)


def blind_masks(classes: Any, parts: int, seed: int) -> Any:
    """Half of the parts, fixed for each class and blind to the row."""
    rng = np.random.default_rng(seed)
    each = np.stack([rng.permutation(parts) < parts // 2 for _ in range(classes.max() + 1)])
    return each[classes]


def test_masks_that_are_fixed_for_each_class_are_found_to_leak_in_every_seed() -> None:
    classes = np.random.default_rng(0).integers(0, 10, 600)
    for seed in range(20):
        assert measure_mask_leak([blind_masks(classes, 64, seed)], classes, Seed(seed)).found


def count_false_alarms(runs: int) -> int:
    found = 0
    for number in range(runs):
        rng = np.random.default_rng(number)
        classes, masks = rng.integers(0, 2 + number % 3, 200), rng.random((200, 12)) < 0.5
        found += measure_mask_leak([masks, masks & (rng.random((200, 12)) < 0.5)], classes, Seed(number)).found
    return found


def test_masks_without_the_class_are_seldom_found_to_leak() -> None:
    assert count_false_alarms(40) <= 5


@pytest.mark.judge
def test_masks_without_the_class_are_found_to_leak_in_at_most_5_percent() -> None:
    assert count_false_alarms(400) <= 20


def digits() -> tuple[Any, Any, Recipe]:
    x, y = load_digits(return_X_y=True)
    x = x[:500] / 16
    recipe = Recipe(logistic, x[:400], y[:400])
    return assay.case(assay.wrap(logistic(x[:400], y[:400], Seed(0), 0.0)), x[400:]), y[400:500], recipe


def test_the_score_is_undefined_where_the_masks_tell_the_class() -> None:
    case, labels, recipe = digits()
    values = [blind_masks(y, 64, 3).astype(float) for y in (recipe.y, labels)]
    own, training = ranked(case, recipe, np.zeros(64))
    own, training = replace(own, values=values[1]), replace(training, values=values[0])
    options = {"labels": labels, "recipe": recipe, "training": training, "fractions": (0.5,), "seeds": 2}
    leaking = evaluate.kar(own, case, order="row", **options)
    assert np.isnan(leaking.values).all()
    assert "the masks tell the class" in str(leaking.notes)
    assert leaking.extra["mask_alone_interval"][0] > leaking.extra["chance"][0]
    shared = evaluate.kar(own, case, **options)
    assert np.isfinite(shared.values).all()
    assert "mask_alone" not in shared.extra


def test_the_training_rows_are_explained_with_the_model_itself_once_for_both_scores() -> None:
    case, labels, recipe, _ = planted("linear")
    e = explain.shapley(case, remove=Constant(0.0))
    options = {"labels": labels, "recipe": recipe, "fractions": (0.5,), "seeds": 2}
    first = evaluate.roar(e, case, **options).provenance.cost["forwards"]
    again = evaluate.kar(e, case, **options).provenance.cost["forwards"]
    explaining = TRAIN * 2**PARTS
    assert first > explaining > again


def test_random_rankings_and_whole_rows_are_trained_on_once_for_all_explanations() -> None:
    case, labels, recipe, _ = planted("linear")
    fits: list[int] = []

    def counted(x: Any, y: Any, seed: Seed, strength: float) -> Any:
        fits.append(len(x))
        return logistic(x, y, seed, strength)

    counting, trained = replace(recipe, fit=counted), []
    for explanation in (explain.input_itself(case), explain.occlusion(case, remove=Constant(0.0))):
        before = len(fits)
        evaluate.roar(explanation, case, labels=labels, recipe=counting, fractions=(0.2, 0.5), seeds=3)
        trained.append(len(fits) - before)
    assert trained == [3 * (2 * 2 + 1), 3 * 2]


def test_a_frame_is_trained_on_in_its_own_columns_and_levels() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(size=90), "colour": rng.choice(["red", "red", "blue"], 90)})
    y, seen = (frame["size"] > 0).astype(int).to_numpy(), []

    def fit(x: Any, y: Any, seed: Seed, strength: float) -> Any:
        seen.append(x.copy())
        return make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(x, y)

    case = assay.case(assay.wrap(fit(frame[:60], y[:60], Seed(0), 0.0)), frame[60:])
    before = frame.copy()
    background = assay.Marginal(frame[:5])
    e = explain.shapley(case, remove=background)
    training = explain.shapley(assay.case(case.model, frame[:60]), remove=background)
    training = replace(training, values=np.broadcast_to([0.0, 1.0], (60, 2)).copy())
    recipe = Recipe(fit, frame[:60], y[:60])
    evaluate.roar(e, case, labels=y[60:], recipe=recipe, training=training, fractions=(0.5,), seeds=2)
    pd.testing.assert_frame_equal(frame, before)
    assert all(list(one.columns) == ["size", "colour"] and len(one) == 60 for one in seen)
    assert set(seen[1]["colour"]) == {"red"}
    assert_allclose(seen[1]["size"], frame["size"][:60])


def test_pixels_may_be_filled_from_their_neighbours() -> None:
    x, y = load_digits(return_X_y=True)
    x = (x[:120] / 16).reshape(-1, 1, 8, 8)

    def fit(x: Any, y: Any, seed: Seed, strength: float) -> Any:
        learner = LogisticRegression(max_iter=300).fit(np.asarray(x).reshape(len(x), -1), y)
        return assay.wrap(lambda rows: learner.predict_proba(rows.reshape(len(rows), -1)), output="probabilities")

    case = assay.case(fit(x[:80], y[:80], Seed(0), 0.0), x[80:], label="predicted")
    e = explain.occlusion(case, remove=Constant(0.0))
    options = {"labels": y[80:120], "recipe": Recipe(fit, x[:80], y[:80]), "fractions": (0.5,), "seeds": 2}
    imputed = evaluate.roar(e, case, fill="neighbours", **options)
    filled = evaluate.roar(e, case, **options)
    assert "mask_alone" in imputed.extra
    assert not np.array_equal(imputed.extra["accuracy"], filled.extra["accuracy"])


def test_options_that_do_not_fit_are_refused() -> None:
    case, labels, recipe, _ = planted("linear")
    e = explain.input_itself(case)

    def call(**options: Any) -> Any:
        return evaluate.roar(e, case, **{"labels": labels, "recipe": recipe, **options})

    for wrong in ({"fractions": (0.5, 0.1)}, {"fractions": (0.0,)}, {"seeds": 1}, {"fill": "neighbours"},
                  {"labels": labels[:5]}, {"training": e}):  # fmt: skip
        with pytest.raises(InputError):
            call(**wrong)
    own = assay.integer_map(np.tile(np.arange(PARTS), (TEST, 1)), per_row=True)
    cut = assay.case(case.model, case.rows.x, features=own)
    explained = explain.occlusion(cut, remove=Constant(0.0))
    with pytest.raises(CapabilityError, match="needs parts that all rows share"):
        evaluate.roar(explained, cut, labels=labels, recipe=recipe)


@pytest.mark.parametrize("explained", ["predicted", "fixed", "random"])
def test_another_class_can_be_explained_as_a_control(explained: Any) -> None:
    case, labels, recipe = digits()
    e = explain.occlusion(case, remove=Constant(0.0))
    options = {"labels": labels, "recipe": recipe, "fractions": (0.5,), "seeds": 2, "order": "row"}
    found = evaluate.roar(e, case, explained=explained, **options)
    assert found.extra["accuracy"].shape == (100, 1)
    if explained == "predicted":  # the pixels that matter for a class tell which class it is
        assert np.isnan(found.values).all()
