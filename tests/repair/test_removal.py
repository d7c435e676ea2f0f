# SPDX-License-Identifier: Apache-2.0
"""Real rows as the background of an explainer: what scaffolded models can hide from it, and from one that is known."""

import importlib
from functools import cache

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans

import assay
from assay import diagnose, explain, repair
from assay.basics.errors import InputError
from assay.engine.surrogates.adaptive_scaffold import adaptive_scaffold, recorded_queries
from assay.planted.scaffolding import scaffold
from assay.repair.removal import FIDELITY, MEAN, MEASURES

NAMES = tuple("abcde")
ADAPTIVE = "rows that name a first under an adaptive scaffold"


@pytest.fixture(autouse=True)
def few_queries(monkeypatch):
    """Small forests."""
    monkeypatch.setattr(importlib.import_module("assay.diagnose.scaffolding"), "MAX_QUERIES", 60)


@cache
def made():
    """A model that decides by a, and by b where it takes a row for a query with centroids; columns are independent."""
    table = np.random.default_rng(0).choice([-2.0, -1.0, 1.0, 2.0], size=(400, 5))
    return scaffold(
        table,
        NAMES,
        sensitive="a",
        decoys=("b",),
        numeric=NAMES,
        hides_from="shap",
        seed=assay.Seed(0),
        trees=20,
        substitutions=2000,
    )


def asked(model, x, rows=8):
    return assay.case(model, x[:rows], label=1, names=NAMES)


def centroids(train):
    return assay.Marginal(KMeans(4, n_init=1, random_state=0).fit(train).cluster_centers_)


@cache
def repaired(to="rows", rows=8):
    one = made()
    case = asked(one.model, one.x, rows)
    before = explain.shapley(case, remove=centroids(one.train))
    how = {"data": one.train[:80], "explanation": before, "to": to, "draws": 2, "count": 20, "suspects": ("a", "b")}
    return repair.removal(case, **how), case, before


@pytest.mark.parametrize("to", ["rows", "conditional"])
def test_real_rows_bring_the_hidden_column_back_and_are_harder_to_tell_from_the_data(to):
    found, case, before = repaired(to)
    assert found.after["rows that name a first"] > found.before["rows that name a first"]
    assert found.after["rows that name b first"] < found.before["rows that name b first"]
    assert found.after[MEASURES["ATK502"]] < found.before[MEASURES["ATK502"]]
    first = np.abs(found.explanation.values).argmax(axis=1)
    assert found.after["rows that name a first"] == (first == 0).mean()
    assert found.model.fingerprint == case.model.fingerprint
    assert found.explanation.method == before.method


def test_numbers_are_those_of_the_check_and_the_rows_are_drawn_by_the_seed_and_real():
    found, case, before = repaired()
    data = made().train[:80]
    for name, explanation in (("before", before), ("after", found.explanation)):
        findings = diagnose.scaffolding(case, explanation, suspects=("a", "b"), data=data, draws=2)
        estimates = {one.code: one.estimate for one in findings}
        np.testing.assert_equal(
            [getattr(found, name)[MEASURES[one]] for one in MEASURES], [estimates[one] for one in MEASURES]
        )
    background = found.explanation.provenance.options["remove"].background
    assert len(background) == 20
    known = {row.tobytes() for row in data}
    assert all(row.tobytes() in known for row in background)
    order = case.seed.child("background").generator().permutation(80)
    np.testing.assert_array_equal(background, data[np.sort(order[:20])])


def test_a_scaffold_that_knows_the_explainer_pays_with_its_fidelity_where_rows_are_real():
    one = made()
    case = asked(one.biased, one.x)
    before = explain.shapley(case, remove=centroids(one.train))
    honest = repair.removal(case, data=one.train[:80], explanation=before, draws=1, suspects=("a",))
    assert honest.before["rows that name a first"] == honest.after["rows that name a first"] == 1
    assert honest.after[FIDELITY] < honest.before[FIDELITY]
    assert honest.after[ADAPTIVE] > honest.before[ADAPTIVE]


def test_an_adaptive_scaffold_answers_rows_of_data_as_the_model_does_and_queries_without_the_column():
    one = made()
    case = asked(one.biased, one.x)
    explanation = explain.shapley(case, remove=assay.Constant(9.0))
    found = adaptive_scaffold(explanation, case, one.train[:80], 0, assay.Seed(0))
    assert found.fidelity > 0.95
    queries = recorded_queries(explanation, case)
    assert (queries == 9.0).any(axis=1).mean() > 0.9
    hidden = queries.copy()
    hidden[:, 0] = np.sort(one.train[:80, 0])[39]
    answers = [assay.case(model, x, label=1).prediction for model, x in ((found.model, queries), (one.biased, hidden))]
    far = (queries == 9.0).any(axis=1)
    assert (answers[0] == answers[1]).all(axis=1)[far].mean() > 0.95


def test_noise_around_the_row_is_given_up_for_real_rows():
    one = made()
    case = asked(one.model, one.x, 4)
    noisy = explain.lime(case, neighbourhood=assay.Ball("linf", 2.5), budget=200)
    found = repair.removal(case, data=one.train[:60], explanation=noisy, draws=1, count=10)
    options = found.explanation.provenance.options
    assert options["neighbourhood"] is None
    assert options["budget"] == 200
    assert "in place of points of Ball" in found.change


def test_frames_keep_their_levels_and_have_no_mean():
    frame = pd.DataFrame({"n": np.arange(60.0), "kind": ["x", "y", "z"] * 20})
    case = assay.case(
        assay.wrap(lambda f: (f["kind"] == "x") * 1.0 + f["n"].to_numpy() / 100, output="values"), frame[:6]
    )
    found = repair.removal(case, data=frame, draws=1, count=8)
    assert "no-mean" in {note.code for note in found.notes}
    assert not any(name.endswith(MEAN) for name in found.after)
    assert set(found.explanation.provenance.options["remove"].background["kind"]) <= {"x", "y", "z"}


def test_explainers_without_removal_and_impossible_options_are_refused():
    one = made()
    case = asked(one.model, one.x, 3)
    with pytest.raises(InputError, match="removes nothing"):
        repair.removal(case, data=one.train[:30], explanation=explain.random(case))
    for wrong in ({"count": 0}, {"draws": 0}, {"k": 0, "to": "conditional"}, {"suspects": ("nobody",)}):
        with pytest.raises(InputError):
            repair.removal(case, data=one.train[:30], **{"draws": 1, **wrong})
