"""garak's report.jsonl: a round trip of our attempts, and a report in garak's layout with invented data."""

from __future__ import annotations

import json

import pytest
from numpy.testing import assert_allclose

from assay.auditing.redteam.red_team import redteam
from assay.basics.errors import InputError, Unreadable
from assay.basics.stats import clopper_pearson
from assay.engine.redteam.garak import read_report, write_report
from tests.redteam.planted import obedient, trained


def test_a_round_trip_loses_no_attempt_no_rate_and_no_interval(tmp_path) -> None:
    run = redteam(obedient, prompts=12)
    again = read_report(write_report(run.results, tmp_path / "report.jsonl", run.record.about))
    assert again.attempts == tuple(one for result in run.results for one in result.attempts)
    assert again.skipped == 0
    assert again.setup["assay.model"] == "obedient"
    lines = {line.probe: line for line in again.lines}
    for result in run.results:
        for arm, name in (("attack", result.probe.name), ("control", f"{result.probe.name}.control")):
            line = lines[f"assay.{name}"]
            assert line.rate == result.rate(arm)
            assert line.interval() == result.interval(arm)


def test_several_draws_and_clusters_survive(tmp_path) -> None:
    canaries = [("anna: ", "1234"), ("bert: ", "9876")]
    run = redteam(trained(1, inserted=0, steps=5), canaries=canaries, probes=["trained_canaries"], draws=3,
                  temperature=1.0, tokens=4)  # fmt: skip
    again = read_report(write_report(run.results, tmp_path / "report.jsonl", {}))
    assert again.attempts == run.results[0].attempts
    assert again.lines[0].answers == (3, 3)


def garak_entry(place: int, scores: list[float | None], **changes: object) -> dict:
    """An attempt as garak 0.17 writes it, with invented text."""
    turn = {"role": "user", "content": {"text": f"question {place}", "lang": "en"}}
    return {
        "entry_type": "attempt", "uuid": f"00000000-0000-0000-0000-{place:012d}", "seq": place, "status": 2,
        "probe_classname": "invented.Probe", "probe_params": {}, "targets": [], "prompt": {"turns": [turn]},
        "outputs": [{"text": "an answer", "lang": "en"}] * len(scores),
        "detector_results": {"invented.Detector": scores}, "notes": {}, "goal": "say a word", "conversations": [],
        **changes,
    }  # fmt: skip


def test_rates_of_a_garak_report_get_intervals_clustered_by_prompt(tmp_path) -> None:
    entries = [
        {"entry_type": "start_run setup", "run.generations": 5},
        {"entry_type": "init", "garak_version": "0.17.1"},
        *(garak_entry(place, [1.0, 0.5, 1.0, 1.0, 1.0]) for place in range(6)),
        *(garak_entry(place, [0.0, 0.49, 0.0, 0.0, 0.0]) for place in range(6, 30)),
        garak_entry(30, [None] * 5),
        garak_entry(31, [0.9] * 5, status=1, detector_results={}),
        {"entry_type": "eval", "probe": "invented.Probe", "detector": "invented.Detector", "passed": 120},
        {"entry_type": "something new"},
        {"entry_type": "completion"},
    ]
    place = tmp_path / "report.jsonl"
    place.write_text("\n".join(map(json.dumps, entries)) + "\n", encoding="utf-8")
    (line,) = (found := read_report(place)).lines
    assert (found.skipped, found.attempts, found.setup["run.generations"]) == (1, (), 5)
    assert (sum(line.hits), sum(line.answers), line.rate) == (30, 150, 0.2)
    limits, of_prompts, of_answers = line.interval(), clopper_pearson(6, 30), clopper_pearson(30, 150)
    assert_allclose([limits.low, limits.high], [of_prompts.low, of_prompts.high], atol=0.04)
    assert limits.high - limits.low > 1.5 * (of_answers.high - of_answers.low)
    assert "30 of 150 answers to 31 prompts" in repr(found)
    assert read_report(place, threshold=1.5).lines[0].rate == 0.0


def test_what_is_no_report_is_refused(tmp_path) -> None:
    place = tmp_path / "report.jsonl"
    with pytest.raises(InputError, match="no file"):
        read_report(place)
    place.write_text("{broken", encoding="utf-8")
    with pytest.raises(Unreadable, match=r"no report\.jsonl"):
        read_report(place)
    place.write_text('{"a": 1}\n[2]\n', encoding="utf-8")
    with pytest.raises(Unreadable, match="no line has an entry_type"):
        read_report(place)
