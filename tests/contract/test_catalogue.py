"""What every entry of the catalogue must say about itself, whichever verb it belongs to."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest
from tests.contract.laws import CLAIMS
from tests.contract.subjects import GIVEN, gathered, methods

from assay.basics.bibliography import SOURCES
from assay.basics.errors import InputError
from assay.nouns.catalogue import VERBS, Method, find

gathered()
EVERY = pytest.mark.parametrize("method", methods(), ids=lambda m: f"{m.verb}.{m.name}")


@EVERY
def test_the_method_lives_in_a_file_of_its_name_and_is_exported(method: Method) -> None:
    package = import_module(f"assay.{method.verb}")
    assert method.body.__module__ == f"assay.{method.verb}.{method.name}"
    assert method.name in package.__all__
    assert getattr(package, method.name) is method.call


@EVERY
def test_the_method_says_what_its_number_means(method: Method) -> None:
    assert len(method.meaning) > 20
    assert method.meaning.endswith(".") or method.meaning.endswith(":")
    assert len(method.doc.splitlines()) > 2


@EVERY
def test_the_method_names_a_source_that_is_in_the_bibliography(method: Method) -> None:
    assert method.source in SOURCES


@EVERY
def test_options_have_names_types_and_defaults(method: Method) -> None:
    parameters = inspect.signature(method.body).parameters.values()
    assert not [p.name for p in parameters if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    assert (
        sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters) <= 4
    )  # explanation, case, and what the caller brings
    assert not [p.name for p in parameters if p.annotation is p.empty]


@pytest.mark.parametrize("method", [*methods("explain"), *methods("evaluate")], ids=lambda m: m.name)
def test_an_option_without_a_default_is_one_the_suite_knows(method: Method) -> None:
    assert {n for n, p in method.options.items() if p.default is p.empty} <= set(GIVEN)


@pytest.mark.parametrize("method", [*methods("explain"), *methods("evaluate")], ids=lambda m: m.name)
def test_claims_are_words_that_are_tested(method: Method) -> None:
    assert method.claims <= set(CLAIMS[method.verb])


@pytest.mark.parametrize("method", methods("evaluate"), ids=lambda m: m.name)
def test_a_score_with_a_direction_claims_it_where_chance_can_be_beaten(method: Method) -> None:
    assert "directed" not in method.claims or method.better != "neither"


@pytest.mark.parametrize("verb", VERBS)
def test_all_that_a_verb_exports_is_in_the_catalogue(verb: str) -> None:
    exported = set(import_module(f"assay.{verb}").__all__)
    assert exported == {method.name for method in methods(verb)}


def test_a_method_is_found_by_name_and_a_near_name_is_suggested() -> None:
    assert find("explain", "shapley").name == "shapley"
    with pytest.raises(InputError, match="did you mean shapley"):
        find("explain", "shaply")


@pytest.mark.parametrize("verb", ["explain", "evaluate", "attack", "certify"])
def test_every_method_has_a_price(verb: str) -> None:
    assert [method.name for method in methods(verb) if method.cost is None] == []
