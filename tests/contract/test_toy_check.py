"""A toy check declared in one place is in plan, audit, page, JSON, show, list, docs, schema and command line.

The same for a diagnosis, an attack, a certificate and a repair: each is one function, and one name in its package.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.contract.subjects import load_catalogue
from tests.test_docs import generator

import assay
from assay.auditing.audit import prepare
from assay.auditing.check_catalogue import all_checks
from assay.auditing.schema import schema
from assay.basics.errors import InputError
from assay.basics.stats import Basis
from assay.cases.case import Case
from assay.cli.main import app
from assay.engine.certified_model import describe_model_itself
from assay.engine.check_findings import certificate_findings
from assay.engine.declare import attacker, certifier, diagnostic, repairer
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Check, Method, check_named, leave
from assay.nouns.results.finding import Finding, judge

load_catalogue()

COLUMNS = ("one", "two", "three")
NAN = float("nan")


def rows(count: int = 24, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(count, 3))


def labels(x: Any) -> list[str]:
    return ["yes" if value > 0 else "no" for value in x[:, 0]]


def forest(x: Any = None) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    x = rows() if x is None else x
    return RandomForestClassifier(8, random_state=0).fit(x, labels(x))


QUESTION = "Is the share of rows predicted as the first class small?"
TOY = Check("DAT901", QUESTION, "Do nothing: it is a toy.", 0.2, "at most")


def toy(case: Case, labels: Any, *, limit: float = 0.2) -> list[Finding]:
    """The share of rows predicted as the first class; a toy.

    Nothing follows from it.
    """
    values = (case.prediction.argmax(axis=1) == 0).astype(float)
    basis = Basis("rate", {"hits": np.array(int(values.sum())), "trials": np.array(len(values))})
    interval = basis.at(0.95)
    return [
        Finding(
            code=TOY.code,
            verdict=judge(interval, limit, "at most"),
            claim=f"{values.mean():.0%} of {len(labels)} rows get the first class",
            subject=case.model.name,
            estimate=float(values.mean()),
            interval=interval,
            threshold=limit,
            direction="at most",
            n=len(values),
            meaning="A toy.",
            advice=TOY.remedy,
            basis=basis,
        )
    ]


Declare = Callable[[Any, str, Any], Method]


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Iterator[Declare]:
    """Declares a function with its decorator, exports it by one name, and removes it afterwards."""
    made: list[Method] = []

    def one(decorator: Any, verb: str, body: Any) -> Method:
        declared = decorator(body)
        made.append(declared.method)
        monkeypatch.setattr(getattr(assay, verb), body.__name__, declared, raising=False)
        return declared.method

    yield one
    for method in made:
        leave(method)


@pytest.fixture
def diagnosis(declare: Declare) -> Method:
    return declare(diagnostic(source="assay2026", needs={"labels"}, checks=(TOY,)), "diagnose", toy)


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    app([*words], exit_on_error=False, result_action="return_value")
    return capsys.readouterr().out


def audited(**more: Any) -> Any:
    x = rows()
    known = {"select": ["DAT9", "ATK9", "CER9"]} | more
    return assay.audit(forest(), x, labels(x), profile="quick", methods=["occlusion"], scores=["deletion"], **known)


def test_the_check_belongs_to_its_method(diagnosis: Method) -> None:
    check = check_named("DAT901")
    assert check is not None
    assert check.method == "diagnose.toy"
    assert check.family == "data"


def test_it_is_in_the_plan_with_its_cost(diagnosis: Method) -> None:
    x = rows()
    plan = prepare(forest(), x, labels(x), select=["DAT901"]).plan
    (step,) = [step for step in plan.steps if step.method == "toy"]
    assert (step.verb, step.codes, step.cost.forwards) == ("diagnose", ("DAT901",), len(x))


def test_what_is_missing_is_named_with_the_argument_that_enables_it(diagnosis: Method) -> None:
    skipped = {item.what: item for item in prepare(forest(), rows(), select=["DAT901"]).plan.skipped}
    assert skipped["diagnose.toy"].why == "it needs the true labels of the rows"
    assert skipped["diagnose.toy"].enable == "y=labels"
    assert skipped["diagnose.disparity"].why == "it needs a sensitive column"


def test_it_is_in_the_audit_the_json_and_the_page(diagnosis: Method, tmp_path: Any) -> None:
    found = audited(out=tmp_path)
    finding = found["DAT901"]
    assert finding.verdict == "fail"
    assert finding.estimate == np.mean([label == "no" for label in labels(rows())])
    plain = json.loads((tmp_path / "result.json").read_text())
    assert [f["code"] for f in plain["findings"] if f["code"] == "DAT901"] == ["DAT901"]
    page = (tmp_path / "report.html").read_text()
    assert "DAT901" in page
    assert QUESTION in page


def test_the_command_line_shows_and_lists_it(diagnosis: Method, capsys: pytest.CaptureFixture[str]) -> None:
    shown = run("show", "DAT901", capsys=capsys)
    assert QUESTION in shown
    assert "assay show diagnose.toy" in shown
    assert "DAT901" in run("list", "--checks", capsys=capsys)
    assert "toy" in {row["name"] for row in json.loads(run("list", "diagnose", "--json", capsys=capsys))}


def test_the_docs_and_the_schema_have_it(diagnosis: Method) -> None:
    assert "DAT901" in generator().checks_page()
    assert "toy" in generator().table("diagnose")
    assert schema("result")["$defs"]["FindingPart"]["x-checks"]["DAT901"]["question"] == QUESTION


def test_the_command_diagnoses_with_it(
    diagnosis: Method, capsys: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = rows()
    lines = [",".join([*COLUMNS, "y"]), *(",".join([*map(str, row), y]) for row, y in zip(x, labels(x)))]
    (tmp_path / "data.csv").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "import pandas as pd\nfrom sklearn.ensemble import RandomForestClassifier\n\n\n"
        "def build():\n    d = pd.read_csv('data.csv')\n"
        "    return RandomForestClassifier(8, random_state=0).fit(d[['one', 'two', 'three']], d['y'])\n"
    )
    words = ["diagnose", "mine.py:build", "toy", "--data", "data.csv"]
    out = run(*words, "--target", "y", "--format", "json", capsys=capsys)
    assert [finding["code"] for finding in json.loads(out)] == ["DAT901"]
    with pytest.raises(InputError, match="diagnose toy needs the true labels of the rows: --target COLUMN"):
        app(words, exit_on_error=False, result_action="return_value")
    with pytest.raises(InputError, match="diagnose toy does not read --favourable"):
        app([*words, "--favourable", "yes"], exit_on_error=False, result_action="return_value")


def nudge(case: Case, ball: Ball, *, scale: float = 1.0) -> Mapping[str, Any]:
    """The share of rows whose predicted class changes when every feature grows by the radius; a toy.

    Nothing follows from it.
    """
    moved = case.rows.x + scale * ball.radius
    before, after = case.prediction.argmax(axis=1), case.predicted(moved)
    distance = np.full(len(case), ball.radius)
    fields = {"x": moved, "success": before != after, "quantity": "class", "random": np.zeros(len(case))}
    kept = {"prediction_unchanged": before == after, "distance": distance}
    return fields | kept | {"before": before.astype(float), "after": after.astype(float)}


def test_a_toy_attack_needs_one_declaration(declare: Declare, tmp_path: Any) -> None:
    check = Check("ATK901", "Does a shift of every feature change the class?", "A toy.", 0.5, "at most")
    cost = lambda case, o, again: assay.nouns.catalogue.Cost(len(case))  # noqa: E731  # as short as a cost can be
    declare(attacker(source="assay2026", needs={"classes"}, cost=cost, checks=(check,)), "attack", nudge)
    assert audited(ignore=["DAT9"], select=["ATK9", "TRU"])["ATK901"].estimate < 0.5  # the default ball is small
    found = audited(ball=Ball("linf", 3.0), out=tmp_path)
    finding = found["ATK901"]
    assert finding.subject == "nudge"
    assert 0 < finding.estimate <= 1
    assert finding.interval.low <= finding.estimate <= finding.interval.high
    assert "ATK901" in (tmp_path / "report.html").read_text()


def certain(case: Case, parts: Any, *, q: int = 1) -> Mapping[str, Any]:
    """Whether the probability of the predicted class is above 0.75; a toy.

    Nothing follows from it.
    """
    top = case.prediction.max(axis=1)
    fields = {"bounds": {"margin": top - 0.75}, "abstained": top <= 0.75, "confidence": 1.0, "draws": 0}
    worth = {"guarantee": "exact", "unit": "probability", **describe_model_itself(case)}
    return fields | worth | {"theorem": "a toy", "assumptions": ()}


def test_a_toy_certificate_needs_one_declaration(declare: Declare, tmp_path: Any) -> None:
    check = Check("CER901", "Are most rows certified?", "A toy.", 0.5, "at least")
    cost = lambda case, o, again: assay.nouns.catalogue.Cost()  # noqa: E731  # as short as a cost can be
    method = declare(certifier(source="assay2026", needs={"classes"}, cost=cost, checks=(check,)), "certify", certain)
    x = rows()
    found = assay.audit(
        forest(), x, labels(x), profile="quick", methods=["shapley"], scores=["deletion"], select=["CER9"], out=tmp_path
    )
    certificate = found.record.certificates["certain"]
    share = 1.0 - certificate.abstained.mean()
    assert found["CER901"].estimate == pytest.approx(share)
    assert certificate_findings("certain", certificate, 0.95)[0].verdict == found["CER901"].verdict
    assert "CER901" in (tmp_path / "report.html").read_text()
    assert method.checks[0].method == "certify.certain"


def silence(case: Case) -> Mapping[str, Any]:
    """A model that always predicts the second class; a toy.

    Nothing follows from it.
    """
    forward = case.model.forward

    def second(given: Any) -> Any:
        out = np.zeros_like(np.asarray(forward(given)))
        out[:, 1] = 1.0
        return out

    model = replace(case.model, forward=second, fingerprint="second class")
    return {"model": model, "change": "always the second class", "before": {}, "after": {}}


def test_a_toy_repair_needs_one_declaration(declare: Declare, diagnosis: Method, tmp_path: Any) -> None:
    declare(repairer(source="assay2026", needs={"labels"}, answers=("DAT901",)), "repair", silence)
    found = audited(out=tmp_path)
    (record,) = found.record.repairs
    assert record.method == "silence"
    assert [f.verdict for f in record.before if f.code == "DAT901"] == ["fail"]
    assert [f.estimate for f in record.after if f.code == "DAT901"] == [0.0]
    assert "always the second class" in (tmp_path / "report.html").read_text()


def test_a_code_belongs_to_one_method(diagnosis: Method, declare: Declare) -> None:
    def other(case: Case) -> list[Finding]:
        """Another toy with the same code.

        Nothing follows from it.
        """
        return []

    with pytest.raises(InputError, match=r"DAT901 of diagnose\.other is already declared by diagnose\.toy"):
        declare(diagnostic(source="assay2026", checks=(TOY,)), "diagnose", other)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (Check("dat1", "Is it?", "Fix it."), "three capital letters and three digits"),
        (Check("DAT902", "Is it?", "Fix it.", 0.5), "both a threshold and a direction"),
    ],
)
def test_a_check_that_is_not_well_formed_is_refused(check: Check, message: str) -> None:
    with pytest.raises(InputError, match=message):
        diagnostic(source="assay2026", checks=(check,))(toy)


@pytest.mark.parametrize("check", all_checks(), ids=lambda check: check.code)
def test_every_check_asks_a_question_and_says_what_to_do(check: Check) -> None:
    assert check.question.endswith("?") or check.question.endswith("checks.")
    assert check.remedy.endswith(".")
    assert check.family != check.code[:3]
    assert (check.threshold is None) == (check.direction == "")


def test_after_a_test_the_toy_is_gone() -> None:
    assert check_named("DAT901") is None
