"""A toy method, one function and one export, is found by everything; and faulty ones are caught by the laws."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.contract.claims import CLAIMS
from tests.contract.laws import LAWS, violations
from tests.contract.runs import Runs
from tests.contract.subjects import load_catalogue, pairs
from tests.test_docs import generator

import assay
from assay.basics.seed import Seed
from assay.cases.case import Case
from assay.cli.main import app
from assay.engine.cost import free
from assay.engine.declare import explainer, scorer
from assay.nouns.catalogue import Method, known, leave
from assay.nouns.results.result import Estimate, Explanation

load_catalogue()


def toy(case: Case, *, scale: float = 1.0) -> Any:
    """How large each part of the row is, times a scale.

    Nothing to do with the model: a toy.
    """
    return scale * case.features.pool(assay.nouns.inputs.rows.to_floats(case.rows.x))


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Method]:
    """The toy declared, and exported by one line."""
    declared = explainer(source="shapley1953", claims={"reference"})(toy)
    monkeypatch.setattr(assay.explain, "toy", declared, raising=False)
    yield declared.method
    leave(declared.method)


def test_it_can_be_called(entered: Method) -> None:
    result = assay.explain.toy(assay.examples.linear((2, -1)), scale=3.0)
    assert result.values.tolist() == [[3.0, 3.0]]
    assert result.provenance.options == {"scale": 3.0}


def test_it_is_in_the_catalogue(entered: Method) -> None:
    assert entered in list(known("explain"))


def test_its_result_can_be_remade_elsewhere(entered: Method) -> None:
    first = assay.explain.toy(assay.examples.linear((2, -1)), scale=3.0)
    again = assay.recompute(first, assay.examples.linear((1, 1), x=[[5.0, 7.0]]))
    assert again.values.tolist() == [[15.0, 21.0]]


def test_the_command_line_lists_it(entered: Method, capsys: pytest.CaptureFixture[str]) -> None:
    assert not app(["list", "explain", "--json"], exit_on_error=False, result_action="return_value")
    assert "toy" in {row["name"] for row in json.loads(capsys.readouterr().out)}


def test_it_has_a_page(entered: Method) -> None:
    page = generator().page(entered)
    assert "scale: float = 1.0" in page
    assert "Nothing to do with the model" in page
    assert "toy" in generator().table("explain")


def test_the_contract_suite_runs_over_it(entered: Method) -> None:
    subjects = [subject for method, subject in pairs("explain") if method is entered]
    assert subjects
    for subject in subjects:
        assert violations(Runs(entered, subject)) == {}
    CLAIMS["explain"]["reference"](entered)


def wrong_shape(case: Case) -> Any:
    """A number a row, not a part."""
    return Estimate(np.zeros((len(case), len(case.features))), np.zeros(len(case)))


def infinite(case: Case) -> Any:
    """Beyond all numbers."""
    return np.full((len(case), len(case.features)), np.inf)


def undefined(case: Case) -> Any:
    """Not a number."""
    return np.full((len(case), len(case.features)), np.nan)


def unseeded(case: Case) -> Any:
    """Chance without a seed."""
    return np.random.default_rng().random((len(case), len(case.features)))


def global_chance(case: Case) -> Any:
    """Chance from the global stream."""
    return 0.0 * np.random.random((len(case), len(case.features)))  # noqa: NPY002  # the fault that is planted


def by_position(case: Case) -> Any:
    """Chance by the row's position."""
    return case.seed.generator().random((len(case), len(case.features)))


def by_batch(case: Case) -> Any:
    """The size of the batch."""
    return np.full((len(case), len(case.features)), float(case.model.batch))


def by_other_rows(case: Case) -> Any:
    """The mean over all rows."""
    return np.full((len(case), len(case.features)), float(case.output.mean()))


def grown(case: Case) -> Any:
    """What is left when the rows are changed in place."""
    if isinstance(case.rows.x, torch.Tensor):
        case.rows.x.add_(1.0)
    return np.zeros((len(case), len(case.features)))


def careless(case: Case) -> Any:
    """What is left when gradients are switched on and not off."""
    if isinstance(case.rows.x, torch.Tensor):
        case.rows.x.requires_grad_(True)
        case.value(case.rows.x)
        case.value(case.rows.x)
        case.value(case.rows.x)
        case.rows.x.requires_grad_(False)
    return np.zeros((len(case), len(case.features)))


def wrong_cost(case: Case) -> Any:
    """One evaluation of each row, where none is declared."""
    return np.zeros((len(case), len(case.features))) + 0.0 * case.value(case.rows.x)[:, None]


def hook_left(case: Case) -> Any:
    """A hook on the net that stays after the call."""
    if case.model.net is not None:
        case.model.net.register_forward_hook(lambda *_: None)
    return np.zeros((len(case), len(case.features)))


