"""Sensitive columns of an audit as users give them: numbers, gaps, combinations, small groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import assay
from assay.auditing.run import Run
from assay.auditing.steps.diagnoses import groups_of
from assay.diagnose.disparity import _audit_cost
from assay.engine.audit_inputs import AuditInputs, call_on_inputs
from assay.nouns.catalogue import find
from assay.nouns.results.finding import Finding

ROWS = 600
GENERATOR = np.random.default_rng(0)
AGE = GENERATOR.integers(18, 90, ROWS)
SEX: list[Any] = GENERATOR.choice(["f", "m"], ROWS).tolist()
SEX[:12] = [None] * 12
X = np.column_stack([GENERATOR.normal(size=ROWS) + np.array([value == "m" for value in SEX]), AGE / 30])
Y = (X[:, 0] + 0.3 * GENERATOR.normal(size=ROWS) > 0.5).astype(int)
MODEL = LogisticRegression().fit(X, Y)
COLUMNS = {"sex": SEX, "age": AGE}
RANGES = {"18–34", "35–54", "55–74", "75–89"}


@pytest.fixture(scope="module")
def run() -> Run:
    return assay.audit(MODEL, X, Y, sensitive=COLUMNS, profile="quick", select=["FAI"])


def _of(run: Run, code: str) -> dict[str, Finding]:
    return {f.subject: f for f in run.findings if f.code == code}


def test_columns_and_their_combination_are_tested(run: Run) -> None:
    for code in ("FAI101", "FAI102", "FAI103", "FAI104", "FAI110"):
        assert set(_of(run, code)) == {"sex", "age", "sex × age"}
    assert _of(run, "FAI101")["sex"].verdict == _of(run, "FAI104")["sex"].verdict == "fail"


def test_numbers_are_cut_into_named_ranges_that_claim_and_evidence_show(run: Run) -> None:
    gap = _of(run, "FAI101")["age"]
    assert set(gap.evidence["rates"]) == RANGES
    assert sum(name in gap.claim for name in RANGES) == 2


def test_rows_without_a_group_are_a_group_of_their_own(run: Run) -> None:
    assert _of(run, "FAI101")["sex"].evidence["rates"]["(missing)"]["n"] == 12


def test_small_combinations_are_named_in_the_claim(run: Run) -> None:
    gap = _of(run, "FAI104")["sex × age"]
    left_out = gap.evidence["groups left out"]
    assert left_out
    assert all(name.startswith("(missing) × ") and count < 10 for name, count in left_out.items())
    assert all(name in gap.claim for name in left_out)


def _inputs(**options: Any) -> AuditInputs:
    model = assay.wrap(MODEL)
    groups = groups_of(X, COLUMNS)
    given = {"disparity": {"rows": 20, "budget": 16, **options}}
    return AuditInputs(model=model, x=X, labels=Y, groups=groups, favourable="1", background=X[:10], options=given)


def test_the_combination_can_be_left_out() -> None:
    subjects = {f.subject for f in call_on_inputs(find("diagnose", "disparity"), _inputs(combine=False))}
    assert subjects == {"sex", "age"}


def test_an_audit_asks_at_most_what_it_states() -> None:
    inputs = _inputs()
    found = call_on_inputs(find("diagnose", "disparity"), inputs)
    assert sum(f.code == "FAI110" and f.verdict == "informative" for f in found) >= 2
    assert 0 < inputs.model.meter.forwards <= _audit_cost(inputs).forwards


@pytest.mark.parametrize(("subject", "columns"), [("sex", ("sex",)), ("sex × age", ("sex", "age"))])
@pytest.mark.parametrize("code", ["FAI101", "FAI104"])
def test_a_repair_leaves_out_the_columns_of_the_attribute_that_fails(
    code: str, subject: str, columns: tuple[str, ...]
) -> None:
    frame = pd.DataFrame({"sex": ["f", "m"] * 10, "age": range(20), "income": range(20)})
    recipe = assay.Recipe(lambda x, y, seed, strength: MODEL, frame, [0, 1] * 10)
    inputs = replace(_inputs(), x=frame, groups=groups_of(frame, ["sex", "age"]), recipe=recipe)
    method = find("repair", "refit")
    assert method.proposals is not None
    assert code in method.answers
    failed = Finding(code, "fail", "a gap", subject)
    assert list(method.proposals(inputs, [failed])) == [{"without": columns}]
