"""diagnose explanation_shift from the command line, and the score that trains again."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import assay as package

PAGE = Path(__file__).resolve().parents[2] / "docs" / "shift.md"
SHIFT = """
import pandas as pd
from sklearn.linear_model import LogisticRegression
import assay

def rows(file='train.csv'):
    frame = pd.read_csv(file)
    return frame[['a', 'b']], frame['y']

def sampled(x, y, seed, strength):
    some = seed.generator().integers(len(x), size=len(x))
    return LogisticRegression().fit(x.iloc[some], y.iloc[some])

def before():
    return LogisticRegression().fit(*rows())

def mirrored():
    x, y = rows()
    return LogisticRegression().fit(x.assign(a=-x['a']), y)

def three():
    x, y = rows()
    return LogisticRegression().fit(x, y + (x['a'] > 5))

def recipe():
    return assay.Recipe(sampled, *rows())

def failing():
    return assay.Recipe(lambda x, y, seed, strength: 1 / 0, *rows())

def costly():
    def fit(x, y, seed, strength):
        open('trained', 'w').close()
        return before()
    return assay.Recipe(fit, *rows())

def linear(count):
    import torch
    layer = torch.nn.Linear(2, count)
    layer.weight.data = torch.arange(2.0 * count).reshape(count, 2)
    return layer.eval()

def two_scores():
    return linear(2)

def three_scores():
    return linear(3)
