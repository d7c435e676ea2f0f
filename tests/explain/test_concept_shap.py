"""ConceptSHAP: a literal refit of every subset, duplicates, two games, guessing, and what is refused."""

from __future__ import annotations

from itertools import permutations
from math import factorial
from typing import Any

import numpy as np
import pytest
import torch

import assay
from assay import explain
from assay.basics.errors import CapabilityError, InputError
from assay.engine.concepts.activations import from_positions, position_matrix

UNITS, RIDGE = 5, 0.05


def net(seed: int = 0) -> torch.nn.Sequential:
    torch.manual_seed(seed)
    layers = (torch.nn.Linear(6, UNITS), torch.nn.Tanh(), torch.nn.Linear(UNITS, 3))
    found = torch.nn.Sequential(*layers).double().eval()
    found[2].weight.data *= 3.0
    return found


def maps(seed: int = 0) -> torch.nn.Sequential:
    """A net whose layer "1" has maps of 2 × 2 positions."""
    torch.manual_seed(seed)
    layers = (torch.nn.Conv2d(1, UNITS, 2), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(4 * UNITS, 3))
    return torch.nn.Sequential(*layers).double().eval()


def rows(count: int, seed: int, shape: tuple[int, ...] = (6,)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, *shape))


def asked(model: torch.nn.Module, x: np.ndarray, **more: Any) -> assay.Case:
    return assay.case(assay.model.torch(model, gives="logits"), x, **more)


def activations(model: torch.nn.Sequential, x: np.ndarray) -> np.ndarray:
    """(row, position, unit) of the layer "1"."""
    with torch.no_grad():
        found = model[:2](torch.as_tensor(x)).numpy()
    return found.reshape(len(x), UNITS, -1).transpose(0, 2, 1)


def classes_of(model: torch.nn.Sequential, inside: np.ndarray) -> np.ndarray:
    """The class of activations (row, position, unit)."""
    like = inside.transpose(0, 2, 1)
    shaped = like[:, :, 0] if len(model) == 3 else like.reshape(len(like), UNITS, 2, 2)
    with torch.no_grad():
        return model[2:](torch.as_tensor(np.ascontiguousarray(shaped))).argmax(dim=1).numpy()


def literal(
    model: torch.nn.Sequential, x: np.ndarray, random: np.ndarray, ways: np.ndarray, truth: np.ndarray, kind: str
) -> tuple[np.ndarray, float]:
    """ConceptSHAP (row, concept) and completeness: each subset fitted by least squares, mean over all orders."""
    known, own = activations(model, random).reshape(-1, UNITS), activations(model, x)
    mean, count = known.mean(axis=0), len(ways)
    penalty = RIDGE * np.mean(((known - mean) @ ways.T) ** 2)

    def right(subset: tuple[int, ...]) -> np.ndarray:
        if not subset:
            return np.full(len(x), 1 / 3)
        fitted = np.array(sorted(subset) if kind == "refit" else range(count))
        scores = (known - mean) @ ways[fitted].T
        system = np.concatenate([scores / np.sqrt(len(known)), np.sqrt(penalty) * np.eye(len(fitted))])
        goal = np.concatenate([(known - mean) / np.sqrt(len(known)), np.zeros((len(fitted), UNITS))])
        decoder = np.linalg.lstsq(system, goal, rcond=None)[0]
        mine = (own - mean) @ ways[fitted].T * np.isin(fitted, subset)
        return (classes_of(model, mean + mine @ decoder) == truth).astype(float)

    values = np.zeros((len(x), count))
    for order in permutations(range(count)):
        for place, one in enumerate(order):
            values[:, one] += (right(order[: place + 1]) - right(order[:place])) / factorial(count)
    gain = float((classes_of(model, own) == truth).mean()) - 1 / 3
    return values / gain, (float(right(tuple(range(count))).mean()) - 1 / 3) / gain


