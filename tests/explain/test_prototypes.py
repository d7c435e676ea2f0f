# SPDX-License-Identifier: Apache-2.0
"""explain.prototypes and assay.interpretable.PrototypeNet: points add up, prototypes are training cells."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import assay
from assay import explain
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.engine.prototypes.network import all_cells, declared_head, push
from assay.engine.prototypes.similarity import best_matches, fit_head, similarity, squared_distances
from assay.interpretable import PrototypeNet

SLIDE = [
    (6.499, 1.180, 7.669),
    (4.392, 1.127, 4.950),
    (3.890, 1.108, 4.310),
    (2.452, 1.046, 2.565),
    (2.125, 1.091, 2.318),
    (1.945, 1.069, 2.079),
]


def pictures(rows: int, seed: int) -> tuple[Any, Any]:
    """Pictures with a bright square: left for class 0, right for class 1."""
    rng = np.random.default_rng(seed)
    y = np.arange(rows) % 2
    x = rng.uniform(0, 0.2, (rows, 1, 8, 8)).astype(np.float32)
    for row, label in enumerate(y):
        top = int(rng.integers(0, 5))
        x[row, 0, top : top + 3, 4 * label : 4 * label + 3] += 1.0
    return torch.as_tensor(x), y


def body() -> Any:
    """Two convolutions to 4 × 4 cells."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        nn = torch.nn
        return nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 5, 3, padding=1))


@cache
def trained() -> tuple[PrototypeNet, Any, Any]:
    x, y = pictures(60, 0)
    return PrototypeNet(torch.nn.Sequential(body(), torch.nn.Sigmoid()), per_class=2, epochs=3).fit(x, y), x, y


