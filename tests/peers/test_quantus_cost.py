"""What Quantus asks of a model a picture and method, metered; tests/evaluate/test_shared_cost.py reckons with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.evaluate.quantus_matrix import Net, quantus_counts, some_pictures
from tests.peers.quantus_setting import gradient, kept_rng, loaded

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]
DRAWS, LAYERS = 3, 4
ASKED: dict[str, tuple[dict[str, Any], int, int]] = {
    "PixelFlipping": ({"features_in_step": 28}, 28, 0),
    "Selectivity": ({"patch_size": 4}, 49, 0),
    "FaithfulnessCorrelation": ({"return_aggregate": False}, 101, 0),
    "Infidelity": ({}, 491, 0),
    "ROAD": ({}, 50, 0),
    "MaxSensitivity": ({"nr_samples": DRAWS}, 0, DRAWS),
    "AvgSensitivity": ({"nr_samples": DRAWS}, 0, DRAWS),
    "LocalLipschitzEstimate": ({"nr_samples": DRAWS}, 0, DRAWS),
    "RelativeInputStability": ({"nr_samples": DRAWS}, 2 * DRAWS, DRAWS),
    "MPRT": ({}, 0, LAYERS + 2),
}
"""Options, predictions and explanations a picture; in full size there are 200 draws."""


def asked(name: str, rows: int = 2) -> tuple[int, int]:
    metric = getattr(loaded(), name)(disable_warnings=True, **ASKED[name][0])
    net, explained, passed, inside = Net(), [0], [0], [False]
    net.register_forward_hook(lambda _, given, __: passed.__setitem__(0, passed[0] + len(given[0]) * (not inside[0])))

    def counted(model: Any, inputs: Any, targets: Any, **_: Any) -> np.ndarray:
        explained[0] += len(inputs)
        hooks, model._forward_hooks = model._forward_hooks, type(model._forward_hooks)()
        try:
            with torch.enable_grad():
                return gradient(model.double(), inputs, targets)
        finally:
            model.float()
            model._forward_hooks = hooks

    x = some_pictures(rows).numpy()
    values = None if name == "MPRT" else np.random.default_rng(0).normal(size=x.shape)
    with kept_rng():
        metric(
            model=net, x_batch=x, y_batch=np.arange(rows), a_batch=values, explain_func=counted,
            channel_first=True, device="cpu",
        )  # fmt: skip
    return passed[0] // rows, explained[0] // rows


@pytest.mark.parametrize("name", ASKED)
def test_quantus_asks_what_is_reckoned_with(name: str) -> None:
    assert asked(name) == ASKED[name][1:]


def test_the_sum_is_what_is_reckoned_with() -> None:
    whole = quantus_counts(1, 1, DRAWS)
    predictions, explanations = (sum(row[kind] for row in ASKED.values()) for kind in (1, 2))
    assert (whole.predictions, whole.explanations) == (predictions, explanations)
