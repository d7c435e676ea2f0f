"""Eight methods × ten scores ask less of the model than each score by itself would: counted, not timed."""

import pytest
import torch
from tests.evaluate.quantus_matrix import Counted, Net, matrix, planned, quantus_counts, some_pictures


def count(rows: int, methods: int, draws: int) -> Counted:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Net()
    return matrix(net, some_pictures(rows), draws, methods)[0]


@pytest.mark.parametrize(("rows", "methods", "draws"), [(2, 8, 2), (2, 2, 2), (3, 2, 2), (2, 2, 5)])
def test_shared_evaluations_cost_what_the_plan_says(rows: int, methods: int, draws: int) -> None:
    """Masks that orders have in common are evaluated once (LRP-ε orders as input × gradient), so there may be fewer."""
    ours, plan = count(rows, methods, draws), planned(rows, methods, draws)
    assert ours.explanations == plan.explanations
    assert 0.85 * plan.predictions <= ours.predictions <= plan.predictions


def test_at_full_size_the_plan_is_a_sixth_of_quantus_predictions_and_under_a_third_of_its_explanations() -> None:
    ours, theirs = planned(64, 8, 200), quantus_counts(64, 8, 200)
    assert (theirs.predictions, theirs.explanations) == (572_928, 412_672)
    assert theirs.predictions >= 6 * ours.predictions
    assert theirs.explanations >= 3.5 * ours.explanations
