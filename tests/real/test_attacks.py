# SPDX-License-Identifier: Apache-2.0
"""Attacks on a trained digit classifier: the ensemble leaves no more rows unchanged than any attack alone."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.real.test_mnist import Digits
from tests.shared import folder

import assay
from assay import attack

pytestmark = pytest.mark.shared

ROWS, RADIUS = 30, 36.0

SINGLE = {
    "fgsm": {},
    "bim": {},
    "pgd": {"steps": 12},
    "apgd": {"steps": 12},
    "deepfool": {"steps": 2, "candidates": 2},
    "fmn": {"steps": 12},
    "square": {"queries": 20},
}
"""Attacks alone, with as many steps as the test has time for."""


@pytest.fixture(scope="module")
def case():
    net = Digits()
    net.load_state_dict(load_file(folder("mnist-models") / "cnn.safetensors"))
    held = np.load(folder("mnist") / "mnist.npz")
    model = assay.model.torch(net.eval(), preprocess=lambda x: (x / 255 - 0.1307) / 0.3081)
    return assay.case(model, held["x_test"][:ROWS, None].astype(np.float32)), held["y_test"][:ROWS].tolist()


def test_the_ensemble_is_as_strong_as_each_attack_alone(case):
    case, labels = case
    ball = assay.Ball("linf", RADIUS, 0.0, 255.0)
    best = attack.auto(case, ball, steps=20, queries=20, targets=3, labels=labels)
    assert 0.1 <= best.robust_accuracy <= 0.6
    found = {name: getattr(attack, name)(case, ball, labels=labels, **o).robust_accuracy for name, o in SINGLE.items()}
    assert {name: accuracy for name, accuracy in found.items() if accuracy < best.robust_accuracy} == {}
    again = case.predicted(torch.tensor(best.x))
    np.testing.assert_array_equal(best.success, again != np.array(labels))
    assert (np.abs(best.x - case.rows.x.numpy().astype(float)).max(axis=(1, 2, 3)) <= RADIUS * (1 + 1e-6)).all()
    assert best.validity["robust_accuracy"] < best.validity["random_robust_accuracy"]
