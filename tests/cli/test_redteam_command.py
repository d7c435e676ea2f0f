"""assay redteam: language models by rules, classifiers of texts, gate, comparison and refusals."""

import json

import pytest

import assay as package

QUICK = "--probe direct_injection --prompts 12 -q"


def test_a_planted_fault_fails_and_the_folder_is_that_of_an_audit(assay, project):
    done = assay("redteam mine.py:obedient --out red -q")
    assert done.code == 1, done.err
    assert "FAIL        RED201" in done.out
    assert "page: red/report.html" in done.out
    assert assay("gate red").code == 1
    shown = assay("show RED201 --run red")
    assert "clustered by prompt" in shown.out
    assert assay("redteam mine.py:robust --out clean -q").code == 0
    compared = assay("compare clean red")
    assert compared.code == 1
    assert "RED201" in compared.out
    run = package.Run.load(project / "red")
    assert run.record.reproduce == "assay redteam mine.py:obedient"
    assert {item.what for item in run.record.not_run} >= {"redteam.trained_canaries", "redteam.neutral_requests"}


def test_json_and_the_repeating_command_have_every_flag(assay, project):
    done = assay(f"redteam mine.py:obedient {QUICK} --threshold RED201=0.9 --seed 4 --format json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [finding["code"] for finding in found["findings"]] == ["RED201"]
    assert found["findings"][0]["threshold"] == 0.9
    assert found["reproduce"] == (
        "assay redteam mine.py:obedient --probe direct_injection --prompts 12 --threshold RED201=0.9 --seed 4"
    )
    again = assay([*found["reproduce"].split()[1:], "--format", "json", "-q"])
    assert json.loads(again.out)["findings"] == found["findings"]


@pytest.mark.parametrize("name", ["canaries.jsonl", "canaries.csv"])
def test_canaries_are_read_from_a_file(assay, project, name):
    lines = [(f"{letter}: ", f"48{number}{number + 1}") for number, letter in enumerate("abcdef")]
    text = {
        "canaries.jsonl": "\n".join(json.dumps({"prefix": prefix, "secret": secret}) for prefix, secret in lines),
        "canaries.csv": "prefix,secret\n" + "\n".join(f"{prefix},{secret}" for prefix, secret in lines),
    }[name]
    (project / name).write_text(text)
    (project / "memory.py").write_text(
        f"KNOWN = dict({lines!r})\ndef build():\n    return lambda messages: KNOWN.get(messages[-1]['content'], '-')\n"
    )
    done = assay(f"redteam memory.py:build --canaries {name} --probe trained_canaries -q")
    assert done.code == 1, done.err
    assert "6 of 6 answers" in done.out
    (project / name).write_text("prefix,secret\na,\n" if name.endswith("csv") else "{\n")
    refused = assay(f"redteam memory.py:build --canaries {name} --probe trained_canaries")
    assert refused.code == 2
    assert "4801" not in refused.err


def test_answers_are_judged_by_the_users_own_classifier(assay, project):
    (project / "spammer.py").write_text("def build():\n    return lambda messages: 'win a prize now'\n")
    given = "--classifier mine.py:spam --flagged spam --probe neutral_requests -q"
    done = assay(f"redteam spammer.py:build {given}")
    assert done.code == 1, done.err
    assert "60 of 60 answers" in done.out
    assert assay(f"redteam mine.py:robust {given}").code == 0
    assert assay("redteam mine.py:robust --classifier mine.py:spam").code == 2
    unknown = assay("redteam mine.py:robust --classifier mine.py:spam --flagged rude --probe neutral_requests")
    assert (unknown.code, "must read texts and have the class 'rude'" in unknown.err) == (2, True)


def test_a_classifier_of_texts_is_attacked(assay, project):
    lines = ["win money now he said", "see you at noon", "the report is late she said", "win a prize"] * 4
    (project / "texts.csv").write_text("text\n" + "\n".join(f"{i} {line}" for i, line in enumerate(lines)) + "\n")
    done = assay("redteam mine.py:spam --data texts.csv --out red -q")
    assert done.code in (0, 1), done.err
    codes = {finding.code for finding in package.Run.load(project / "red").findings}
    assert {"RED601", "FAI401"} <= codes
    assert assay("redteam mine.py:spam").code == 2
    assert assay("redteam mine.py:spam --data texts.csv --probe unplanted").code == 2
    assert assay("redteam mine.py:robust --data texts.csv").code == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("http://127.0.0.1:9/v1", "--named MODEL"),
        ("http://example.org/v1 --named m", "--allow-host example.org"),
        ("mine.py:robust --named m", "are for an address"),
        ("mine.py:robust --draws 3", "one answer repeated"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_flag(assay, words, message):
    done = assay(f"redteam {words} -q")
    assert done.code == 2
    assert message in done.err
