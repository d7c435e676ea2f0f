"""Nets that read text, whatever their config says: embeddings, positions, padding, decoders, pairs, scripts."""

import json

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.model.texts import WORDS, bert, tokenizer, tokenizers, transformers

import assay
from assay import evaluate, explain
from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.model.texts.tokenizer import number_words

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


PAIRS = [("a good film", "not bad"), ("dull", "a duller film !")]


def pair_words(kinds=True):
    """The tokenizer with a template for pairs: the second text has token types 1, if it gives ``kinds``."""
    found = words(model_input_names=["input_ids", *["token_type_ids"] * kinds, "attention_mask"])
    found.backend_tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return found


@pytest.mark.parametrize("kinds", [True, False])
@pytest.mark.parametrize("rows", [PAIRS, tuple(map(list, PAIRS)), np.array(PAIRS)])
def test_pairs_are_read_as_the_tokenizer_reads_them(rows, kinds):
    net = bert()
    given = pair_words(kinds)([a for a, _ in PAIRS], [b for _, b in PAIRS], return_tensors="pt", padding=True)
    case = assay.case(assay.model.transformers(net, pair_words(kinds)), rows, label=1)
    with torch.no_grad():
        assert_allclose(case.prediction, net(**given).logits, atol=1e-12)
    assert ("token_type_ids" in case.rows.carried) == kinds
    if kinds:
        assert case.rows.carried["token_type_ids"].tolist() == given["token_type_ids"].tolist()
    assert case.part_texts() == (
        ("1: a", "1: good", "1: film", "2: not", "2: bad"),
        ("1: dull", "2: a", "2: duller", "2: film", "2: !"),
    )
    assert case.features.index[0, :, 0].tolist()[:8] == [-1, 0, 1, 2, -1, 3, 4, -1]
    assert np.abs(explain.shapley(case, remove=assay.Constant(0.0)).residual).max() < 1e-9


@pytest.mark.parametrize("kind", ["FNet", "Bart", "Roberta", "GPT2", "XLNet", "T5"])
def test_pairs_are_read_by_nets_of_any_kind(kind):
    net = net_of(kind, **({"type_vocab_size": 2} if kind == "Roberta" else {}))
    rows = [*PAIRS, ("a", "not a bad film no")]
    case = assay.case(assay.model.transformers(net, pair_words()), rows, label=1)
    right = []
    for pair in rows:
        given = pair_words()(*pair, return_tensors="pt")
        if kind in ("Bart", "T5"):
            given.pop("token_type_ids")
        with torch.no_grad():
            right.append(net(**given).logits[0].numpy())
    assert_allclose(case.prediction, np.stack(right), atol=1e-9)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_two_columns_of_a_frame_are_pairs(library):
    module = pytest.importorskip(library)
    frame = module.DataFrame({"first": [a for a, _ in PAIRS], "second": [b for _, b in PAIRS]})
    model = assay.model.transformers(bert(), pair_words())
    assert_allclose(assay.case(model, frame).prediction, assay.case(model, PAIRS).prediction, atol=1e-12)


def test_tokens_of_pairs_show_their_text():
    case = assay.case(assay.model.transformers(bert(), pair_words(), parts="tokens"), PAIRS)
    assert case.part_texts()[1] == ("1: dull", "2: a", "2: dull", "2: er", "2: film", "2: !")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", "b"), "a good film"], "row 0: a pair of texts among single texts"),
        ([("a", None)], "row 0: tuple, not text"),
        ([("a", "b", "c")], "row 0: tuple, not text"),
        ([{"first": "a", "second": "b"}], "row 0: dict, not text"),
    ],
)
def test_rows_that_are_neither_texts_nor_pairs_are_refused(rows, message):
    with pytest.raises(InputError, match=message):
        assay.case(assay.model.transformers(bert(), pair_words()), rows)


