"""Raw attention against Hugging Face's own, summed by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.model.texts import TEXTS, bert, gpt2, tokenizer

import assay
from assay import explain
from assay.basics.errors import CapabilityError, InputError


def make_case(net, **options):
    return assay.case(assay.model.transformers(net, tokenizer(), **options), TEXTS, label=1)


def attention_matrices(net, row):
    """Attentions (layer, head, query, key) of one text alone."""
    import torch

    ids = torch.as_tensor([tokenizer()(TEXTS[row])["input_ids"]])
    return np.stack([a[0].detach().numpy() for a in net(ids, output_attentions=True).attentions])


@pytest.mark.parametrize("layer", [0, 1, -1])
@pytest.mark.parametrize(("kind", "position"), [(bert, 0), (gpt2, -1)])
def test_it_is_the_line_of_the_position_read_summed_over_the_tokens_of_words(kind, position, layer):
    given = {"answers": ["yes", "no"]} if kind is gpt2 else {}
    case = make_case(kind(), **given)
    found = explain.raw_attention(case, layer=layer)
    for row in range(len(TEXTS)):
        line = attention_matrices(kind("eager"), row)[layer].mean(axis=0)[position]
        index = case.features.index[row, : len(line), 0]
        by_hand = [line[index == part].sum() for part in range(len(case.features))]
        assert_allclose(found.values[row], by_hand, atol=1e-6)


def test_reading_the_mean_is_the_mean_over_real_tokens():
    case = make_case(bert())
    found = explain.raw_attention(case, layer=0, read="mean")
    line = attention_matrices(bert("eager"), 1)[0].mean(axis=0).mean(axis=0)
    assert_allclose(found.values[1, :2], line[1:3], atol=1e-6)
    assert found.values[1, 2:].tolist() == [0.0, 0.0]


def test_every_result_warns():
    case = make_case(bert())
    for method in (explain.raw_attention, explain.attention_rollout, explain.attention_gradient):
        assert [note.code for note in method(case).notes] == ["attention"]


def test_invalid_options_are_refused():
    case = make_case(bert())
    with pytest.raises(InputError, match="layer=5"):
        explain.raw_attention(case, layer=5)
    with pytest.raises(CapabilityError, match="split tokens"):
        explain.raw_attention(case.from_layer("bert.encoder.layer.0"), read="first")
    import torch

    with pytest.raises(CapabilityError, match="needs one stack of layers with attention between tokens"):
        explain.raw_attention(assay.case(assay.wrap(torch.nn.Linear(2, 2)), torch.ones(1, 2)))
