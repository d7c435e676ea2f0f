"""The choice of an adapter by ``wrap``."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from tests.cases import nets

import assay
from assay.basics.errors import CapabilityError, InputError

ESTIMATOR = LogisticRegression().fit(np.eye(2), [0, 1])


def test_a_model_is_returned_unchanged() -> None:
    model = assay.wrap(nets.small())
    assert assay.wrap(model) is model


def test_each_kind_finds_its_adapter() -> None:
    assert assay.wrap(nets.small()).namespace == "torch"
    assert assay.wrap(ESTIMATOR).gives == "probabilities"
    assert assay.wrap(len, output="values").name == "len"


def test_a_function_needs_the_kind_of_its_output() -> None:
    with pytest.raises(InputError, match="len is a function: state what it returns with output=, one of 'logits'"):
        assay.wrap(len)


@pytest.mark.parametrize("thing", ["model.pt", 3, {"a": 1}, None])
def test_unsupported_objects_are_refused(thing: Any) -> None:
    with pytest.raises(CapabilityError, match="is not a supported model"):
        assay.wrap(thing)


def test_a_device_is_for_nets() -> None:
    with pytest.raises(InputError, match="device='cpu' applies to torch nets only"):
        assay.wrap(ESTIMATOR, device="cpu")


def test_an_output_function_is_for_nets() -> None:
    with pytest.raises(InputError, match="torch nets only; LogisticRegression is none"):
        assay.wrap(ESTIMATOR, output=lambda out: out)


def test_a_class_is_asked_for_an_object_of_it() -> None:
    with pytest.raises(InputError, match=r"Linear is a class; give an object"):
        assay.wrap(torch.nn.Linear)


def test_a_pipeline_of_net_and_tokenizer_is_told_how_to_be_wrapped() -> None:
    kind = type("TextClassificationPipeline", (), {"__module__": "transformers.pipelines", "__call__": len})
    with pytest.raises(InputError, match=r"assay\.model\.transformers\(pipeline\.model, pipeline\.tokenizer\)"):
        assay.wrap(kind())