LINES = {
    "japanese": ["今日はとても良い天気です", "この映画は退屈でした"],
    "chinese": ["今天天气很好", "这部电影很无聊"],
    "thai": ["วันนี้อากาศดีมาก", "หนังเรื่องนี้น่าเบื่อ"],
    "mixed": ["今日は good film です", "a この映画 は bad"],
}


def piece_tokenizer(kind, lines):
    """A tokenizer trained on a few lines: SentencePiece with or without words, or bytes as of GPT-2."""
    if kind == "bytes":
        inner = tokenizers.Tokenizer(tokenizers.models.BPE())
        inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
        trainer = tokenizers.trainers.BpeTrainer(vocab_size=257, special_tokens=["<pad>"], initial_alphabet=alphabet)
    else:
        inner = tokenizers.Tokenizer(tokenizers.models.Unigram())
        if kind == "metaspace":
            inner.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
        trainer = tokenizers.trainers.UnigramTrainer(
            vocab_size=90, special_tokens=["<pad>", "<unk>"], unk_token="<unk>"
        )
    inner.train_from_iterator(lines * 9, trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", unk_token="<unk>")


@pytest.mark.parametrize("script", LINES)
@pytest.mark.parametrize("kind", ["metaspace", "plain", "bytes"])
def test_scripts_without_spaces_have_pieces_as_parts_and_a_note(kind, script):
    lines = LINES[script]
    pieces = piece_tokenizer(kind, lines)
    torch.manual_seed(0)
    config = transformers.BertConfig(**{**SIZES, "vocab_size": len(pieces) + 2})
    net = transformers.BertForSequenceClassification(config).double().eval()
    case = assay.case(assay.model.transformers(net, pieces), lines, label=1)
    notes = {note.code: note.text for note in case.notes}
    assert "2 texts are not cut into words but into the tokenizer's pieces" in notes["pieces"]
    for line, parts in zip(lines, case.part_texts()):
        own = [part for part in parts if part]
        assert "".join(own) == line.replace(" ", "")  # nothing is lost and no character is in two parts
        assert len(own) > 3
    exact = explain.leave_one_out(case, remove=assay.Constant(0.0))
    assert np.isfinite(exact.values).all()


def test_words_stay_words_where_the_script_has_spaces():
    case = assay.case(assay.model.transformers(bert(), tokenizer()), ["a duller film", "duller"])
    assert case.part_texts() == (("a", "duller", "film"), ("dull", "er", ""))
    assert next(note.text for note in case.notes if note.code == "pieces").endswith("row 1")
    assert not assay.case(assay.model.transformers(bert(), tokenizer()), ["a duller film", "no"]).notes


def test_bytes_of_one_character_stay_together():
    text, spans = "天気 ok", [(0, 1), (0, 1), (1, 2), (1, 2), (1, 2), (2, 3), (3, 5)]
    assert number_words(text, spans, [0, 0, 0, 0, 0, 1, 1]) == ([0, 0, 1, 1, 1, 2, 2], True)


def test_pairs_and_pieces_survive_the_disk(tmp_path):
    explanation = explain.leave_one_out(
        assay.case(assay.model.transformers(bert(), pair_words()), PAIRS), remove=assay.Constant(0.0)
    )
    back = assay.load(explanation.save(tmp_path / "pairs.assay"))
    assert back.part_texts == explanation.part_texts
    assert json.dumps(back.part_texts[0])


def test_a_truncated_text_has_a_note_with_its_row():
    model = assay.model.transformers(bert(), tokenizer(), truncate=True)
    case = assay.case(model, ["not bad", "a " * 30, ("good " * 40).strip()])
    assert [note.text for note in case.notes] == ["2 texts cut to 12 tokens: row 1, 2"]


def test_labels_of_a_text_that_do_not_exclude_each_other_have_a_sigmoid_each():
    net = net_of("Bert", problem_type="multi_label_classification")
    case = assay.case(assay.model.transformers(net, words()), TEXTS, label=1, target="probability")
    assert_allclose(case.output, 1 / (1 + np.exp(-alone(net, TEXTS)[:, 1])), atol=1e-9)
