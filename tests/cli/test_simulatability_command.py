"""assay simulatability ranks explanations by what a student learns from them."""

import json

import numpy as np
import pytest

import assay as package

ROWS = "--data plain.csv --target y --background plain.csv --taught 20 --seeds 4"
COMMAND = f"simulatability mine.py:build {ROWS}"


def test_explanations_are_ranked_with_arms_and_intervals(assay, project):
    done = assay(f"{COMMAND} --method occlusion,random --save found.assay")
    assert done.code == 0, done.err
    found = package.load(project / "found.assay")
    lines = done.out.splitlines()
    assert "2 explanations by a linear student taught 20 rows, examined on 40 others; 4 draws" in lines[0]
    assert lines[1].startswith(f"  without explanations: agreement {found.explanations['random'].mean('none'):.3f} [")
    assert [line.split(":")[0].strip() for line in lines[2:4]] == list(found.order)
    assert all(word in lines[2] for word in ("gain", "at random parts", "flipped"))
    assert f"{found.order[0]} minus {found.order[1]}: {found.difference(*found.order):+.3f} [" in done.out
    assert "does not say that people" in done.out
    assert "SimulatabilityRanking" in repr(type(found))
    assert done.out == assay("show found.assay").out


def test_json_holds_the_table_the_order_and_the_arms_of_each_draw(assay, project):
    done = assay(f"{COMMAND} --method occlusion --method random --format json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert set(found["order"]) == {"occlusion", "random"}
    assert [line["arm"] for line in found["table"]] == ["none", "explained", "random", "flipped"] * 2
    for line in found["table"]:
        drawn = found["explanations"][line["explanation"]]["agreement"][line["arm"]]
        assert len(drawn) == 4
        assert line["agreement"] == pytest.approx(np.mean(drawn))
        assert line["low"] <= line["agreement"] <= line["high"]
        assert line["gain_low"] <= line["gain"] <= line["gain_high"]
    behind = found["behind_the_first"][0]
    assert behind["explanation"] == found["order"][1]
    assert behind["low"] <= behind["difference"] <= behind["high"]


def test_saved_explanations_are_ranked_like_those_computed_now(assay, project):
    rows = "--data plain.csv --target y --background plain.csv"
    for name, more in (("one", ""), ("two", "--option budget=64")):
        made = assay(f"explain mine.py:build lime {rows} {more} --save {name}.assay")
        assert made.code == 0, made.err
    now = assay(f"{COMMAND} --method lime --option lime.budget=64")
    saved = assay(f"{COMMAND} --explanation two.assay")
    assert (now.code, saved.code) == (0, 0), now.err + saved.err
    assert now.out == saved.out
    both = assay(f"{COMMAND} --explanation one.assay --explanation two.assay --method occlusion")
    assert both.code == 0, both.err
    assert all(f"  {name}:" in both.out for name in ("one.assay", "two.assay", "occlusion"))


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        ("", "--method shapley --method lime", 2),
        ("--method lime --method lime", "two explanations 'lime'", 2),
        ("--method lime --option budget=64", "write METHOD.NAME=VALUE", 2),
        ("--method lime --option shapley.budget=64", "one of the methods lime", 2),
        ("--method lime --option lime.bugdet=64", "did you mean 'budget'", 2),
        ("--method occlusion --rows 30", "20 further rows for the exam", 2),
        ("--method occlusion --student words", "Use student='linear'", 4),
        ("--method occlusion --student wise", "wise", 2),
        ("--method occlusion --level 1.5", "level", 2),
        ("--explanation plain.csv", "plain.csv", 2),
        ("--method permutation_importance --ask loss", "Explain the log odds", 4),
    ],
)
def test_what_cannot_be_ranked_is_named(assay, words, message, code):
    done = assay(f"simulatability mine.py:build --data plain.csv --target y --taught 20 --seeds 2 {words}")
    assert (done.code, message in done.err) == (code, True), done.err


def test_a_saved_explanation_of_the_other_class_is_refused(assay, project):
    rows = "--data plain.csv --target y --background plain.csv"
    assert assay(f"explain mine.py:build occlusion {rows} --label 0 --save other.assay").code == 0
    done = assay(f"{COMMAND} --explanation other.assay")
    assert (done.code, "of other classes than the case" in done.err) == (2, True), done.err
