"""Equivalent networks compute the same function, and no subject lies where gradients are not defined."""

from __future__ import annotations

import pytest
import torch

from assay.axioms.equivalent_networks import equivalent_pairs, largest_difference, relu_implementations
from assay.axioms.subjects import Subject

PAIRS = equivalent_pairs()


@pytest.mark.parametrize("place", range(len(PAIRS)), ids=[name for name, *_ in PAIRS])
def test_both_compute_one_function(place: int) -> None:
    _, one, two = PAIRS[place]
    assert largest_difference(one, two) < 1e-12
    assert one.start.tolist() == two.start.tolist()
    assert torch.equal(one.case.rows.x, two.case.rows.x)


def test_names_of_pairs_are_unique() -> None:
    names = {(name, type(one.case.model.net).__name__, one.name) for name, one, _ in PAIRS}
    assert len(names) == len(PAIRS)


def test_different_functions_differ() -> None:
    wide = [one for _, one, _ in PAIRS if one.start.shape == (4,)]
    assert max(largest_difference(wide[0], other) for other in wide) > 0.1


def smallest_relu_input(subject: Subject) -> float:
    """The smallest absolute input of a ReLU."""
    inputs: list[float] = []
    kinds = [module for module in subject.case.model.net.modules() if isinstance(module, torch.nn.ReLU)]
    hooks = [m.register_forward_hook(lambda _, given, __: inputs.append(float(given[0].abs().min()))) for m in kinds]
    subject.case.outputs(subject.case.rows.x)
    for hook in hooks:
        hook.remove()
    return min(inputs, default=1.0)


@pytest.mark.parametrize("place", range(len(PAIRS)), ids=[name for name, *_ in PAIRS])
def test_no_input_lies_on_a_kink(place: int) -> None:
    assert min(map(smallest_relu_input, PAIRS[place][1:])) > 1e-3


@pytest.mark.parametrize("name", relu_implementations())
def test_every_rectifier_rectifies(name: str) -> None:
    x = torch.tensor([-2.0, -0.5, 0.5, 3.0])
    assert relu_implementations()[name](x.clone()).tolist() == [0.0, 0.0, 0.5, 3.0]
