"""LightGBM's trees as a forest."""

from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.model.forests.checks import CLASSES, FRAME, GAPS, SCORE, THREE, TWO, VALUE, WEIGHT, X, agrees, read, wired

import assay
from assay.basics.errors import CapabilityError, InputError
from assay.nouns.inputs.output_kind import OutputKind

FEW: dict[str, Any] = {"n_estimators": 8, "n_jobs": 1, "verbose": -1, "min_child_samples": 3}
CATEGORIES = {"min_data_per_group": 1, "cat_smooth": 1.0, "cat_l2": 0.1}
CODED = FRAME.astype({"purpose": "category", "band": "category"})


@pytest.mark.parametrize("x", [X, GAPS], ids=["whole", "gaps"])
@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("leaves", [2, 40])
def test_classes_are_the_raw_score(labels: Any, x: Any, leaves: int) -> None:
    estimator = lightgbm.LGBMClassifier(num_leaves=leaves, **FEW).fit(x, labels, WEIGHT)
    assert agrees("lightgbm", estimator, x, estimator.predict(x, raw_score=True)).gives == "margin"


@pytest.mark.parametrize("kind", ["gbdt", "dart", "rf", "goss"])
def test_every_boosting_is_a_sum(kind: str) -> None:
    bag = {"subsample": 0.6, "subsample_freq": 1} if kind == "rf" else {}
    estimator = lightgbm.LGBMRegressor(boosting_type="gbdt" if kind == "goss" else kind, **bag, **FEW)
    estimator.set_params(**({"data_sample_strategy": "goss"} if kind == "goss" else {}))
    estimator = estimator.fit(GAPS, VALUE)
    assert agrees("lightgbm", estimator, GAPS, estimator.predict(GAPS)).gives == "values"


@pytest.mark.parametrize("options", [{"use_missing": False}, {"zero_as_missing": True}], ids=str)
def test_gaps_are_routed_as_the_model_is_configured(options: Any) -> None:
    x = np.where(np.abs(GAPS) < 0.3, np.sign(GAPS) * 0.0, GAPS)
    x[:9, 0] = [1e-36, -1e-36, 1e-35, -1e-35, 1.0000001e-35, 1e-34, -1e-34, 0.0, np.nan]
    estimator = lightgbm.LGBMRegressor(**options, **FEW).fit(x, VALUE)
    agrees("lightgbm", estimator, x, estimator.predict(x))


def test_gaps_met_for_the_first_time_are_zeros() -> None:
    estimator = lightgbm.LGBMRegressor(**FEW).fit(X, VALUE)
    agrees("lightgbm", estimator, GAPS, estimator.predict(GAPS))


def test_categories_are_followed_with_gaps_and_strangers() -> None:
    gone = np.arange(len(CODED)) % 7 == 0
    frame = CODED.assign(purpose=CODED["purpose"].mask(gone))
    estimator = lightgbm.LGBMClassifier(**CATEGORIES, **FEW).fit(frame, CLASSES)
    forest = agrees("lightgbm", estimator, frame, estimator.predict(frame, raw_score=True))
    assert (forest.levels >= 0).any()
    strange = frame.assign(purpose=pd.Categorical(["never"] * len(frame)))
    written = frame.assign(purpose=pd.Categorical([None] * len(frame), frame["purpose"].cat.categories))
    agrees("lightgbm", estimator, written, estimator.predict(strange, raw_score=True))


def test_numbers_of_categories_are_cut_to_whole_ones() -> None:
    x = np.column_stack([X[:, :2], FRAME["band"] - 3]).astype(float)
    estimator = lightgbm.LGBMRegressor(**CATEGORIES, **FEW).fit(x, SCORE, categorical_feature=[2])
    codes = [-3.0, -0.5, 0.0, 0.9, 1.9, 4.0, 5.5, 99.0, 1e6, np.nan]
    rows = np.repeat(x[:50], len(codes), axis=0)
    rows[:, 2] = np.tile(codes, 50)
    forest = agrees("lightgbm", estimator, rows, estimator.predict(rows))
    assert (forest.levels >= 0).any()


def test_models_of_frames_and_boosters_show_their_forest() -> None:
    estimator = lightgbm.LGBMClassifier(**CATEGORIES, **FEW).fit(CODED, CLASSES)
    wired(estimator, CODED)
    wired(estimator.booster_, CODED)
    mixed = pl.from_pandas(CODED).reverse().with_columns(pl.col("purpose").cast(pl.String))
    plain = CODED.drop(columns="band")
    wired(lightgbm.LGBMClassifier(**CATEGORIES, **FEW).fit(plain, CLASSES), mixed.drop("band"))


def test_a_link_leaves_the_raw_score() -> None:
    model = assay.wrap(lightgbm.LGBMRegressor(objective="poisson", **FEW).fit(X, np.exp(VALUE)))
    assert model.forest is not None
    assert (model.gives, model.forest().gives) == ("values", "margin")
    assert read("lightgbm", lightgbm.LGBMRegressor(reg_sqrt=True, **FEW).fit(X, VALUE))[0].gives == "margin"


def test_rounds_after_the_best_are_left_out() -> None:
    estimator = lightgbm.LGBMRegressor(**{**FEW, "n_estimators": 200, "learning_rate": 0.9})
    stop = lightgbm.early_stopping(3, verbose=False)
    estimator.fit(X[:200], VALUE[:200], eval_X=X[200:], eval_y=VALUE[200:], callbacks=[stop])
    assert len(read("lightgbm", estimator)[0].roots) == estimator.best_iteration_ < 50
    agrees("lightgbm", estimator, X, estimator.predict(X))


