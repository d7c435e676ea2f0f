"""Smoothing as a repair: what it returns, and that explanations change less."""

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
from assay import explain, repair
from assay.basics.errors import CapabilityError, InputError
from assay.model import smooth


def wavy() -> Any:
    """A net whose probabilities ripple fast in its first input."""

    class Wave(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            score = x[:, 1] + 0.5 * torch.sin(40 * x[:, 0])
            return torch.stack([-score, score], dim=1)

    return assay.wrap(Wave().eval())


X = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)


def test_the_new_model_is_the_smoothed_one() -> None:
    case = assay.case(wavy(), X, seed=3)
    repaired = repair.smoothing(case, sigma=0.2, draws=8)
    other = smooth(case.model, sigma=0.2, draws=8, seed=case.seed)
    assert repaired.model.fingerprint == other.fingerprint
    assert_allclose(assay.case(repaired.model, X).prediction, assay.case(other, X).prediction)
    assert "smoothed" in repaired.model.name
    assert "standard deviation 0.2" in repaired.change


def test_agreement_and_confidence_are_those_counted_on_the_rows() -> None:
    case = assay.case(wavy(), X)
    repaired = repair.smoothing(case, sigma=0.3)
    old, new = torch.softmax(torch.as_tensor(case.prediction), dim=1).numpy(), assay.case(repaired.model, X).prediction
    chosen, rows = old.argmax(axis=1), np.arange(20)
    assert repaired.before == {"agreement": 1.0, "mean confidence": pytest.approx(old[rows, chosen].mean(), abs=1e-6)}
    assert repaired.after["agreement"] == (new.argmax(axis=1) == chosen).mean()
    assert_allclose(repaired.after["mean confidence"], new[rows, chosen].mean(), atol=1e-6)


def test_the_explanation_changes_less_under_the_repaired_model() -> None:
    case = assay.case(wavy(), X, target="probability", label=1)
    repaired = assay.case(repair.smoothing(case, sigma=0.2, draws=64).model, X, label=1)

    def explanation_shift(around: Any) -> float:
        near = around.at(around.rows.x + 0.03)
        return float(np.abs(explain.saliency(around).values - explain.saliency(near).values).mean())

    assert explanation_shift(repaired) < 0.3 * explanation_shift(case)


def test_the_callers_model_stays_as_it_was() -> None:
    case = assay.case(wavy(), X)
    before = case.prediction.copy()
    repair.smoothing(case, sigma=1.0)
    assert np.array_equal(assay.case(case.model, X).prediction, before)


def test_a_regression_reports_how_far_values_move() -> None:
    case = assay.examples.additive((3.0, 1.0))
    repaired = repair.smoothing(case, sigma=0.5, draws=4)
    assert repaired.before == {"mean value": 4.0, "root mean square change": 0.0}
    assert_allclose(repaired.after["root mean square change"], repaired.after["mean value"] - 4.0)
    assert repaired.after["root mean square change"] > 0


def test_models_without_gradients_and_rows_of_text_are_refused() -> None:
    frame = pd.DataFrame({"job": ["smith", "baker"] * 4})
    pipeline = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(frame, [0, 1] * 4)
    with pytest.raises(CapabilityError, match="smoothing needs"):
        repair.smoothing(assay.case(assay.wrap(pipeline), frame), sigma=1.0)
    with pytest.raises(InputError, match="sigma"):
        repair.smoothing(assay.case(wavy(), X), sigma=0.0)
