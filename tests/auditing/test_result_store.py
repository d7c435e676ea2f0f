"""The result store: every step once, whatever is killed, damaged or done twice at a time."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.contract.subjects import neural, plain

import assay
from assay import explain
from assay.auditing.steps.result_store import ResultStore
from assay.basics.errors import InputError
from assay.basics.stats import Basis
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Refusal

DEPENDS = {"model": "m", "options": {"budget": 8}}


class Counted:
    """Something to make, and how often it was made."""

    def __init__(self, outcome: Any) -> None:
        self.outcome, self.times = outcome, 0

    def __call__(self) -> Any:
        self.times += 1
        return self.outcome


def finding() -> Finding:
    basis = Basis("student", {"values": np.array([1.0, 2.0, 4.0])})
    return Finding("EXP201", "pass", "gains", "shapley", 2.3, basis.at(0.9), 0.0, "at least", n=3, basis=basis)


@pytest.mark.parametrize("outcome", [[finding()], Refusal("explain.lime", "explain", "too few", "InputError"), []])
def test_a_second_audit_finds_what_the_first_has_kept(tmp_path: Path, outcome: Any) -> None:
    make = Counted(outcome)
    first = ResultStore(tmp_path).once("step", DEPENDS, make)
    second = ResultStore(tmp_path).once("step", DEPENDS, make)
    assert make.times == 1
    assert first == second == outcome


def test_an_interval_can_be_made_again_from_what_was_kept(tmp_path: Path) -> None:
    ResultStore(tmp_path).once("step", DEPENDS, lambda: [finding()])
    (back,) = ResultStore(tmp_path).once("step", DEPENDS, Counted(None))
    assert back.basis.at(0.99) == finding().basis.at(0.99)


@pytest.mark.parametrize("other", [{"model": "other"}, {"options": {"budget": 9}}])
def test_another_model_or_option_is_another_step(tmp_path: Path, other: dict[str, Any]) -> None:
    ResultStore(tmp_path).once("step", DEPENDS, Counted([]))
    make = Counted([])
    ResultStore(tmp_path).once("step", {**DEPENDS, **other}, make)
    assert make.times == 1


def test_within_one_audit_a_step_is_made_once_without_a_folder() -> None:
    make, result_store = Counted([]), ResultStore()
    assert result_store.once("step", DEPENDS, make) == result_store.once("step", DEPENDS, make)
    assert make.times == 1


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half a file", "cut"])
def test_a_damaged_file_is_made_again_and_told(tmp_path: Path, damage: bytes | str) -> None:
    ResultStore(tmp_path).once("step", DEPENDS, lambda: [finding()])
    (place,) = tmp_path.glob("??/*.assay")
    place.write_bytes(place.read_bytes()[:-40] if isinstance(damage, str) else damage)
    result_store, make = ResultStore(tmp_path), Counted([finding()])
    assert result_store.once("step", DEPENDS, make) == [finding()]
    assert (make.times, result_store.damaged) == (1, [place.name])
    assert ResultStore(tmp_path).once("step", DEPENDS, Counted(None)) == [finding()]


def test_a_step_that_breaks_leaves_nothing_behind(tmp_path: Path) -> None:
    def breaks() -> Any:
        raise InputError("broken")

    with pytest.raises(InputError):
        ResultStore(tmp_path).once("step", DEPENDS, breaks)
    assert list(tmp_path.glob("??/*.assay")) == []
    assert ResultStore(tmp_path).once("step", DEPENDS, Counted([])) == []


def test_of_two_at_a_time_one_works_and_the_other_waits(tmp_path: Path) -> None:
    entered, free, made = threading.Event(), threading.Event(), []

    def slow() -> list[Finding]:
        made.append("first")
        entered.set()
        free.wait(10)
        return [finding()]

    first = threading.Thread(target=lambda: ResultStore(tmp_path).once("step", DEPENDS, slow))
    first.start()
    assert entered.wait(10)
    got: list[Any] = []
    second = threading.Thread(
        target=lambda: got.append(ResultStore(tmp_path).once("step", DEPENDS, lambda: made.append("second")))
    )
    second.start()
    free.set()
    first.join(10)
    second.join(10)
    assert made == ["first"]
    assert got == [[finding()]]


def test_a_game_remembers_across_processes_what_it_was_asked(tmp_path: Path) -> None:
    zero = assay.Constant(0.0)

    def explained(case: assay.Case) -> Any:
        result_store = ResultStore(tmp_path, case.model.meter)
        game = case.game(zero)
        return result_store.once("explain", DEPENDS, lambda: explain.shapley(case, remove=zero), game.cache)

    first, again = plain(), plain()
    one, two = explained(first), explained(again)
    assert one.values.tobytes() == two.values.tobytes()
    assert again.model.meter.forwards == 0
    explain.banzhaf(again, remove=zero)
    assert again.model.meter.forwards == 3  # the rows themselves; all coalitions were remembered


def test_costs_are_those_of_the_first_making(tmp_path: Path) -> None:
    case = neural()
    for _ in range(2):
        result_store = ResultStore(tmp_path, case.model.meter)
        result_store.once("explain", DEPENDS, lambda: explain.saliency(case))
        assert result_store.total()["gradient evaluations"] == 3
