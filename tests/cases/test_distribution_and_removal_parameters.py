"""Parameters of removals, distributions and balls: what is out of range is refused when the object is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from assay.basics.errors import InputError
from assay.cases.removals import Blur, Conditional, Constant, Marginal, Mean, NoisyLinear
from assay.engine.gradients.distributions import BlurPath, Gaussian, Line, Lines, Path, Uniform
from assay.engine.search.ball import Ball

ROWS = np.ones((5, 3))

NO_NUMBERS: list[Any] = [float("nan"), float("inf"), -float("inf"), "1", None, True, [1.0], 1j, object()]
NO_COUNTS: list[Any] = [0, -1, 0.5, 2.0, *NO_NUMBERS]

NUMBERS: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
    "Blur sigma": (Blur, [0, -1, -0.5]),
    "NoisyLinear noise": (NoisyLinear, [-1, -1e-9]),
    "BlurPath sigma": (BlurPath, [0, -1.0]),
    "Uniform radius": (Uniform, [-1, -1e-9]),
    "Path width": (lambda value: Path(lambda x, a: x, width=value), [0, -0.1, 0.6]),
    "Ball radius": (lambda value: Ball("linf", value), [0, -1.0]),
}
COUNTS: dict[str, Callable[[Any], Any]] = {
    "Conditional k": lambda value: Conditional(ROWS, value),
    "Line steps": lambda value: Line(0.0, value),
    "Lines steps": lambda value: Lines(ROWS, value),
    "BlurPath steps": lambda value: BlurPath(steps=value),
    "Path steps": lambda value: Path(lambda x, a: x, steps=value),
    "Gaussian draws": lambda value: Gaussian(1.0, value),
    "Uniform draws": lambda value: Uniform(1.0, value),
}
ARRAYS: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
    "Constant": (Constant, [float("nan"), np.array([1.0, np.inf]), "a", None, object(), np.array(["a"]), {1, 2}]),
    "Line start": (Line, [float("nan"), np.array([1.0, np.nan]), "a", None, torch.tensor([np.inf])]),
    "Gaussian sigma": (Gaussian, [-1, float("nan"), np.array([1.0, -1.0]), "a", None, torch.tensor([[-1.0]])]),
}
BACKGROUNDS: dict[str, Callable[[Any], Any]] = {
    "Mean": Mean,
    "Marginal": Marginal,
    "Conditional": lambda value: Conditional(value, 1),
    "Lines": Lines,
}
NO_ROWS: list[Any] = [None, 3, "rows", [], ROWS[:0], pd.DataFrame({"a": []})]


def cases(table: dict[str, tuple[Callable[[Any], Any], list[Any]]], more: list[Any]) -> Any:
    named = [(name, make, value) for name, (make, values) in table.items() for value in [*values, *more]]
    return pytest.mark.parametrize(
        ("make", "value"), [case[1:] for case in named], ids=[f"{name} {str(value)[:12]}" for name, _, value in named]
    )


@cases(NUMBERS, NO_NUMBERS)
def test_a_number_out_of_range_is_refused(make: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(InputError, match=r"needed|needs"):
        make(value)


@cases({name: (make, []) for name, make in COUNTS.items()}, NO_COUNTS)
def test_a_number_that_counts_nothing_is_refused(make: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(InputError, match="a whole number, at least 1, is needed"):
        make(value)


@cases(ARRAYS, [])
def test_an_array_with_elements_out_of_range_is_refused(make: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(InputError, match=r"finite|needed"):
        make(value)


@cases({name: (make, []) for name, make in BACKGROUNDS.items()}, NO_ROWS)
def test_a_background_without_rows_is_refused(make: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(InputError, match="row"):
        make(value)


@pytest.mark.parametrize("limits", [(1.0, 0.0), (0.0, 0.0), (float("nan"), 1.0), (0.0, "1"), (None, 1.0), (0.0, True)])
def test_bounds_of_a_ball_that_hold_nothing_are_refused(limits: Any) -> None:
    with pytest.raises(InputError, match="low < high"):
        Ball("linf", 0.1, *limits)


def test_more_neighbours_than_background_rows_are_refused() -> None:
    with pytest.raises(InputError, match="k=6 neighbours in a background of 5 rows"):
        Conditional(ROWS, 6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Blur(np.float32(0.5)),
        lambda: NoisyLinear(0),
        lambda: Constant(np.int64(3)),
        lambda: Constant({"a": "x"}),
        lambda: Gaussian(0.0, np.int64(2)),
        lambda: Gaussian(np.zeros((3, 1))),
        lambda: Line(torch.zeros(3), 1),
        lambda: Ball("l2", np.float64(1.0), -np.inf, np.inf),
        lambda: Marginal(pd.DataFrame({"a": [1.0]})),
        lambda: Conditional(ROWS, 5),
        lambda: Mean(torch.ones(1, 3)),
    ],
)
def test_what_is_at_the_edge_of_the_range_is_accepted(make: Callable[[], Any]) -> None:
    assert make() is not None
