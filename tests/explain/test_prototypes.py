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
from assay.engine.prototypes.network import all_cells, push
from assay.engine.prototypes.similarity import best_matches, similarity, squared_distances
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
