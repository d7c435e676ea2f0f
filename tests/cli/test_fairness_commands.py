"""Proxy use and swapped words on the command line, and the repair of a proxy."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from tests.diagnose.proxies import people

TREE = """
import pandas as pd
from sklearn.tree import DecisionTreeClassifier


def build():
    frame = pd.read_csv("people.csv")
    return DecisionTreeClassifier(max_depth=4, random_state=0).fit(frame[["score", "married", "noise"]], frame["y"])
"""

TEXTS = """
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline


def build():
    frame = pd.read_csv("texts.csv")
    return make_pipeline(TfidfVectorizer(), LogisticRegression(C=50)).fit(frame["text"], frame["y"])
"""

ROWS = "--data people.csv --target y --sensitive sex"


def write_people() -> None:
    Path("tree.py").write_text(TREE)
    x, y, group = people(600, seed=9)
    frame = pd.DataFrame(x, columns=["score", "married", "noise"])
    frame.assign(y=y, sex=["female" if one else "male" for one in group]).to_csv("people.csv", index=False)


def test_a_proxy_is_found_excused_and_replaced(assay, project):
    write_people()
    found = assay(f"diagnose tree.py:build proxy_use {ROWS}")
    assert "FAI201" in found.out
    assert "the split on married" in found.out.replace("\n", " ")
    assert "FAIL" not in assay(f"diagnose tree.py:build proxy_use {ROWS} --option allowed=married").out
    made = assay(f"repair tree.py:build replace_proxy {ROWS}")
    assert made.code == 0, made.err
    assert "gap between groups of sex" in made.out


def test_a_repair_that_reads_groups_asks_for_them_and_others_refuse_them(assay, project):
    write_people()
    pd.read_csv("people.csv").drop(columns=["sex"]).to_csv("without.csv", index=False)
    missing = assay("repair tree.py:build replace_proxy --data without.csv --target y")
    assert missing.code == 2
    assert "--sensitive" in missing.err
    unread = assay(f"repair tree.py:build smoothing --option sigma=0.1 {ROWS}")
    assert unread.code == 2
    assert "does not read --sensitive" in unread.err


def test_words_of_a_table_of_ones_own_are_exchanged(assay, project):
    Path("texts.py").write_text(TEXTS)
    rows = [(f"the {one} {who} sat", int(who == "nurse")) for one in ("old", "young", "tall", "kind", "loud") * 8
            for who in ("nurse", "doctor")]  # fmt: skip
    pd.DataFrame([(f"{text} {i % 7}", y) for i, (text, y) in enumerate(rows)], columns=["text", "y"]).to_csv(
        "texts.csv", index=False
    )
    done = assay("diagnose texts.py:build swapped_words --data texts.csv --text text --option pairs=nurse/doctor")
    assert "FAI401" in done.out
    assert "nurse and doctor" in done.out.replace("\n", " ") or "doctor and nurse" in done.out.replace("\n", " ")
