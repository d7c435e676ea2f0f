"""The table of verdicts on explanations: verdict, deciding checks, normalised score."""

from dataclasses import replace

from tests.report.record import credit

from assay.basics.stats import Interval
from assay.nouns.results.finding import Finding
from assay.report.audit.explanation_verdicts import explanation_verdicts
from assay.report.audit.page import render


def judged(name, verdict, share, **more):
    evidence = {"normalised scores": {"random": 0.0, "edges": 0.2, "shapley": 1.0, name: share}}
    interval = Interval(share - 0.1, share + 0.1, 0.95, "fieller")
    normalised = Finding(
        "EXP201", "pass", f"{name} deletion score <b>", name, share, interval, 0.1, "at least", evidence=evidence
    )
    facts = {"facts": ["EXP201"], "left out": more.pop("out", [])}
    return [normalised, Finding("TRU001", verdict, f"about {name}", name, evidence=facts, **more)]


def record_of(*findings):
    return replace(credit(), findings=tuple(f for pair in findings for f in pair), references=("random", "edges"))


def test_the_best_come_first_and_the_undecided_have_the_rows_needed():
    record = record_of(
        judged("weak", "undecided", 0.1, more=12),
        judged("low", "pass", 0.5),
        judged("bad", "fail", -0.4, out=["insertion"]),
        judged("high", "pass", 0.9),
        judged("shaky", "informative", 0.95),
    )
    found = explanation_verdicts(record)
    assert [line.name for line in found.lines] == ["high", "low", "shaky", "weak", "bad"]
    assert found.lines[3].more == "about 12"
    assert "insertion not used" in found.lines[4].reasons[-1]
    assert found.lines[0].reasons == ("deletion score <b> (EXP201)",)
    assert found.controls == "random 0.00 and edges 0.20"


def test_the_dot_is_at_the_estimate():
    one, two = explanation_verdicts(record_of(judged("one", "pass", 0.25), judged("two", "pass", 0.75))).lines
    assert (one.name, two.name) == ("two", "one")
    places = [float(str(line.figure).split('class="dot" cx="')[1].split("%")[0]) for line in (two, one)]
    assert places[0] < places[1]


def test_names_and_claims_are_escaped():
    page = render(record_of(judged("<i>one</i>", "pass", 0.5)))
    assert "<i>one</i>" not in page
    assert "&lt;i&gt;one" in page


def test_undecided_and_failed_checks_beside_the_deciding_ones_are_named():
    pair = judged("one", "informative", 0.5)
    others = [
        Finding("EXP202", "undecided", "one: insertion", "one"),
        Finding("SAN104", "undecided", "one: magnitudes", "one"),
        Finding("STA301", "rejected", "one: max-sensitivity 3", "one"),
        Finding("EXP101", "pass", "one: completeness", "one"),
        Finding("SAN102", "undecided", "two: r = 0.3", "two"),
    ]
    (line,) = explanation_verdicts(record_of([*pair, *others])).lines
    assert line.reasons[1:] == ("failed: max-sensitivity 3 (STA301)", "undecided: insertion (EXP202) and SAN104")


def test_an_explanation_that_no_practical_number_of_rows_decides_is_marked():
    (line,) = explanation_verdicts(record_of(judged("weak", "undecided", 0.1, more=9000, n=20))).lines
    assert line.more == "about 9,000 (practically undecidable)"