"""
ASKED = "--data plain.csv --target y --rows 20 --background plain.csv --option k=2 --option refits=3"
MODELS = "diagnose shift.py:before explanation_shift --other shift.py:mirrored --recipe shift.py:recipe"


@pytest.fixture
def project(project):
    (project / "shift.py").write_text(SHIFT)
    return project


def verdicts(done):
    return {finding["code"]: finding["verdict"] for finding in json.loads(done.out)}


def test_the_findings_are_those_of_python(assay, project):
    done = assay(f"{MODELS} {ASKED} --of occlusion --format json")
    assert done.code == 1, done.err
    told = json.loads(done.out)
    train, rows = pd.read_csv("train.csv"), pd.read_csv("plain.csv")
    x, y, other = train[["a", "b"]], train["y"], rows[["a", "b"]]

    def sampled(x, y, seed, strength):
        some = seed.generator().integers(len(x), size=len(x))
        return LogisticRegression().fit(x.iloc[some], y.iloc[some])

    case = package.case(package.wrap(LogisticRegression().fit(x, y)), other[:20])
    mine = package.diagnose.explanation_shift(
        case,
        package.explain.occlusion(case, remove=package.Marginal(other)),
        other=LogisticRegression().fit(x.assign(a=-x["a"]), y),
        recipe=package.Recipe(sampled, x, y),
        k=2,
        refits=3,
        labels=list(rows["y"][:20]),
    )
    assert [(f["code"], f["verdict"], f["claim"]) for f in told] == [(f.code, f.verdict, f.claim) for f in mine]
    np.testing.assert_array_equal([f["estimate"] for f in told[:2]], [f.estimate for f in mine[:2]])
    assert told[1]["verdict"] == "fail"
    assert told[3]["verdict"] == "informative"


def test_text_is_a_line_a_finding_and_nothing_failed_exits_with_0(assay):
    same = MODELS.replace("mirrored", "before")
    done = assay(f"{same} {ASKED} --of occlusion")
    assert done.code == 0, done.err
    assert [line.split("SHF")[1][:3] for line in done.out.splitlines()] == ["101", "102", "103", "104"]
    assert "change by 0 under the shift" in done.out


def test_several_models_and_a_saved_explanation(assay):
    rows = "--data plain.csv --target y --rows 20"
    assay(f"explain shift.py:before occlusion {rows} --option remove=constant:1 --save kept.assay")
    done = assay(f"{MODELS} --other shift.py:before {ASKED} --explanation kept.assay --format json")
    assert done.code in (0, 1), done.err
    assert len(json.loads(done.out)[0]["evidence"]["shifted models"]) == 2
    assay(f"explain shift.py:before occlusion {rows} --background plain.csv --save kept.assay")
    done = assay(f"{MODELS} {ASKED} --explanation kept.assay")
    assert done.code == 2
    assert "remove held data that is not stored" in done.err


def test_clusters_are_a_column_that_the_models_do_not_see(assay, project):
    frame = pd.read_csv("plain.csv").assign(who=[i // 4 for i in range(60)])
    frame.to_csv("grouped.csv", index=False)
    asked = ASKED.replace("plain.csv", "grouped.csv")
    alone = json.loads(assay(f"{MODELS} {ASKED} --of occlusion --format json").out)[1]
    done = assay(f"{MODELS} {asked} --of occlusion --format json --clusters who")
    grouped = json.loads(done.out)[1]
    assert grouped["estimate"] == alone["estimate"]
    assert grouped["interval"] != alone["interval"]
    frame.assign(who=frame["who"].where(frame["who"] != 1)).to_csv("grouped.csv", index=False)
    done = assay(f"{MODELS} {asked} --of occlusion --clusters who")
    assert done.code == 2
    assert "column 'who' is empty in 4 row(s), such as 4, 5, 6, 7" in done.err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ("--recipe recipe --of occlusion", 2, "--other FILE"),
        ("--other mirrored --of occlusion", 2, "--recipe FILE.py:FUNCTION, returning assay.Recipe"),
        ("--other mirrored --recipe before --of occlusion", 2, "it must return an assay.Recipe(fit, x, y)"),
        ("--other mirrored --recipe nothing --of occlusion", 2, "has no function 'nothing'"),
        ("--other mirrored --recipe recipe", 2, "--explanation FILE.assay, or --of METHOD"),
        ("--other three --recipe costly --of occlusion", 4, "the other model gives probabilities of 0, 1, 2"),
        ("--other mirrored --recipe failing --of occlusion", 4, "shift.py, line"),
        ("--other mirrored --recipe recipe --of occlusion --train train.csv", 2, "does not read --train"),
        ("--other mirrored --recipe recipe --of occlusion --option labels=3", 2, "given by --target COLUMN"),
        ("--other mirrored --recipe recipe --of occlusion --option other=3", 2, "given by --other FILE"),
        ("--other mirrored --of occlusion --option recipe=x", 2, "recipe is given by --recipe FILE.py:FUNCTION"),
    ],
)
def test_what_is_missing_or_does_not_fit_is_told(assay, project, words, code, told):
    words = re.sub(r"--(other|recipe) ", r"--\1 shift.py:", words)
    done = assay(f"diagnose shift.py:before explanation_shift {ASKED} {words}")
    assert (done.code, done.out) == (code, "")
    assert told in done.err
    assert not (project / "trained").exists()


def test_nets_with_other_outputs_are_refused_though_their_classes_have_no_names(assay):
    words = "explanation_shift --other shift.py:three_scores --recipe shift.py:recipe --of saliency"
    done = assay(f"diagnose shift.py:two_scores {words} --data plain.csv --target y --option k=1")
    assert done.code == 4
    assert "Linear gives 3 outputs per row, Linear gives 2" in done.err


def test_what_only_the_shift_reads_is_refused_elsewhere(assay):
    done = assay("diagnose shift.py:before data --data plain.csv --target y --train plain.csv --of occlusion --other x")
    assert done.code == 2
    assert "diagnose data does not read --other, --of; leave it out" in done.err


def test_a_background_may_hold_the_sensitive_column(assay):
    words = "--data test.csv --target y --ids id --sensitive sex --background train.csv --option rows=5"
    done = assay(f"diagnose shift.py:before disparity {words}")
    assert done.code in (0, 1), done.err
    assert "FAI110" in done.out


def test_label_randomisation_takes_a_recipe(assay):
    rows = "--data plain.csv --target y --rows 5 --background plain.csv --of occlusion"
    done = assay(f"evaluate shift.py:before label_randomisation {rows} --recipe shift.py:recipe --format json")
    assert done.code == 0, done.err
    assert np.shape(json.loads(done.out)["values"]) == (5,)
    assert "--recipe FILE.py:FUNCTION" in assay(f"evaluate shift.py:before label_randomisation {rows}").err
    assert (
        "returns LogisticRegression"
        in assay(f"evaluate shift.py:before label_randomisation {rows} --recipe shift.py:before").err
    )
    assert "does not train" in assay(f"evaluate shift.py:before deletion {rows} --recipe shift.py:recipe").err


def test_show_tells_how_the_recipe_is_given(assay):
    told = assay("show diagnose.explanation_shift").out
    assert "recipe: Recipe  (--recipe FILE.py:FUNCTION" in told
    assert "labels: Any = ()  (--target COLUMN)" in told


def test_the_command_of_the_page_does_what_it_says(assay, project):
    page = PAGE.read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(# lender\.py\n.*?)^```", page, re.DOTALL | re.MULTILINE)
    (command,) = re.findall(r"^\$ assay (diagnose .+)", page, re.MULTILINE)
    (project / "lender.py").write_text(code)
    generator = np.random.default_rng(0)
    for file, sign in (("train.csv", 1), ("train_shifted.csv", -1), ("held_out.csv", 1)):
        x = generator.normal(size=(60, 2))
        y = (x @ [1.0, sign] + 0.3 * generator.normal(size=60) > 0).astype(int)
        pd.DataFrame({"age": x[:, 0], "income": x[:, 1], "default": y}).to_csv(file, index=False)
    done = assay([*shlex.split(command), "--format", "json"])
    assert done.code == 1, done.err
    assert verdicts(done)["SHF101"] == verdicts(done)["SHF102"] == "fail"