FAULTS: dict[str, tuple[Callable[..., Any], str, str]] = {
    "wrong shape of the error": (wrong_shape, "values_have_the_shape_of_the_rows", "smooth"),
    "infinite": (infinite, "values_are_finite_or_noted_as_undefined", "smooth"),
    "undefined explanation": (undefined, "values_are_finite_or_noted_as_undefined", "smooth"),
    "unseeded": (unseeded, "the_same_seed_gives_the_same_bytes", "smooth"),
    "the global stream": (global_chance, "the_call_leaves_everything_unchanged", "smooth"),
    "by position": (by_position, "row_order_changes_nothing", "smooth"),
    "by position, alone": (by_position, "other_rows_change_nothing", "smooth"),
    "by batch": (by_batch, "batch_size_changes_nothing", "smooth"),
    "by other rows": (by_other_rows, "other_rows_change_nothing", "smooth"),
    "by any of the three": (by_other_rows, "order_batches_and_other_rows_together_change_nothing", "smooth"),
    "rows changed": (grown, "the_call_leaves_everything_unchanged", "neural"),
    "a hook left": (hook_left, "the_call_leaves_everything_unchanged", "neural"),
    "gradients left on": (careless, "an_error_leaves_everything_unchanged", "neural"),
    "more evaluations than declared": (wrong_cost, "model_evaluations_equal_the_declared_cost", "smooth"),
}


@pytest.mark.parametrize(("body", "law", "subject"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_method_breaks_the_law_by_name(body: Callable[..., Any], law: str, subject: str) -> None:
    declared = explainer(source="shapley1953", cost=free)(body)
    try:
        assert law in violations(Runs(declared.method, subject))
    finally:
        leave(declared.method)


class Altered(Runs):
    """The calls of the toy, with one change made to the first result."""

    def __init__(self, method: Method, change: Callable[[Explanation], Explanation]) -> None:
        super().__init__(method, "smooth")
        case, result, changes = self.first
        self.first = case, change(result), changes


def writeable(result: Explanation) -> Explanation:
    values = result.values.copy()
    changed = replace(result, values=values)
    changed.values.flags.writeable = True
    return changed


def copied(result: Explanation, kind: type[Explanation], **changes: Any) -> Any:
    return kind(**{field.name: getattr(result, field.name) for field in fields(result)} | changes)


class Forgetful(Explanation):
    """An explanation whose file leaves its meaning out."""

    def save(self, path: Any) -> Any:
        return copied(self, Explanation, meaning="").save(path)


CHANGES: dict[str, tuple[Callable[[Explanation], Explanation], str]] = {
    "values that can be changed": (writeable, "values_are_read_only"),
    "another seed": (
        lambda result: replace(result, provenance=replace(result.provenance, seed=Seed(99))),
        "the_provenance_records_the_call",
    ),
    "a part left out of the file": (
        lambda result: copied(result, Forgetful),
        "the_result_survives_saving_and_loading",
    ),
}


@pytest.mark.parametrize(("change", "law"), CHANGES.values(), ids=CHANGES)
def test_a_faulty_result_breaks_the_law_by_name(
    entered: Method, change: Callable[[Explanation], Explanation], law: str
) -> None:
    assert law in violations(Altered(entered, change))


def test_every_law_has_a_planted_fault() -> None:
    assert {law for _, law, _ in FAULTS.values()} | {law for _, law in CHANGES.values()} == set(LAWS)


def slopes(case: Case, *, budget: int = 2) -> Any:
    """The gradient, with chance mixed in; keeps none of the laws of fair shares."""
    noise = np.stack([case.seed.child(name).generator().random(len(case.features)) for name in case.rows.ids])
    slope = case.features.pool(assay.nouns.inputs.rows.to_floats(case.gradient(case.rows.x)))
    return Estimate(np.abs(slope) + noise, noise, case.output)


@pytest.mark.parametrize("claim", CLAIMS["explain"])
def test_a_false_claim_of_an_explainer_is_caught(claim: str) -> None:
    declared = explainer(source="shapley1953")(slopes)
    try:
        with pytest.raises(AssertionError):
            CLAIMS["explain"][claim](declared.method)
    finally:
        leave(declared.method)


def size(explanation: Explanation, case: Case) -> Any:
    """How large the explanation is: depends on more than order, and not on truth."""
    return np.abs(explanation.values).sum(axis=1)


@pytest.mark.parametrize("claim", CLAIMS["evaluate"])
def test_a_false_claim_of_a_score_is_caught(claim: str) -> None:
    declared = scorer(source="samek2017", better="higher")(size)
    try:
        with pytest.raises(AssertionError):
            CLAIMS["evaluate"][claim](declared.method)
    finally:
        leave(declared.method)


def test_a_turned_direction_is_caught() -> None:
    turned = replace(assay.evaluate.deletion.method, better="higher")
    with pytest.raises(AssertionError):
        CLAIMS["evaluate"]["directed"](turned)
