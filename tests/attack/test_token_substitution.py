# SPDX-License-Identifier: Apache-2.0
"""Words of texts are replaced or deleted so that the class changes: against all texts, and in a number of queries."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from tests.attack.nets import codes
from tests.contract.subjects import textual

import assay
from assay import attack
from assay.basics.errors import CapabilityError, InputError
from assay.engine.changes.word_candidates import nearest_words
from assay.nouns.records.store import load

RNG = np.random.default_rng(1)
WEIGHTS = {"good": 2, "bad": -2, "fine": 1, "dull": -1.5, "nice": 1.5, "poor": -1, "film": 0.2, "plot": -0.1}
WORDS = list(WEIGHTS)
TEXTS = [" ".join(RNG.choice(WORDS, 5)) for _ in range(150)]
LABELS = ["glad" if sum(WEIGHTS[w] for w in text.split()) + RNG.normal() > 0 else "sad" for text in TEXTS]
TABLE = {word: list(RNG.choice([w for w in WORDS if w != word], 2, replace=False)) for word in WORDS}


def fitted(vectorizer=CountVectorizer):
    return make_pipeline(vectorizer(), LogisticRegression()).fit(TEXTS, LABELS)


def fewest(pipeline, text, most, options):
    """The least number of changes after which the class is another, over all texts; ∞ where there is none."""
    words = text.split()
    given = [[word, *options(word)] for word in words]
    every = [one for one in itertools.product(*given) if any(one)]
    counts = np.array([sum(a != b for a, b in zip(one, words)) for one in every])
    changed = pipeline.predict([" ".join(filter(None, one)) for one in every]) != pipeline.predict([text])[0]
    return min(counts[changed & (counts <= most)], default=np.inf)


@pytest.mark.parametrize("delete", [False, True])
def test_of_a_bag_of_words_the_fewest_changes_are_found(delete):
    pipeline, count = fitted(), 6
    case = assay.case(assay.wrap(pipeline), TEXTS[:count])
    found = attack.token_substitution(case, candidates=TABLE, delete=delete, max_words=3, queries=1500, beam=6)
    least = [fewest(pipeline, t, 3, lambda w: TABLE[w] + [""] * delete) for t in TEXTS[:count]]
    assert np.isfinite(least).any()
    assert np.where(found.success, found.distance, np.inf).tolist() == least
    assert found.success.tolist() == (pipeline.predict(list(found.inputs)) != pipeline.predict(TEXTS[:count])).tolist()


@pytest.mark.parametrize("queries", [1, 4, 13, 1000])
def test_no_row_is_evaluated_more_often_than_allowed(queries):
    case = assay.case(assay.wrap(fitted(TfidfVectorizer)), TEXTS[:5])
    _ = case.prediction
    before = case.model.meter.forwards
    found = attack.token_substitution(case, candidates=TABLE, delete=True, queries=queries)
    searched = case.model.meter.forwards - before - 4 * len(case)
    assert found.extra["queries"].max() <= queries
    assert searched == found.extra["queries"].sum()
    assert ("queries-spent" in codes(found)) == bool((~found.success).any() and queries < 1000)


def test_more_words_never_change_fewer_rows_than_chance_and_the_report_is_whole():
    case = assay.case(assay.wrap(fitted(TfidfVectorizer)), TEXTS[:12])
    found = [attack.token_substitution(case, candidates=TABLE, max_words=k, queries=800) for k in (1, 2, 3)]
    accuracies = [one.robust_accuracy for one in found]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[-1] < accuracies[0]
    for one in found:
        assert one.robust_accuracy <= one.validity["random_robust_accuracy"]
        assert one.validity["batches_agree"]
        assert one.validity["changed_share_median"] == np.median(one.extra["changed_share"][one.success])
    told = found[-1].changes[int(np.flatnonzero(found[-1].success)[0])][0]
    assert " → " in told
    assert told.split(" → ")[1] in TABLE[told.split(" → ")[0]]


def test_the_neighbours_of_a_net_change_words_and_the_meaning_is_said_to_be_unchecked():
    case = textual()
    found = attack.token_substitution(case, neighbours=3, max_words=2, queries=200)
    assert "meaning-not-checked" in codes(found)
    again = assay.case(case.model, list(found.inputs))
    np.testing.assert_allclose(found.after, _margin(again, case), atol=1e-9)
    assert (found.after <= found.before).all()
    assert all(len(a.split()) == len(b.split()) for a, b in zip(found.inputs, case.rows.text.source))


def _margin(again, case):
    from assay.engine.search.threat import Goal

    return Goal.of(case, None, None).margins(again.prediction)


def test_texts_survive_saving_and_rows_do_not_depend_on_each_other(tmp_path):
    case = assay.case(assay.wrap(fitted()), TEXTS[:4])
    found = attack.token_substitution(case, candidates=TABLE, queries=300)
    loaded = load(found.save(tmp_path / "found.assay"))
    assert loaded.inputs == found.inputs
    assert loaded.changes == found.changes
    alone = attack.token_substitution(case.take([2]), candidates=TABLE, queries=300)
    assert alone.inputs == (found.inputs[2],)


def test_pairs_of_words_punctuation_and_empty_texts_are_kept_apart():
    case = assay.case(assay.wrap(fitted()), ["Good, film!", "bad"])
    found = attack.token_substitution(case, candidates={"good": ["bad"]}, delete=True, max_words=2)
    assert found.inputs[0] in ("bad, film!", ", film!")
    assert found.inputs[1] == "bad"
    assert found.validity["texts_refused"] == 1
    assert "texts-refused" in codes(found)
    bare = attack.token_substitution(case, candidates={"none": ["bad"]})
    assert "no-candidates" in codes(bare)
    assert bare.inputs == ("Good, film!", "bad")


def test_what_cannot_be_attacked_is_refused():
    raw = assay.case(assay.wrap(fitted()), TEXTS[:3])
    with pytest.raises(CapabilityError, match="delete=True"):
        attack.token_substitution(raw)
    with pytest.raises(InputError, match="no list of words"):
        attack.token_substitution(raw, candidates={"good": "bad"})
    decided = [raw.model.classes[place] for place in raw.predicted(raw.rows.x)]
    with pytest.raises(InputError, match="decided for its target_label already"):
        attack.token_substitution(raw, delete=True, target_label=decided)
    table = assay.case(assay.wrap(LogisticRegression().fit(RNG.normal(size=(9, 2)), [0, 1] * 4 + [0])), np.ones((2, 2)))
    with pytest.raises(CapabilityError, match="needs texts"):
        attack.token_substitution(table)
    with pytest.raises(CapabilityError, match=r"attack\.token_substitution changes words"):
        attack.auto(raw, assay.Ball("linf", 0.1))


def test_auto_says_that_it_moves_embeddings_and_no_words():
    assert "words-left-out" in codes(attack.auto(textual(), assay.Ball("linf", 0.01), steps=1, queries=1, targets=0))


def bert(words):
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    inner = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    inner.normalizer, inner.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    net = transformers.BertForSequenceClassification(config).eval()
    return assay.model.transformers(net, tokenizer, classes=["sad", "glad"]), net


def test_the_neighbours_are_the_nearest_whole_words_of_the_vocabulary():
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = ["a", "good", "bad", "film", "not", "dull", "!", "##s"]
    model, net = bert([*special, *words])
    table = net.get_input_embeddings().weight.detach().double().numpy()
    unit = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
    found, has_vocabulary = nearest_words(model.encode, ["good", "films"], 3)
    assert has_vocabulary
    whole = [4 + place for place, word in enumerate(words) if word.isalpha()]
    for word, vector in (("good", unit[5]), ("films", table[[7, 11]].mean(axis=0))):
        order = sorted(whole, key=lambda place: -float(unit[place] @ vector))
        assert found[word] == tuple(words[place - 4] for place in order if words[place - 4] != word)[:3]
    case = assay.case(model, ["a good film!", "not bad"])
    attacked = attack.token_substitution(case, queries=60)
    assert attacked.inputs[0].endswith("!")
    np.testing.assert_allclose(attacked.after, _margin(assay.case(model, list(attacked.inputs)), case), atol=1e-6)
