"""Mistakes: both explanations beside each other, by hand and on digits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.evaluate.settings import digits, digits_net

import assay
from assay import examples, explain
from assay.basics.errors import CapabilityError, InputError
from assay.engine.comparison.wrong_classes import misclassified_galleries

ZERO = assay.Constant(0.0)

MIXING = np.array([[2.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.5, 0.0, 0.0], [0.0, 1.5, 0.0]])
ROWS = np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 0.0, 0.0], [2.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 1.2]])


def linear() -> assay.Model:
    """Three classes, linear; predicted 0 or 2 by the row."""
    import torch

    net = torch.nn.Linear(4, 3, bias=False).double()
    net.weight.data = torch.tensor(MIXING.T)
    return assay.model.torch(net)


def test_the_case_is_as_the_other_tests_need_it() -> None:
    assert_allclose(ROWS @ MIXING, [[2.5, 2.5, 2.0], [2, 2, 3], [4.5, 0, 2], [2, 1.8, 1]])
    assert assay.case(linear(), ROWS).label.tolist() == [0, 2, 0, 0]


def test_measures_are_those_of_counting_by_hand() -> None:
    case = assay.case(linear(), ROWS)
    found = assay.wrong_classes(explain.input_x_gradient(case), case, [0, 1, 0, 1], k=2, remove=ZERO)
    assert found.row_indices.tolist() == [1, 3]
    assert found.predicted_classes == ("2", "0")
    assert found.true_classes == ("1", "1")
    assert_allclose(found.predicted, [[1, 2, 0, 0], [2, 0, 0, 0]])
    assert_allclose(found.true, [[0, 2, 0, 0], [0, 0, 0, 1.8]])
    assert_allclose(found.overlap, [1.0, 0.5])  # {1, 0} and {1, 0}; {0, 1} and {3, 0}: ties in part order
    assert_allclose(found.chance, 0.5)


def test_overlap_counts_the_highest_parts_of_both() -> None:
    case = assay.case(linear(), ROWS)
    own = explain.input_x_gradient(case)
    rival = replace(own, values=np.array([[0.0, 0, 0, 0], [5, 1, 0, 3], [0, 0, 0, 0], [1, 2, 3, 4]]))
    found = assay.wrong_classes(own, case, [0, 1, 0, 1], k=2, rival=rival, remove=ZERO)
    assert_allclose(found.overlap, [0.5, 0.0])  # {1, 0} and {0, 3}; {0, 1} and {3, 2}
    assert_array_equal(found.true, rival.values[[1, 3]])


def test_flips_read_what_goes_first_from_the_predicted_class() -> None:
    case = assay.case(linear(), ROWS)
    found = assay.wrong_classes(explain.input_x_gradient(case), case, [0, 1, 0, 1], k=1, remove=ZERO)
    # row 1: part 1 gone leaves (2, 0, 1): class 0, and never 1 (then nothing is left, and the first class is taken)
    # row 3: part 0 gone leaves (0, 1.8, 0): class 1
    assert_allclose(found.flip, [0.25, 0.25])
    assert_allclose(found.correction, [np.inf, 0.25])


def test_mean_cosine_with_correct_rows_of_the_class() -> None:
    case = assay.case(linear(), ROWS)
    own = explain.input_x_gradient(case)
    found = assay.wrong_classes(own, case, [0, 1, 0, 1], k=1, remove=ZERO)
    lengths = np.linalg.norm(own.values, axis=1)
    cosines = [own.values[3] @ own.values[i] / (lengths[3] * lengths[i]) for i in (0, 2)]
    assert_allclose(found.cosine_predicted, [np.nan, np.mean(cosines)])  # no right row of class 2
    assert np.isnan(found.cosine_true).all()


def test_equal_evidence_for_both_classes_has_overlap_one() -> None:
    x = np.array([[3.0, 1.0, 0.1, 0.1]])
    doubled = np.array([[2.0, 1.9], [1.0, 0.9], [0.1, 0.0], [0.0, 0.1]])  # both classes depend on parts 0 and 1
    case = assay.case(assay.model.function(lambda x: x @ doubled, gives="logits"), x, label="predicted")
    found = assay.wrong_classes(explain.occlusion(case, remove=ZERO), case, [1], k=2, remove=ZERO)
    assert found.overlap.tolist() == [1.0]


def test_no_misclassified_row_gives_an_empty_result() -> None:
    case = assay.case(linear(), ROWS)
    found = assay.wrong_classes(explain.input_x_gradient(case), case, case.label, k=2, remove=ZERO)
    assert found.ids == ()
    assert repr(found) == "WrongClasses by input_x_gradient: 0 of 4 rows misclassified"
    assert len(found.to_frame()) == 0


def test_both_flips_cost_one_curve_and_the_rival_only_the_wrong_rows() -> None:
    case = assay.case(linear(), ROWS)
    own = explain.input_x_gradient(case)
    _ = case.prediction
    before = case.model.meter.forwards, case.model.meter.backwards
    assay.wrong_classes(own, case, [0, 1, 0, 1], k=2, remove=ZERO)
    spent = case.model.meter.forwards - before[0], case.model.meter.backwards - before[1]
    again = explain.input_x_gradient(case.take([1, 3])).provenance.cost
    assert spent == (again["forwards"] + 2 * 4 + 2, again["backwards"])  # two curves of four points, two outputs


def test_misclassified_digits_are_saved_and_loaded(tmp_path: Path) -> None:
    case, labels = digits(150), digits_net()[2][:150].numpy()
    found = assay.wrong_classes(explain.input_x_gradient(case), case, labels, k=10, steps=16, remove=ZERO)
    assert 0 < len(found.ids) < 60
    assert (found.flip > 0).all()
    assert (found.correction >= found.flip).all()
    assert np.nanmean(found.cosine_predicted) > np.nanmean(found.cosine_true)
    first, second = found.maps(found.ids[0])
    assert first.shape == second.shape == (1, 8, 8)
    assert len(repr(found).splitlines()) <= 6
    assert not hasattr(found, "nothing")
    back = assay.load(found.save(tmp_path / "w"))
    assert repr(back) == repr(found)
    assert back.to_frame().equals(found.to_frame())
    with pytest.raises(InputError, match="not among"):
        found.maps("none")


def test_unsuitable_arguments_are_refused() -> None:
    case = assay.case(linear(), ROWS)
    own = explain.input_x_gradient(case)
    with pytest.raises(InputError, match="of the predicted classes"):
        assay.wrong_classes(own, case.with_target(label=1), [0, 1, 0, 1], k=2, remove=ZERO)
    with pytest.raises(InputError, match="k=9"):
        assay.wrong_classes(own, case, [0, 1, 0, 1], k=9, remove=ZERO)
    with pytest.raises(InputError, match="3 labels for 4 rows"):
        assay.wrong_classes(own, case, [0, 1, 0], k=2, remove=ZERO)
    with pytest.raises(InputError, match="rival has 1 rows"):
        assay.wrong_classes(own, case, [0, 1, 0, 1], k=2, rival=explain.input_x_gradient(case.take([0])), remove=ZERO)
    with pytest.raises(InputError, match="give an explanation of this"):
        assay.wrong_classes(explain.input_x_gradient(case.take([0])), case, [0, 1, 0, 1], k=2, remove=ZERO)
    value = examples.additive((1.0, 2.0))
    with pytest.raises(CapabilityError, match="need a classifier"):
        assay.wrong_classes(explain.occlusion(value, remove=ZERO), value, [1.0], k=1, remove=ZERO)


def test_galleries_hold_each_classs_false_positives_and_negatives_the_most_confident_first() -> None:
    predicted, truth = np.array([0, 0, 1, 2, 2, 1]), np.array([0, 1, 1, 0, 0, 2])
    margin = np.array([9.0, 1.0, 9.0, 0.2, 0.5, 0.7])
    found = misclassified_galleries(predicted, truth, margin, ("cat", "dog", "cow"))
    assert [(one.name, one.rows, one.of) for one in found] == [
        ("false positives: cat", (1,), 1),
        ("false negatives: cat", (4, 3), 2),
        ("false positives: dog", (5,), 1),
        ("false negatives: dog", (1,), 1),
        ("false positives: cow", (4, 3), 2),
        ("false negatives: cow", (5,), 1),
    ]
    assert misclassified_galleries(predicted, truth, margin, ("cat", "dog", "cow"), limit=1)[1].rows == (4,)


def test_of_two_classes_a_misclassified_row_is_in_one_gallery() -> None:
    found = misclassified_galleries(np.array([0, 1, 1]), np.array([1, 0, 1]), np.ones(3), ("no", "yes"))
    assert [(one.name, one.rows) for one in found] == [("false positives: yes", (1,)), ("false negatives: yes", (0,))]
    assert misclassified_galleries(np.array([0]), np.array([0]), np.ones(1), ("no", "yes")) == ()
