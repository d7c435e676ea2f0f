"""Models that take texts themselves: pipelines with a vectorizer, and functions; their parts are words."""

from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.svm import LinearSVC

import assay
from assay import evaluate, explain
from assay.basics.errors import CapabilityError, InputError
from assay.model.texts.words import join_words, word_spans

TEXTS = [
    "a good film", "the plot was bad", "not a good plot at all", "very bad and dull film", "good good", "dull",
    "good plot and a very good film", "bad bad film", "a dull plot", "very good", "not dull", "the film was not bad",
]  # fmt: skip
LABELS = [1, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1, 1]
NAMES = [("bad", "fine", "odd")[i % 3] for i in range(12)]
ROWS = ["not a very good plot", "Dull, dull  film!"]


def lower(texts):
    return [str(text).lower() for text in texts]


class Cleaner(TransformerMixin, BaseEstimator):
    """A step of the user that cleans texts."""

    def fit(self, x, y=None):
        self.fitted_ = True
        return self

    def transform(self, x):
        return [text.replace("!", "") for text in x]


def counts(**options):
    return CountVectorizer(token_pattern=r"\w+", **options)


def classifier():
    return LogisticRegression(C=5.0)


PIPELINES = {
    "counts": lambda: make_pipeline(counts(ngram_range=(1, 2)), MultinomialNB()).fit(TEXTS, LABELS),
    "tfidf": lambda: make_pipeline(TfidfVectorizer(), classifier()).fit(TEXTS, LABELS),
    "hashed": lambda: make_pipeline(HashingVectorizer(n_features=32), classifier()).fit(TEXTS, LABELS),
    "characters": lambda: make_pipeline(TfidfVectorizer(analyzer="char", ngram_range=(1, 3)), classifier()).fit(
        TEXTS, LABELS
    ),
    "union": lambda: make_pipeline(
        FeatureUnion([("words", counts()), ("characters", TfidfVectorizer(analyzer="char_wb"))]), classifier()
    ).fit(TEXTS, LABELS),
    "function first": lambda: make_pipeline(FunctionTransformer(lower), counts(lowercase=False), classifier()).fit(
        TEXTS, LABELS
    ),
    "own step first": lambda: make_pipeline(Cleaner(), counts(), classifier()).fit(TEXTS, LABELS),
    "nested": lambda: make_pipeline(make_pipeline(counts(), TruncatedSVD(4, random_state=0)), classifier()).fit(
        TEXTS, LABELS
    ),
    "search": lambda: GridSearchCV(
        make_pipeline(counts(), classifier()), {"logisticregression__C": [0.1, 1.0]}, cv=2
    ).fit(TEXTS, LABELS),
    "calibrated": lambda: CalibratedClassifierCV(make_pipeline(counts(), MultinomialNB()), cv=2).fit(TEXTS, LABELS),
    "threshold": lambda: FixedThresholdClassifier(make_pipeline(counts(), classifier()), threshold=0.7).fit(
        TEXTS, LABELS
    ),
    "votes": lambda: VotingClassifier(
        [("a", make_pipeline(counts(), MultinomialNB())), ("b", make_pipeline(TfidfVectorizer(), classifier()))],
        voting="soft",
    ).fit(TEXTS, LABELS),
    "forest": lambda: make_pipeline(counts(), RandomForestClassifier(8, random_state=0)).fit(TEXTS, LABELS),
    "three classes": lambda: make_pipeline(counts(), classifier()).fit(TEXTS, NAMES),
}
MARGINS = {"vectors": lambda: make_pipeline(counts(), LinearSVC()).fit(TEXTS, LABELS)}
REGRESSIONS = {"ridge": lambda: make_pipeline(counts(), Ridge()).fit(TEXTS, np.arange(12.0))}


def predict(estimator, texts):
    """The library's own number of class 1, margin or value."""
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(texts)[:, 1]
    return estimator.decision_function(texts) if hasattr(estimator, "decision_function") else estimator.predict(texts)


