"""Kinds of scikit-learn's classifiers with what the library itself predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import sklearn.ensemble as groups
import sklearn.linear_model as linear
import sklearn.multiclass as several
import sklearn.multioutput as outputs
import sklearn.naive_bayes as bayes
import sklearn.neighbors as near
import sklearn.svm as vectors
import sklearn.tree as trees
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  # scikit-learn asks for it
from sklearn.feature_selection import RFE
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, MinMaxScaler, PolynomialFeatures, StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from tests.model.kinds_of_models import (
    BOOLS,
    BOOSTED,
    DECISIONS,
    FLOATS,
    FRAME,
    GAPS,
    LABELS,
    MARGIN,
    SCORES,
    SIGNS,
    TEXT,
    THREE,
    TREES,
    TWO,
    UNDECIDED,
    WORDS,
    Kind,
    X,
    fitted,
    own_of_labels,
)

KINDS: dict[str, Kind] = {}
"""The kinds of classifiers by name."""


def add(name: str, estimator: Any, y: Any, x: Any = X, **about: Any) -> None:
    """One more kind."""
    assert name not in KINDS
    KINDS[name] = Kind(fitted(estimator, y, x), x, **about)


class OwnThreshold(linear.LogisticRegression):
    """A classifier of the user's own that decides for the last class from a probability of 0.2 on."""

    def predict(self, x: Any) -> Any:
        """The last class where it is likely enough, else the likeliest."""
        found = self.predict_proba(x)
        return self.classes_[np.where(found[:, -1] > 0.2, found.shape[1] - 1, found[:, :-1].argmax(axis=1))]


FEW: dict[str, Any] = {"random_state": 0}
LOGISTIC, TREE = linear.LogisticRegression(), trees.DecisionTreeClassifier(max_depth=3, **FEW)
FOREST = groups.RandomForestClassifier(4, max_depth=3, **FEW)
BOOSTING = groups.GradientBoostingClassifier(n_estimators=3, **FEW)
HISTOGRAM = groups.HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=4, **FEW)
SVC, LINEAR_SVC, SURE_SVC = vectors.SVC(), vectors.LinearSVC(**FEW), vectors.SVC(probability=True, **FEW)
LAYERS = MLPClassifier((4,), max_iter=30, **FEW)
PAIR = [("a", LOGISTIC), ("b", TREE)]
GRID = {"C": [0.1, 1.0]}
INSIDE = make_pipeline(StandardScaler(), LOGISTIC)
CLASSES = {"words": WORDS, "text": TEXT, "bools": BOOLS, "floats": FLOATS, "signs": SIGNS}

for classes, y in {"two": TWO, "three": THREE, **CLASSES}.items():
    for name, (estimator, about) in {
        "logistic regression": (LOGISTIC, MARGIN),
        "forest": (FOREST, TREES),
        "gradient boosting": (BOOSTING, BOOSTED),
        "support vectors": (SVC, SCORES),
        "hard vote": (groups.VotingClassifier(PAIR), DECISIONS),
    }.items():
        add(f"{name}, {classes}", estimator, y, **about)
    add(f"histogram boosting, {classes}", HISTOGRAM, y, GAPS, **BOOSTED)

