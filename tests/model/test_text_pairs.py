"""Pairs of texts, scripts without spaces, truncation, labels that do not exclude each other."""

import json

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.model.small_text_nets import SIZES, TEXTS, alone, net_of, words
from tests.model.texts import bert, tokenizer, tokenizers, transformers

import assay
from assay import explain
from assay.basics.errors import InputError
from assay.model.texts.tokenizer import number_words

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
