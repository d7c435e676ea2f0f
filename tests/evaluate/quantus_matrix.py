"""Eight methods and ten scores of pictures of 28 × 28, with the settings that Quantus takes by default.

PixelFlipping in 28 steps, Selectivity on patches of 4 × 4, FaithfulnessCorrelation 100 × 224 pixels, Infidelity on 49
patches, ROAD at 50 levels, four scores of robustness with 200 draws, MPRT over the layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

import assay
from assay import evaluate, explain
from assay.cases.case import Case
from assay.engine.neighbourhoods import neighbourhood
from assay.nouns.results.result import Explanation, Score

BALL = assay.Ball("linf", 0.05)
LEVELS = tuple(level / 100 for level in range(1, 100, 2))
PATCHES = assay.grid((1, 28, 28), 4)
DRAWS, LAYERS = 200, 4

METHODS: dict[str, Callable[[Case], Explanation]] = {
    "gradient": lambda case: explain.saliency(case, signed=True),
    "saliency": lambda case: explain.saliency(case),
    "input × gradient": lambda case: explain.input_x_gradient(case),
    "integrated gradients": lambda case: explain.integrated_gradients(case, steps=8),
    "deconvolution": lambda case: explain.deconvolution(case),
    "guided backprop": lambda case: explain.guided_backprop(case),
    "DeepLIFT": lambda case: explain.deep_lift(case),
    "LRP-ε": lambda case: explain.lrp(case, composite="epsilon"),
}


class Net(torch.nn.Sequential):
    """Four layers with weights, modules alone, none used twice: what every library can take apart."""

    def __init__(self, wide: int = 4) -> None:
        nn = torch.nn
        super().__init__(
            nn.Conv2d(1, wide, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(wide, 2 * wide, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32 * wide, 10 * wide), nn.ReLU(), nn.Linear(10 * wide, 10),
        )  # fmt: skip
        self.eval()


def scores(case: Case, patches: Case, draws: int = DRAWS) -> dict[str, Callable[[Explanation, Explanation], Score]]:
    """The ten scores of an explanation by pixels and by patches."""
    near: dict[str, Any] = {"ball": BALL, "draws": draws}
    return {
        "PixelFlipping": lambda e, _: evaluate.morf(e, case, steps=28),
        "Selectivity": lambda _, by_patch: evaluate.selectivity(by_patch, patches),
        "FaithfulnessCorrelation": lambda e, _: evaluate.faithfulness_correlation(e, case, size=224 / 784, draws=100),
        "Infidelity": lambda _, by_patch: evaluate.infidelity(by_patch, patches, draws=49),
        "ROAD": lambda e, _: evaluate.road(e, case, shares=LEVELS),
        "MaxSensitivity": lambda e, _: evaluate.max_sensitivity(e, case, **near),
        "AvgSensitivity": lambda e, _: evaluate.average_sensitivity(e, case, **near),
        "LocalLipschitzEstimate": lambda e, _: evaluate.local_lipschitz(e, case, **near),
        "RelativeInputStability": lambda e, _: evaluate.relative_input_stability(e, case, **near),
        "MPRT": lambda e, _: evaluate.parameter_randomisation(e, case, cascade=True),
    }


def by_patch(case: Case) -> Case:
    """The same case with patches of 4 × 4 as features."""
    return case._with_known_prediction(assay.case(case.model, case.rows.x, label=case.label, features=PATCHES))


@dataclass
class Counted:
    """Rows explained, and rows predicted for anything but an explanation's own passes."""

    explanations: int = 0
    predictions: int = 0


@contextmanager
def counting(case: Case) -> Iterator[tuple[Counted, Callable[[Callable[[Case], Explanation], Case], Explanation]]]:
    """Counts model evaluations; explanations that scores recompute are counted where they are computed."""
    counted, meter = Counted(), case.model.meter
    before, inside, recompute = meter.forwards, [0], neighbourhood.recompute

    def count(explanation: Explanation) -> Explanation:
        counted.explanations += len(explanation.ids)
        inside[0] += explanation.provenance.cost.get("forwards", 0)
        return explanation

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbourhood, "recompute", lambda e, other: count(recompute(e, other)))
        yield counted, lambda method, case: count(method(case))
    counted.predictions = meter.forwards - before - inside[0]


def matrix(net: torch.nn.Module, x: Any, draws: int, methods: int = len(METHODS)) -> tuple[Counted, dict[str, Any]]:
    """All scores of the first ``methods`` methods, sharing one case, and its model evaluations."""
    case = assay.case(assay.wrap(net), x)
    first = assay.case(assay.wrap(net), x)  # the label is predicted before counting starts; Quantus is given it
    case = assay.case(assay.wrap(net), x, label=first.label)
    found: dict[str, Any] = {}
    with counting(case) as (counted, explained):
        patches = by_patch(case)
        functions = scores(case, patches, draws)
        for name, method in list(METHODS.items())[:methods]:
            pixels, coarse = explained(method, case), explained(method, patches)
            found[name] = {score: ask(pixels, coarse) for score, ask in functions.items()}
    return counted, found


def planned(rows: int, methods: int, draws: int) -> Counted:
    """Evaluations with sharing: originals twice (pixels, patches), masks and neighbours once, paths per method.

    The masks of the patches include the empty input.
    """
    clean, masks, nets = 2, 100 + 49 + 1, LAYERS
    paths = 28 + 49 + len(LEVELS)
    predictions = rows * (clean + masks + nets + draws + methods * paths)
    return Counted(rows * methods * (2 + draws + LAYERS), predictions)


def quantus_counts(rows: int, methods: int, draws: int) -> Counted:
    """Evaluations by Quantus (metered in tests/peers/test_quantus_cost.py)."""
    predictions = 28 + 49 + 101 + 491 + 50 + 2 * draws
    return Counted(rows * methods * (4 * draws + LAYERS + 2), rows * methods * predictions)


def some_pictures(rows: int) -> torch.Tensor:
    """Digits of 8 × 8, blown up."""
    from sklearn.datasets import load_digits

    x, _ = load_digits(return_X_y=True)
    large = np.kron(x[:rows].reshape(-1, 8, 8) / 16, np.ones((1, 3, 3)))
    return torch.as_tensor(np.pad(large, ((0, 0), (2, 2), (2, 2)))[:, None], dtype=torch.float32)
