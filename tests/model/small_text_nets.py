"""Small nets of many Hugging Face families, their tokenizer, and their scores of each text alone."""

import numpy as np
import torch
from tests.model.texts import WORDS, tokenizer, transformers

TEXTS = ["a good film", "not a bad film a a", "dull"]
SIZES = {
    "vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "pad_token_id": 0,
    "intermediate_size": 32, "num_labels": 3,
}  # fmt: skip
PAIRED = {
    "vocab_size": len(WORDS), "d_model": 16, "num_labels": 3, "eos_token_id": 3, "pad_token_id": 0,
    "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "decoder_start_token_id": 3, "forced_eos_token_id": 3,
}  # fmt: skip
T5 = {
    "vocab_size": len(WORDS), "d_model": 16, "num_labels": 3, "eos_token_id": 3, "pad_token_id": 0, "d_kv": 8,
    "d_ff": 32, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0,
}  # fmt: skip
KINDS = {
    "Bert": SIZES,
    "Roberta": {**SIZES, "max_position_embeddings": 20},
    "Longformer": {**SIZES, "attention_window": 4, "max_position_embeddings": 40},
    "FNet": SIZES,
    "ConvBert": {**SIZES, "embedding_size": 16},
    "XLNet": {**SIZES, "d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32},
    "GPT2": {**SIZES, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 20},
    "OPT": {**SIZES, "ffn_dim": 32, "word_embed_proj_dim": 16, "max_position_embeddings": 20},
    "Bloom": {**SIZES, "n_layer": 2, "n_head": 2},
    "Qwen2": {**SIZES, "num_key_value_heads": 1},
    "Bart": PAIRED,
    "MBart": {**PAIRED, "scale_embedding": True},
    "T5": T5,
    "UMT5": T5,
}
LONGEST = {
    "Roberta": 19,
    "Longformer": 39,
    "GPT2": 20,
    "OPT": 20,
    "Bart": 1024,
    "T5": None,
    "Bloom": None,
    "XLNet": None,
}
UNMASKED = {"FNet", "ConvBert", "XLNet"}


def words(**options):
    """The tokenizer of the other tests, without a maximum length, with a token of the end."""
    inner = tokenizer()
    found = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner.backend_tokenizer, unk_token="[UNK]", pad_token="[PAD]", mask_token="[MASK]",
        eos_token="[SEP]", **options,
    )  # fmt: skip
    return found


def net_of(kind, head="ForSequenceClassification", **options):
    """A small net with weights of a private generator, large enough for words to matter."""
    torch.manual_seed(4)
    config = getattr(transformers, f"{kind}Config")(**{**KINDS[kind], **options})
    net = getattr(transformers, f"{kind}{head}")(config).double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)
    return net


def alone(net, texts, **options):
    """The net's own scores of each text by itself, without padding."""
    rows = [words()(text, return_tensors="pt", return_token_type_ids=False) for text in texts]
    with torch.no_grad():
        return np.stack([net(**row, **options).logits[0].numpy() for row in rows])
