"""Counts of nearly best trees as findings: a witness, the null, and the terms of the bound."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

import assay
from assay import diagnose
from assay.basics.errors import InputError
from assay.engine.audit_inputs import AuditInputs, call_on_inputs
from assay.engine.distinct.rashomon import RashomonTrees
from assay.engine.distinct.rashomon_bounds import chance_of_meeting
from assay.engine.distinct.table import distinct_rows, fit_binariser
from assay.nouns.results.finding import Finding


@cache
def subject(planted: bool, rows: int = 2400) -> tuple[Any, ...]:
    """A forest's case on held-out rows of five yes/no columns, its training rows, and the held-out pair."""
    draws = np.random.default_rng(0)
    x = (draws.random((rows, 5)) < 0.5).astype(float)
    y = ((x[:, 0] != x[:, 1]) if planted else draws.random(rows) < 0.5) ^ (draws.random(rows) < 0.1)
    half, labels = rows // 2, y.astype(int)
    model = RandomForestClassifier(40, min_samples_leaf=5, random_state=0).fit(x[:half], labels[:half])
    return assay.case(assay.wrap(model), x[half:]), x[:half], labels[:half], (x[half:], labels[half:])


def found(planted: bool = True, **options: Any) -> tuple[Finding, Finding]:
    case, x, y, held_out = subject(planted)
    size, ambiguity = diagnose.rashomon(case, x, y, **{"held_out": held_out, "margin": 0.02, "depth": 2, **options})
    return size, ambiguity


def test_the_counts_are_those_of_the_class_and_the_ratio_names_its_denominator() -> None:
    _, x, y, _ = subject(True)
    size, _ = found()
    table = distinct_rows(fit_binariser(x, y, cuts=3, most=20)(x), y.astype(np.int64), 2)
    trees = RashomonTrees.near_best(table, 0.01, 2, 0.05)
    assert size.evidence["trees in the set"] == trees.count > 0
    assert size.evidence["trees of the class"] == trees.class_size
    assert size.estimate == pytest.approx(trees.count / trees.class_size)
    assert f"of the {trees.class_size:.3g} trees of depth at most 2 on 5 conditions" in size.claim
    assert "left out" in size.evidence["class"]
    assert size.evidence["by the other rule for splits of equal leaves"]["of the class"] > trees.class_size


def test_a_simple_model_is_likely_only_with_a_witness_on_held_out_rows() -> None:
    size, _ = found()
    assert size.claim.startswith("Likely a simple model exists: a tree of 4 leaves")
    assert "Likely" not in found(held_out=None)[0].claim
    assert "Likely" not in found(depth=1)[0].claim
    assert size.verdict == "informative"


def test_a_tree_that_is_useful_and_worse_than_the_model_is_no_witness() -> None:
    draws = np.random.default_rng(1)
    x = (draws.random((2400, 4)) < 0.5).astype(float)
    y = ((x[:, 0] == 1) ^ ((x[:, 1] == 1) & (x[:, 2] == 1))).astype(int)
    model = RandomForestClassifier(40, random_state=0).fit(x[:1200], y[:1200])
    case, held_out = assay.case(assay.wrap(model), x[1200:]), (x[1200:], y[1200:])
    worse, _ = diagnose.rashomon(case, x[:1200], y[:1200], held_out=held_out, depth=1)
    assert "Likely" not in worse.claim
    assert "badly" not in worse.claim
    assert worse.evidence["on held-out rows"]["difference, low"] > 0.01
    good, _ = diagnose.rashomon(case, x[:1200], y[:1200], held_out=held_out, depth=3)
    assert good.claim.startswith("Likely")


def test_labels_without_relation_to_the_rows_fit_equally_badly() -> None:
    for options in ({}, {"penalty": 0.001}, {"depth": 3, "penalty": 0.0}):
        size, _ = found(planted=False, **options)
        assert size.claim.startswith("Everything fits equally badly")


def test_the_bound_comes_with_every_term_and_says_what_it_assumes() -> None:
    size, _ = found()
    terms = size.evidence["theorem 1, for a class drawn at random"]
    assert terms["meeting"] == pytest.approx(chance_of_meeting(terms["size"], terms["inside"], terms["drawn"]))
    assert terms["bound"] == pytest.approx(terms["limit"] + terms["deviation"])
    assert terms["probability"] == pytest.approx(0.95 * terms["meeting"])
    assert "nothing about a class that is not drawn at random" in terms["says"]
    assert "did not choose" in found(held_out=None)[0].evidence["theorem 1, for a class drawn at random"]["why not"]


def test_ambiguity_and_reliance_come_from_all_trees_or_from_drawn_ones() -> None:
    _, listed = found(epsilon=3.0)
    assert listed.evidence["all of the set"]
    assert 0 < listed.evidence["discrepancy"] <= listed.evidence["ambiguity"] == listed.estimate <= 1
    assert listed.evidence["distinct decision vectors"] <= listed.evidence["trees looked at"]
    reliance = {line["column"]: line for line in listed.evidence["reliance on each column, over trees"]}
    assert reliance["x0"]["most"] > 0.3 > reliance["x3"]["most"]
    _, drawn = found(epsilon=3.0, depth=3)
    assert not drawn.evidence["all of the set"]
    assert drawn.claim.startswith("At least ")
    assert drawn == found(epsilon=3.0, depth=3)[1]


def test_a_limit_below_the_best_leaves_nothing() -> None:
    size, ambiguity = found(limit=0.001)
    assert size.estimate == 0
    assert size.claim.startswith("No tree is that good")
    assert ambiguity.verdict == "not applicable"


def test_an_audit_calls_it_with_the_labels_where_they_are_known() -> None:
    case, x, y, (held_x, held_y) = subject(True)
    known = AuditInputs(case.model, held_x, labels=held_y, train=(x, y), options={"rashomon": {"margin": 0.02}})
    size, _ = call_on_inputs(diagnose.rashomon.method, known)
    assert "Likely" in size.claim
    size, _ = call_on_inputs(diagnose.rashomon.method, AuditInputs(case.model, held_x, train=(x, y)))
    assert "Likely" not in size.claim


def test_impossible_options_are_refused() -> None:
    for options in ({"failure": 0.0}, {"epsilon": -1.0}, {"depth": 99}, {"margin": 2.0}):
        with pytest.raises(InputError, match=next(iter(options))):
            found(**options)
    case, x, y, (held_x, held_y) = subject(True)
    with pytest.raises(InputError, match="other rows"):
        diagnose.rashomon(case, x, y, held_out=(held_x[:3], held_y[:3]))