def enumerated_shapley(value, count):
    """Shapley values of a function of sets, by their definition."""
    found = np.zeros(count)
    for part in range(count):
        others = [i for i in range(count) if i != part]
        for size in range(count):
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            for kept in combinations(others, size):
                found[part] += weight * (value(sorted((*kept, part))) - value(list(kept)))
    return found


@pytest.mark.parametrize("kind", [*PIPELINES, *MARGINS, *REGRESSIONS])
def test_exact_shapley_values_are_those_of_deleted_words(kind):
    estimator = (PIPELINES | MARGINS | REGRESSIONS)[kind]()
    case = assay.case(assay.wrap(estimator), ROWS[:1], label=None if kind in REGRESSIONS else 1)
    words = ROWS[0].split()
    assert case.part_texts() == (tuple(words),)
    assert_allclose(case.output, predict(estimator, ROWS[:1]), atol=1e-12)
    found = explain.shapley(case, remove=assay.Constant(0.0))
    right = enumerated_shapley(
        lambda kept: float(predict(estimator, [" ".join(words[i] for i in kept)])[0]), len(words)
    )
    assert_allclose(found.values[0], right, atol=1e-9)
    assert_allclose(found.base, predict(estimator, [""]), atol=1e-12)


@pytest.mark.parametrize("kind", PIPELINES)
def test_all_words_present_is_the_very_text(kind):
    estimator = PIPELINES[kind]()
    texts = ["  Dull,\tdull  film!\n", "“Not” a (very) good -- plot…", "it's \U0001f600\U0001f600 bad-bad"]
    case = assay.case(assay.wrap(estimator), texts, label=1)
    assert_allclose(case.output, predict(estimator, texts), atol=1e-12)
    assert case.model.encode.write(case.rows) == texts


@pytest.mark.parametrize(
    "given",
    [tuple(ROWS), np.array(ROWS), np.array(ROWS, dtype=object), pd.Series(ROWS, dtype="string"), pl.Series(ROWS)],
)
def test_texts_come_in_any_list(given):
    case = assay.case(assay.wrap(PIPELINES["tfidf"]()), given, label=1)
    assert_allclose(case.output, predict(PIPELINES["tfidf"](), ROWS), atol=1e-12)


def test_the_decision_threshold_is_kept():
    estimator = PIPELINES["threshold"]()
    case = assay.case(assay.wrap(estimator), TEXTS, label="predicted")
    assert [int(name) for name in case.classes] == estimator.predict(TEXTS).tolist()


def test_labels_of_a_multilabel_pipeline_are_kept():
    several = np.stack([LABELS, np.arange(12) % 2, np.arange(12) < 5], axis=1).astype(int)
    estimator = make_pipeline(counts(), OneVsRestClassifier(classifier())).fit(TEXTS, several)
    case = assay.case(assay.wrap(estimator), ROWS, label=2)
    assert_allclose(case.output, estimator.predict_proba(ROWS)[:, 2], atol=1e-12)


def table():
    return pd.DataFrame({"text": TEXTS, "kind": NAMES, "age": np.arange(12.0)})


TABLES = {
    "column of text": lambda: make_pipeline(
        ColumnTransformer([("t", counts(), "text"), ("k", OneHotEncoder(), ["kind"])], remainder="passthrough"),
        LogisticRegression(max_iter=500),
    ).fit(table(), LABELS),
    "function of a frame": lambda: make_pipeline(
        FunctionTransformer(lambda frame: frame["text"]), counts(), classifier()
    ).fit(table(), LABELS),
    "numbers": lambda: LogisticRegression(max_iter=500).fit(table()[["age"]], LABELS),
}


@pytest.mark.parametrize("kind", TABLES)
def test_an_estimator_of_a_table_is_none_of_raw_texts(kind):
    assert assay.wrap(TABLES[kind]()).encode is None


MODELS = {
    "pipeline": lambda: assay.wrap(PIPELINES["union"]()),
    "function": lambda: assay.model.text_function(
        lambda texts: [0.1 * len(text.split()) + ("not" in text) * ("good" in text) for text in texts]
    ),
}
REMOVING = ("shapley", "occlusion", "leave_one_out", "lime", "permutation_shapley", "banzhaf", "rise")


