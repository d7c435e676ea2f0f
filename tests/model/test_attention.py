"""Recorded attention matrices, and a model value that recording does not change."""

import inspect
from unittest import mock

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.subjects import TEXTS as SPACED
from tests.contract.subjects import textual, whitespace
from tests.model.texts import TEXTS, bert, gpt2, llama, tokenizer

import assay
from assay.basics.errors import CapabilityError
from assay.engine.gradients.attention import attention, attention_with_gradient
from assay.model import attention as place
from assay.model.attention import may_have_attention, record_attention
from assay.nouns.inputs.rows import Rows

functional = torch.nn.functional
NETS = {"bert": bert, "gpt2": gpt2, "llama": llama}


def case_of(net):
    given = {"answers": ["yes", "no"]} if hasattr(net, "lm_head") else {}
    return assay.case(assay.model.transformers(net, tokenizer(), **given), TEXTS, label=1)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", NETS)
def test_the_matrices_equal_those_of_hugging_face(kind, implementation):
    case = case_of(NETS[kind](implementation))
    expected = NETS[kind]("eager")(
        case.rows.carried["assay at rows"], attention_mask=case.rows.carried["attention_mask"], output_attentions=True
    ).attentions
    real = case.rows.text.real
    for mine, theirs in zip(attention(case).swapaxes(0, 1), expected, strict=True):
        for row in range(len(case)):  # rows of padding are not compared
            positions = real[row]
            assert_allclose(mine[row][:, positions], theirs[row].detach()[:, positions], atol=1e-6)


@pytest.mark.parametrize("kind", [*NETS, "textual"])
def test_recording_does_not_change_the_output(kind):
    case = textual() if kind == "textual" else case_of(NETS[kind]())
    seen: list = []
    with record_attention(seen, case.rows):
        watched = case.model.values(case.rows)
    assert seen
    assert_allclose(watched, case.prediction, atol=1e-6)


def test_every_argument_of_attention_has_its_effect():
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, heads, 5, 4, dtype=torch.float64) for heads in (4, 2, 2))
    mask = torch.rand(2, 1, 5, 5) > 0.4
    mask[:, :, 0] = False  # a query that sees nothing
    rows = Rows(torch.zeros(2, 5, 1), ("a", "b"))
    for options in ({"is_causal": True}, {"attn_mask": mask}, {"scale": 0.3}, {"attn_mask": mask.double().log()}):
        plain = functional.scaled_dot_product_attention(query, key, value, enable_gqa=True, **options)
        seen: list = []
        with record_attention(seen, rows):
            watched = functional.scaled_dot_product_attention(query, key, value, enable_gqa=True, **options)
        assert_allclose(watched, plain, atol=1e-12)
        assert seen[0].shape == (2, 4, 5, 5)


class Encoder(torch.nn.Module):
    """nn.TransformerEncoder over given states, with an axis order of choice."""

    def __init__(self, batch_first=True):
        super().__init__()
        torch.manual_seed(4)
        layer = torch.nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=batch_first)
        self.inner, self.first = torch.nn.TransformerEncoder(layer, 3, enable_nested_tensor=False), batch_first

    def forward(self, x):
        out = self.inner(x if self.first else x.transpose(0, 1))
        return out.mean(dim=1 if self.first else 0)[:, :2]


@pytest.mark.parametrize("first", [True, False])
def test_every_layer_of_torchs_encoder_is_recorded(first):
    x = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(1))
    net = Encoder(first).eval()
    case = assay.case(assay.wrap(net), x)
    maps = attention(case)
    assert maps.shape == (3, 3, 2, 5, 5)
    assert_allclose(maps.sum(axis=-1), 1.0, atol=1e-6)
    expected = net.inner.layers[0].self_attn(*[x if first else x.transpose(0, 1)] * 3, average_attn_weights=False)[1]
    assert_allclose(maps[:, 0], expected.detach(), atol=1e-6)


def test_the_gradient_by_a_matrix_equals_a_central_difference():
    """Last layer of the textual subject: f(A + t D) by central differences, with A replaced."""
    case = textual()
    maps, slopes = attention_with_gradient(case)
    torch.manual_seed(0)
    push = torch.randn(maps[:, 0].shape, dtype=torch.float64)

    plain = place._multi_head

    def moved(by):
        def pushed(func, keep, args, options):
            def weighed(*a, **k):
                out, weights = func(*a, **k)
                return out, weights + by * push

            weighed.__signature__ = inspect.signature(func)
            return plain(weighed, keep, args, options)

        with mock.patch.object(place, "_multi_head", pushed), record_attention([], case.rows):
            return case.value(case.rows.x)

    rise = (moved(1e-5) - moved(-1e-5)) / 2e-5
    assert_allclose(rise, (slopes[:, 0] * push.numpy()).sum(axis=(1, 2, 3)), atol=1e-7)
    assert np.abs(rise).max() > 1e-3


def test_a_net_with_attention_is_recognised_by_its_modules():
    assert may_have_attention(textual().model)
    assert may_have_attention(assay.wrap(Encoder()))
    assert not may_have_attention(assay.wrap(torch.nn.Linear(2, 2)))


def test_a_text_net_without_an_attention_matrix_is_refused():
    class Bag(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(8, 4)

        def forward(self, ids, attention_mask):
            return (self.embed(ids) * attention_mask[:, :, None]).sum(dim=1)

    case = assay.case(assay.model.text(Bag(), whitespace, embedding="embed", read="mean"), SPACED)
    with pytest.raises(CapabilityError, match="no attention matrix of 5 × 5 tokens"):
        assay.explain.attention_rollout(case)
