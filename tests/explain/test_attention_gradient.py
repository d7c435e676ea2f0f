"""Attention weighted by its gradient against a literal transcription that keeps Hugging Face's own attentions."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.explain.test_raw_attention import make_case
from tests.model.texts import TEXTS, bert, tokenizer

from assay import explain


def relevance(row, label):
    """R of one text: R = I, then R ← R + E_h[(∇A ⊙ A)⁺] R, layer by layer."""
    ids = torch.as_tensor([tokenizer()(TEXTS[row])["input_ids"]])
    net = bert("eager")
    out = net(ids, output_attentions=True)
    for attention in out.attentions:
        attention.retain_grad()
    out.logits[0, label].backward()
    total = np.eye(ids.shape[1])
    for attention in out.attentions:
        heads = [np.clip((g * a).numpy(), 0, None) for g, a in zip(attention.grad[0], attention.detach()[0])]
        total = total + (sum(heads) / len(heads)) @ total
    return total


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("label", [0, 1])
def test_it_is_the_papers_rule(implementation, label):
    case = make_case(bert(implementation)).with_target(label=label)
    found = explain.attention_gradient(case)
    for row in range(len(TEXTS)):
        line = relevance(row, label)[0]
        index = case.features.index[row, : len(line), 0]
        by_hand = [line[index == part].sum() for part in range(index.max() + 1)]
        assert_allclose(found.values[row, : len(by_hand)], by_hand, atol=1e-8)
    assert np.abs(found.values).max() > 1e-6


def test_classes_differ():
    case = make_case(bert())
    one, two = (explain.attention_gradient(case.with_target(label=label)).values for label in (0, 1))
    assert np.abs(one - two).max() > 1e-6
