"""Which class is explained where none is named, and what a mean over rows of different classes says."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import assay
from assay import explain

X = np.random.default_rng(0).normal(size=(40, 3))
TWO = np.where(X[:, 0] > 0, "yes", "no")
THREE = np.digitize(X[:, 0], [-0.5, 0.5])


def test_the_last_of_two_classes_is_explained() -> None:
    case = assay.case(assay.wrap(LogisticRegression().fit(X, TWO)), X)
    assert set(case.classes) == {"yes"}
    assert set(assay.case(case.model, X, label="predicted").classes) == {"yes", "no"}


def test_the_predicted_one_of_more_classes_is_explained() -> None:
    model = LogisticRegression().fit(X, THREE)
    assert assay.case(assay.wrap(model), X).label.tolist() == model.predict(X).tolist()


def test_a_regression_has_its_first_value() -> None:
    assert set(assay.case(assay.wrap(LinearRegression().fit(X, X)), X).classes) == {"output 0"}


def test_classes_in_reverse_order_of_their_names_do_not_confuse_it() -> None:
    model = assay.model.function(lambda x: np.tile([0.3, 0.7], (len(x), 1)), gives="probabilities", classes=["1", "0"])
    case = assay.case(model, X)
    assert set(case.classes) == {"0"}
    np.testing.assert_allclose(case.output, 0.7)


@pytest.mark.parametrize("label", ["predicted", "default"])
def test_a_mean_over_rows_of_different_classes_names_them(label: str) -> None:
    case = assay.case(assay.wrap(LogisticRegression().fit(X, TWO)), X, label=label)
    mean = explain.occlusion(case).mean()
    assert mean.classes == (("no", "yes") if label == "predicted" else ())
    assert ("different signs" in repr(mean)) == (label == "predicted")


def test_the_classes_of_a_mean_are_those_of_its_members() -> None:
    case = assay.case(assay.wrap(LogisticRegression().fit(X, TWO)), X, label="predicted")
    explanation = explain.occlusion(case)
    assert explanation.mean(np.array(explanation.labels) == "yes").classes == ()


def test_shap_values_of_different_classes_come_with_a_warning() -> None:
    pytest.importorskip("shap")
    case = assay.case(assay.wrap(LogisticRegression().fit(X, TWO)), X, label="predicted")
    with pytest.warns(UserWarning, match="different classes"):
        explain.occlusion(case).to_shap()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explain.occlusion(assay.case(case.model, X)).to_shap()


def test_a_frame_of_an_explanation_has_cells_and_classes() -> None:
    import pandas as pd

    frame = pd.DataFrame(X, columns=["a", "b", "c"], index=[f"row {i}" for i in range(40)])
    case = assay.case(assay.wrap(LogisticRegression().fit(frame, TWO)), frame[:2])
    found = explain.occlusion(case).to_frame()
    assert list(found.columns) == ["row", "part", "cell", "class", "value", "stderr"]
    assert found["row"].tolist() == ["row 0"] * 3 + ["row 1"] * 3
    assert found["class"].unique().tolist() == ["yes"]
    assert float(found["cell"][1]) == pytest.approx(X[0, 1], rel=1e-5)
