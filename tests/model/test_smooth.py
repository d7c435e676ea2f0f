"""A smoothed model is the mean of the model over fixed noise fields, gradients and costs included."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import assay
from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.model import smooth
from assay.nouns.inputs.rows import Rows


def net(classes: int = 3) -> Any:
    generator = torch.Generator().manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, classes)).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return assay.wrap(module.eval())


X = np.random.default_rng(0).normal(size=(5, 4))


def literal(model: Any, x: Any, sigma: float, draws: int, seed: Seed) -> Any:
    """The slow transcription: one noise field after the other, and its mirror image."""
    total = 0.0
    for pair in range(draws // 2):
        noise = sigma * seed.child("smoothed", pair).generator().standard_normal(x.shape[1:])
        for sign in (1, -1):
            moved = torch.as_tensor(x + sign * noise)
            total = total + torch.softmax(model.net(moved), dim=1).numpy()
    return total / draws


def test_it_is_the_mean_of_the_probabilities_over_mirrored_noise() -> None:
    model = net()
    out = assay.case(smooth(model, sigma=0.3, draws=6, seed=Seed(4)), X).prediction
    assert_allclose(out, literal(model, X, 0.3, 6, Seed(4)), atol=1e-12)
    assert_allclose(out.sum(axis=1), 1.0)


def test_it_is_a_deterministic_function_whatever_the_batch() -> None:
    model = smooth(net(), sigma=0.5)
    together, alone = assay.case(model, X).prediction, [assay.case(model, row[None]).prediction[0] for row in X]
    assert_allclose(together, alone, atol=1e-14)
    assert np.array_equal(together, assay.case(model, X).prediction)


def test_its_gradient_is_that_of_finite_differences() -> None:
    case = assay.case(smooth(net(), sigma=0.4, draws=8), X, target="probability", label=1)
    slope, step = case.gradient(case.rows.x).numpy(), 1e-6
    for j in range(4):
        moved = step * np.eye(4)[j]
        rise = case.value(torch.as_tensor(X + moved)) - case.value(torch.as_tensor(X - moved))
        assert_allclose(slope[:, j], rise / (2 * step), atol=1e-7)


def test_its_gradient_is_the_mean_gradient_of_the_probabilities() -> None:
    model, mean = net(), 0.0
    for pair in range(4):
        noise = 0.4 * Seed(0).child("smoothed", pair).generator().standard_normal(4)
        for sign in (1, -1):
            case = assay.case(model, X + sign * noise, target="probability", label=1)
            mean = mean + case.gradient(case.rows.x).numpy() / 8
    averaged = assay.case(smooth(model, sigma=0.4, draws=8, seed=Seed(0)), X, target="probability", label=1)
    assert_allclose(averaged.gradient(averaged.rows.x).numpy(), mean, atol=1e-12)


def test_mirrored_noise_leaves_a_linear_function_as_it_is() -> None:
    case = assay.examples.linear((2.0, -1.0), X[:, :2])
    model = smooth(case.model, sigma=5.0, draws=2)
    moved = assay.case(model, X[:, :2])
    assert_allclose(moved.output, case.output, atol=1e-12)
    assert_allclose(moved.gradient(moved.rows.x), case.gradient(case.rows.x), atol=1e-12)


def test_a_function_with_a_slope_in_closed_form_keeps_one() -> None:
    case = assay.examples.additive((3.0, 1.0))
    model = smooth(case.model, sigma=0.5, draws=4)
    moved = assay.case(model, np.array([[1.0, 2.0]]))
    assert model.gives == "values"
    assert_allclose(moved.gradient(moved.rows.x), [[6.0, 4.0]], atol=1e-12)  # noise cancels in a linear slope
    assert float(moved.output[0]) > 7.0  # and lifts a convex value


def test_every_draw_is_counted() -> None:
    model = smooth(net(), sigma=0.5, draws=6)
    case = assay.case(model, X, target="probability", label=0)
    before = model.meter.forwards, model.meter.backwards
    case.value(case.rows.x)
    case.gradient(case.rows.x)
    assert (model.meter.forwards - before[0], model.meter.backwards - before[1]) == (60, 30)


def test_the_mark_follows_the_noise() -> None:
    model = net()
    marks = {
        smooth(model, **options).fingerprint
        for options in ({"sigma": 1.0}, {"sigma": 2.0}, {"sigma": 1.0, "draws": 4}, {"sigma": 1.0, "seed": Seed(1)})
    }
    assert len(marks | {model.fingerprint}) == 5
    assert smooth(model, sigma=1.0).fingerprint == smooth(model, sigma=1.0).fingerprint


def test_the_callers_rows_are_left_alone() -> None:
    x = torch.as_tensor(X.copy())
    smooth(net(), sigma=1.0).forward(Rows(x, tuple("abcde")))
    assert np.array_equal(x.numpy(), X)


def test_a_layers_activations_are_averaged_as_they_are() -> None:
    model = net()
    units = smooth(model.up_to_layer("1"), sigma=0.2, draws=2)
    assert units.gives == "units"
    out = units.forward(Rows(torch.as_tensor(X), tuple("abcde"))).numpy()
    noise = 0.2 * Seed().child("smoothed", 0).generator().standard_normal(4)
    first = model.net[:2]
    assert_allclose(out, (first(torch.as_tensor(X + noise)) + first(torch.as_tensor(X - noise))).numpy() / 2)


@pytest.mark.parametrize("options", [{"sigma": 0.0}, {"sigma": -1.0}, {"sigma": float("nan")}])
def test_a_spread_that_is_none_is_refused(options: Any) -> None:
    with pytest.raises(InputError, match="sigma="):
        smooth(net(), **options)


@pytest.mark.parametrize("draws", [0, 1, 3])
def test_draws_that_make_no_pairs_are_refused(draws: int) -> None:
    with pytest.raises(InputError, match="even number"):
        smooth(net(), sigma=1.0, draws=draws)


def test_text_cannot_be_smoothed() -> None:
    frame = pd.DataFrame({"job": ["smith", "baker"] * 4})
    pipeline = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(frame, [0, 1] * 4)
    with pytest.raises(CapabilityError, match="undefined for columns"):
        assay.case(smooth(assay.wrap(pipeline), sigma=1.0), frame).prediction  # noqa: B018  # reading evaluates
