"""Small random Hugging Face nets and a small tokenizer, for tests of nets that read text."""

from typing import Any

import pytest
import torch

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "a",
    "good",
    "bad",
    "film",
    "not",
    "dull",
    "##er",
    "yes",
    "no",
    "!",
]
TEXTS = ["a good film", "not bad", "a duller film !"]


def tokenizer(*, pad: bool = True, special: bool = True) -> Any:
    """A fast tokenizer of word pieces, in lower case."""
    inner = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    inner.normalizer = tokenizers.normalizers.Lowercase()
    inner.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    if special:
        inner.post_processor = tokenizers.processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    known = {"unk_token": "[UNK]", "mask_token": "[MASK]", "model_max_length": 12}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, **known, **({"pad_token": "[PAD]"} if pad else {})
    )


def bert(attention: str = "sdpa", **options: Any) -> Any:
    torch.manual_seed(0)
    named = {"id2label": {0: "sad", 1: "glad"}, "label2id": {"sad": 0, "glad": 1}}
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
        initializer_range=0.3, attn_implementation=attention, **{**named, **options},
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config).double().eval()


def gpt2(attention: str = "sdpa", head: str = "GPT2LMHeadModel") -> Any:
    torch.manual_seed(1)
    config = transformers.GPT2Config(
        vocab_size=len(WORDS), n_embd=8, n_layer=2, n_head=2, n_positions=16, initializer_range=0.3,
        bos_token_id=2, eos_token_id=3, attn_implementation=attention, num_labels=2,
    )  # fmt: skip
    return getattr(transformers, head)(config).double().eval()


def llama(attention: str = "sdpa") -> Any:
    torch.manual_seed(2)
    config = transformers.LlamaConfig(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=12, initializer_range=0.3, bos_token_id=2, eos_token_id=3, max_position_embeddings=16,
        attn_implementation=attention,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).double().eval()