@pytest.mark.parametrize("kind", ["refit", "fixed"])
@pytest.mark.parametrize("layers", [net, maps])
def test_values_are_those_of_a_decoder_fitted_to_every_subset(layers: Any, kind: str) -> None:
    model, shape = layers(), (6,) if layers is net else (1, 3, 3)
    x, random, ways = rows(40, 1, shape), rows(60, 2, shape), rows(4, 3, (UNITS,))
    truth = classes_of(model, activations(model, x)).copy()
    truth[:5] = (truth[:5] + 1) % 3
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    found = explain.concept_shap(
        asked(model, x), concepts=(), directions=ways, random_rows=random, labels=truth, layer="1",
        decoder=kind, ridge=RIDGE,
    )  # fmt: skip
    values, completeness = literal(model, x, random, ways, truth, kind)
    np.testing.assert_allclose(found.values, values, atol=1e-12)
    assert found.extra["completeness"][0] == pytest.approx(completeness, abs=1e-12)
    assert found.values.sum(axis=1).mean() == pytest.approx(completeness, abs=1e-12)
    np.testing.assert_allclose(found.residual, 0.0, atol=1e-12)
    np.testing.assert_allclose(
        found.x, ((activations(model, x) - activations(model, random).mean(axis=(0, 1))) @ ways.T).mean(axis=1)
    )


def test_positions_and_units_are_read_whatever_their_axes() -> None:
    last = torch.nn.Sequential(torch.nn.Linear(3, UNITS), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(20, 3))
    for model, shape in ((maps(), (1, 3, 3)), (last.double(), (4, 3))):
        inner = asked(model, rows(6, 1, shape)).from_layer("1")
        matrix, values = position_matrix(inner), inner.rows.x.numpy()
        assert matrix.shape == (6, 4, UNITS)
        np.testing.assert_array_equal(from_positions(inner, matrix), values)
        units_last = values if values.shape[-1] == UNITS else np.moveaxis(values, 1, -1).reshape(6, 4, UNITS)
        np.testing.assert_array_equal(matrix, units_last)


def test_directions_of_concepts_are_differences_of_mean_activations() -> None:
    model, x, random, shown = net(), rows(20, 1), rows(60, 2), rows(30, 4) + 1.0
    found = explain.concept_shap(asked(model, x), concepts={"c": shown}, random_rows=random, layer="1")
    step = activations(model, shown).mean(axis=(0, 1)) - activations(model, random).mean(axis=(0, 1))
    np.testing.assert_allclose(found.extra["directions"][0], step / np.linalg.norm(step), atol=1e-12)
    assert found.features.names == ("c",)


def test_a_concept_that_is_given_twice_shares_equally_and_adds_nothing() -> None:
    model, x, random, ways = net(), rows(50, 1), rows(60, 2), rows(2, 3, (UNITS,))
    options: dict[str, Any] = {"random_rows": random, "layer": "1", "ridge": 1e-9}
    once = explain.concept_shap(asked(model, x), concepts=(), directions=ways, **options)
    twice = explain.concept_shap(asked(model, x), concepts=(), directions=ways[[0, 0, 1]], **options)
    np.testing.assert_allclose(twice.values[:, 0], twice.values[:, 1], atol=1e-12)
    assert twice.extra["completeness"][0] == pytest.approx(once.extra["completeness"][0], abs=1e-12)


def test_a_concept_that_another_replaces_is_worth_less_in_the_game_that_is_fitted_again() -> None:
    model, x, random = net(), rows(60, 1), rows(60, 2)
    base = rows(3, 3, (UNITS,))
    ways = np.stack([base[0], base[0] + 0.2 * base[1], base[2]])
    options: dict[str, Any] = {"concepts": (), "directions": ways, "random_rows": random, "layer": "1"}
    refit = explain.concept_shap(asked(model, x), decoder="refit", **options)
    fixed = explain.concept_shap(asked(model, x), decoder="fixed", **options)
    assert refit.extra["completeness"][0] == pytest.approx(fixed.extra["completeness"][0], abs=1e-12)
    assert np.abs(refit.values.mean(axis=0) - fixed.values.mean(axis=0)).max() > 0.02


