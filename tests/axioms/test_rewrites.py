"""Two ways of writing one function are one function, and no subject stands where slopes are not defined."""

from __future__ import annotations

import pytest
import torch

from assay.axioms.rewrites import largest_difference, pairs, rectifiers
from assay.axioms.subjects import Subject

PAIRS = pairs()


@pytest.mark.parametrize("place", range(len(PAIRS)), ids=[name for name, *_ in PAIRS])
def test_both_compute_one_function(place: int) -> None:
    _, one, two = PAIRS[place]
    assert largest_difference(one, two) < 1e-12
    assert one.start.tolist() == two.start.tolist()
    assert torch.equal(one.case.rows.x, two.case.rows.x)


def test_names_tell_pairs_apart() -> None:
    told = {(name, type(one.case.model.net).__name__, one.name) for name, one, _ in PAIRS}
    assert len(told) == len(PAIRS)


def test_two_functions_are_told_apart() -> None:
    wide = [one for _, one, _ in PAIRS if one.start.shape == (4,)]
    assert max(largest_difference(wide[0], other) for other in wide) > 0.1


def smallest_step(subject: Subject) -> float:
    """How near a rectifier's input comes to 0."""
    seen: list[float] = []
    kinds = [module for module in subject.case.model.net.modules() if isinstance(module, torch.nn.ReLU)]
    hooks = [m.register_forward_hook(lambda _, given, __: seen.append(float(given[0].abs().min()))) for m in kinds]
    subject.case.outputs(subject.case.rows.x)
    for hook in hooks:
        hook.remove()
    return min(seen, default=1.0)


@pytest.mark.parametrize("place", range(len(PAIRS)), ids=[name for name, *_ in PAIRS])
def test_no_input_stands_on_a_kink(place: int) -> None:
    assert min(map(smallest_step, PAIRS[place][1:])) > 1e-3


@pytest.mark.parametrize("name", rectifiers())
def test_every_rectifier_rectifies(name: str) -> None:
    x = torch.tensor([-2.0, -0.5, 0.5, 3.0])
    assert rectifiers()[name](x.clone()).tolist() == [0.0, 0.0, 0.5, 3.0]