for classes, y in {"two": TWO, "three": THREE}.items():
    undecided_many, decisions_of_many = (UNDECIDED, DECISIONS) if classes == "three" else ({}, {})
    for name, (estimator, about) in {
        "ridge classifier": (linear.RidgeClassifier(), SCORES),
        "ridge classifier with folds": (linear.RidgeClassifierCV(), SCORES),
        "linear support vectors": (LINEAR_SVC, SCORES),
        "joint hinge": (vectors.LinearSVC(multi_class="crammer_singer", **FEW), SCORES),
        "support vectors with nu": (vectors.NuSVC(nu=0.2), SCORES),
        "support vectors with probabilities": (SURE_SVC, MARGIN | UNDECIDED),
        "nu and probabilities": (vectors.NuSVC(nu=0.2, probability=True, **FEW), MARGIN | UNDECIDED),
        "descent on the hinge": (linear.SGDClassifier(**FEW), SCORES),
        "descent on log loss": (linear.SGDClassifier(loss="log_loss", **FEW), MARGIN),
        "descent on Huber": (linear.SGDClassifier(loss="modified_huber", **FEW), MARGIN | undecided_many),
        "perceptron": (linear.Perceptron(**FEW), SCORES),
        "linear discriminant": (LinearDiscriminantAnalysis(), MARGIN),
        "quadratic discriminant": (QuadraticDiscriminantAnalysis(), MARGIN),
        "naive Bayes": (bayes.GaussianNB(), {}),
        "Bernoulli Bayes": (bayes.BernoulliNB(), {}),
        "multinomial Bayes": (make_pipeline(MinMaxScaler(), bayes.MultinomialNB()), {}),
        "complement Bayes": (make_pipeline(MinMaxScaler(), bayes.ComplementNB()), {}),
        "neighbours": (near.KNeighborsClassifier(4), {}),
        "weighted neighbours": (near.KNeighborsClassifier(3, weights="distance"), {}),
        "radius": (near.RadiusNeighborsClassifier(3.0, outlier_label="most_frequent"), {}),
        "centroids": (near.NearestCentroid(), UNDECIDED),
        "centroids with priors": (near.NearestCentroid(priors="empirical"), MARGIN),
        "layers": (LAYERS, {}),
        "Gaussian process": (GaussianProcessClassifier(optimizer=None), {}),
        "process of pairs": (GaussianProcessClassifier(optimizer=None, multi_class="one_vs_one"), decisions_of_many),
        "tree": (TREE, TREES),
        "extra trees": (groups.ExtraTreesClassifier(4, max_depth=3, **FEW), TREES),
        "AdaBoost": (groups.AdaBoostClassifier(n_estimators=3, **FEW), MARGIN),
        "boosted trees of depth 3": (groups.AdaBoostClassifier(TREE, n_estimators=3, **FEW), MARGIN),
        "bagged trees": (groups.BaggingClassifier(TREE, 3, max_features=0.7, **FEW), TREES),
        "bagged lines": (groups.BaggingClassifier(LOGISTIC, 3, **FEW), MARGIN),
        "bagged support vectors": (groups.BaggingClassifier(SVC, 2, **FEW), {}),
        "soft vote": (groups.VotingClassifier(PAIR, voting="soft"), {}),
        "weighted vote": (groups.VotingClassifier(PAIR, voting="soft", weights=[3, 1]), {}),
        "stack": (groups.StackingClassifier(PAIR, cv=2), MARGIN),
        "stack of hinges": (groups.StackingClassifier(PAIR, LINEAR_SVC, cv=2), SCORES),
        "stack under support vectors": (groups.StackingClassifier(PAIR, SURE_SVC, cv=2), MARGIN | UNDECIDED),
        "calibrated": (CalibratedClassifierCV(LINEAR_SVC, cv=2), {}),
        "isotonic calibration": (CalibratedClassifierCV(TREE, method="isotonic", cv=2), {}),
        "calibrated temperature": (CalibratedClassifierCV(LOGISTIC, method="temperature", cv=2), {}),
        "one against the rest": (several.OneVsRestClassifier(LOGISTIC), MARGIN),
        "hinges against the rest": (several.OneVsRestClassifier(LINEAR_SVC), SCORES),
        "vectors against the rest": (several.OneVsRestClassifier(SURE_SVC), MARGIN | UNDECIDED),
        "one against one": (several.OneVsOneClassifier(LOGISTIC), SCORES),
        "one tree against one": (several.OneVsOneClassifier(TREE), SCORES),
        "output code": (several.OutputCodeClassifier(LOGISTIC, code_size=2.0, **FEW), DECISIONS),
        "grid search": (GridSearchCV(LOGISTIC, GRID, cv=2), MARGIN),
        "grid search in a pipeline": (make_pipeline(StandardScaler(), GridSearchCV(SVC, GRID, cv=2)), SCORES),
        "search of a forest": (RandomizedSearchCV(FOREST, {"max_depth": [2, 3]}, n_iter=2, cv=2, **FEW), TREES),
        "search of boosting": (GridSearchCV(BOOSTING, {"max_depth": [1, 2]}, cv=2), BOOSTED),
        "halving search": (HalvingGridSearchCV(LOGISTIC, GRID, cv=2, **FEW), MARGIN),
        "logistic regression with folds": (
            linear.LogisticRegressionCV(Cs=2, cv=2, use_legacy_attributes=False),
            MARGIN,
        ),
        "self-training": (SelfTrainingClassifier(LOGISTIC), MARGIN),
        "spread labels": (LabelSpreading(), {}),
        "selected columns": (RFE(LOGISTIC, n_features_to_select=2), MARGIN),
        "squares in a pipeline": (make_pipeline(PolynomialFeatures(2), LOGISTIC), MARGIN),
        "bins in a pipeline": (
            make_pipeline(KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), LOGISTIC),
            MARGIN,
        ),
        "forest in a pipeline": (make_pipeline(StandardScaler(), FOREST), TREES),
        "frozen": (FrozenEstimator(LOGISTIC.fit(X, y)), MARGIN),
        "most frequent class": (DummyClassifier(strategy="most_frequent"), {}),
        "shares of classes": (DummyClassifier(strategy="prior"), {}),
        "own threshold": (OwnThreshold(), UNDECIDED),
    }.items():
        add(f"{name}, {classes}", estimator, y, **about)

