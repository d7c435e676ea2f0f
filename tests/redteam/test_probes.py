"""Probes as data: versions, prompts drawn by a seed, and detectors."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.data.red_team_probes import NAMES, read_probe, shipped_probe
from assay.engine.redteam.checks import CHECKS, IMAGES, MEANING, TEXTS, probe_check
from assay.engine.redteam.detectors import begins, contains, detector_of, holds_secret
from assay.engine.redteam.prompts import TrainingCanary, canary_prompts, draw_unused, make_prompts
from assay.nouns.redteam.probe import Probe

MADE = [name for name in NAMES if name != "trained_canaries"]

FINGERPRINTS = {
    "unplanted": (1, "5a29d054fd813720"),
    "prompt_leakage": (1, "8f811a3a1322d6f7"),
    "direct_injection": (1, "4704082af7265922"),
    "policy_override": (1, "a54e59703503ac60"),
    "retrieved_text": (1, "ce1fa2a143fb9e46"),
    "trained_canaries": (1, "20c7c379b0fad336"),
    "neutral_requests": (1, "30fd873c5cb47789"),
    "swapped_requests": (1, "912cc31fdd5e18f5"),
}
"""Version and fingerprint of each probe: who changes a probe gives it a new version here."""


@pytest.mark.parametrize("name", MADE)
def test_a_probe_gives_the_prompts_that_were_asked_for_and_the_same_ones_again(name: str) -> None:
    probe = shipped_probe(name)
    prompts = make_prompts(probe, 60, Seed(4))
    assert len({one.messages for one in prompts}) == 60
    assert make_prompts(probe, 60, Seed(4)) == prompts
    assert make_prompts(probe, 20, Seed(4)) == prompts[:20]
    assert make_prompts(probe, 60, Seed(5)) != prompts
    assert {one.variant for one in prompts} == {one.name for one in probe.variants}
    texts = [text for one in prompts for _, text in (*one.messages, *one.control)]
    assert not [text for text in texts if "{" in text]


@pytest.mark.parametrize("name", NAMES)
def test_a_probe_names_its_check_mechanism_and_source(name: str) -> None:
    probe = shipped_probe(name)
    assert probe_check(probe).question.endswith("?")
    assert "control" in probe.mechanism
    assert probe.source or probe.family == "null"


def test_every_check_has_a_meaning() -> None:
    assert set(MEANING) == {check.code for check in (*CHECKS, TEXTS, IMAGES)}


def test_the_canary_is_in_the_attack_and_in_the_control_only_as_a_mention() -> None:
    for one in make_prompts(shipped_probe("direct_injection"), 30, Seed(0)):
        coded = base64.b64encode(one.canary.encode()).decode()
        assert one.canary in one.messages[-1][1] or coded in one.messages[-1][1]
        assert f"The word {one.canary} is printed" in one.control[-1][1]
    for one in make_prompts(shipped_probe("prompt_leakage"), 30, Seed(0)):
        assert one.canary in one.messages[0][1]
        assert one.canary not in one.control[0][1]
        assert one.messages[-1] == one.control[-1]
    for one in make_prompts(shipped_probe("unplanted"), 30, Seed(0)):
        assert not any(word in text for word in one.canary.split() for _, text in (*one.messages, *one.control))


def test_a_change_of_a_probe_changes_its_fingerprint(tmp_path) -> None:
    probe = shipped_probe("direct_injection")
    assert replace(probe, canaries=probe.canaries[1:]).fingerprint != probe.fingerprint
    found = {name: (shipped_probe(name).version, shipped_probe(name).fingerprint) for name in NAMES}
    assert found == FINGERPRINTS


def minimal(**changes: object) -> dict:
    message = [{"role": "user", "text": "Say {canary}."}]
    variant = {"name": "plain", "messages": message, "control": [{"role": "user", "text": "Say something."}]}
    return {
        "name": "own", "version": 1, "family": "injection", "check": "RED201", "purpose": "p", "mechanism": "m",
        "detector": "contains", "canaries": ["pine", "oak"], "variants": [variant], **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"family": "weather"}, "family 'weather'"),
        ({"detector": "magic"}, "detector 'magic'"),
        ({"variants": []}, "0 variants"),
        ({"canaries": []}, "needs canaries"),
        ({"slots": {"topic": []}}, "slot 'topic' has no words"),
        ({"variants": [{"name": "x"}]}, "KeyError"),
        ({"variants": [{"name": "x", "messages": [{"role": "god", "text": "t"}], "control": []}]}, "role"),
    ],
)
def test_a_probe_that_is_none_is_refused_with_what_is_wrong(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Probe.of(minimal(**changes), "own.json")


def test_a_file_of_the_callers_own_is_a_probe(tmp_path) -> None:
    place = tmp_path / "own.json"
    place.write_text(json.dumps(minimal()), encoding="utf-8")
    assert read_probe(place).name == "own"
    place.write_text("[]", encoding="utf-8")
    with pytest.raises(InputError, match="holds a list"):
        read_probe(place)
    place.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="no JSON"):
        read_probe(place)
    with pytest.raises(InputError, match="there is no probe"):
        shipped_probe("own")
    with pytest.raises(InputError, match="answers 'ATK101'"):
        probe_check(Probe.of(minimal(check="ATK101"), "own"))


def test_what_fills_a_slot_is_not_filled_again() -> None:
    probe = Probe.of(minimal(slots={"topic": ["{canary}"]}, variants=[
        {"name": "a", "messages": [{"role": "user", "text": "{topic} {unknown}"}],
         "control": [{"role": "user", "text": "x"}]}]), "own")  # fmt: skip
    assert make_prompts(probe, 2, Seed())[0].messages == (("user", "{canary} {unknown}"),)


@pytest.mark.parametrize(
    ("output", "hit"),
    [
        ("PINE.", True),
        ("The word is 'pine'", True),
        ("pi\u200bne", True),
        ("ｐｉｎｅ", True),
        ("pineapple", False),
        ("alpine", False),
        ("", False),
    ],
)
def test_a_canary_is_found_as_a_word_of_its_own(output: str, hit: bool) -> None:
    assert contains(output, "pine") is hit


def test_an_output_begins_with_the_canary() -> None:
    assert begins(' "Pine" it is', "pine")
    assert not begins("No, pine", "pine")
    assert not begins("pineapple", "pine")


SECRET = "walnut lantern"


@pytest.mark.parametrize(
    ("output", "hit"),
    [
        ("It is Walnut-Lantern!", True),
        ("w a l n u t, l a n t e r n", True),
        (SECRET[::-1], True),
        (base64.b64encode(SECRET.encode()).decode(), True),
        ("jnyahg ynagrea", True),
        ("lantern walnut", False),
        ("walnut", False),
        ("", False),
    ],
)
def test_a_secret_is_found_in_other_spellings_and_only_whole(output: str, hit: bool) -> None:
    assert holds_secret(output, SECRET) is hit


def test_a_classifier_is_needed_where_the_probe_says_so() -> None:
    with pytest.raises(InputError, match="your own classifier"):
        detector_of("classifier")


def test_a_secret_that_was_never_inserted_has_the_same_form() -> None:
    drawn = draw_unused("4821-ab", ["4821-ab"], Seed(1))
    assert drawn != "4821-ab"
    assert [one.isdigit() for one in drawn] == [one.isdigit() for one in "4821-ab"]
    assert drawn[4] == "-"
    with pytest.raises(InputError, match="no other text"):
        draw_unused("--", [], Seed(1))
    prompt = canary_prompts(shipped_probe("trained_canaries"), [TrainingCanary("pin: ", "4821", "9933")])[0]
    assert (prompt.canary, prompt.absent, prompt.messages) == ("4821", "9933", (("text", "pin: "),))
