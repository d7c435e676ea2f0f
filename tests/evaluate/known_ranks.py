"""Models whose exact attributions are known, and explanations of known quality."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import spearmanr
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import assay
from assay.basics.types import Floats
from assay.planted.gaussian_tables import NAMES, FunctionKind, ground_truth_function

QUALITY = {"true": 6, "noise of 0.5": 5, "noise of 1": 4, "noise of 3": 3, "random parts": 2, "flipped": 1}
"""Explanations by known quality; noise in units of the root mean square of the true attributions."""


def planted_table(kind: FunctionKind, seed: int, rows: int = 400) -> tuple[Any, Floats]:
    """A case whose log odds are a function of six Gaussian columns, and its exact Shapley values."""
    import torch

    function = ground_truth_function(kind, 0.5)
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((rows, 6)) @ np.linalg.cholesky(function.covariance).T

    class LogOdds(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.slopes, self.pairs = (torch.nn.Parameter(torch.tensor(one)) for one in (function.b, function.a))

        def forward(self, x: Any) -> Any:
            value = x @ self.slopes + ((x @ self.pairs) * x).sum(dim=1)
            return torch.stack([torch.zeros_like(value), value], dim=1)

    model = assay.wrap(LogOdds().eval(), output="logits")
    case = assay.case(model, torch.tensor(x), target="log_odds", label=1, names=NAMES, seed=seed)
    return case, function.shapley(x)


def planted_texts(seed: int, rows: int = 400, words: int = 60, length: int = 7) -> tuple[Any, Floats]:
    """A case of texts whose log odds are the sum of the weights of their words, and these weights."""
    generator = np.random.default_rng(seed)
    names = [f"w{n}" for n in range(words)]
    weights = generator.choice([-1.5, -0.75, 0.0, 0.0, 0.75, 1.5], words)
    drawn = np.array([generator.permutation(words)[:length] for _ in range(rows)])
    texts = [" ".join(names[word] for word in row) for row in drawn]
    model = make_pipeline(CountVectorizer(vocabulary=names), LogisticRegression())
    model.fit(texts, np.arange(rows) % 2)
    model[1].coef_, model[1].intercept_ = weights[None], np.zeros(1)
    case = assay.case(assay.wrap(model), texts, target="log_odds", label=1, seed=seed)
    return case, weights[drawn]


def of_known_quality(truth: Floats, seed: int) -> dict[str, Floats]:
    """The true attributions, worse and worse, by the names of ``QUALITY``."""
    generator = np.random.default_rng([seed, 1])
    size = float(np.sqrt((truth**2).mean()))
    noisy = {f"noise of {n:g}": truth + n * size * generator.standard_normal(truth.shape) for n in (0.5, 1.0, 3.0)}
    return {"true": truth, **noisy, "random parts": generator.permuted(truth, axis=1), "flipped": -truth}


def rank_agreement(gains: Any, quality: Any) -> float:
    """Spearman's correlation of gains and quality."""
    return float(spearmanr(gains, quality).statistic)


def planted_images(seed: int, rows: int = 400) -> tuple[Any, Floats]:
    """A case of digits and a linear model, and the contributions weight · pixel to the logit of the predicted class."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order] / 16, y[order]
    learner = LogisticRegression(max_iter=500).fit(x[rows:], y[rows:])
    model = assay.wrap(lambda some: learner.decision_function(some.reshape(len(some), -1)), output="logits")
    case = assay.case(model, x[:rows].reshape(-1, 1, 8, 8), target="logit", label="predicted", seed=seed)
    return case, learner.coef_[case.label] * x[:rows]