@cache
def post_hoc() -> tuple[Any, Any, Any]:
    x, y = pictures(60, 0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = torch.nn.Sequential(body(), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(80, 2)).eval()
    with torch.no_grad():
        net[3].weight.mul_(4)
    case = assay.case(assay.wrap(net, output="logits"), pictures(6, 3)[0])
    return case, explain.prototypes(case, train=(x, y), per_class=2, remove=assay.Constant(0.0)), net


@pytest.mark.parametrize(("s", "weight", "points"), SLIDE)
def test_the_rows_of_the_slide_are_similarity_times_connection(s: float, weight: float, points: float) -> None:
    distance = (1 - 1e-4 * np.exp(s)) / (np.exp(s) - 1)
    assert_allclose(similarity(np.array(distance)) * weight, points, atol=1e-3)


def test_similarity_is_the_log_ratio_and_has_its_limit_at_distance_zero() -> None:
    assert_allclose(similarity(np.array([0.0, 1.0])), [np.log(1 / 1e-4), np.log(2 / 1.0001)])
    cells = np.random.default_rng(0).normal(size=(3, 4, 2))
    s, position = best_matches(cells, cells[1, 2:3])
    assert position[1, 0] == 2
    assert s[1, 0] == similarity(np.array(0.0))
    slow = [min(float(((c - cells[1, 2]) ** 2).sum()) for c in row) for row in cells]
    assert_allclose(s[:, 0], similarity(np.array(slow)))
    assert (squared_distances(cells[0], cells[0]).diagonal() == 0).all()


def test_every_trained_prototype_is_a_training_cell_of_its_class_and_a_second_push_changes_nothing() -> None:
    model, x, y = trained()
    net = model.net_
    cells, before = all_cells(net, x), net.prototypes.data.clone()
    for p, row, position, label in zip(before, net.training_row, net.training_position, net.prototype_class):
        assert torch.equal(p, cells[row, position])
        assert y[int(row)] == int(label)
    push(net, cells, torch.as_tensor(y))
    assert torch.equal(before, net.prototypes.data)
    assert set(model.accuracy_) == {"before push", "after push", "after last layer"}
    assert model.accuracy_["after last layer"] >= 0.9


def test_the_points_of_a_prototype_net_add_up_to_its_own_logit() -> None:
    model, x, y = trained()
    case = assay.case(assay.wrap(model.net_, output="logits"), pictures(6, 3)[0])
    found = explain.prototypes(case, train=(x, y), regions=0)
    logits = case.prediction[np.arange(6), case.label]
    assert_allclose(found.values.sum(axis=1), logits, atol=1e-4)
    assert_allclose(found.extra["own_total"] + found.extra["other_total"], logits, atol=1e-4)
    assert not any(note.code == "fitted-head" for note in found.notes)
    assert [int(one) for one in found.extra["training_row"]] == model.net_.training_row.tolist()


def test_the_points_of_any_net_add_up_and_the_agreement_of_the_fitted_head_is_printed() -> None:
    _, found, _ = post_hoc()
    assert_allclose(found.values.sum(axis=1), found.output, atol=1e-4)
    assert_allclose(found.values, found.extra["similarity"] * found.extra["connection"])
    assert found.extra["agreement"][0] >= 0.5
    assert any(note.code == "fitted-head" for note in found.notes)
    assert "all other prototypes" in found.description[0]


def test_a_region_keeps_its_share_of_the_similarity_when_the_rest_is_removed() -> None:
    case, found, net = post_hoc()
    x, _ = pictures(60, 0)
    cells = torch.nn.Sequential(*list(net)[:2])
    with torch.no_grad():
        train = cells(x).flatten(2).transpose(1, 2).numpy().astype(float)
    for row in range(6):
        one = int(found.extra["window_prototype"][row, 0])
        top, left, bottom, right = found.extra["window"][row, 0].astype(int)
        alone = torch.zeros(1, 1, 8, 8)
        alone[..., top:bottom, left:right] = case.rows.x[row : row + 1, :, top:bottom, left:right]
        with torch.no_grad():
            seen = cells(alone).flatten(2).transpose(1, 2).numpy().astype(float)
        place = int(found.extra["training_position"][one])
        prototype = train[int(found.extra["training_row"][one]), place][None]
        share = best_matches(seen, prototype)[0][0, 0] / found.extra["similarity"][row, one]
        assert share >= 0.8 - 1e-6
        assert_allclose(share, found.extra["window_keeps"][row, 0], atol=1e-5)


def test_bad_options_are_refused() -> None:
    model, x, y = trained()
    case = assay.case(assay.wrap(model.net_, output="logits"), x[:2])
    with pytest.raises(InputError, match="per_class=0"):
        explain.prototypes(case, train=(x, y), per_class=0)
    with pytest.raises(InputError, match="train has 2"):
        explain.prototypes(case, train=(x[:2], y[:2]))
    with pytest.raises(InputError, match="class positions"):
        PrototypeNet(body()).fit(x, y + 1)


def test_a_recipe_trains_the_same_net_for_the_same_seed_and_the_settings_reach_it() -> None:
    x, y = pictures(24, 0)
    recipe = PrototypeNet(torch.nn.Sequential(body(), torch.nn.Sigmoid()), per_class=3, epochs=1).recipe(x, y)
    nets = [recipe.fit(x, y, Seed(seed), 0.0) for seed in (4, 4, 5)]
    assert [len(net.prototypes) for net in nets] == [6, 6, 6]
    first, same, other = (net(x[:3]) for net in nets)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("place", ["0", "1"])
def test_a_head_of_prototypes_within_another_net_is_found_by_its_class(place: str) -> None:
    model, x, y = trained()
    around = [model.net_, torch.nn.Softmax(dim=1)] if place == "0" else [torch.nn.Identity(), model.net_]
    net = torch.nn.Sequential(*around).eval()
    rows = pictures(4, 3)[0]
    case = assay.case(assay.wrap(net, output="probabilities" if place == "0" else "logits"), rows)
    found = explain.prototypes(case, train=(x, y), regions=0)
    with torch.no_grad():
        logits = model.net_(rows).numpy()[np.arange(4), np.asarray(case.label)]
    assert_allclose(found.values.sum(axis=1), logits, atol=1e-4)
    assert not any(note.code == "fitted-head" for note in found.notes)


def test_a_class_of_the_same_name_is_no_head_of_prototypes() -> None:
    other = type("PrototypeNetwork", (torch.nn.Linear,), {"prototype_class": 0})(2, 2)
    assert declared_head(other) is None
    assert declared_head(None) is None


def test_the_median_connection_to_other_classes_is_zero_and_no_probability_depends_on_it() -> None:
    rng = np.random.default_rng(0)
    s, label = rng.uniform(0, 9, (40, 6)), np.repeat(np.arange(3), 2)
    own = np.arange(3)[:, None] == label
    weights = fit_head(s, np.eye(3)[rng.integers(0, 3, 40)], own, 1e-3)
    others = np.where(own, np.nan, weights)
    assert_allclose(np.nanmedian(others, axis=0), 0, atol=1e-12)
    for shift in (-0.3, 0.2):
        assert np.nansum(np.abs(others)) <= np.nansum(np.abs(others + shift))


def test_a_picture_as_similar_with_all_removed_has_no_region() -> None:
    case, found, _ = post_hoc()
    flat = assay.case(case.model, torch.zeros(2, 1, 8, 8))
    alone = explain.prototypes(flat, train=pictures(60, 0), per_class=2, remove=assay.Constant(0.0))
    assert np.isnan(alone.extra["window"]).all()
    assert_allclose(alone.extra["window_keeps"], 1.0, rtol=1e-5)
    assert "no region" in alone.description[-1]
    assert np.isfinite(found.extra["window"]).any()