def removing(method, case):
    """An explanation by deletion of words."""
    return method(case, **({"remove": assay.Constant(0.0)} if "remove" in method.method.options else {}))


@pytest.mark.parametrize("method", REMOVING)
@pytest.mark.parametrize("kind", MODELS)
def test_methods_by_removal_do_not_depend_on_the_other_texts(kind, method):
    model = MODELS[kind]()
    together = assay.case(model, TEXTS[:4], seed=3)
    values = removing(getattr(explain, method), together).values
    for row in range(4):
        alone = removing(getattr(explain, method), assay.case(model, [TEXTS[row]], ids=[str(row)], seed=3)).values
        if method != "rise":
            assert np.abs(values[row, alone.shape[1] :]).max(initial=0.0) < 1e-12
        if method in ("shapley", "occlusion", "leave_one_out", "banzhaf"):
            assert_allclose(values[row, : alone.shape[1]], alone[0], atol=1e-12)


@pytest.mark.parametrize(
    "score", ["deletion", "insertion", "comprehensiveness", "sufficiency", "faithfulness_correlation", "infidelity",
              "monotonicity", "sensitivity_n", "aopc", "decision_flip"],
)  # fmt: skip
def test_scores_by_removal_work(score):
    case = assay.case(MODELS["pipeline"](), TEXTS[:4], label=1)
    method = getattr(evaluate, score)
    given = {"remove": assay.Constant(0.0)} if "remove" in method.method.options else {}
    found = method(removing(explain.shapley, case), case, **given)
    assert np.isfinite(found.values).any()
    assert (np.nanmax(np.abs(found.values)) > 0) or score == "monotonicity"


def test_the_deletion_curve_is_that_of_shortened_texts():
    estimator = PIPELINES["tfidf"]()
    case = assay.case(assay.wrap(estimator), ROWS[:1], label=1)
    found = removing(explain.occlusion, case)
    words = ROWS[0].split()
    order = np.argsort(-found.values[0], kind="stable")
    kept = [" ".join(words[i] for i in sorted(order[cut:])) for cut in range(len(words) + 1)]
    curve = predict(estimator, kept)
    area = ((curve[1:] + curve[:-1]) / 2).mean()
    assert_allclose(evaluate.deletion(found, case, remove=assay.Constant(0.0)).values, area, atol=1e-9)


def test_rules_say_which_words_decide():
    def call(texts):
        return [float("good" in text.split() and "not" not in text.split()) for text in texts]

    case = assay.case(assay.model.text_function(call), ["a good film is good", "it is not good film"])
    found = explain.surrogate_rules(case, background=None, local=True, draws=400)
    text = "\n".join(found.description)
    assert "'not' is present" in text or "'not' is not present" in text
    assert "'good' (word 5)" in text
    assert (found.extra["fidelity"] > 0.9).all()
    names = {
        (i, word): value for i, words in enumerate(case.part_texts()) for word, value in zip(words, found.values[i])
    }
    assert names[1, "not"] < -0.1
    assert abs(names[1, "it"]) < 0.02
    tree = explain.surrogate_tree(case, background=None, local=True, draws=400)
    assert (tree.extra["fidelity"] > 0.9).all()
    with pytest.raises(InputError, match="local=True"):
        explain.surrogate_rules(case, background=None)


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "partial_dependence", "ale", "raw_attention"])
def test_methods_that_need_numbers_say_so(method):
    case = assay.case(MODELS["function"](), TEXTS)
    found = getattr(explain, method)
    given = {"background": TEXTS} if "background" in found.method.options else {}
    with pytest.raises(CapabilityError, match="needs"):
        found(case, **given)


def test_other_numbers_than_0_and_1_are_refused():
    case = assay.case(MODELS["pipeline"](), TEXTS)
    with pytest.raises(InputError, match=r"row 0, word 1: 0.5. A word of a text is present \(1\) or absent \(0\)"):
        case.value(case.rows.x * 0.5)
    with pytest.raises(InputError, match="word 1: -2"):
        explain.shapley(case, remove=assay.Constant(-2.0))


