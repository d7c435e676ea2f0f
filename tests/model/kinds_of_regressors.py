"""Kinds of scikit-learn's regressions and outlier detectors with what the library itself predicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn.ensemble as groups
import sklearn.linear_model as linear
import sklearn.multioutput as outputs
import sklearn.svm as vectors
import sklearn.tree as trees
from sklearn.compose import TransformedTargetRegressor
from sklearn.covariance import EllipticEnvelope
from sklearn.cross_decomposition import CCA, PLSRegression
from sklearn.dummy import DummyRegressor
from sklearn.feature_selection import RFE
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.isotonic import IsotonicRegression
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor, LocalOutlierFactor, RadiusNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from tests.model.kinds_of_models import (
    COUNTS,
    GAPS,
    MANY,
    POSITIVE,
    SCORE,
    TREES,
    Kind,
    Own,
    X,
    as_columns,
    fitted,
    own_of_estimator,
)

KINDS: dict[str, Kind] = {}
"""The kinds of regressions and outlier detectors by name."""


def add(name: str, estimator: Any, y: Any, x: Any = X, **about: Any) -> None:
    """One more kind."""
    assert name not in KINDS
    KINDS[name] = Kind(fitted(estimator, y, x), x, **about)


def own_of_log(estimator: Any) -> Own:
    """The predictions of a regression through a logarithm: the raw score is that of the value."""
    return Own(
        value=own_of_estimator(estimator).value,
        margin=lambda x: as_columns(np.log(estimator.predict(x))),
    )


def own_of_score(name: str) -> Callable[[Any], Own]:
    """The score of an outlier detector."""
    return lambda estimator: Own(value=lambda x: as_columns(getattr(estimator, name)(x)))


FEW: dict[str, Any] = {"random_state": 0}
RIDGE, FOREST = linear.Ridge(), groups.RandomForestRegressor(3, max_depth=3, **FEW)
LAYERS = MLPRegressor(hidden_layer_sizes=(4,), max_iter=30, **FEW)
PAIR = [("a", linear.Ridge()), ("b", linear.Lasso(0.1))]
SMALL = {"max_iter": 4, "min_samples_leaf": 4, "random_state": 0}
Scaled = TransformedTargetRegressor

for name, estimator in {
    "least squares": linear.LinearRegression(),
    "ridge": RIDGE,
    "elastic net": linear.ElasticNet(0.1),
    "Bayesian ridge": linear.BayesianRidge(),
    "relevance": linear.ARDRegression(),
    "Huber": linear.HuberRegressor(),
    "random sample consensus": linear.RANSACRegressor(random_state=0),
    "median of slopes": linear.TheilSenRegressor(random_state=0, max_subpopulation=200),
    "descent": linear.SGDRegressor(random_state=0),
    "quantile line": linear.QuantileRegressor(quantile=0.8, alpha=0.01),
    "Tweedie line of the normal": linear.TweedieRegressor(power=0),
    "support vectors": vectors.SVR(),
    "support vectors with nu": vectors.NuSVR(),
    "kernel ridge": KernelRidge(kernel="rbf"),
    "neighbours": KNeighborsRegressor(3),
    "radius": RadiusNeighborsRegressor(4.0),
    "layers": LAYERS,
    "Gaussian process": GaussianProcessRegressor(optimizer=None, alpha=0.1),
    "partial least squares": PLSRegression(2),
    "mean of two regressions": groups.VotingRegressor(PAIR),
    "stack": groups.StackingRegressor(PAIR, cv=2),
    "scaled target of trees": Scaled(FOREST, transformer=StandardScaler()),
    "grid search": GridSearchCV(RIDGE, {"alpha": [0.1, 1.0]}, cv=2),
    "boosted regressions": groups.AdaBoostRegressor(n_estimators=3, **FEW),
    "selected columns": RFE(RIDGE, n_features_to_select=2),
    "median": DummyRegressor(strategy="median"),
}.items():
    add(f"value: {name}", estimator, SCORE)
add("value: a column", linear.LinearRegression(), SCORE[:, None])
add("value: logarithm of the target", Scaled(RIDGE, func=np.log, inverse_func=np.exp), POSITIVE)
add("value: isotonic regression", IsotonicRegression(out_of_bounds="clip"), SCORE, X[:, :1])

for name, estimator in {
    "least squares": linear.LinearRegression(),
    "joint lasso": linear.MultiTaskLasso(0.01),
    "kernel ridge": KernelRidge(),
    "layers": LAYERS,
    "partial least squares": PLSRegression(2),
    "canonical correlation": CCA(1),
    "one each": outputs.MultiOutputRegressor(RIDGE),
    "chain": outputs.RegressorChain(RIDGE),
    "scaled": Scaled(RIDGE, transformer=StandardScaler()),
    "in a pipeline": make_pipeline(MinMaxScaler(), RIDGE),
    "mean": DummyRegressor(),
}.items():
    add(f"two targets: {name}", estimator, MANY)

for name, (estimator, y) in {
    "tree": (trees.DecisionTreeRegressor(max_depth=3, **FEW), SCORE),
    "tree of two targets": (trees.DecisionTreeRegressor(max_depth=3, **FEW), MANY),
    "forest": (FOREST, SCORE),
    "forest of two targets": (FOREST, MANY),
    "extra trees of two targets": (groups.ExtraTreesRegressor(3, max_depth=3, **FEW), MANY),
    "Poisson forest": (groups.RandomForestRegressor(3, criterion="poisson", max_depth=3, **FEW), COUNTS),
    "bagged trees": (groups.BaggingRegressor(n_estimators=3, **FEW), SCORE),
    "gradient boosting": (groups.GradientBoostingRegressor(n_estimators=3, **FEW), SCORE),
    "boosting of a quantile": (groups.GradientBoostingRegressor(n_estimators=3, loss="quantile", **FEW), SCORE),
    "forest in a pipeline": (make_pipeline(FunctionTransformer(), FOREST), MANY),
}.items():
    add(f"value: {name}", estimator, y, **TREES)

HISTOGRAM = groups.HistGradientBoostingRegressor
for loss, y in {"squared_error": SCORE, "absolute_error": SCORE, "poisson": COUNTS, "gamma": POSITIVE}.items():
    own = {"own": own_of_log} if loss in ("poisson", "gamma") else {}
    add(f"value: histograms, {loss}", HISTOGRAM(loss=loss, **SMALL), y, GAPS, **own, **TREES)
add("value: histograms, quantile", HISTOGRAM(loss="quantile", quantile=0.8, **SMALL), SCORE, GAPS, **TREES)
for name, estimator, y in (
    ("Poisson", linear.PoissonRegressor(), COUNTS),
    ("gamma", linear.GammaRegressor(), POSITIVE),
    ("Tweedie", linear.TweedieRegressor(power=1.5), COUNTS),
):
    add(f"value: {name} line", estimator, y, own=own_of_log)

for name, estimator in {
    "isolation forest": groups.IsolationForest(n_estimators=4, **FEW),
    "neighbours": LocalOutlierFactor(5, novelty=True),
    "support vectors": vectors.OneClassSVM(),
    "descent": linear.SGDOneClassSVM(**FEW),
    "ellipse": EllipticEnvelope(**FEW),
    "forest in a pipeline": make_pipeline(StandardScaler(), groups.IsolationForest(n_estimators=4, **FEW)),
    "neighbours in a pipeline": make_pipeline(StandardScaler(), LocalOutlierFactor(5, novelty=True)),
}.items():
    for score in ("decision_function", "score_samples"):
        add(f"outliers: {name}, {score}", estimator, None, own=own_of_score(score), options={"output": score})
