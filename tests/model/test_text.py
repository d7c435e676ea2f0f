"""The adapter for torch nets of token ids."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.subjects import TEXTS, VOCABULARY, reader, textual, whitespace

import assay
from assay import explain
from assay.basics.errors import CapabilityError, InputError


def test_rows_are_embeddings_and_the_ids_stay_whole():
    case = textual()
    ids = case.rows.carried["assay at rows"]
    assert ids.dtype == torch.int64
    assert case.rows.shape == (5, 4)
    assert torch.equal(case.rows.x, reader().embed(ids).detach())
    net = reader()
    assert_allclose(case.prediction, net(ids, case.rows.carried["attention_mask"]).detach(), atol=1e-12)
    assert case.part_texts() == (("not", "a", "dull", "film"), ("bad", "film", "", ""), ("a", "good", "good", ""))


def test_the_embedding_may_be_a_layer_around_the_table():
    class Scaled(torch.nn.Module):
        def __init__(self, table):
            super().__init__()
            self.table = table

        def forward(self, ids):
            return 3.0 * self.table(ids)

    net = reader()
    net.embed = Scaled(net.embed)
    case = assay.case(assay.model.text(net, whitespace, embedding="embed"), TEXTS)
    assert_allclose(case.rows.x, 3.0 * reader().embed(case.rows.carried["assay at rows"]).detach())
    with pytest.raises(CapabilityError, match="gives shape"):
        assay.case(assay.model.text(reader(), whitespace, embedding="head"), TEXTS)


def test_a_token_embedding_may_be_the_baseline_and_the_replacement():
    case = textual()
    start = assay.model.token_embedding(case.model, "a")
    assert_allclose(start, reader().embed.weight[VOCABULARY.index("a")].detach())
    found = explain.integrated_gradients(case, start=start, steps=64)
    assert np.abs(found.residual).max() < 1e-6
    assert found.values[0, 1] == 0.0  # "a" itself
    assert_allclose(explain.shapley(case, remove=assay.Constant(start)).base, found.base, atol=1e-12)
    with pytest.raises(InputError, match="is 2 tokens"):
        assay.model.token_embedding(case.model, "a film")


def test_special_tokens_and_padding_get_no_noise_and_do_not_widen_it():
    case = textual()
    alone = assay.case(case.model, [TEXTS[1]], ids=["1"], label="y")
    for method in (explain.smooth_grad, explain.var_grad, explain.smooth_grad_squared):
        assert_allclose(method(alone).values, method(case).values[[1], :2], atol=1e-9)


def test_tokens_of_wrong_shapes_or_types_are_refused():
    def wrong(**changed):
        model = assay.model.text(reader(), lambda texts: replace(whitespace(texts), **changed), embedding="embed")
        return assay.case(model, TEXTS)

    with pytest.raises(InputError, match="each token needs a whole number"):
        wrong(word=np.zeros((3, 2), dtype=int))
    with pytest.raises(InputError, match="whole numbers \\(row, token\\) are needed"):
        wrong(ids=np.zeros((3, 5)))
    with pytest.raises(InputError, match="of another length"):
        wrong(carried={"attention_mask": np.ones((2, 5))})
    with pytest.raises(InputError, match="no layer 'embe'"):
        assay.model.text(reader(), whitespace, embedding="embe")
    with pytest.raises(InputError, match="parts='letters'"):
        assay.model.text(reader(), whitespace, embedding="embed", parts="letters")
    with pytest.raises(CapabilityError, match="embeds no tokens"):
        assay.model.token_embedding(assay.wrap(torch.nn.Linear(2, 2)), "a")


def test_own_features_show_no_words():
    case = textual()
    halves = assay.Features(np.minimum(case.features.index, 1), ("first", "rest"), per_row=True)
    other = assay.case(case.model, TEXTS, features=halves)
    assert other.part_texts() == ()
    assert explain.shapley(other).values.shape == (3, 2)
    assert assay.case(case.model, TEXTS, names=["p", "q", "r", "s"]).features.names == ("p", "q", "r", "s")
    with pytest.raises(InputError, match="2 names for texts of up to 4 features"):
        assay.case(case.model, TEXTS, names=["p", "q"])


def test_words_are_pieces_joined_and_gaps_are_closed():
    def pieces(texts):
        ids = np.array([[1, 2, 3, 4, 5]] * len(texts))
        word = np.array([[-1, 2, 2, 7, -1]] * len(texts))
        return assay.model.Tokens(
            ids, word, {"attention_mask": np.ones_like(ids)}, [["", "du", "ll", "film", ""]] * len(texts)
        )

    words = assay.case(assay.model.text(reader(), pieces, embedding="embed"), ["x"])
    assert words.part_texts() == (("dull", "film"),)
    tokens = assay.case(assay.model.text(reader(), pieces, embedding="embed", parts="tokens"), ["x"])
    assert tokens.part_texts() == (("du", "ll", "film"),)


@pytest.mark.parametrize("end", ["sigmoid", "softmax"])
def test_a_head_that_gives_probabilities_is_read_as_such(end):
    class Ended(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = reader()

        def forward(self, ids, attention_mask):
            scores = self.inner(ids, attention_mask)
            return torch.sigmoid(scores) if end == "sigmoid" else torch.softmax(scores, dim=1)

    model = assay.model.text(Ended(), whitespace, embedding="inner.embed")
    case = assay.case(model, TEXTS, target="probability", label=1)
    scores = reader()(case.rows.carried["assay at rows"], case.rows.carried["attention_mask"]).detach()
    right = torch.sigmoid(scores) if end == "sigmoid" else torch.softmax(scores, dim=1)
    assert_allclose(case.output, right[:, 1], atol=1e-12)
    assert case.model.encode is not None
    assert case.model.kind.exclusive == (end == "softmax")


def test_models_derived_from_a_model_share_its_meter():
    case = textual()
    inner = case.from_layer("layer").from_layer("head")
    assert inner.model.meter is case.model.meter