def test_all_directions_are_complete_and_the_mean_alone_decides_as_one_class() -> None:
    model, x, random = net(), rows(80, 1), rows(100, 2)
    full = explain.concept_shap(
        asked(model, x), concepts=(), directions=np.eye(UNITS), random_rows=random, layer="1", ridge=1e-12
    )
    assert full.extra["completeness"][0] == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(full.extra["accuracy"], [1.0, 1.0, 1 / 3])


@pytest.mark.parametrize("layers", [net, maps])
def test_the_order_and_ids_of_rows_change_no_byte(layers: Any) -> None:
    shape = (6,) if layers is net else (1, 3, 3)
    x, random, shown = rows(20, 1, shape), rows(60, 2, shape), rows(30, 4, shape) + 0.5
    mixed = np.random.default_rng(0).permutation
    order = mixed(20)
    one = explain.concept_shap(asked(layers(), x), concepts={"c": shown, "d": -shown}, random_rows=random, layer="1")
    two = explain.concept_shap(
        asked(layers(), x[order], ids=[f"r{i}" for i in order]),
        concepts={"c": shown[mixed(30)], "d": -shown[mixed(30)]}, random_rows=random[mixed(60)], layer="1",
    )  # fmt: skip
    assert one.values[order].tobytes() == two.values.tobytes()
    assert one.extra["directions"].tobytes() == two.extra["directions"].tobytes()


def test_where_the_net_is_no_better_than_guessing_completeness_is_undefined() -> None:
    model, x = net(), rows(20, 1)
    wrong = (classes_of(model, activations(model, x)) + 1) % 3
    found = explain.concept_shap(
        asked(model, x), concepts={"c": rows(30, 4) + 1.0}, random_rows=rows(60, 2), labels=wrong, layer="1"
    )
    assert np.isnan(found.values).all()
    assert np.isnan(found.extra["completeness"]).all()
    text = next(note.text for note in found.notes if note.code == "no-better-than-guessing")
    assert "right in 0% of the rows" in text


def test_more_concepts_than_the_budget_holds_are_sampled_with_standard_errors() -> None:
    model, x, random, ways = net(), rows(30, 1), rows(60, 2), rows(9, 3, (UNITS,))
    options: dict[str, Any] = {"concepts": (), "directions": ways, "random_rows": random, "layer": "1"}
    exact = explain.concept_shap(asked(model, x), **options)
    drawn = explain.concept_shap(asked(model, x), budget=128, **options)
    assert drawn.stderr is not None
    assert drawn.stderr.max() > 0
    assert np.abs(drawn.values - exact.values).max() > 0
    assert np.abs(drawn.values.mean(axis=0) - exact.values.mean(axis=0)).max() < 0.1


def test_what_has_no_completeness_is_refused_by_name() -> None:
    model, x, random = net(), rows(5, 1), rows(60, 2)
    call: Any = explain.concept_shap
    with pytest.raises(InputError, match="concepts is empty"):
        call(asked(model, x), concepts={}, random_rows=random, layer="1")
    with pytest.raises(InputError, match=r"directions have shape \(2, 3\); \(concept, 5\)"):
        call(asked(model, x), concepts=(), directions=np.ones((2, 3)), random_rows=random, layer="1")
    with pytest.raises(InputError, match="1 names for 2 directions"):
        call(asked(model, x), concepts=("c",), directions=np.ones((2, UNITS)), random_rows=random, layer="1")
    with pytest.raises(InputError, match="has the mean activation of random_rows"):
        call(asked(model, x), concepts={"c": random}, random_rows=random, layer="1")
    with pytest.raises(InputError, match="ridge=0"):
        call(asked(model, x), concepts={"c": rows(9, 3)}, random_rows=random, layer="1", ridge=0.0)
    values = assay.case(assay.model.torch(model, gives="values"), x)
    with pytest.raises(CapabilityError, match="class"):
        call(values, concepts={"c": rows(9, 3)}, random_rows=random, layer="1")
