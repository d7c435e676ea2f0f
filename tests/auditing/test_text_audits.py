"""Audits of models that read text: nets, pairs, language models, pipelines and functions."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import assay
from assay.auditing.audit import prepare
from assay.auditing.planning.profiles import profile_of

VOCABULARY = ["a", "good", "bad", "film", "not", "dull", "yes", "no"]


def draw(count, seed, longest=6):
    """Random texts; those with "good" are glad."""
    generator = np.random.default_rng(seed)
    texts = [" ".join(generator.choice(VOCABULARY, generator.integers(2, longest))) for _ in range(count)]
    return texts, ["glad" if "good" in text else "sad" for text in texts]


def pipeline():
    texts, labels = draw(80, 5)
    return assay.wrap(make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, labels))


def counter():
    return assay.model.text_function(lambda texts: [float(text.count("good")) for text in texts], fingerprint="counter")


def thirds():
    def call(texts):
        scores = np.array([[text.count(word) for word in ("good", "bad", "film")] for text in texts], dtype=float)
        return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)

    return assay.model.text_function(call, gives="probabilities", classes=["glad", "sad", "odd"], fingerprint="thirds")


def net(kind):
    found = pytest.importorskip("tests.model.texts")
    if kind == "bert":
        return assay.model.transformers(found.bert(), found.tokenizer())
    return assay.model.transformers(found.gpt2(), found.tokenizer(), answers=["yes", "no"], classes=["glad", "sad"])


MODELS = {
    "pipeline": pipeline,
    "thirds": thirds,
    "bert": lambda: net("bert"),
    "gpt2": lambda: net("gpt2"),
}
SHORT = {"methods": ["shapley", "occlusion"], "scores": {"deletion": {}, "comprehensiveness": {}}, "profile": "quick"}


@pytest.mark.parametrize("kind", MODELS)
def test_every_model_of_texts_can_be_audited(kind, tmp_path):
    texts, labels = draw(24, 1)
    run = assay.audit(MODELS[kind](), texts, labels, train=draw(30, 2), **SHORT, out=tmp_path)
    assert {f.subject for f in run.findings if f.code == "EXP201"} == {"shapley", "occlusion"}
    assert {f.code for f in run.findings} >= {"DAT101", "PRV101", "PRV103", "TRU001"}
    assert not run.record.refusals
    assert "good" in (tmp_path / "report.html").read_text(encoding="utf-8")
    shapley = run.record.explanations["shapley"]
    assert np.abs(shapley.residual).max() < 1e-9
    assert set(shapley.part_texts[0]) <= {*VOCABULARY, ""}


@pytest.mark.parametrize("profile", ["quick", "standard", "deep"])
@pytest.mark.parametrize("kind", ["pipeline", "bert"])
def test_every_profile_can_be_planned_without_background_rows(kind, profile):
    texts, labels = draw(12, 1)
    prepared = prepare(MODELS[kind](), texts, labels, train=draw(12, 2), background=texts, profile=profile)
    methods = {step.method for step in prepared.plan.steps}
    assert {"shapley", "occlusion", "lime", "deletion", "insertion", "data", "membership"} <= methods
    assert ("integrated_gradients" in methods) == (kind == "bert")
    assert ("familiarity" in methods) == (kind == "bert" and profile == "deep")
    missing = {one.what: one.why for one in prepared.plan.skipped}
    assert "needs a table" in missing["diagnose.shortcut"]


@pytest.mark.parametrize("kind", ["pipeline", "bert"])
def test_the_standard_profile_runs_without_a_refusal(kind):
    texts, labels = draw(10, 1, longest=4)
    run = assay.audit(MODELS[kind](), texts, labels, train=draw(12, 2), profile="standard")
    assert not run.record.refusals
    assert {f.code for f in run.findings} >= {"EXP101", "EXP201", "EXP202", "EXP203", "SCO101", "SCO102"}


def test_words_are_removed_as_the_limits_say():
    texts, labels = draw(10, 1)
    scope = prepare(net("bert"), texts, labels, profile="quick").scope
    mask = assay.model.token_embedding(scope.case.model, "[MASK]")
    assert "Removed words have the embedding of [MASK]." in scope.limits
    assert_allclose(scope.remove.value, mask)
    assert_allclose(scope.start, mask)
    deleted = prepare(pipeline(), texts, labels, profile="quick").scope
    assert "Each removed word is deleted." in deleted.limits
    assert (deleted.remove.value, deleted.start) == (0.0, None)
    replaced = assay.model.text_function(len, replacement="[MASK]", fingerprint="length")
    assert "Each removed word becomes '[MASK]'." in prepare(replaced, texts, profile="quick").scope.limits


@pytest.mark.parametrize("kind", ["pipeline", "bert"])
def test_the_cost_of_the_plan_is_what_is_evaluated(kind):
    texts, labels = draw(16, 3)
    prepared = prepare(MODELS[kind](), texts, labels, methods=["shapley", "lime"], profile="quick", select=["EXP2"])
    meter = prepared.inputs.model.meter
    start = meter.requested
    prepared.run()
    assert meter.requested - start == prepared.plan.cost.forwards


def test_an_audit_of_texts_resumes_with_the_same_bytes(tmp_path):
    texts, labels = draw(16, 3)
    given = {"train": draw(20, 4), **SHORT}
    first = assay.audit(pipeline(), texts, labels, **given, store=tmp_path / "store", out=tmp_path / "one")
    second = assay.audit(pipeline(), texts, labels, **given, store=tmp_path / "store", out=tmp_path / "two")
    assert second.record.times["model evaluations now"] == str(2 * len(texts))  # the model's own output is not stored
    assert [f.estimate for f in first.findings] == pytest.approx([f.estimate for f in second.findings], nan_ok=True)
    one, two = (json.loads((tmp_path / name / "result.json").read_text(encoding="utf-8")) for name in ("one", "two"))
    assert one.pop("times") != two.pop("times")
    assert one == two


def test_more_texts_than_the_profile_explains_are_drawn_and_cut_to_their_own_length():
    texts, labels = draw(60, 3)
    texts[0], labels[0] = "a " * 8 + "film", "sad"
    scope = prepare(pipeline(), texts, labels, profile="quick").scope
    rows = profile_of("text", "quick").rows
    assert len(scope.case) == rows
    assert [texts[i] for i in scope.chosen] == list(scope.case.rows.text.source)
    assert len(scope.case.features) == max(len(texts[i].split()) for i in scope.chosen)


def test_long_texts_are_explained_on_fewer_rows_with_enough_coalitions():
    texts = [" ".join(VOCABULARY * 25)] * 20
    scope = prepare(pipeline(), texts, ["glad"] * 20, profile="quick").scope
    assert any(text.startswith("Texts of up to 200 words") for text in scope.limits)
    assert scope.profile.explainers["shapley"]["budget"] == 802


def test_copies_across_the_split_of_texts_are_found():
    texts, labels = draw(20, 3)
    train = ([*texts[:5], "yes yes", "yes yes"], [*labels[:5], "sad", "sad"])
    for model in (pipeline(), net("bert")):
        run = assay.audit(model, texts, labels, train=train, select=["DAT"], profile="quick")
        found = next(f for f in run.findings if f.code == "DAT101")
        copies = sum(text in train[0] for text in texts)
        assert found.evidence["copies"] == copies >= 5
        assert found.evidence["copies within training rows"] >= 2 / 7
        others = {f.code: f.verdict for f in run.findings if f.code.startswith("DAT") and f.code != "DAT101"}
        assert set(others.values()) == {"not applicable"}


def test_membership_of_texts_reads_the_losses_of_both_sides():
    texts, labels = draw(30, 3)
    train = draw(25, 4)
    model = net("bert")
    run = assay.audit(model, texts, labels, train=train, select=["PRV"], profile="quick")
    gap = next(f for f in run.findings if f.code == "PRV103")
    inside, outside = (
        (np.array(assay.case(model, rows, label="predicted").classes) == np.array(true)).mean()
        for rows, true in (train, (texts, labels))
    )
    assert gap.estimate == pytest.approx(inside - outside)


def test_groups_of_texts_are_compared_without_drivers():
    texts, labels = draw(30, 3)
    run = assay.audit(
        pipeline(), texts, labels, sensitive={"length": ["long" if len(t) > 12 else "short" for t in texts]},
        favourable="glad", select=["FAI"], profile="quick",
    )  # fmt: skip
    found = {f.code: f for f in run.findings}
    assert found["FAI101"].verdict in ("pass", "fail", "undecided")
    assert found["FAI110"].verdict == "not applicable"


def test_methods_without_rows_to_fill_from_are_left_out_with_a_reason():
    texts, labels = draw(12, 3)
    plan = prepare(net("bert"), texts, labels, methods=["expected_gradients", "shapley"], profile="quick").plan
    missing = {one.what: one.why for one in plan.skipped}
    assert "background rows" in missing["explain.expected_gradients"]


def test_a_regression_on_texts_is_audited():
    texts, _ = draw(20, 3)
    run = assay.audit(counter(), texts, [float(t.count("good")) for t in texts], **SHORT)
    assert {f.code for f in run.findings} >= {"EXP201", "TRU001"}


def test_pairs_of_texts_are_audited():
    first, labels = draw(16, 3)
    second, _ = draw(16, 4)
    run = assay.audit(net("bert"), list(zip(first, second)), labels, **{**SHORT, "methods": ["occlusion"]})
    words = run.record.explanations["occlusion"].part_texts[0]
    assert {word[:3] for word in words if word} == {"1: ", "2: "}


def test_membership_of_many_texts_draws_some():
    texts, labels = draw(2300, 3)
    held, true = draw(20, 4)
    run = assay.audit(pipeline(), held, true, train=(texts, np.array(labels)), select=["PRV"], profile="quick")
    found = next(f for f in run.findings if f.code == "PRV101")
    assert found.evidence["inside"] == 2000
