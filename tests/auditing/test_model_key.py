"""A store folder that holds an old model's audit answers for a new model by computing, not from the old one's files."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

import assay
from assay.auditing.steps.model_key import model_key
from assay.model.model import Model

ROWS = np.random.default_rng(0).normal(size=(10, 3))


def shapley(model: Any, store: Path) -> np.ndarray:
    """The Shapley values of an audit with this store."""
    run = assay.audit(model, ROWS, profile="quick", methods=["shapley"], scores=[], store=store)
    return run.record.explanations["shapley"].values


def stored(store: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in store.glob("??/*.assay")}


class Net(nn.Module):
    """A net whose activation is a global function of this module."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(3, 6), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(activate(self.first(x)))


def activate(x: torch.Tensor) -> torch.Tensor:
    return torch.relu(x)


class Changing:
    """Four kinds of model whose function can be changed to that of another weight."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.weight, self.file = kind, 1.0, folder / "weight.txt"
        self.connection = sqlite3.connect(":memory:")
        self.connection.execute("create table weights (value real)")
        self.connection.execute("insert into weights values (1.0)")
        self.change(1.0)

    def change(self, weight: float) -> None:
        self.file.write_text(str(weight))
        self.connection.execute("update weights set value = ?", (weight,))
        self.weight = weight

    def model(self) -> Any:
        connection, file = self.connection, str(self.file)

        def queried(x: Any) -> Any:
            return x[:, 0] * connection.execute("select value from weights").fetchone()[0]

        def from_file(x: Any) -> Any:
            return x[:, 0] * float(Path(file).read_text())

        if self.kind == "connection":
            return assay.model.function(queried)
        if self.kind == "file":
            return assay.model.function(from_file)
        if self.kind == "estimator in a closure":
            estimator = LinearRegression().fit(ROWS, ROWS[:, 0] * self.weight)
            return assay.model.function(lambda x: estimator.predict(x))
        line = LinearRegression().fit(ROWS, ROWS[:, 0])
        read = FunctionTransformer(lambda x: x * connection.execute("select value from weights").fetchone()[0])
        return make_pipeline(read, line)


KINDS = ["connection", "file", "estimator in a closure", "pipeline over a connection"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_whose_hidden_part_changed_gets_new_numbers(kind: str, tmp_path: Path) -> None:
    changing, store = Changing(kind, tmp_path), tmp_path / "store"
    before = shapley(changing.model(), store)
    files = stored(store)
    assert np.array_equal(shapley(changing.model(), store), before)
    assert stored(store) == files
    changing.change(3.0)
    assert np.allclose(shapley(changing.model(), store), 3 * before)
    assert stored(store) != files
    changing.connection.close()


def test_a_net_with_another_activation_and_the_same_weights_gets_new_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shapley(Net(), tmp_path)
    files = stored(tmp_path)
    assert np.array_equal(shapley(Net(), tmp_path), before)
    assert stored(tmp_path) == files
    old = {name: value.clone() for name, value in Net().state_dict().items()}
    monkeypatch.setitem(globals(), "activate", lambda x: torch.tanh(x))
    assert all(torch.equal(value, old[name]) for name, value in Net().state_dict().items())
    assert not np.allclose(shapley(Net(), tmp_path), before)
    monkeypatch.undo()
    assert np.array_equal(shapley(Net(), tmp_path), before)


def test_the_key_is_the_fingerprint_where_that_shows_everything() -> None:
    case = assay.case(assay.wrap(LinearRegression().fit(ROWS, ROWS[:, 0])), ROWS)
    assert model_key(case) == case.model.fingerprint


def test_the_outputs_that_the_key_needs_are_not_counted() -> None:
    case = assay.case(assay.model.function(lambda x: x[:, 0]), ROWS)
    before = case.model.meter.requested
    assert model_key(case) == model_key(case) != case.model.fingerprint
    assert case.model.meter.requested == before


def _key(model: Model) -> str:
    return model_key(assay.case(model, ROWS))


def test_a_change_that_the_rows_themselves_do_not_show_is_seen_in_mixed_columns(tmp_path: Path) -> None:
    table, file = {tuple(row): sum(row) for row in ROWS.tolist()}, tmp_path / "elsewhere.txt"

    def looked_up(x: Any) -> Any:
        return np.array([table.get(tuple(row), float(file.read_text())) for row in x.tolist()])

    file.write_text("0.0")
    before, outputs = _key(assay.model.function(looked_up)), looked_up(ROWS)
    file.write_text("1.0")
    assert np.array_equal(looked_up(ROWS), outputs)
    assert _key(assay.model.function(looked_up)) != before


def test_rounding_in_the_last_digits_does_not_change_the_key(tmp_path: Path) -> None:
    file = tmp_path / "noise.txt"

    def noisy(x: Any) -> Any:
        return x[:, 0] * (1 + float(file.read_text()))

    keys = []
    for noise in ("0", "1e-14", "1e-3"):
        file.write_text(noise)
        keys.append(_key(assay.model.function(noisy)))
    assert keys[0] == keys[1] != keys[2]
