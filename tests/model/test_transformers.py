"""The adapter for Hugging Face nets."""

import copy

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose
from tests.model.texts import TEXTS, WORDS, bert, gpt2, llama, tokenizer

import assay
from assay import explain
from assay.basics.errors import CapabilityError, InputError

NETS = {"bert": bert, "gpt2": gpt2, "llama": llama}


def text_case(net, texts=TEXTS, **options):
    given = {"answers": ["yes", "no"]} if hasattr(net, "lm_head") else {}
    return assay.case(assay.model.transformers(net, tokenizer(), **given, **options), texts, label=1)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", NETS)
def test_the_gradient_is_that_of_inputs_embeds(kind, attention):
    net = NETS[kind](attention)
    case = text_case(net)
    ids, mask = case.rows.carried["assay at rows"], case.rows.carried["attention_mask"]
    embeds = net.get_input_embeddings()(ids).detach().requires_grad_(True)
    out = net(inputs_embeds=embeds, attention_mask=mask).logits
    last = mask.sum(dim=1) - 1
    score = out[:, 1] if out.ndim == 2 else out[torch.arange(len(ids)), last][:, WORDS.index("no")]
    (slope,) = torch.autograd.grad(score.sum(), embeds)
    assert_allclose(case.output, score.detach(), atol=1e-10)
    assert_allclose(case.gradient(case.rows.x), slope, atol=1e-10)
    assert float(slope.abs().max()) > 1e-4
    parts = explain.saliency(case, signed=True)
    assert_allclose(parts.map(), slope, atol=1e-10)


@pytest.mark.parametrize("kind", NETS)
def test_values_do_not_depend_on_the_padding(kind):
    net = NETS[kind]()
    together = text_case(net)
    for row, text in enumerate(TEXTS):
        alone = assay.case(together.model, [text], ids=[str(row)], label=1)
        assert_allclose(alone.output, together.output[[row]], atol=1e-9)
        for method in (explain.integrated_gradients, explain.saliency, explain.smooth_grad, explain.shapley):
            few = method(alone).values
            assert_allclose(few, method(together).values[[row], : few.shape[1]], atol=1e-9)


def test_words_are_features_and_are_shown():
    case = text_case(bert())
    assert case.part_texts() == (("a", "good", "film", ""), ("not", "bad", "", ""), ("a", "duller", "film", "!"))
    assert case.features.names == ("word 1", "word 2", "word 3", "word 4")
    assert case.features.index[2, :, 0].tolist() == [-1, 0, 1, 1, 2, 3, -1]
    explanation = explain.integrated_gradients(case, steps=8)
    frame = explanation.to_frame()
    assert frame["word"].tolist()[4:6] == ["not", "bad"]
    assert "top features of row 0" in repr(explanation)
    assert case.take([1]).part_texts() == (("not", "bad", "", ""),)


def test_tokens_may_be_features():
    case = text_case(bert(), parts="tokens")
    assert case.part_texts()[2] == ("a", "dull", "er", "film", "!")
    assert case.features.names[0] == "token 1"


def test_special_tokens_and_padding_stay_on_a_path_and_under_removal():
    case = text_case(bert())
    mask = assay.model.token_embedding(case.model, "[MASK]")
    assert_allclose(mask, bert().get_input_embeddings().weight[WORDS.index("[MASK]")].detach())
    for start in (0.0, mask):
        explanation = explain.integrated_gradients(case, start=start, steps=200)
        masked = torch.where(torch.as_tensor(case.features.index) < 0, case.rows.x, torch.as_tensor(start))
        assert_allclose(explanation.base, case.value(masked), atol=1e-12)
        assert np.abs(explanation.residual).max() < 1e-6
    exact = explain.shapley(case, remove=assay.Constant(mask))
    assert_allclose(exact.base, case.value(masked), atol=1e-12)
    assert np.abs(exact.residual).max() < 1e-9


