"""What every entry of the catalogue must declare, whichever verb it belongs to; each test lists what breaks a rule."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest
from tests.contract.claims import CLAIMS
from tests.contract.subjects import GIVEN, methods

from assay.basics.bibliography import SOURCES
from assay.basics.errors import InputError
from assay.nouns.catalogue import VERBS, Method, find

EVERY = methods()
TESTED = [*methods("explain"), *methods("evaluate")]


def names(found: list[Method]) -> list[str]:
    return [f"{method.verb}.{method.name}" for method in found]


def parameters(method: Method) -> list[inspect.Parameter]:
    return list(inspect.signature(method.body).parameters.values())


def test_a_method_has_a_file_of_its_name() -> None:
    assert names([m for m in EVERY if m.body.__module__ != f"assay.{m.verb}.{m.name}"]) == []


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_exports_its_methods_and_nothing_else(verb: str) -> None:
    package = import_module(f"assay.{verb}")
    assert set(package.__all__) == {method.name for method in methods(verb)}
    assert names([m for m in methods(verb) if getattr(package, m.name) is not m.call]) == []


def test_the_first_paragraph_says_what_the_number_means() -> None:
    assert names([m for m in EVERY if len(m.meaning) <= 20 or not m.meaning.endswith((".", ":"))]) == []
    assert names([m for m in EVERY if len(m.doc.splitlines()) <= 2]) == []


def test_the_source_is_in_the_bibliography() -> None:
    assert names([m for m in EVERY if m.source not in SOURCES]) == []


def test_every_parameter_is_named_and_typed() -> None:
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    assert names([m for m in EVERY if any(p.kind in variable for p in parameters(m))]) == []
    assert names([m for m in EVERY if any(p.annotation is p.empty for p in parameters(m))]) == []


def test_at_most_four_parameters_are_positional() -> None:
    """Explanation, case, and what the caller brings."""
    assert names([m for m in EVERY if sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters(m)) > 4]) == []


def test_the_suite_has_a_value_for_every_option_without_a_default() -> None:
    assert {n for m in TESTED for n, p in m.options.items() if p.default is p.empty} <= set(GIVEN)


def test_every_claim_is_one_that_is_tested() -> None:
    assert names([m for m in TESTED if not m.claims <= set(CLAIMS[m.verb])]) == []


def test_a_score_without_a_direction_does_not_claim_to_be_directed() -> None:
    assert names([m for m in methods("evaluate") if "directed" in m.claims and m.better == "neither"]) == []


def test_a_method_is_found_by_name_and_a_near_name_is_suggested() -> None:
    assert find("explain", "shapley").name == "shapley"
    with pytest.raises(InputError, match="did you mean shapley"):
        find("explain", "shaply")


@pytest.mark.parametrize("verb", ["explain", "evaluate", "attack", "certify"])
def test_every_method_declares_its_cost(verb: str) -> None:
    assert names([method for method in methods(verb) if method.cost is None]) == []
