"""Cells without a value read "missing" on the page, whatever marker their library has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

import assay

pytestmark = pytest.mark.filterwarnings("ignore")

DRAW = np.random.default_rng(5)
AGE, JOB = DRAW.normal(40.0, 10.0, 120), DRAW.choice(["cook", "nurse"], 120)
Y = ((AGE > 40.0) ^ (JOB == "cook")).astype(int)
GAPS = DRAW.random((120, 2)) < 0.4


def frame(library: str) -> Any:
    age = [None if gap else value for gap, value in zip(GAPS[:, 0], AGE.tolist())]
    job = [None if gap else value for gap, value in zip(GAPS[:, 1], JOB.tolist())]
    if library == "polars":
        return pl.DataFrame({"age": age, "job": pl.Series(job, dtype=pl.Enum(["cook", "nurse"]))})
    if library == "pandas":
        return pd.DataFrame({"age": pd.Series(age, dtype="Float64"), "job": pd.Series(job, dtype="category")})
    return np.where(GAPS, np.nan, np.stack([AGE, JOB == "cook"], axis=1))


@pytest.mark.parametrize("library", ["pandas", "polars", "array"])
def test_the_page_of_an_audit_shows_missing_for_cells_without_a_value(library: str, tmp_path: Path) -> None:
    x = frame(library)
    estimator = HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype").fit(x[40:], Y[40:])
    run = assay.audit(estimator, x[:40], Y[:40], train=(x[40:], Y[40:]), profile="quick", ids=range(40))
    text = run.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    cells = re.findall(r'<th scope="row">(\S+) <span>= ([^<]*)</span>', text)
    assert {name for name, cell in cells if cell == "missing"} == ({"0", "1"} if library == "array" else {"age", "job"})
    assert not [cell for _, cell in cells if cell.lower() in ("nan", "none", "null", "nat", "<na>", "&lt;na&gt;")]