def test_an_absent_word_may_be_replaced():
    seen = []

    def call(texts):
        seen.extend(texts)
        return [float(len(text)) for text in texts]

    model = assay.model.text_function(call, replacement="[MASK]")
    case = assay.case(model, ["Dull, dull  film!"])
    explain.leave_one_out(case, remove=assay.Constant(0.0))
    assert set(seen) >= {"Dull, dull  film!", "[MASK], dull  film!", "Dull, [MASK]  film!", "Dull, dull  [MASK]!"}
    plain = assay.model.text_function(call)
    assert model.fingerprint != plain.fingerprint


def test_equal_texts_of_a_batch_are_evaluated_once():
    sizes = []

    def call(texts):
        assert len(set(texts)) == len(texts)
        sizes.append(len(texts))
        return [float(len(text)) for text in texts]

    case = assay.case(assay.model.text_function(call), ["good good good good", "a film"])
    sizes.clear()
    found = explain.shapley(case, remove=assay.Constant(0.0))
    assert sum(sizes) <= 16  # 15 + 3 coalitions of absent words, most of them of equal texts
    assert_allclose(found.values[0], 19 / 4)


def test_the_rows_fingerprint_depends_on_the_texts():
    model = MODELS["pipeline"]()
    one, other = (assay.case(model, [text]).rows.fingerprint for text in ("a good film", "a dull film"))
    assert one != other
    assert assay.case(model, ["a good film"]).rows.fingerprint == one


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a good film", "single text"),
        (["a", None], "row 1: NoneType, not text"),
        (["a", "  "], "row 1: the text is empty"),
        ([("a", "b")], "row 0: a pair of texts"),
        (pd.DataFrame(dict.fromkeys("tuv", TEXTS)), "column of texts"),
        ([], "no rows"),
    ],
)
def test_rows_that_are_no_texts_are_refused(rows, message):
    with pytest.raises(InputError, match=message):
        assay.case(MODELS["pipeline"](), rows)


def test_scripts_without_spaces_have_characters_as_parts_and_a_note():
    lines = ["今天天气很好", "这部电影很无聊", "很好 good", "无聊"]
    estimator = make_pipeline(TfidfVectorizer(analyzer="char"), classifier()).fit(lines, [1, 0, 1, 0])
    case = assay.case(assay.wrap(estimator), lines[:3], label=1)
    assert case.part_texts()[2][:3] == ("很", "好", "good")
    assert [note.code for note in case.notes] == ["pieces"]
    assert_allclose(case.output, predict(estimator, lines[:3]), atol=1e-12)


@pytest.mark.parametrize(
    ("text", "absent", "right"),
    [
        ("a b c", [0], "b c"),
        ("a b c", [1], "a c"),
        ("a b c", [2], "a b"),
        ("a b c", [0, 1, 2], ""),
        ("a b c d", [1, 2], "a d"),
        ("  a b ", [0], "  b "),
        ("a, b. c", [1], "a, . c"),
        ("good film!", [1], "good !"),
        ("it's (very) bad", [1], "it's () bad"),
        ("", [], ""),
    ],
)
def test_deleted_words_leave_one_space(text, absent, right):
    spans, _ = word_spans(text)
    present = [i not in absent for i in range(len(spans))]
    assert join_words(text, spans, present) == right
    assert join_words(text, spans, [True] * len(spans)) == text


def test_an_explanation_of_raw_texts_survives_the_disk(tmp_path):
    explanation = removing(explain.shapley, assay.case(MODELS["pipeline"](), ROWS, label=1))
    back = assay.load(explanation.save(tmp_path / "raw.assay"))
    assert back.part_texts == explanation.part_texts
    assert explanation.to_frame()["word"].tolist()[:2] == ["not", "a"]
    assert "top features of row 0" in repr(explanation)


def test_a_text_that_is_all_punctuation_has_parts():
    case = assay.case(MODELS["function"](), ["!!! ???", "a b"])
    assert case.part_texts() == (("!!!", "???"), ("a", "b"))
