"""The head of the page: each explanation, its verdict, the facts, its place on the ladder."""

from dataclasses import replace

from tests.report.record import credit

from assay.basics.stats import Interval
from assay.nouns.results.result import Finding
from assay.report.audit.explanation_verdicts import standings
from assay.report.audit.page import render


def judged(name, verdict, share, **more):
    evidence = {"ladder": {"random": 0.0, "edges": 0.2, "shapley": 1.0, name: share}}
    reach = Interval(share - 0.1, share + 0.1, 0.95, "fieller")
    climb = Finding("EXP201", "pass", f"{name} goes so far <b>", name, share, reach, 0.1, "at least", evidence=evidence)
    facts = {"facts": ["EXP201"], "left out": more.pop("out", [])}
    return [climb, Finding("TRU001", verdict, f"about {name}", name, evidence=facts, **more)]


def told(*findings):
    return replace(credit(), findings=tuple(f for pair in findings for f in pair), references=("random", "edges"))


def test_the_best_come_first_and_the_undecided_say_what_would_settle_them():
    record = told(
        judged("weak", "undecided", 0.1, more=12),
        judged("low", "pass", 0.5),
        judged("bad", "fail", -0.4, out=["insertion"]),
        judged("high", "pass", 0.9),
        judged("shaky", "informative", 0.95),
    )
    found = standings(record)
    assert [line.name for line in found.lines] == ["high", "low", "shaky", "weak", "bad"]
    assert found.lines[3].more == "about 12 further rows"
    assert "insertion left out" in found.lines[4].facts[-1]
    assert found.lines[0].facts == ("goes so far <b> (EXP201)",)
    assert found.rungs == "random 0.00 and edges 0.20"


def test_the_dot_stands_where_the_estimate_is():
    one, two = standings(told(judged("one", "pass", 0.25), judged("two", "pass", 0.75))).lines
    assert (one.name, two.name) == ("two", "one")
    places = [float(str(line.normalised).split('class="dot" cx="')[1].split("%")[0]) for line in (two, one)]
    assert places[0] < places[1]


def test_what_comes_from_outside_is_escaped_in_the_head():
    page = render(told(judged("<i>one</i>", "pass", 0.5)))
    assert "<i>one</i>" not in page
    assert "&lt;i&gt;one" in page