EXPONENTIAL = groups.GradientBoostingClassifier(n_estimators=3, loss="exponential", **FEW)
add("boosting of exponential loss", EXPONENTIAL, TWO, **BOOSTED)
add("boosting of categories", groups.HistGradientBoostingClassifier(max_iter=3, **FEW), TWO, FRAME, **BOOSTED)

LABEL_CHAIN = outputs.ClassifierChain(LOGISTIC, chain_method="predict_proba", order=[2, 0, 1])
for name, (estimator, about) in {
    "forest": (FOREST, TREES),
    "neighbours": (near.KNeighborsClassifier(4), {}),
    "layers": (LAYERS, {}),
    "tree in a pipeline": (make_pipeline(StandardScaler(), TREE), TREES),
    "one line each": (outputs.MultiOutputClassifier(LOGISTIC), {}),
    "hinges": (outputs.MultiOutputClassifier(LINEAR_SVC), SCORES),
    "support vectors": (outputs.MultiOutputClassifier(SURE_SVC), UNDECIDED),
    "chain": (outputs.ClassifierChain(LOGISTIC), {}),
    "chain with folds": (outputs.ClassifierChain(LOGISTIC, cv=2, order="random", **FEW), {}),
    "chain by probability": (LABEL_CHAIN, {}),
    "chain of hinges": (outputs.ClassifierChain(LINEAR_SVC), SCORES),
    "chain of support vectors": (outputs.ClassifierChain(SURE_SVC), UNDECIDED),
    "one against the rest": (several.OneVsRestClassifier(LOGISTIC), {}),
    "hinges against the rest": (several.OneVsRestClassifier(LINEAR_SVC), SCORES),
    "ridge classifier": (linear.RidgeClassifier(), SCORES),
    "grid search": (GridSearchCV(FOREST, {"max_depth": [2, 3]}, cv=2), TREES),
}.items():
    add(f"labels: {name}", estimator, LABELS, own=own_of_labels, **about)

MARGIN_THRESHOLD = {"threshold": 0.4, "response_method": "decision_function"}
FIXED, TUNED = FixedThresholdClassifier, TunedThresholdClassifierCV
for name, (estimator, about) in {
    "fixed": (FIXED(LOGISTIC, threshold=0.3), {}),
    "fixed of 0.5": (FIXED(LOGISTIC), {}),
    "fixed of a pipeline": (FIXED(INSIDE, threshold=0.7), {}),
    "fixed in a pipeline": (make_pipeline(StandardScaler(), FIXED(LOGISTIC, threshold=0.2)), {}),
    "fixed of boosting": (FIXED(BOOSTING, threshold=0.3), {"also": ("probabilities",), "trees": True}),
    "fixed of support vectors": (FIXED(SURE_SVC, threshold=0.3, response_method="predict_proba"), {}),
    "tuned": (TUNED(LOGISTIC, cv=2, thresholds=20), {}),
    "tuned of a search": (TUNED(GridSearchCV(LOGISTIC, GRID, cv=2), cv=2, thresholds=20), {}),
    "tuned of a forest": (TUNED(FOREST, cv=2, thresholds=20), TREES),
    "search of a fixed": (GridSearchCV(FIXED(LOGISTIC), {"threshold": [0.3, 0.4]}, cv=2), {}),
    "of a margin": (FIXED(LINEAR_SVC, **MARGIN_THRESHOLD), SCORES),
    "of a logistic margin": (FIXED(LOGISTIC, **MARGIN_THRESHOLD), {}),
    "of the margin of boosting": (FIXED(BOOSTING, **MARGIN_THRESHOLD), TREES),
}.items():
    add(f"threshold: {name}", estimator, TWO, **about)
for name, (estimator, y, about) in {
    "text": (FIXED(LOGISTIC, threshold=0.3), TEXT, {}),
    "first class": (FIXED(LOGISTIC, threshold=0.3, pos_label="no"), TEXT, {}),
    "first class, margin": (FIXED(LINEAR_SVC, pos_label="no", **MARGIN_THRESHOLD), TEXT, SCORES),
    "first class of signs": (FIXED(FOREST, threshold=0.6, pos_label=-1), SIGNS, TREES),
    "tuned, bools": (TUNED(LOGISTIC, cv=2, thresholds=20), BOOLS, {}),
    "tuned, floats": (TUNED(LOGISTIC, cv=2, thresholds=20), FLOATS, {}),
}.items():
    add(f"threshold: {name}", estimator, y, **about)
