"""Fitted estimators of every family, small, and their fingerprints when they are read from files in another process."""

from __future__ import annotations

import json
import pickle
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, RandomizedSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, SplineTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from assay.model.state_fingerprint import state_fingerprint

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
X[::7, 1] = np.nan
FULL = np.nan_to_num(X)
Y = (FULL[:, 0] + FULL[:, 1] * FULL[:, 2] > 0).astype(int)

C_GRID = {"C": [0.1, 1.0]}


def unfitted() -> dict[str, Any]:
    """Estimators by name."""
    import catboost
    import lightgbm
    import xgboost

    line, tree = LogisticRegression(), DecisionTreeClassifier(max_depth=3, random_state=0)
    columns = ColumnTransformer(
        [
            ("bins", KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), [0]),
            ("spline", SplineTransformer(), [1]),
            ("hot", OneHotEncoder(handle_unknown="ignore"), [2]),
        ]
    )
    return {
        "linear": LinearRegression(),
        "logistic": line,
        "sgd": SGDClassifier(random_state=0),
        "bayes": GaussianNB(),
        "tree": tree,
        "forest": RandomForestClassifier(5, random_state=0),
        "extra trees": ExtraTreesClassifier(5, random_state=0),
        "isolation": IsolationForest(n_estimators=5, random_state=0),
        "histogram": HistGradientBoostingClassifier(max_iter=5, random_state=0),
        "histogram stopped": HistGradientBoostingClassifier(max_iter=9, early_stopping=True, random_state=0),
        "gradient boosting": GradientBoostingClassifier(n_estimators=5, random_state=0),
        "adaboost": AdaBoostClassifier(tree, n_estimators=4, random_state=0),
        "bagging": BaggingClassifier(line, n_estimators=4, random_state=0),
        "svc": SVC(),
        "linear svc": LinearSVC(random_state=0),
        "kd tree": KNeighborsClassifier(algorithm="kd_tree"),
        "ball tree": KNeighborsClassifier(algorithm="ball_tree", metric="minkowski", p=3),
        "mlp": MLPClassifier((4,), max_iter=400, tol=1e-2, random_state=0),
        "gaussian process": GaussianProcessClassifier(1.0 * RBF(), random_state=0),
        "grid": GridSearchCV(line, C_GRID, cv=2),
        "random search": RandomizedSearchCV(line, C_GRID, n_iter=2, cv=2, random_state=0),
        "pipeline": make_pipeline(StandardScaler(), line),
        "columns": make_pipeline(columns, line),
        "calibrated": CalibratedClassifierCV(LinearSVC(random_state=0), cv=2),
        "calibrated tree": CalibratedClassifierCV(tree, method="isotonic", cv=2),
        "stacking": StackingClassifier([("a", tree), ("b", line)], cv=2),
        "voting": VotingClassifier([("a", tree), ("b", line)], voting="soft"),
        "threshold": FixedThresholdClassifier(line, threshold=0.3),
        "target": TransformedTargetRegressor(LinearRegression(), transformer=StandardScaler()),
        "xgboost": xgboost.XGBClassifier(n_estimators=4, n_jobs=1),
        "lightgbm": lightgbm.LGBMClassifier(n_estimators=4, min_child_samples=5, verbose=-1, n_jobs=1),
        "catboost": catboost.CatBoostClassifier(iterations=4, verbose=0, allow_writing_files=False, thread_count=1),
        "catboost at the end": make_pipeline(
            StandardScaler(),
            catboost.CatBoostClassifier(iterations=4, verbose=0, allow_writing_files=False, thread_count=1),
        ),
    }


WITH_GAPS = ("histogram", "histogram stopped", "xgboost", "lightgbm", "catboost", "tree", "forest", "extra trees")


def training_rows(name: str) -> np.ndarray:
    """Rows with missing values for those that take them."""
    return X if name in WITH_GAPS else FULL


def fitted() -> dict[str, Any]:
    """All of them, fitted."""
    return {name: deepcopy(estimator).fit(training_rows(name), Y) for name, estimator in unfitted().items()}


def write(name: str, estimator: Any, folder: Path) -> None:
    """The estimator as pickle, as joblib's file, and as skops's where that can store it."""
    (folder / f"{name}.pickle").write_bytes(pickle.dumps(estimator))
    joblib.dump(estimator, folder / f"{name}.joblib")
    if not name.startswith("catboost"):
        skops.io.dump(estimator, folder / f"{name}.skops")


def read(path: Path) -> Any:
    """The estimator in a file."""
    if path.suffix == ".pickle":
        return pickle.loads(path.read_bytes())  # noqa: S301  # written by the test
    if path.suffix == ".joblib":
        return joblib.load(path)
    return skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))


def fingerprints(folder: Path) -> dict[str, str]:
    """The fingerprint of each file."""
    return {path.name: state_fingerprint(read(path)) for path in sorted(folder.iterdir())}


if __name__ == "__main__":
    print(json.dumps(fingerprints(Path(sys.argv[1]))))
