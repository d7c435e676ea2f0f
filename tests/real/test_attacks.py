# SPDX-License-Identifier: Apache-2.0
"""Attacks on trained models: the ensemble leaves no more digits unchanged than any attack alone; pixels and words."""

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
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


def test_sparse_attacks_and_decisions_alone_change_digits(case):
    """Few pixels suffice; FMN needs no more than the saliency map; decisions alone find no nearer digit than scores."""
    case, labels = case
    few, ball = case.take(range(8)), assay.Ball("l0", 20, 0.0, 255.0)
    jsma = attack.saliency_map(few, ball, labels=labels[:8], steps=10)
    fmn = attack.fmn(few, ball, labels=labels[:8], steps=25)
    assert fmn.robust_accuracy <= jsma.robust_accuracy < jsma.validity["random_robust_accuracy"]
    assert (jsma.x != few.rows.x.numpy()).any(axis=(1, 2, 3))[jsma.success].all()
    wide = assay.Ball("l2", 2000.0, 0.0, 255.0)
    decided = attack.hop_skip_jump(few.take(range(3)), wide, queries=300)
    scored = attack.fmn(few.take(range(3)), wide, steps=25)
    assert (decided.extra["minimal_distance"] >= scored.extra["minimal_distance"]).all()
    assert decided.success.all()


def test_few_words_change_the_sentiment_of_reviews_and_more_words_of_more_reviews():
    rows = pd.read_csv(folder("sst2") / "sst2.csv")
    train, held = rows[rows.split == "train"], rows[rows.split != "train"][:30]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(train.text, train.label)
    case, labels = assay.case(assay.wrap(model), held.text.tolist()), held.label.tolist()
    options = {"delete": True, "queries": 120, "labels": labels}
    found = [attack.token_substitution(case, max_words=count, **options) for count in (1, 3)]
    assert found[1].robust_accuracy < found[0].robust_accuracy < found[0].validity["random_robust_accuracy"]
    np.testing.assert_array_equal(found[1].success, model.predict(list(found[1].inputs)) != labels)
    assert found[1].extra["queries"].max() <= 120
