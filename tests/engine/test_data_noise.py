"""Noise on training data, by its distribution and on every kind of table."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.engine.retraining.data_noise import feature_noise

ROWS = 4000
GENERATOR = np.random.default_rng(0)
COLUMNS: dict[str, Any] = {
    "height": GENERATOR.normal(170, 10, ROWS),
    "rooms": GENERATOR.integers(1, 9, ROWS),
    "owner": GENERATOR.integers(0, 2, ROWS),
    "town": GENERATOR.choice(["Ayr", "Bath", "Cork"], ROWS),
    "smoker": GENERATOR.choice(["no", "yes"], ROWS),
}
LABELS = GENERATOR.integers(0, 2, ROWS)
MATRIX = np.column_stack([COLUMNS["height"], COLUMNS["rooms"], COLUMNS["owner"]])


def columns_of(table: Any) -> dict[str, np.ndarray]:
    if isinstance(table, np.ndarray):
        return dict(zip(("height", "rooms", "owner"), table.T))
    return {name: np.asarray(table[name]) for name in table.columns}


@pytest.mark.parametrize(
    "make", [pd.DataFrame, pl.DataFrame, lambda columns: MATRIX], ids=["pandas", "polars", "array"]
)
@pytest.mark.parametrize("size", [0.0, 0.1, 0.5])
def test_numbers_get_gaussian_noise_and_two_values_change_places(make: Any, size: float) -> None:
    table = make(COLUMNS)
    before = columns_of(table)
    noisy, labels = feature_noise(table, LABELS, size, Seed(3))
    after = columns_of(noisy)
    assert labels is LABELS
    assert type(noisy) is type(table)
    for name in ("height", "rooms"):
        moves = after[name] - before[name]
        assert_allclose(moves.std(), size * before[name].std(), rtol=0.05)
        assert abs(moves.mean()) <= 4 * moves.std() / np.sqrt(ROWS)
    for name in {"owner", "smoker"} & set(before):
        assert_allclose(np.mean(after[name] != before[name]), size, atol=4 * np.sqrt(size * (1 - size) / ROWS))
        assert set(after[name]) == set(before[name])
    if "town" in before:  # a row drawn uniformly has the same town in a third of draws
        assert_allclose(np.mean(after["town"] != before["town"]), 2 / 3 * size, atol=0.03)
    assert_array_equal(columns_of(table)["height"], COLUMNS["height"])  # the caller's table is as it was


def test_a_frame_keeps_its_index_its_categories_and_its_missing_cells() -> None:
    frame = pd.DataFrame(
        {
            "a": [1.0, np.nan, 3.0, 5.0],
            "b": pd.Categorical(["x", "y", "x", "y"], ["z", "y", "x"]),
            "c": [0.0, 1.0, np.nan, 0.0],
        },
        index=[9, 7, 5, 3],
    )
    noisy, _ = feature_noise(frame, [0, 1, 0, 1], 1.0, Seed(0))
    assert_array_equal(noisy.index, [9, 7, 5, 3])
    assert noisy["b"].dtype == frame["b"].dtype
    assert list(noisy["b"]) == ["y", "x", "y", "x"]
    assert_array_equal(noisy["a"].isna(), [False, True, False, False])
    assert set(noisy["c"].dropna()) <= {0, 1}


def test_equal_seeds_give_equal_noise_and_other_seeds_other_noise() -> None:
    one, same, other = (feature_noise(MATRIX, LABELS, 0.1, Seed(seed))[0] for seed in (1, 1, 2))
    assert_array_equal(one, same)
    assert (one[:, 0] != other[:, 0]).all()


@pytest.mark.parametrize(
    ("x", "size", "message"),
    [
        (MATRIX, -0.1, "size of at least 0"),
        (MATRIX, 1.5, "it is a probability, at most 1"),
        (MATRIX[:, 0], 0.1, "an array of shape"),
        (["a text"], 0.1, "a matrix or a frame; got list"),
    ],
)
def test_what_cannot_get_noise_is_refused(x: Any, size: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        feature_noise(x, LABELS, size, Seed(0))
