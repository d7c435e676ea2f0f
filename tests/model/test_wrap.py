"""One door for every kind of trained model."""

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from tests.cases import nets

import assay
from assay.basics.errors import CapabilityError, InputError

ESTIMATOR = LogisticRegression().fit(np.eye(2), [0, 1])


def test_a_model_passes_through() -> None:
    model = assay.wrap(nets.small())
    assert assay.wrap(model) is model


def test_each_kind_finds_its_adapter() -> None:
    assert assay.wrap(nets.small()).namespace == "torch"
    assert assay.wrap(ESTIMATOR).gives == "probabilities"
    assert assay.wrap(len, output="values").name == "len"


def test_a_function_must_say_what_it_returns() -> None:
    with pytest.raises(InputError, match="len is a function: say what it returns with output='logits'"):
        assay.wrap(len)


@pytest.mark.parametrize("thing", ["model.pt", 3, {"a": 1}, None])
def test_what_is_no_model_is_refused(thing: Any) -> None:
    with pytest.raises(CapabilityError, match="is no model assay knows"):
        assay.wrap(thing)


def test_a_device_is_for_nets() -> None:
    with pytest.raises(InputError, match="device='cpu' has a meaning for torch nets only"):
        assay.wrap(ESTIMATOR, device="cpu")


def test_picking_an_output_by_function_is_for_nets() -> None:
    with pytest.raises(InputError, match="torch nets only; LogisticRegression is none"):
        assay.wrap(ESTIMATOR, output=lambda out: out)