def test_trees_that_never_split_are_one_leaf() -> None:
    estimator = lightgbm.LGBMRegressor(**FEW).fit(X, np.full(len(X), 2.0))
    assert agrees("lightgbm", estimator, X, estimator.predict(X)).depth == 0


def test_thresholds_are_compared_in_float64_and_a_path_may_ask_twice() -> None:
    estimator = lightgbm.LGBMRegressor(num_leaves=100, **FEW).fit(X[:, :1], VALUE)
    forest, _ = read("lightgbm", estimator)
    assert forest.depth >= 12
    exact = forest.threshold[forest.column >= 0]
    rows = np.concatenate([exact, np.nextafter(exact, np.inf), np.nextafter(exact, -np.inf)])[:, None]
    agrees("lightgbm", estimator, rows, estimator.predict(rows))


def test_a_hand_made_tree_is_read_node_for_node() -> None:
    x = np.repeat([[0.0], [1.0]], 20, axis=0)
    estimator = lightgbm.LGBMRegressor(**{**FEW, "n_estimators": 1, "learning_rate": 1.0}).fit(
        x, np.repeat([2.0, 6.0], 20)
    )
    forest, _ = read("lightgbm", estimator)
    assert_array_equal(forest.column, [0, -1, -1])
    assert_array_equal(forest.cover, [40, 20, 20])
    assert_array_equal(forest.value.round(5).ravel(), [0, 2, 6])
    assert_array_equal(forest.base, [0])


def test_linear_leaves_are_refused() -> None:
    estimator = lightgbm.LGBMRegressor(linear_tree=True, **FEW).fit(X, VALUE)
    with pytest.raises(CapabilityError, match="Train with linear_tree=False"):
        read("lightgbm", estimator)


LARGE = [1e301, 1e300, np.nextafter(1e300, 0), 1.0, 0.0, -1.0, -1e300, -1e301, np.nan]


def test_a_split_of_gaps_from_all_numbers_has_an_infinite_threshold() -> None:
    gone = np.arange(len(X)) % 3 == 0
    x = np.column_stack([np.where(gone, np.nan, X[:, 0]), X[:, 1]])
    estimator = lightgbm.LGBMRegressor(**FEW).fit(x, 5.0 * gone + X[:, 1])
    assert "threshold=inf" in estimator.booster_.model_to_string()
    forest, _ = read("lightgbm", estimator)
    assert np.isposinf(forest.threshold).any()
    rows = np.array([[a, b] for a in LARGE for b in (-1.0, 1.0)])
    agrees("lightgbm", estimator, rows, estimator.predict(rows))


@pytest.mark.parametrize("written", ["inf", "-inf", "1e+300", "-1e+300", "2.5e+305"])
def test_thresholds_beyond_1e300_are_read_as_they_are_written(written: str) -> None:
    text = lightgbm.LGBMRegressor(**{**FEW, "n_estimators": 2}).fit(GAPS[:, :2], VALUE).booster_.model_to_string()
    lines = [line for line in text.splitlines() if not line.startswith("tree_sizes=")]  # the text changes its length
    for place, line in enumerate(lines):
        if line.startswith("threshold="):
            lines[place] = " ".join([f"threshold={written}", *line.split()[1:]])
    booster = lightgbm.Booster(model_str="\n".join(lines) + "\n")
    rows = np.array([[a, b] for a in LARGE for b in LARGE])
    forest = agrees("lightgbm", booster, rows, booster.predict(rows))
    assert (forest.threshold == float(written)).sum() == 2


@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("as_booster", [False, True])
def test_the_mean_of_trees_of_a_classifier_is_read_as_its_raw_score(labels: Any, as_booster: bool) -> None:
    """LightGBM's raw score is n times the log-odds: the sum of the trees, not their mean."""
    estimator = lightgbm.LGBMClassifier(boosting_type="rf", subsample=0.6, subsample_freq=1, **FEW).fit(X, labels)
    given = estimator.booster_ if as_booster else estimator
    forest = agrees("lightgbm", given, X, estimator.predict(X, raw_score=True))
    scores = forest.outputs(X) * OutputKind.of(forest.gives).scale
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    expected = estimator.predict_proba(X)
    assert_allclose(
        shares if labels is THREE else 1 / (1 + np.exp(-scores[:, 0])), expected if labels is THREE else expected[:, 1]
    )


@pytest.mark.parametrize("objective", ["poisson", "regression"])
def test_the_mean_of_trees_of_a_regressor_is_its_prediction_before_the_link(objective: str) -> None:
    estimator = lightgbm.LGBMRegressor(boosting_type="rf", objective=objective, subsample=0.6, subsample_freq=1, **FEW)
    estimator.fit(X, np.exp(VALUE))
    agrees("lightgbm", estimator, X, np.log(estimator.predict(X)) if objective == "poisson" else estimator.predict(X))


def test_levels_of_a_frame_are_compared_and_not_its_codes() -> None:
    estimator = lightgbm.LGBMClassifier(**CATEGORIES, **FEW).fit(CODED, CLASSES)
    turned = CODED.assign(
        purpose=CODED["purpose"].cat.reorder_categories(list(CODED["purpose"].cat.categories[::-1])),
        band=CODED["band"].cat.add_categories([77]),
    )
    agrees("lightgbm", estimator, turned, estimator.predict(CODED, raw_score=True))
    _, matrix = read("lightgbm", lightgbm.LGBMRegressor(**FEW).fit(X, VALUE))
    with pytest.raises(InputError, match=r"hold categories.*trained on 0 such columns"):
        matrix(CODED)
