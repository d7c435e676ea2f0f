"""Attacks that take a ball, and those on columns and words that have limits of their own."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from tests.cli.test_method_commands import ROWS

from assay.cli.options import parsed
from assay.cli.request import method_of


def test_columns_are_attacked_within_their_rules(assay, tmp_path):
    rules = tmp_path / "bounds.json"
    rules.write_text(json.dumps({"a": [-9, 9]}))
    done = assay(
        f"attack mine.py:build column_changes {ROWS} --option columns=a --option up=a --option bounds={rules} "
        f"--option max_columns=1 --option queries=50 --format json"
    )
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert all(one.startswith("a: ") for row in found["changes"] for one in row)
    assert max(found["extra"]["queries"]) <= 50


def test_an_attack_on_columns_takes_no_ball_and_one_in_a_ball_needs_it(assay):
    done = assay(f"attack mine.py:build column_changes {ROWS} --ball linf:0.1")
    assert done.code == 2
    assert "takes no --ball" in done.err
    done = assay(f"attack mine.py:build square {ROWS}")
    assert done.code == 2
    assert "needs a ball" in done.err


def test_lists_by_name_are_read_from_a_file(assay, tmp_path):
    table = tmp_path / "words.json"
    table.write_text(json.dumps({"good": ["fine", "nice"]}))
    method = method_of("attack", "token_substitution")
    assert parsed(method, [f"candidates={table}", "delete=true"]) == {
        "candidates": {"good": ["fine", "nice"]},
        "delete": True,
    }
    table.write_text(json.dumps(["good"]))
    done = assay(f"attack mine.py:build token_substitution {ROWS} --option candidates={table}")
    assert done.code == 2
    assert "no lists by name" in done.err
    done = assay(f"attack mine.py:build token_substitution {ROWS} --option candidates=nowhere.json")
    assert "there is no file" in done.err
    done = assay(f"attack mine.py:build token_substitution {ROWS}")
    assert "needs texts" in done.err


LINEAR = """
import pandas as pd
from sklearn.linear_model import LogisticRegression

def build():
    frame = pd.read_csv("train.csv")
    return LogisticRegression(C=10, tol=1e-10, max_iter=9999).fit(frame[["a", "b", "c"]], frame["y"])
"""


def test_one_training_row_is_attacked_with_the_training_file(assay, project):
    generator = np.random.default_rng(0)
    for name, rows in (("train", 30), ("tests", 6)):
        frame = pd.DataFrame(generator.normal(size=(rows, 3)), columns=list("abc"))
        frame.assign(y=(frame["a"] > 0).astype(int)).to_csv(f"{name}.csv", index=False)
    Path("linear.py").write_text(LINEAR, encoding="utf-8")
    asked = "attack linear.py:build training_point --data tests.csv --target y --format json"
    done = assay(f"{asked} --train train.csv --ball linf:1 --option steps=3 --option ranges=false")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["validity"]["robust_accuracy_of"] == "rows that are classified correctly"
    assert max(found["extra"]["gradient"]) < 1e-9
    absent = assay(f"{asked} --ball linf:1")
    assert absent.code == 2
    assert "--train FILE --target COLUMN" in absent.err
    unread = assay("attack linear.py:build square --data tests.csv --target y --train train.csv --ball linf:1")
    assert unread.code == 2
    assert "does not read --train" in unread.err


def test_attacks_on_training_data_read_the_training_rows_and_the_background(assay):
    pd.read_csv("train.csv")[["a", "b", "y"]].to_csv("taught.csv", index=False)
    done = assay(f"attack mine.py:build labels {ROWS} --train taught.csv --option share=0.1 --format json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["validity"]["labels changed"] >= 1
    assert "needs the training rows" in assay(f"attack mine.py:build labels {ROWS}").err
    done = assay(f"attack mine.py:build background {ROWS} --option column=a --option steps=2 --format json")
    assert done.code == 0, done.err
    assert "share left" in json.loads(done.out)["validity"]
    done = assay(f"attack mine.py:build background {ROWS} --option column=a --recipe mine.py:recipe")
    assert "does not read --recipe" in done.err
    assert "needs to know how to train" in assay(f"attack mine.py:build backdoor {ROWS} --option target_label=1").err
