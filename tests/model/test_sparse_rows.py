"""Sparse matrices: the estimator is given the class it was given, and what is dense is bounded in memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler
from sklearn.svm import SVC
from xgboost import XGBClassifier

import assay
from assay import explain

pytestmark = pytest.mark.filterwarnings("ignore")

COUNTS = np.random.default_rng(0).poisson(0.4, (200, 7)).astype(float)
Y = (COUNTS[:, 0] + COUNTS[:, 1] > COUNTS[:, 2]).astype(int)
X = sparse.csr_matrix(COUNTS)
X.data[::7] = 0.0  # stored zeros, which XGBoost tells from elements that are not stored


def stored(matrix: Any) -> Any:
    """How many elements of each row are stored: what only a sparse matrix says."""
    return np.diff(matrix.tocsr().indptr)[:, None].astype(float)


MODELS: dict[str, Callable[[], Any]] = {
    "decomposition": lambda: make_pipeline(TruncatedSVD(3, random_state=0), LogisticRegression()),
    "selection": lambda: make_pipeline(SelectKBest(chi2, k=4), LogisticRegression()),
    "scaling": lambda: make_pipeline(MaxAbsScaler(), LogisticRegression()),
    "stored elements": lambda: make_pipeline(FunctionTransformer(stored, accept_sparse=True), LogisticRegression()),
    "naive Bayes": MultinomialNB,
    "forest": lambda: RandomForestClassifier(5, random_state=0),
    "xgboost": lambda: XGBClassifier(n_estimators=5, n_jobs=1),
    "lightgbm": lambda: LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1),
    "catboost": lambda: CatBoostClassifier(5, verbose=0, thread_count=1, allow_writing_files=False),
}
CLASSES = [
    *(sparse.csr_matrix, sparse.csc_matrix, sparse.coo_matrix, sparse.lil_matrix),
    *(sparse.csr_array, sparse.csc_array, sparse.coo_array),
]


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("model", MODELS)
def test_values_equal_predict_on_the_sparse_matrix(model: str, kind: Any) -> None:
    if model == "catboost" and issubclass(kind, sparse.sparray):
        kind = sparse.csr_matrix  # the arrays are newer than CatBoost's list of types
    estimator = MODELS[model]().fit(X[60:], Y[60:])
    rows, background = kind(X[:10]), kind(X[20:40])
    right, base = (estimator.predict_proba(part)[:, 1] for part in (rows, background))
    case = assay.case(assay.wrap(estimator, output="probabilities"), rows, label=1)
    e = explain.shapley(case, remove=assay.Marginal(background))
    np.testing.assert_allclose(case.output, right, atol=1e-6)
    np.testing.assert_allclose(e.base, base.mean(), atol=1e-6)
    np.testing.assert_allclose(e.residual, 0.0, atol=1e-6)
    if model in ("forest", "xgboost", "lightgbm", "catboost"):
        own = assay.case(assay.wrap(estimator), rows, label=1)
        np.testing.assert_allclose(explain.tree_shapley(own).residual, 0.0, atol=1e-5)


def test_dense_rows_would_be_another_question_to_xgboost() -> None:
    estimator = MODELS["xgboost"]().fit(COUNTS, Y)
    dense, thin = (estimator.predict_proba(rows)[:, 1] for rows in (COUNTS[:20], sparse.csr_matrix(COUNTS[:20])))
    assert np.abs(dense - thin).max() > 0.1
    model = assay.wrap(estimator, output="probabilities")
    for rows, right in ((COUNTS[:20], dense), (sparse.csr_matrix(COUNTS[:20]), thin)):
        np.testing.assert_allclose(assay.case(model, rows, label=1).output, right, atol=1e-6)


def test_an_estimator_that_takes_no_sparse_matrix_gets_dense_rows_and_a_note_says_so() -> None:
    estimator = HistGradientBoostingClassifier(max_iter=4).fit(COUNTS, Y)
    case = assay.case(assay.wrap(estimator, output="probabilities"), sparse.csr_matrix(COUNTS[:9]), label=1)
    np.testing.assert_allclose(case.output, estimator.predict_proba(COUNTS[:9])[:, 1], atol=1e-12)
    assert [note.code for note in case.notes] == ["dense-rows"]
    assert "does not take" in case.notes[0].text


def test_a_support_vector_machine_gets_the_index_type_it_needs() -> None:
    estimator = SVC().fit(X, Y)
    case = assay.case(assay.wrap(estimator), X[:9], label=1)
    np.testing.assert_allclose(case.output, estimator.decision_function(X[:9]), atol=1e-12)
    assert not case.notes


@pytest.mark.parametrize("model", ["scaling", "forest", "xgboost", "lightgbm"])
def test_sparse_columns_of_a_frame_hold_numbers_and_stay_sparse(model: str) -> None:
    frame = pd.DataFrame.sparse.from_spmatrix(sparse.csr_matrix(COUNTS), columns=list("abcdefg"))
    if model in ("xgboost", "lightgbm"):
        frame["h"] = pd.arrays.SparseArray(np.where(COUNTS[:, 0] > 1, 1.0, np.nan))
    estimator = MODELS[model]().fit(frame[60:], Y[60:])
    case = assay.case(assay.wrap(estimator, output="probabilities"), frame[:10], label=1)
    assert case.rows.table is not None
    assert not case.rows.table.coded.any()
    assert case.rows.table.decode(case.rows.x).dtypes.equals(frame.dtypes)
    e = explain.shapley(case, remove=assay.Marginal(frame[20:40]))
    np.testing.assert_allclose(e.output, estimator.predict_proba(frame[:10])[:, 1], atol=1e-6)
    np.testing.assert_allclose(e.base, estimator.predict_proba(frame[20:40])[:, 1].mean(), atol=1e-6)


@pytest.mark.parametrize("profile", ["quick"])
def test_an_audit_of_a_sparse_matrix_explains_what_predict_says_of_it(profile: str) -> None:
    estimator = MODELS["xgboost"]().fit(X[60:], Y[60:])
    run = assay.audit(estimator, X[:60], Y[:60], train=(X[60:], Y[60:]), profile=profile)
    assert not [f.claim for f in run.findings if f.verdict == "error" or f.code == "RUN001"]
    assert len(run.findings) > 10


def test_two_hundred_rows_of_fifty_thousand_columns_take_a_few_dense_copies() -> None:
    wide = sparse.random(200, 50_000, density=0.001, format="csr", random_state=0)
    estimator = make_pipeline(MaxAbsScaler(), LogisticRegression(max_iter=5)).fit(wide, np.arange(200) % 2)
    dense = 200 * 50_000 * 8
    tracemalloc.start()
    case = assay.case(assay.wrap(estimator), wide, label=1)
    right = estimator.predict_proba(wide)[:, 1]
    np.testing.assert_allclose(case.output, right, atol=1e-9)
    masks = np.zeros((2, 50_000), dtype=bool)
    masks[1, ::2] = True
    case.game(assay.Marginal(wide[:8])).table(masks)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3.5 * dense, f"{peak / 1e6:.0f} MB for rows of {dense / 1e6:.0f} MB"
