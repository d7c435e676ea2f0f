"""Files of kinds of models that a list of trusted types or a state dict easily misses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import skops.io
import torch
from numpy.testing import assert_allclose
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, SplineTransformer, TargetEncoder

import assay
from assay.model.files.load import load_model

X = np.random.default_rng(0).normal(size=(80, 3))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
LINEAR = LogisticRegression()
GRID = {"C": [0.1, 1.0]}
ESTIMATORS = {
    "temperature scaling": CalibratedClassifierCV(LINEAR, method="temperature"),
    "isotonic calibration": CalibratedClassifierCV(LINEAR, method="isotonic"),
    "tuned threshold": TunedThresholdClassifierCV(LINEAR),
    "tuned threshold by a score": TunedThresholdClassifierCV(LINEAR, scoring="f1"),
    "fixed threshold": FixedThresholdClassifier(LINEAR, threshold=0.3),
    "splines": make_pipeline(SplineTransformer(), LINEAR),
    "bins": make_pipeline(KBinsDiscretizer(quantile_method="averaged_inverted_cdf"), LINEAR),
    "target encoder": make_pipeline(TargetEncoder(cv=StratifiedKFold(3, shuffle=True, random_state=0)), LINEAR),
    "grid search": GridSearchCV(LINEAR, GRID),
    "grid search by a score": GridSearchCV(LINEAR, GRID, scoring="roc_auc", cv=StratifiedKFold(3)),
    "random search": RandomizedSearchCV(LINEAR, GRID, n_iter=2, random_state=0),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_is_read_from_skops_without_trust(name: str, tmp_path: Path) -> None:
    estimator = ESTIMATORS[name].fit(X, Y)
    skops.io.dump(estimator, tmp_path / "model.skops")
    model = load_model(tmp_path / "model.skops")
    case = assay.case(model, X[:10])
    assert_allclose(case.with_target("probability").output, estimator.predict_proba(X[:10])[:, 1])
    assert_allclose(case.with_target("decision").output, estimator.predict(X[:10]))
    assert model.fingerprint == assay.wrap(estimator).fingerprint


TIED = """
import torch

class Tied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Linear(3, 3, bias=False)
        self.b = torch.nn.Linear(3, 3, bias=False)
        self.b.weight = self.a.weight
        self.out = torch.nn.Linear(3, 2)

    def forward(self, x):
        return self.out(self.b(torch.tanh(self.a(x))))
"""


@pytest.mark.parametrize("kind", ["save_model", "state dict"])
def test_tied_weights_are_read(kind: str, tmp_path: Path) -> None:
    code = tmp_path / "tied.py"
    code.write_text(TIED, encoding="utf-8")
    space: dict[str, Any] = {}
    exec(TIED, space)  # the text above
    torch.manual_seed(0)
    net = space["Tied"]().eval()
    path = tmp_path / "weights.bin"
    if kind == "save_model":
        safetensors.torch.save_model(net, str(path))
    else:
        torch.save(net.state_dict(), path)
    model = load_model(path, architecture=f"{code}:Tied")
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert_allclose(assay.case(model, x, label=1).output, net(x)[:, 1].detach().numpy(), rtol=1e-6)
