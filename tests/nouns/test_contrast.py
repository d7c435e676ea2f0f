"""A class against a rival."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression
from tests.contract.subjects import ROWS, SUBJECTS, methods, net, neural, required_options, smooth, supports

import assay
from assay.basics.errors import CapabilityError, InputError
from assay.cases.case import Case
from assay.engine.capabilities import NEEDS

X = torch.as_tensor(ROWS)
NAMES = ("wolf", "husky", "cat")


def named(**options: Any) -> Case:
    return assay.case(assay.wrap(net(), classes=NAMES), X, **options)


def test_of_logits_it_is_their_difference() -> None:
    case = neural().with_target(assay.contrast(2))
    assert_allclose(case.output, case.prediction[:, 1] - case.prediction[:, 2], atol=1e-12)
    assert case.target_text == "contrast with 2 of 1"


def test_a_name_is_looked_up_when_the_case_is_made() -> None:
    case = named(label="wolf", target=assay.contrast("husky"))
    assert_allclose(case.output, case.prediction[:, 0] - case.prediction[:, 1], atol=1e-12)
    assert (case.target_text, case.target.rival) == ("contrast with husky of wolf", 1)
    again = named(label="cat").with_target(assay.contrast("husky"))
    assert_allclose(again.output, case.prediction[:, 2] - case.prediction[:, 1], atol=1e-12)
    assert again.with_target(label="wolf").target is again.target


def test_of_probabilities_it_is_the_log_odds_between_the_two() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(60, 4)), generator.integers(3, size=60)
    forest = LogisticRegression().fit(x, y)
    case = assay.case(assay.wrap(forest), x[:4], label=1, target=assay.contrast(0))
    p = forest.predict_proba(x[:4])
    assert_allclose(case.output, np.log(p[:, 1] / p[:, 0]), atol=1e-9)


def test_of_one_score_for_two_classes_it_is_the_score_turned_to_the_label() -> None:
    torch.manual_seed(0)
    module = torch.nn.Linear(4, 1).double()
    for label in (0, 1):
        case = assay.case(assay.wrap(module), X, label=label, target=assay.contrast(1 - label))
        assert_allclose(case.output, (2 * label - 1) * case.prediction[:, 0], atol=1e-12)


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match=r"the rival of the contrast: .*'dog' does not exist; the model has 3 classes"):
        named(target=assay.contrast("dog"))
    with pytest.raises(InputError, match=r"the rival of the contrast: .*3 does not exist"):
        neural().with_target(assay.contrast(3))
    with pytest.raises(InputError, match=r"the rival of the contrast: .*-1 does not exist"):
        neural().with_target(assay.contrast(-1))
    with pytest.raises(InputError, match="needs the name or position of a class; got 'runner_up'"):
        named(target=assay.contrast("runner_up"))
    with pytest.raises(CapabilityError, match="contrast needs classes"):
        smooth().with_target(assay.contrast(0))


def test_a_label_that_is_the_rival_is_refused_naming_rows() -> None:
    with pytest.raises(InputError, match=r"row 0, 2: the label is the rival itself \(contrast with husky\)"):
        named(label=["husky", "cat", "husky"], target=assay.contrast("husky"))
    with pytest.raises(InputError, match="row 0, 1, 2: the label is the rival"):
        neural().with_target(assay.contrast(1))
    with pytest.raises(InputError, match="row 0, 1, 2: the label is the rival"):
        neural().with_target(assay.contrast(2)).with_target(label=2)


GRADIENTS = [
    (method, subject)
    for method in methods("explain")
    if method.needs & {"gradient"} and not {"decoder", "masks"} & set(method.options)  # these read no target
    for subject in ("neural", "visual")
    if supports(method, subject)
]


@pytest.mark.parametrize(("method", "subject"), GRADIENTS, ids=lambda v: getattr(v, "name", v))
def test_it_goes_through_every_gradient_method(method: Any, subject: str) -> None:
    case = SUBJECTS[subject]().with_target(assay.contrast(2))
    signed = {"signed": True} if "signed" in method.options else {}
    found = method.call(case, **required_options(method, case), **signed)
    assert found.provenance.target == "contrast with 2 of 1"
    assert_allclose(found.output, case.prediction[:, 1] - case.prediction[:, 2], atol=1e-12)
    assert np.isfinite(found.values).all()
    assert np.abs(found.values).max() > 0
    assert NEEDS["gradient"][0](case)
