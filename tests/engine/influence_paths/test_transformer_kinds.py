"""Nets of the transformers package of five kinds: where they are cut, and what their paths add up to."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.nets import filled
from tests.engine.influence_paths.path_nets import letters

import assay
from assay import explain
from assay.engine.influence_paths.row_paths import cut_case

SIZES = {
    "hidden_size": 16,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "vocab_size": 12,
    "intermediate_size": 24,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
OTHER_NAMES = {"n_embd": 16, "n_head": 4, "n_layer": 2, "vocab_size": 12, "bos_token_id": 0, "eos_token_id": 0}
DISTIL = {"dim": 16, "n_heads": 4, "n_layers": 2, "vocab_size": 12, "hidden_dim": 24}
KINDS = {
    "Llama": ("ForCausalLM", SIZES | {"num_key_value_heads": 2}, "model.embed_tokens", "model.layers.1"),
    "GPTNeoX": ("ForCausalLM", SIZES, "gpt_neox.embed_in", "gpt_neox.layers.1"),
    "GPT2": ("LMHeadModel", OTHER_NAMES, "transformer.wte", "transformer.h.1"),
    "Bert": (
        "ForSequenceClassification",
        SIZES,
        "bert.embeddings.word_embeddings",
        "bert.encoder.layer.1.attention.output.LayerNorm",
    ),
    "DistilBert": (
        "ForSequenceClassification",
        DISTIL,
        "distilbert.embeddings.word_embeddings",
        "distilbert.transformer.layer.1.sa_layer_norm",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_a_transformer_is_cut_at_its_blocks_and_its_heads_add_up(kind):
    transformers = pytest.importorskip("transformers")
    head, options, embedding, block = KINDS[kind]
    config = getattr(transformers, f"{kind}Config")(**options)
    net = filled(getattr(transformers, f"{kind}{head}")(config).double().eval(), 3)
    causal = head != "ForSequenceClassification"
    model = assay.model.text(
        net,
        letters,
        embedding=embedding,
        output=(lambda out: out.logits[:, -1]) if causal else (lambda out: out.logits),
        gives="logits",
    )
    case = assay.case(model, ["a b c d"], label=1)
    assert block in cut_case(case, ()).layers
    start = model.encode(["a e c d"]).x
    found = explain.influence_paths(case, start=start, steps=64)
    assert_allclose(
        found.values, explain.integrated_gradients(case, start=start, steps=64).values, rtol=1e-5, atol=1e-9
    )
    assert found.extra["residual"][0] < 0.1
    crossings, heads = found.extra["crossings"][0, 0], found.extra["heads"][0, 0]
    known = np.isfinite(heads).all(axis=1)
    assert known.sum() == 2
    assert_allclose(heads[known].sum(axis=1), crossings[known], rtol=1e-5, atol=1e-9)
    assert_allclose(crossings[~known], 0.0, atol=1e-9)  # norms and feed-forward layers move nothing between positions
    assert np.abs(crossings[known]).max() > 1e-6


def test_a_layer_around_which_a_skip_leads_is_no_cut():
    class Around(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.head = (torch.nn.Linear(3, 3) for _ in range(3))

        def forward(self, x):
            first = torch.tanh(self.first(x))
            return self.head(first + torch.tanh(self.second(first)))

    net = filled(Around().double(), 1)
    case = assay.case(assay.wrap(net), torch.ones(1, 3, dtype=torch.float64), label=1)
    assert cut_case(case, ()).layers == ("first",)
