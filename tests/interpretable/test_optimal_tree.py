"""The estimator of optimal trees: text, probabilities, certificate, and the interface of scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from assay.basics.errors import InputError
from assay.interpretable import LogisticModel, OptimalTree


def rows(count: int = 400) -> tuple[pd.DataFrame, np.ndarray]:
    """An exclusive or of a threshold and a level, with a column that means nothing."""
    draws = np.random.default_rng(0)
    frame = pd.DataFrame({"age": draws.integers(18, 80, count), "town": draws.choice(["A", "B", "C"], count)})
    frame["noise"] = draws.normal(size=count)
    return frame, np.where((frame.age > 40) ^ (frame.town == "B"), "yes", "no")


def test_an_exclusive_or_is_found_and_written_out() -> None:
    x, y = rows()
    model = OptimalTree(0.01, depth=2, cuts={"age": (40,)}).fit(x, y)
    assert (model.predict(x) == y).all()
    assert model.n_leaves_ == 4
    assert model.certificate_.status == "optimal"
    assert model.certificate_.objective == pytest.approx(0.04)
    assert "town = B" in model.text_
    assert "age > 40" in model.text_
    counts = [int(line.split(" of ")[1].split(" ")[0]) for line in model.text_.splitlines() if " of " in line]
    assert sum(counts) == len(x)


def test_probabilities_are_the_shares_of_the_training_rows_of_the_leaf() -> None:
    x, y = rows()
    flipped = np.where(np.arange(len(y)) % 5 == 0, np.where(y == "yes", "no", "yes"), y)
    model = OptimalTree(0.01, depth=2, cuts={"age": (40,)}).fit(x, flipped)
    old, other = (x.age > 40).to_numpy(), (x.town == "B").to_numpy()
    for group in (old & other, old & ~other, ~old & other, ~old & ~other):
        assert np.allclose(model.predict_proba(x)[group, 1], (flipped[group] == "yes").mean())


def test_it_is_an_estimator_of_scikit_learn() -> None:
    x, y = rows()
    assert clone(OptimalTree(0.02, depth=1)).get_params()["depth"] == 1
    assert cross_val_score(OptimalTree(0.01, depth=2, cuts={"age": (40,)}), x, y, cv=3).mean() == 1.0
    three = np.where(x.age > 60, "old", y)
    assert set(OptimalTree(0.001, depth=3).fit(x, three).predict(x)) == {"old", "yes", "no"}


def test_impossible_options_are_refused() -> None:
    x, y = rows(50)
    for options in ({"penalty": -1.0}, {"depth": 99}, {"nodes": 0}):
        with pytest.raises(InputError):
            OptimalTree(**options).fit(x, y)
    with pytest.raises(InputError, match="strength"):
        LogisticModel(0.0).fit(x, y)


def test_a_logistic_model_states_its_coefficients_in_the_units_of_the_columns() -> None:
    draws = np.random.default_rng(1)
    x = pd.DataFrame({"age": draws.normal(50, 10, 4000), "town": draws.choice(["A", "B"], 4000)})
    y = draws.random(4000) < 1 / (1 + np.exp(-(0.1 * (x.age - 50) + 1.0 * (x.town == "B"))))
    lines = LogisticModel(0.01).fit(x, y).text_.splitlines()
    assert float(next(line for line in lines if "age" in line).split()[0]) == pytest.approx(0.1, abs=0.02)
    assert float(next(line for line in lines if "town = B" in line).split()[0]) == pytest.approx(1.0, abs=0.25)
