"""Attention matrices seen from outside, and the value that stays what it was."""

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
from assay.engine.gradients.attention import attention, attention_slopes
from assay.model import attention as place
from assay.model.attention import may_attend, watching
from assay.nouns.inputs.rows import Rows

functional = torch.nn.functional
NETS = {"bert": bert, "gpt2": gpt2, "llama": llama}


def case_of(net):
    given = {"answers": ["yes", "no"]} if hasattr(net, "lm_head") else {}
    return assay.case(assay.model.transformers(net, tokenizer(), **given), TEXTS, label=1)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", NETS)
def test_the_matrices_are_those_that_hugging_face_tells(kind, implementation):
    case = case_of(NETS[kind](implementation))
    told = NETS[kind]("eager")(
        case.rows.carried["assay at rows"], attention_mask=case.rows.carried["attention_mask"], output_attentions=True
    ).attentions
    real = case.rows.text.real
    for mine, theirs in zip(attention(case).swapaxes(0, 1), told, strict=True):
        for row in range(len(case)):  # what padding attends to is nobody's business
            kept = real[row]
            assert_allclose(mine[row][:, kept], theirs[row].detach()[:, kept], atol=1e-6)


@pytest.mark.parametrize("kind", [*NETS, "textual"])
def test_the_output_is_the_same_while_the_matrices_are_watched(kind):
    case = textual() if kind == "textual" else case_of(NETS[kind]())
    seen: list = []
    with watching(seen, case.rows):
        watched = case.model.values(case.rows)
    assert seen
    assert_allclose(watched, case.prediction, atol=1e-6)


def test_every_argument_of_attention_is_heeded():
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, heads, 5, 4, dtype=torch.float64) for heads in (4, 2, 2))
    mask = torch.rand(2, 1, 5, 5) > 0.4
    mask[:, :, 0] = False  # a query that sees nothing
    rows = Rows(torch.zeros(2, 5, 1), ("a", "b"))
    for options in ({"is_causal": True}, {"attn_mask": mask}, {"scale": 0.3}, {"attn_mask": mask.double().log()}):
        plain = functional.scaled_dot_product_attention(query, key, value, enable_gqa=True, **options)
        seen: list = []
        with watching(seen, rows):
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
def test_torchs_own_encoder_is_seen_layer_by_layer(first):
    x = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(1))
    net = Encoder(first).eval()
    case = assay.case(assay.wrap(net), x)
    maps = attention(case)
    assert maps.shape == (3, 3, 2, 5, 5)
    assert_allclose(maps.sum(axis=-1), 1.0, atol=1e-6)
    told = net.inner.layers[0].self_attn(*[x if first else x.transpose(0, 1)] * 3, average_attn_weights=False)[1]
    assert_allclose(maps[:, 0], told.detach(), atol=1e-6)


def test_the_slope_by_a_matrix_is_that_of_moving_it():
    """Last layer of the textual subject: f(A + t D) by central differences, A put in by hand."""
    case = textual()
    maps, slopes = attention_slopes(case)
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

        with mock.patch.object(place, "_multi_head", pushed), watching([], case.rows):
            return case.value(case.rows.x)

    rise = (moved(1e-5) - moved(-1e-5)) / 2e-5
    assert_allclose(rise, (slopes[:, 0] * push.numpy()).sum(axis=(1, 2, 3)), atol=1e-7)
    assert np.abs(rise).max() > 1e-3


def test_a_net_without_attention_is_told_from_one_with():
    assert may_attend(textual().model)
    assert may_attend(assay.wrap(Encoder()))
    assert not may_attend(assay.wrap(torch.nn.Linear(2, 2)))


def test_a_text_net_that_shows_no_matrix_is_refused():
    class Bag(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(8, 4)

        def forward(self, ids, attention_mask):
            return (self.embed(ids) * attention_mask[:, :, None]).sum(dim=1)

    case = assay.case(assay.model.text(Bag(), whitespace, embedding="embed", read="mean"), SPACED)
    with pytest.raises(CapabilityError, match="no attention matrix of 5 × 5 tokens"):
        assay.explain.attention_rollout(case)
