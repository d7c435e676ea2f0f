"""A recipe is refused where its functions cannot be called as they will be; what fit returns must be a model."""

from functools import partial
from typing import Any

import pytest

import assay
from assay.basics.errors import InputError
from assay.basics.seed import Seed


class Trainer:
    def __call__(self, x: Any, y: Any, seed: Any, strength: float) -> str:
        return "model"

    def train(self, x: Any, y: Any, seed: Any = None, strength: float = 0.0) -> str:
        return "model"


FITTING: dict[str, Any] = {
    "four": lambda x, y, seed, strength: "model",
    "any": lambda *given: "model",
    "defaults": lambda x, y, seed=None, strength=0.0, more=1: "model",
    "an object": Trainer(),
    "a method": Trainer().train,
    "a partial": partial(lambda how, x, y, seed, strength: "model", "well"),
}


@pytest.mark.parametrize("name", FITTING)
def test_functions_of_four_arguments_are_recipes(name: str) -> None:
    assert assay.Recipe(FITTING[name], [[1.0]], [0]).train([[1.0]], [0], Seed(0)) == "model"


@pytest.mark.parametrize(
    "fit", [lambda x, y: 1, lambda x, y, seed: 1, lambda x, y, *, seed, strength: 1, lambda x, y, s, t, more: 1]
)
def test_a_function_of_other_arguments_is_refused_by_its_own_signature(fit: Any) -> None:
    with pytest.raises(InputError, match=r"fit\(x, y.*cannot be called as fit\(x, y, seed, strength\)"):
        assay.Recipe(fit, [[1.0]], [0])


def test_a_function_that_trains_many_has_five_arguments() -> None:
    with pytest.raises(InputError, match=r"fit_many\(x, y, members, seed, strength\)"):
        assay.Recipe(FITTING["four"], [[1.0]], [0], fit_many=FITTING["four"])


def test_a_fit_that_returns_nothing_is_named() -> None:
    with pytest.raises(InputError, match="returns None"):
        assay.Recipe(lambda *given: None, [[1.0]], [0]).train([[1.0]], [0], Seed(0))
