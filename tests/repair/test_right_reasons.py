"""Right for the right reasons: decoy digits and Iris-Cancer within a point of clean, measured by intervention."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from tests.planted_cues import decoys, iris_cancer
from tests.tagged_digits import tagged, tagged_case

import assay
from assay import diagnose, repair
from assay.auditing.steps.repairs import proposals_of
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.engine.audit_inputs import AuditInputs
from assay.nouns.catalogue import find
from assay.planted.networks import initialise, perceptron, predict_classes, to_tensor, train_network
from assay.planted.watermark import load_digits
from assay.repair.right_reasons import SWAPPED, swap_elements

FEW_AND_ALL = [(1,), pytest.param(tuple(range(6)), marks=pytest.mark.judge)]


@pytest.mark.parametrize("seeds", FEW_AND_ALL)
def test_decoy_digits_come_within_a_point_of_clean_where_the_decoys_are_random(seeds: tuple[int, ...]) -> None:
    found = []
    for seed in seeds:
        root = Seed(seed)
        generator = root.child("decoys").generator()
        x, y = load_digits()
        order = generator.permutation(len(x))
        x, y = x[order], y[order]
        train, mask = decoys(x[:1000], y[:1000], generator)
        test, _ = decoys(x[1000:], generator.integers(10, size=len(x) - 1000), generator)
        clean, net = (
            train_network(
                initialise(perceptron(64, 50, 10), root), rows, y[:1000], root, epochs=20, batch=32, rate=3e-3
            )
            for rows in (x[:1000], train)
        )
        case = assay.case(assay.wrap(net), to_tensor(test[:2]), label=None)
        made = repair.right_reasons(
            case, train=(to_tensor(train), y[:1000]), held_out=(to_tensor(test), y[1000:]), irrelevant=mask
        )
        nets = (clean, net, made.model.net)
        found.append([(predict_classes(a, b) == y[1000:]).mean() for a, b in zip(nets, (x[1000:], test, test))])
        assert made.after["accuracy"] == pytest.approx(found[-1][2])
    without, before, after = np.mean(found, axis=0)
    assert before < without - 0.05
    assert after > without - 0.01


@pytest.mark.parametrize(
    ("seeds", "margin"), [((0, 1, 2), 0.03), pytest.param(tuple(range(10)), 0.01, marks=pytest.mark.judge)]
)
def test_iris_cancer_comes_near_to_clean_where_the_flowers_are_shuffled(seeds: tuple[int, ...], margin: float) -> None:
    """Within a point over ten seeds; three seeds vary by two points more."""
    found = []
    for seed in seeds:
        x, y = iris_cancer(seed)
        x, root = (x - x[:50].mean(axis=0)) / x[:50].std(axis=0), Seed(seed)
        clean, net = (
            train_network(
                initialise(perceptron(rows.shape[1], 50, 2), root), rows, y[:50], root, epochs=60, batch=16, rate=3e-3
            )
            for rows in (x[:50, 4:], x[:50])
        )
        made = repair.right_reasons(
            assay.case(assay.wrap(net), to_tensor(x[50:]), label=None),
            train=(to_tensor(x[:50]), y[:50]),
            held_out=(to_tensor(x[50:]), y[50:]),
            irrelevant=np.arange(34) < 4,
            epochs=60,
            batch=16,
        )
        alone = (predict_classes(clean, x[50:, 4:]) == y[50:]).mean()
        found.append([alone, made.before[f"accuracy {SWAPPED}"], made.after[f"accuracy {SWAPPED}"]])
    without, before, after = np.mean(found, axis=0)
    assert before < after
    assert after > without - margin - 1e-9


def test_the_penalty_is_that_of_the_formula() -> None:
    """One step of gradient descent is not visible from outside: the loss itself is compared with finite differences."""
    from assay.repair.right_reasons import _penalised

    x = np.random.default_rng(0).normal(size=(5, 3))
    net = initialise(perceptron(3, 4, 2, act="Tanh"), Seed(0)).double().eval()
    model, rows = assay.wrap(net, output="logits"), torch.as_tensor(x)
    mask = np.array([[True, False, True]])
    loss = _penalised(model, rows, mask, 7.0, 1)
    labels = torch.tensor([0, 1, 0, 1, 1])
    found = loss(net, rows, (labels, torch.as_tensor(mask).double().expand(5, 3)))

    def mean_log(z: Any) -> Any:
        return torch.log_softmax(net(torch.as_tensor(z)), dim=1).mean(dim=1).detach().numpy()

    h = 1e-5
    slopes = np.stack([(mean_log(x + h * e) - mean_log(x - h * e)) / (2 * h) for e in np.eye(3)], axis=1)
    penalty = (np.where(mask, slopes, 0) * x.std(axis=0)) ** 2
    cross = torch.nn.functional.cross_entropy(net(rows), labels)
    assert float(found.detach()) == pytest.approx(float(cross.detach()) + 7.0 * penalty.sum(axis=1).mean(), rel=1e-6)


def test_swapped_elements_come_from_one_other_row_and_the_others_stay() -> None:
    x = np.random.default_rng(0).normal(size=(20, 2, 3))
    mask = np.array([[True, False, False], [False, True, True]])
    swapped = swap_elements(x, mask, Seed(0))
    assert_array_equal(swapped[:, ~mask], x[:, ~mask])
    sources = [np.flatnonzero((x[:, mask] == row).all(axis=1)) for row in swapped[:, mask]]
    assert sorted(int(one[0]) for one in sources) == list(range(20))


def test_a_cluster_and_a_suspect_column_propose_what_the_net_should_not_look_at() -> None:
    _, rows, y, _ = tagged(1, 0.5)
    method = find("repair", "right_reasons")
    inputs = AuditInputs(tagged_case(1, 0.5).model, np.float32(rows), labels=y)
    (cluster,) = diagnose.shortcut_clusters(inputs.case)
    (proposal,) = proposals_of(method, inputs, [cluster])
    places = [f"{down}/{across}" for down, across in np.argwhere(proposal["irrelevant"][0])]
    assert places == cluster.evidence["region cells"]
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    net = initialise(perceptron(3, 8, 2), Seed(0)).eval()
    table = AuditInputs(assay.wrap(net, output="logits"), x, labels=(x[:, 0] > 0).astype(int), suspects=("2",))
    found = diagnose.shortcut(table.case, table.labels, remove=assay.Constant(3.0), suspects=("2",), flips=0.0)
    failed = [one for one in found if one.code == "SHC202" and one.verdict == "fail"]
    (proposal,) = proposals_of(method, table, failed)
    assert_array_equal(proposal["irrelevant"], [False, False, True])


def test_columns_can_be_named() -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    net = initialise(perceptron(3, 8, 2), Seed(0)).eval()
    case = assay.case(assay.wrap(net, output="logits"), x, label=None, names=("a", "b", "c"))
    pair = x, (x[:, 0] > 0).astype(int)
    given = {"train": pair, "held_out": pair, "epochs": 1}
    named = repair.right_reasons(case, irrelevant="a, c", **given)
    masked = repair.right_reasons(case, irrelevant=np.array([True, False, True]), **given)
    assert named.model.fingerprint == masked.model.fingerprint
    with pytest.raises(InputError, match="no element 'd'"):
        repair.right_reasons(case, irrelevant=("d",), **given)


@pytest.mark.parametrize(
    "wrong",
    [
        {"irrelevant": np.zeros((1, 8, 8))},
        {"irrelevant": np.ones((3, 1, 8, 8))},
        {"irrelevant": "x"},
        {"irrelevant": 2.0 * np.ones((1, 8, 8))},
        {"strength": 0.0},
        {"epochs": 0},
        {"train": (None,)},
    ],
    ids=str,
)
def test_wrong_options_get_a_typed_error(wrong: dict[str, Any]) -> None:
    _, rows, y, _ = tagged(1, 0.5)
    pair = to_tensor(rows[:50]), y[:50]
    given = {"train": pair, "held_out": pair, "irrelevant": np.ones((1, 8, 8), dtype=bool), **wrong}
    with pytest.raises(InputError):
        repair.right_reasons(tagged_case(1, 0.5).take(range(2)), **given)
