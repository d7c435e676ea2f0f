"""The study of what holds explanations under a shift, on models with known answers and on small nets."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats
from torch import nn

import assay
from assay import explain
from assay.basics.errors import CapabilityError, InputError
from assay.model.adapters.function import function

X = np.random.default_rng(0).normal(size=(40, 3))
INF = float("inf")


def signed(case: assay.Case) -> Any:
    return explain.saliency(case, signed=True)


def means(x: Any, y: Any, seed: assay.Seed, strength: float) -> assay.Model:
    """A linear model whose weights are the mean row over 1 + strength, and a little of the seed."""
    w = x.mean(axis=0) / (1 + strength) + 0.1 * seed.generator().normal(size=x.shape[1])
    return function(lambda x: x @ w, gradient=lambda x: np.broadcast_to(w, x.shape), name="means", fingerprint=str(w))


def further(x: Any, y: Any, size: float, seed: assay.Seed) -> tuple[Any, Any]:
    """Every row moved by (size, 0, 0)."""
    return x + np.array([size, 0.0, 0.0]), y


def recipe(**options: Any) -> assay.Recipe:
    return assay.Recipe(means, X, X[:, 0], **options)


def test_of_linear_models_the_distance_is_what_the_shift_does_to_the_weights() -> None:
    found = assay.shift_study(
        recipe(regularises=True),
        X[:4],
        method=signed,
        shift=further,
        sizes=(0.0, 2.0),
        strengths=(0.0, 3.0),
        k=1,
        repeats=3,
    )
    assert_allclose(found["strength"], [0, 0, 3, 3])
    assert_allclose(found["shift"], [0, 2, 0, 2])
    assert_allclose(found["distance"], [0, 2, 0, 0.5], atol=1e-12)  # a pair shares its seed
    assert_allclose(found["distance low"], found["distance high"])
    assert (found["distance retraining"] > 0.05).all()
    assert_allclose(found["distance retraining"][0], found["distance retraining"][2])
    assert found["feature"][0] == found["sign"][0] == 1
    assert found["weights"].isna().all()
    assert found["accuracy before"].isna().all()


def test_the_interval_is_students_over_pairs() -> None:
    def by_seed(x: Any, y: Any, size: float, seed: assay.Seed) -> tuple[Any, Any]:
        return x + size * seed.generator().normal(size=(1, 3)), y

    found = assay.shift_study(recipe(), X[:4], method=signed, shift=by_seed, sizes=(1.0,), k=1, repeats=4, level=0.9)
    drawn = [assay.Seed(0).child("shift study", number, "shift").generator().normal(size=3) for number in range(4)]
    moves = np.linalg.norm(drawn, axis=1)
    assert_allclose(found["distance"], moves.mean())
    low, high = scipy_stats.t.interval(0.9, 3, moves.mean(), scipy_stats.sem(moves))
    assert_allclose([found["distance low"][0], found["distance high"][0]], [low, high])


def net(kind: type[nn.Module]) -> assay.Recipe:
    generator = np.random.default_rng(1)
    x = generator.normal(size=(200, 4)).astype(np.float32)
    y = (x @ np.array([2.0, -1.0, 1.0, 0.0]) + x[:, 0] * x[:, 1] > 0).astype(int)

    def fit(x: Any, y: Any, seed: assay.Seed, strength: float) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed.entropy % 2**63)
            module = nn.Sequential(nn.Linear(4, 12), kind(), nn.Linear(12, 2))
            step = torch.optim.SGD(module.parameters(), lr=0.3, weight_decay=strength)
            for _ in range(120):
                step.zero_grad()
                nn.functional.cross_entropy(module(torch.tensor(x)), torch.tensor(y)).backward()
                step.step()
        return module.eval()

    return assay.Recipe(fit, x, y, regularises=True)


def noisy(x: Any, y: Any, size: float, seed: assay.Seed) -> tuple[Any, Any]:
    return (x + size * seed.generator().normal(size=x.shape)).astype(np.float32), y


def test_weight_decay_and_softplus_reduce_the_shift_of_gradients() -> None:
    relu = net(nn.ReLU)
    found = assay.shift_study(
        {"relu": relu, "softplus": net(nn.Softplus)},
        relu.x[:60],
        method=signed,
        shift=noisy,
        sizes=(0.5,),
        strengths=(0.0, 0.02),
        sharpness=(INF, 2.0),
        labels=relu.y[:60],
        k=2,
        repeats=3,
        steps=4,
    )
    assert len(found) == 2 * 2 * 2
    table = found.set_index(["recipe", "strength", "sharpness"])
    plain = table.loc[("relu", 0.0, INF)]
    assert table.loc[("relu", 0.02, INF), "distance"] < plain["distance"]
    assert table.loc[("relu", 0.0, 2.0), "distance"] < plain["distance"]
    assert table.loc[("relu", 0.0, 2.0), "constant"] < plain["constant"]
    assert table.loc[("softplus", 0.0, INF), "turned"] < plain["turned"]
    assert plain["accuracy before"] > 0.85
    assert plain["unequal"] == (abs(plain["accuracy before"] - plain["accuracy after"]) > 0.02)
    # Lemma 1 on the grid, pair by pair, and so on average where weights and constants are paired
    assert (found["distance"] <= 1.5 * found["constant"] * found["weights"]).all()


def test_softplus_of_a_model_that_is_no_torch_net_is_refused() -> None:
    with pytest.raises(CapabilityError, match="softplus_surrogate needs a torch net"):
        assay.shift_study(recipe(), X[:2], method=signed, shift=further, sizes=(1.0,), sharpness=(2.0,), k=1)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"strengths": (0.5,)}, CapabilityError, "the recipe does not use strength"),
        ({"sizes": ()}, InputError, "at least one strength, one sharpness, one size"),
        ({"repeats": 0}, InputError, "repeats of at least 1"),
        ({"shift": lambda x, y, size, seed: (x[:3], y)}, InputError, "shift gave 3 rows and 40 labels"),
    ],
)
def test_what_cannot_be_studied_is_refused(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    given = {"method": signed, "shift": further, "sizes": (1.0,), "k": 1, "repeats": 1} | options
    with pytest.raises(kind, match=message):
        assay.shift_study(recipe(), X[:2], **given)


def test_what_is_no_recipe_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="not a recipe: mine"):
        assay.shift_study({"mine": 3}, X[:2], method=signed, shift=further, sizes=(1.0,))
