"""Nets that read text, whatever their config says: embeddings, positions, padding, decoders, pairs, scripts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.model.small_text_nets import KINDS, LONGEST, TEXTS, UNMASKED, alone, net_of, words
from tests.model.texts import WORDS

import assay
from assay import evaluate, explain
from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_those_of_each_text_alone(kind):
    net = net_of(kind)
    case = assay.case(assay.model.transformers(net, words()), TEXTS, label=1)
    assert_allclose(case.prediction, alone(net, TEXTS), atol=1e-9)
    assert ("no-padding" in [note.code for note in case.notes]) == (kind in UNMASKED)
    assert "token-layers" not in [note.code for note in case.notes]


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_filled_by_a_token_is_that_token_in_the_whole_net(kind):
    net = net_of(kind)
    case = assay.case(assay.model.transformers(net, words()), TEXTS, label=1)
    mask = assay.model.token_embedding(case.model, "[MASK]").numpy()
    keep = np.ones((3, len(case.features)), dtype=bool)
    keep[:, 0] = False
    masked = [" ".join(["[MASK]", *text.split()[1:]]) for text in TEXTS]
    right = alone(net, masked)
    assert_allclose(case.game(assay.Constant(mask))(np.arange(3), keep), right[:, 1], atol=1e-9)
    assert np.abs(right - case.prediction).max() > 1e-3


@pytest.mark.parametrize("kind", ["Bert", "Bart", "Longformer"])
def test_a_pass_of_short_texts_leaves_their_common_padding_out(kind):
    net = net_of(kind)
    model = assay.model.transformers(net, words())
    case = assay.case(replace(model, batch=1), TEXTS, label=1)
    case.game(assay.Constant(0.0))(np.arange(3), np.zeros((3, len(case.features)), dtype=bool))
    lengths = []
    found = model.net.register_forward_pre_hook(lambda _, given: lengths.append(given[0].shape[1]))
    values = case.outputs(case.rows.x, np.arange(3))
    found.remove()
    assert_allclose(values, alone(net, TEXTS), atol=1e-9)
    tokens = case.rows.text.real.sum(axis=1).tolist()
    assert len(set(tokens)) > 1
    assert lengths == (tokens if kind != "Longformer" else [8, 8, 8])  # which pads to a multiple of its own


def test_masks_that_differ_in_words_that_a_text_lacks_are_evaluated_once():
    case = assay.case(assay.model.transformers(net_of("Bert"), words()), TEXTS, label=1)
    counts = (case.features.sizes > 0).sum(axis=1)
    parts = len(case.features)
    assert counts.min() < parts
    meter, _ = case.model.meter, case.output
    before, requested = meter.forwards, meter.requested
    effects = explain.occlusion(case, remove=assay.Constant(0.0))
    assert meter.forwards - before == counts.sum()
    assert meter.requested - requested == parts * len(case)  # the declared cost counts every mask
    for row, count in enumerate(counts):
        assert (effects.values[row, count:] == 0).all()
        assert effects.values[row, :count].all()


@pytest.mark.parametrize("kind", LONGEST)
def test_the_longest_text_is_that_of_the_table_of_positions(kind):
    net = net_of(kind)
    model = assay.model.transformers(net, words())
    limit = LONGEST[kind]
    assert model.encode.tokenize.longest == limit
    if limit is None or limit > 100:
        return
    text = "a " * (limit - 2)
    assert_allclose(assay.case(model, [text]).prediction, alone(net, [text]), atol=1e-9)
    with pytest.raises(InputError, match=f"{limit + 1} tokens; at most {limit} fit"):
        assay.case(model, [f"{text} a"])
    with pytest.raises(InputError, match=f"at most {limit} fit"):  # no larger number gives the net more positions
        assay.case(assay.model.transformers(net, words(), max_length=1000), [f"{text} a"])


def test_a_limit_of_the_tokenizer_gives_way_to_the_callers_where_the_net_has_no_positions():
    text = "a " * 30
    with pytest.raises(InputError, match="at most 12 fit"):
        assay.case(assay.model.transformers(net_of("T5"), words(model_max_length=12)), [text])
    model = assay.model.transformers(net_of("T5"), words(model_max_length=12), max_length=40)
    assert_allclose(assay.case(model, [text]).prediction, alone(net_of("T5"), [text]), atol=1e-9)


@pytest.mark.parametrize("kind", ["T5", "Bart"])
def test_an_encoder_decoder_that_writes_answers_with_its_first_token(kind):
    net = net_of(kind, "ForConditionalGeneration")
    start = net.config.decoder_start_token_id
    model = assay.model.transformers(net, words(), answers=["yes", "no"])
    case = assay.case(model, TEXTS, label="no")
    right = [
        alone(net, [text], decoder_input_ids=torch.tensor([[start]]))[0, 0, [WORDS.index("yes"), WORDS.index("no")]]
        for text in TEXTS
    ]
    assert_allclose(case.prediction, np.stack(right), atol=1e-9)
    assert np.abs(explain.shapley(case, remove=assay.Constant(0.0)).residual).max() < 1e-9


def test_the_call_of_a_shared_embedding_is_named():
    class Twice(torch.nn.Module):
        """One table, read for the ids and again for the ids in reverse."""

        def __init__(self):
            super().__init__()
            self.table, self.head = torch.nn.Embedding(len(WORDS), 4), torch.nn.Linear(4, 2)

        def forward(self, input_ids, attention_mask):
            whole = self.table(input_ids) + 2.0 * self.table(input_ids.flip(1)).flip(1)
            return self.head((whole * attention_mask[:, :, None]).sum(dim=1))

    torch.manual_seed(0)
    model = assay.model.transformers(Twice().double(), words())
    assert model.encode.embedding == "table#0"
    case = assay.case(model, TEXTS, label=1)
    assert case.rows.shape == (8, 4)
    assert np.abs(explain.integrated_gradients(case, steps=4).residual).max() < 1e-9


def test_a_second_table_of_the_same_ids_is_named_in_a_note():
    class TwoTables(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.weights = torch.nn.Embedding(len(WORDS), 4), torch.nn.Embedding(len(WORDS), 1)
            self.head = torch.nn.Linear(4, 2)

        def forward(self, input_ids, attention_mask):
            weight = self.weights(input_ids) * attention_mask[:, :, None]
            return self.head((self.words(input_ids) * weight).sum(dim=1))

    model = assay.model.transformers(TwoTables().double(), words())
    notes = {note.code: note.text for note in model.notes}
    assert model.encode.embedding == "words"
    assert "weights reads the token ids too" in notes["token-layers"]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", ["GPT2", "Qwen2", "XLNet"])
def test_the_tokenizers_side_of_padding_changes_nothing(kind, side):
    net = net_of(kind)
    case = assay.case(assay.model.transformers(net, words(padding_side=side)), TEXTS, label=1)
    assert_allclose(case.prediction, alone(net, TEXTS), atol=1e-9)
    assert case.rows.carried["attention_mask"][2].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]


class Mixing(torch.nn.Module):
    """A net whose output depends on the number of tokens, padding included, and that takes no mask."""

    def __init__(self):
        super().__init__()
        self.table, self.inner, self.head = torch.nn.Embedding(20, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 3)

    def forward(self, input_ids):
        return self.head(torch.tanh(self.inner(self.table(input_ids))).mean(dim=1))


def mixing():
    torch.manual_seed(7)
    return Mixing().double()


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[::-1], ["a good film", "dull", "a bad film", "no", "not"]])
def test_without_a_mask_everything_is_as_for_each_text_alone(texts):
    model = assay.model.transformers(mixing(), words())
    together = assay.case(model, texts, label=1)
    for row, text in enumerate(texts):
        single = assay.case(model, [text], ids=[str(row)], label=1)
        count = single.rows.shape[0]
        assert_allclose(single.output, together.output[[row]], atol=1e-12)
        assert_allclose(single.gradient(single.rows.x)[0], together.gradient(together.rows.x)[row, :count], atol=1e-12)
        for method in (explain.shapley, explain.integrated_gradients, explain.deep_lift, explain.lrp):
            few = method(single).values
            assert_allclose(few, method(together).values[[row], : few.shape[1]], atol=1e-9, err_msg=method.__name__)
        inner, own = together.from_layer("inner"), single.from_layer("inner")
        assert_allclose(inner.output, together.output, atol=1e-12)
        assert_allclose(own.rows.x[0], inner.rows.x[row, :count], atol=1e-12)
        few = explain.conductance(single, layer="inner", start=0.0, steps=8).values
        assert_allclose(few, explain.conductance(together, layer="inner", start=0.0, steps=8).values[[row]], atol=1e-9)


def test_every_row_of_an_unpadded_batch_has_its_own_label():
    model = assay.model.transformers(mixing(), words())
    together = assay.case(model, TEXTS, label=[0, 1, 2])
    for method in (explain.deep_lift, explain.lrp, explain.attn_lrp, explain.saliency):
        values = method(together).values
        for row, text in enumerate(TEXTS):
            few = method(assay.case(model, [text], label=row)).values
            assert_allclose(values[[row], : few.shape[1]], few, atol=1e-9, err_msg=method.__name__)


def test_a_randomised_unpadded_net_stays_unpadded():
    from assay.model.transformations.randomise_weights import randomise_weights

    model = randomise_weights(assay.model.transformers(mixing(), words()), Seed(1))
    together = assay.case(model, TEXTS, label=1)
    assert_allclose(assay.case(model, TEXTS[2:], label=1).output, together.output[2:], atol=1e-12)
    score = evaluate.deletion(explain.saliency(together), together)
    assert np.isfinite(score.values).all()


def own_tokens(texts):
    """Words at spaces, padded to the longest text, with a mask that the net does not take."""
    rows = [[WORDS.index(word) for word in text.split()] for text in texts]
    width = max(map(len, rows))
    ids = np.array([row + [0] * (width - len(row)) for row in rows])
    word = np.array([[*range(len(row)), *[-1] * (width - len(row))] for row in rows])
    return assay.model.Tokens(ids, word)


def test_a_net_of_own_tokens_that_mixes_padding_is_refused_or_evaluated_by_length():
    with pytest.raises(CapabilityError, match=r"row 2: the output of Mixing changes by .* masked=False"):
        assay.case(assay.model.text(mixing(), own_tokens, embedding="table"), TEXTS)
    assert len(assay.case(assay.model.text(mixing(), own_tokens, embedding="table"), ["a bad", "a good"])) == 2
    model = assay.model.text(mixing(), own_tokens, embedding="table", masked=False)
    case = assay.case(model, TEXTS)
    with torch.no_grad():
        right = [mixing()(torch.as_tensor(own_tokens([text]).ids))[0].numpy() for text in TEXTS]
    assert_allclose(case.prediction, np.stack(right), atol=1e-12)


def test_texts_that_are_always_padded_to_one_length_are_not_refused():
    def fixed(texts):
        return own_tokens([*texts, "a " * 9])

    def tokenize(texts):
        found = fixed(texts)
        return assay.model.Tokens(found.ids[:-1], found.word[:-1])

    case = assay.case(assay.model.text(mixing(), tokenize, embedding="table"), TEXTS)
    with torch.no_grad():
        assert_allclose(case.prediction, mixing()(torch.as_tensor(tokenize(TEXTS).ids)), atol=1e-12)