@pytest.mark.parametrize("target", ["logit", "log_odds", "probability"])
def test_layers_and_targets_work_on_texts(target):
    case = text_case(bert()).with_target(target=target)
    inner = explain.conductance(case, layer="bert.encoder.layer.0", start=0.0, steps=200)
    assert inner.values.shape == (3, 8)
    assert np.abs(inner.residual).max() < 1e-5
    later = case.from_layer("bert.encoder.layer.0")
    assert_allclose(later.output, case.output, atol=1e-10)
    assert later.part_texts() == ()
    chained = later.from_layer("bert.encoder.layer.1")
    assert_allclose(chained.value(chained.rows.x), case.output, atol=1e-10)
    same = case.from_layer("")
    assert_allclose(same.gradient(same.rows.x), case.gradient(case.rows.x), atol=1e-12)


def test_an_explanation_of_texts_survives_the_disk(tmp_path):
    explanation = explain.integrated_gradients(text_case(bert()), steps=4)
    back = assay.load(explanation.save(tmp_path / "text.assay"))
    assert back.part_texts == explanation.part_texts
    assert back.values.tobytes() == explanation.values.tobytes()


@pytest.mark.parametrize(
    "given",
    [
        tuple(TEXTS), np.array(TEXTS), pd.Series(TEXTS), pl.Series(TEXTS), pd.DataFrame({"t": TEXTS}),
        pl.DataFrame({"t": TEXTS}),
    ],
)  # fmt: skip
def test_texts_come_in_any_list(given):
    assert_allclose(text_case(bert(), given).output, text_case(bert()).output, atol=1e-12)


@pytest.mark.parametrize("frame", [False, True])
def test_the_index_of_a_column_of_texts_names_the_rows(frame):
    given = pd.Series(TEXTS, index=[f"review {i}" for i in range(len(TEXTS))])
    assert text_case(bert(), given.to_frame() if frame else given).rows.ids == tuple(given.index)
    numbered = assay.case(text_case(bert()).model, given, ids=range(len(TEXTS)))
    assert numbered.rows.ids == tuple(map(str, range(len(TEXTS))))


def test_other_inputs_than_texts_are_refused():
    model = text_case(bert()).model
    for given, message in (
        ("a good film", "the rows are a single text"),
        (["a", None], "row 1: NoneType, not text"),
        ([["a"]], "list, not text"),
        (pd.DataFrame({"t": TEXTS, "u": TEXTS, "v": TEXTS}), "column of texts"),
        (["a", "  "], "row 1: the text is empty"),
        ([], "no rows"),
        (["a " * 11], "row 0: 13 tokens; at most 12 fit"),
    ):
        with pytest.raises(InputError, match=message):
            assay.case(model, given)


def test_a_long_text_may_be_truncated_with_a_note():
    case = assay.case(assay.model.transformers(bert(), tokenizer(), truncate=True), ["not bad", "a " * 30])
    assert case.rows.shape[0] == 12
    assert [note.code for note in case.notes] == ["truncated"]
    assert case.rows.carried["assay at rows"][1, -1] == WORDS.index("[SEP]")


def test_the_callers_objects_are_unchanged():
    words, net = tokenizer(pad=False), gpt2()
    before, config = words.backend_tokenizer.to_str(), copy.deepcopy(net.config.to_dict())
    model = assay.model.transformers(net, words, answers=["yes", "no"])
    explain.saliency(assay.case(model, TEXTS))
    assert words.pad_token is None
    assert words.backend_tokenizer.to_str() == before
    assert net.config.to_dict() == config
    assert model.net.training is False


def test_a_decoder_that_classifies_reads_its_last_real_token():
    net = gpt2(head="GPT2ForSequenceClassification")
    case = assay.case(assay.model.transformers(net, tokenizer(pad=False)), TEXTS)
    assert case.model.about["read"] == "last"
    for row, text in enumerate(TEXTS):
        ids = torch.as_tensor([tokenizer()(text)["input_ids"]])
        assert_allclose(case.prediction[row], net(ids).logits[0].detach(), atol=1e-9)


