"""The only access to a model: what it refuses, columns, targets and labels."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tests.cases import nets
from tests.cases.small_models import X, classifier, fitted, voter, voting

import assay
from assay import examples, explain, integer_map
from assay.basics.errors import CapabilityError, InputError

# ---- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("model", [voting(), classifier()], ids=["numpy", "torch"])
def test_rows_with_gaps_are_refused_by_number(model: assay.Model, bad: float) -> None:
    x = X.copy()
    x[[1, 4], 2] = bad
    with pytest.raises(InputError, match=r"NaN or infinite values in row\(s\) 1, 4"):
        assay.case(model, x)


def test_class_seven_of_three_is_refused_with_row_label_and_count() -> None:
    with pytest.raises(InputError, match=r"row 2: label 7 does not exist; the model has 3 classes: ape, bee, cat"):
        assay.case(classifier(), X, label=[0, 1, 7, 0, 1, 2])


@pytest.mark.parametrize("label", [-1, 3, 1.5, "dog", float("nan")])
def test_a_label_that_is_no_class_is_refused(label: Any) -> None:
    with pytest.raises(InputError, match="does not exist; the model has 3 classes"):
        assay.case(classifier(), X, label=label)


def test_two_labels_for_six_rows_are_refused() -> None:
    with pytest.raises(InputError, match="2 labels for 6 rows"):
        assay.case(classifier(), X, label=[0, 1])


def test_more_names_than_classes_are_refused() -> None:
    with pytest.raises(InputError, match="4 class names for a model of 3 classes"):
        assay.case(voting(classes=list("abcd")), X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": integer_map([0, 1, 2])}, r"for rows of shape \(3,\); these rows have shape \(4,\)"),
        ({"features": integer_map(np.zeros((2, 4), int), per_row=True)}, "cuts 2 rows, one by one; there are 6"),
        ({"ids": list("aabcde")}, "ids repeat"),
        ({"ids": ["a"]}, "1 ids for 6 rows"),
        ({"names": ["a", "b"]}, "2 names for rows of shape"),
        ({"target": "logits"}, "no target 'logits'"),
        ({"carried": {"mask": np.ones((2, 1))}}, "2 rows; there are 6 rows to explain"),
    ],
)
def test_what_does_not_fit_the_rows_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        assay.case(voting(), X, **options)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((0, 4)), "no rows"),
        (np.zeros(4), r"shape \(4,\)\. For one row use x\[None\]"),
        (np.array([["a", "b"]]), "texts"),
        (pd.Series({"a": 1.0, "b": "u"}), r"Series of cells by name.*frame\.iloc\[\[0\]\]"),
        ({"a": [1.0], "b": ["u"]}, "dict of cells by name; give a data frame"),
        ([{"a": 1.0, "b": "u"}], "list of cells by name; give a data frame"),
        (np.array([[None, 1.0]]), r"NaN or infinite values in row\(s\) 0"),
    ],
)
@pytest.mark.parametrize("model", [voting(), classifier()], ids=["numpy", "torch"])
def test_what_are_no_rows_is_refused(model: assay.Model, x: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        assay.case(model, x)


def test_a_thing_that_is_no_model_is_refused() -> None:
    with pytest.raises(InputError, match=r"needs a Model; got Sequential\. Make one with assay\.wrap"):
        assay.case(nets.small(), X)


def test_a_net_is_not_given_text_columns() -> None:
    with pytest.raises(InputError, match=r"a net needs numbers; column\(s\) \['t'\]"):
        assay.case(classifier(), pd.DataFrame({"a": [1.0], "t": ["x"]}))


@pytest.mark.parametrize("remove", [0.0, None, assay.Blur])
def test_what_is_no_removal_is_refused(remove: Any) -> None:
    with pytest.raises(InputError, match="is not a removal"):
        assay.case(voting(), X).game(remove)


def test_gradients_of_a_function_without_them_are_refused() -> None:
    with pytest.raises(CapabilityError, match="voter gives none"):
        assay.case(voting(), X).gradient(X)


def test_the_gradient_of_a_step_is_refused() -> None:
    case = assay.case(classifier(), X, target="decision")
    with pytest.raises(CapabilityError, match="a step function: its gradient is zero"):
        case.gradient(case.rows.x)


def test_a_slope_in_closed_form_is_not_used_for_another_question() -> None:
    case = examples.linear().with_target("loss", label=[0.0])
    with pytest.raises(CapabilityError, match="gradient of its value only, not of target 'loss'"):
        case.gradient(case.rows.x)


# ---- columns ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [pd.DataFrame, lambda f: pl.DataFrame(f.to_dict("list"))], ids=["pandas", "polars"])
def test_reordered_columns_are_put_right_by_name(kind: Any) -> None:
    model, frame = fitted()
    straight, turned = assay.case(model, kind(frame)), assay.case(model, kind(frame[list("dbca")]))
    assert turned.features.names == ("a", "b", "c", "d")
    assert_array_equal(turned.output, straight.output)
    assert_array_equal(explain.shapley(turned).values, explain.shapley(straight).values)


def test_missing_and_unexpected_columns_are_named() -> None:
    model, frame = fitted()
    with pytest.raises(InputError, match="missing 'b'; unexpected 'z'"):
        assay.case(model, frame.rename(columns={"b": "z"}))


def test_a_net_explained_on_a_frame_keeps_the_columns_names_and_takes_frames_as_background() -> None:
    frame = pd.DataFrame(X, columns=list("abcd"))
    case = assay.case(classifier(), frame)
    assert case.features.names == ("a", "b", "c", "d")
    values = explain.shapley(case, remove=assay.Marginal(frame[list("dcba")].head(2))).values
    bare = assay.case(classifier(), X)
    assert_allclose(values, explain.shapley(bare, remove=assay.Marginal(X[:2])).values, atol=1e-12)


def test_other_rows_must_fit_too() -> None:
    case = assay.case(voting(), X)
    for other, message in [(X[:, :2], r"\(2,\); the rows explained have \(4,\)"), (X[:0], "at least one row")]:
        with pytest.raises(InputError, match=message):
            case.rows.convert(other)
    with pytest.raises(InputError, match=r"row\(s\) 0"):
        case.rows.convert(np.full((1, 4), np.nan))


# ---- questions ----------------------------------------------------------------------------------------------------


def test_the_target_follows_the_kind_of_model() -> None:
    assert assay.case(classifier(), X).target.name == "logit"
    assert assay.case(fitted()[0], X).target.name == "probability"
    assert examples.linear().target.name == "value"
    assert "logit" in repr(assay.case(classifier(), X))


def test_labels_may_be_predicted_runners_up_names_or_positions() -> None:
    scores = voter(X)
    best = scores.argmax(axis=1)
    second = np.where(np.arange(3) == best[:, None], -np.inf, scores).argmax(axis=1)
    model = voting(classes=("ape", "bee", "cat"))
    assert_array_equal(assay.case(model, X).label, best)
    assert_array_equal(assay.case(model, X, label="runner_up").label, second)
    assert_array_equal(assay.case(model, X, label="bee").label, 1)
    assert_array_equal(assay.case(model, X, label=["ape", "bee", "cat"] * 2).label, [0, 1, 2] * 2)
    assert_array_equal(assay.case(model, X, label=torch.tensor([2] * 6)).label, 2)
    assert_allclose(assay.case(model, X, label="bee").output, X[:, 0])


def test_one_column_of_scores_has_a_runner_up() -> None:
    model = assay.model.function(lambda x: x[:, 0], gives="logits")
    first, second = (assay.case(model, X, label=label) for label in ("predicted", "runner_up"))
    assert_array_equal(first.label, X[:, 0] > 0)
    assert_allclose(first.output, -second.output)


def test_one_column_of_probabilities_speaks_of_the_second_class() -> None:
    model = assay.model.function(lambda x: 1 / (1 + np.exp(-x[:, 0])), gives="probabilities")
    assert_allclose(assay.case(model, X, label=0).output, 1 / (1 + np.exp(X[:, 0])))


def test_the_same_rows_with_another_target() -> None:
    case = assay.case(voting(), X)
    other = case.with_target("probability", label=2)
    odds = np.exp(voter(X))
    assert_allclose(other.output, odds[:, 2] / odds.sum(axis=1))
    assert_array_equal(case.label, voter(X).argmax(axis=1))


def test_a_regressions_loss_compares_with_the_truth() -> None:
    case = assay.case(assay.wrap(lambda x: x[:, 0], output="values"), X, target="loss", label=X[:, 0] + 0.5)
    assert_allclose(case.output, 0.25)
    with pytest.raises(InputError, match="compares with the truth"):
        examples.linear().with_target("loss")


def test_an_output_of_a_regression_is_selected_by_position() -> None:
    model = assay.wrap(lambda x: x[:, :2], output="values")
    assert_array_equal(assay.case(model, X, label=1).output, X[:, 1])
    with pytest.raises(InputError, match=r"label 2 does not exist; the model has 2 output\(s\)"):
        assay.case(model, X, label=2)


def test_a_question_to_a_layer_is_about_its_activations() -> None:
    net = nets.images()
    x = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    case = assay.case(assay.model.torch(net), x, target=assay.unit("0", 2))
    with torch.no_grad():
        expected = net[0](x)[:, 2].mean(dim=(1, 2))
    assert_allclose(case.output, expected, rtol=1e-5)
    assert_allclose(assay.case(assay.model.torch(net), x).with_target(assay.unit("0", 2)).output, expected, rtol=1e-5)


def test_a_unit_or_layer_that_does_not_exist_is_refused() -> None:
    model, x = assay.model.torch(nets.images()), np.zeros((1, 3, 6, 6))
    with pytest.raises(InputError, match=r"the model has 4 unit\(s\)"):
        assay.case(model, x, target=assay.unit("0", 4))
    with pytest.raises(InputError, match=r"no layer 'conv'"):
        assay.case(model, x, target=assay.unit("conv", 0))


def test_some_rows_are_taken_by_position_or_by_mask() -> None:
    case = assay.case(voting(), X, ids=list("abcdef"))
    mask = np.array([False, True, False, False, True, False])
    assert case.take([4, 1]).rows.ids == ("e", "b")
    assert case.take(mask).rows.ids == ("b", "e")
    assert_array_equal(case.take(mask).output, case.output[mask])
    assert_array_equal(case.take(mask).label, case.label[mask])


def test_cells_are_shown_in_the_order_of_the_parts() -> None:
    frame = pl.DataFrame({"age": [30], "purpose": ["car"]})
    model = assay.wrap(lambda f: f["age"].to_numpy(), output="values")
    cut = integer_map([1, 0], ["purpose", "age"])
    assert assay.case(model, frame).part_texts() == (("30", "car"),)
    assert assay.case(model, frame, features=cut).part_texts() == (("car", "30"),)


def test_a_number_names_the_class_so_called_before_it_is_a_position() -> None:
    model = assay.model.function(lambda x: np.tile([0.2, 0.8], (len(x), 1)), gives="probabilities", classes=["1", "2"])
    rows = np.zeros((2, 3))
    assert assay.case(model, rows, label=1).label.tolist() == [0, 0]
    assert assay.case(model, rows, label=np.array([2.0, 1.0])).label.tolist() == [1, 0]
    assert assay.case(model, rows, label=0).label.tolist() == [0, 0]  # 0 names no class: a position
    with pytest.raises(InputError, match="row 0: label 0 does not exist; the model has 2 classes: 1, 2"):
        assay.case(model, rows, label=[0, 1])  # a name beside what is none