def test_classes_come_from_the_config_the_answers_or_the_vocabulary():
    assert text_case(bert()).model.classes == ("sad", "glad")
    assert text_case(bert(id2label={0: "LABEL_0", 1: "LABEL_1"}, label2id={})).model.classes == ()
    assert text_case(llama()).model.classes == ("yes", "no")
    free = assay.model.transformers(llama(), tokenizer())
    assert free.classes == tuple(WORDS)
    assert text_case(bert()).model.about["read"] == "first"
    assert text_case(llama()).model.about["read"] == "last"
    single = assay.model.transformers(bert(num_labels=1, id2label={0: "x"}), tokenizer())
    assert single.gives == "values"


def test_unsupported_nets_and_options_are_refused():
    with pytest.raises(InputError, match="answers are for language models"):
        assay.model.transformers(bert(), tokenizer(), answers=["yes", "no"])
    with pytest.raises(InputError, match="is 2 tokens"):
        assay.model.transformers(llama(), tokenizer(), answers=["duller", "no"])
    with pytest.raises(CapabilityError, match="without logits"):
        assay.model.transformers(bert().bert, tokenizer())
    with pytest.raises(InputError, match="3 class names"):
        assay.model.transformers(bert(), tokenizer(), classes=["a", "b", "c"])


class Failing(torch.nn.Module):
    """A net whose forward pass raises an error."""

    def __init__(self, error):
        super().__init__()
        self.error, self.table = error, torch.nn.Embedding(20, 4)

    def forward(self, input_ids, attention_mask):
        raise self.error


@pytest.mark.parametrize(
    "error", [RuntimeError("shape '[-1, 2]' is invalid"), ValueError("too many values"), KeyError("entities")], ids=repr
)
def test_a_net_that_cannot_evaluate_texts_is_refused_with_its_error(error):
    with pytest.raises(InputError, match=r"cannot evaluate a text.*attention_mask.*assay\.model\.text"):
        assay.model.transformers(Failing(error), tokenizer())


class Headed(torch.nn.Module):
    """An encoder and a head in one module."""

    def __init__(self):
        super().__init__()
        self.encoder, self.head = bert().bert, torch.nn.Linear(8, 3).double()

    def forward(self, input_ids, attention_mask):
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weight = attention_mask[:, :, None].to(states.dtype)
        return self.head((states * weight).sum(1) / weight.sum(1))


def test_an_encoder_with_an_own_head_works():
    torch.manual_seed(3)
    model = assay.model.transformers(Headed(), tokenizer(), classes=["a", "b", "c"])
    assert model.encode.embedding == "encoder.embeddings.word_embeddings"
    case = assay.case(model, TEXTS)
    assert np.abs(explain.integrated_gradients(case, steps=64).residual).max() < 1e-6
    with pytest.raises(InputError, match="which position"):
        explain.raw_attention(case) if "read" not in model.about else pytest.fail("it cannot know")


def test_words_without_word_ids_begin_after_spaces():
    from assay.model.texts.tokenizer import join_pieces, number_words

    text = "Hello there, you"
    places = [(0, 3), (3, 5), (5, 11), (11, 12), (12, 16)]
    word, cut = number_words(text, places, [0] * 5)
    assert (word, cut) == ([0, 0, 1, 1, 2], False)
    assert join_pieces(text, word, places) == ["Hello", "there,", "you"]


def test_a_randomised_net_still_reads_texts():
    from assay.basics.seed import Seed
    from assay.model.transformations.randomise_weights import randomise_weights

    case = text_case(bert())
    other = randomise_weights(case.model, Seed(0))
    randomised = assay.case(other, TEXTS, label=1)
    assert np.abs(randomised.output - case.output).max() > 1e-6
    assert other.meter is case.model.meter


def test_a_slow_tokenizer_gives_tokens_only():
    class Slow:
        is_fast = False

    with pytest.raises(CapabilityError, match="slow tokenizer"):
        assay.model.transformers(bert(), Slow())
