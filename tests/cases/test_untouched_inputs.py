"""What a case leaves alone: nets, tensors, frames and global random states, also after errors."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tests.cases import nets
from tests.cases.small_models import X, classifier

import assay
from assay import explain


def test_a_net_in_training_mode_is_copied_noted_and_left_in_training_mode() -> None:
    net = nets.small(train=True)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    result = explain.integrated_gradients(assay.case(assay.wrap(net), X))
    assert [note.code for note in result.notes] == ["train-mode"]
    assert all(module.training for module in net.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert_array_equal(result.values, explain.integrated_gradients(assay.case(assay.wrap(nets.small()), X)).values)


def states() -> list[Any]:
    numpy_state = np.random.get_state()  # noqa: NPY002  # the global generator is what is watched
    return [numpy_state[1].tolist(), numpy_state[2], torch.random.get_rng_state().tolist()]


@pytest.mark.parametrize("fails", [False, True])
def test_tensors_and_global_randomness_are_untouched_after_success_and_after_an_error(fails: bool) -> None:
    calls = []

    class Net(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            calls.append(len(x))
            if fails and len(calls) == 3:
                raise KeyError("midway")
            return super().forward(x).mul_(2)

    x = torch.tensor(X, dtype=torch.float32)
    model = assay.model.torch(Net(4, 3), batch=2)
    copy, before = x.clone(), states()
    if fails:
        with pytest.raises(KeyError, match="midway"):
            explain.smooth_grad(assay.case(model, x, label=0))
    else:
        explain.smooth_grad(assay.case(model, x, label=0))
    assert torch.equal(x, copy)
    assert not x.requires_grad
    assert x.grad is None
    assert states() == before


@pytest.mark.parametrize("fails", [False, True])
def test_frames_are_untouched_after_success_and_after_an_error_in_the_second_batch(fails: bool) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "t": pd.Categorical(["x", "y", "x"])})
    copy, calls = frame.copy(deep=True), []

    def model(rows: pd.DataFrame) -> np.ndarray:
        calls.append(len(rows))
        if fails and len(calls) == 2:
            raise RuntimeError("second batch")
        rows["a"] = rows["a"] * 2  # a model that writes into what it is given
        return rows["a"].to_numpy() + (rows["t"] == "x")

    case = assay.case(assay.model.function(model, batch=2), frame)
    if fails:
        with pytest.raises(RuntimeError, match="second batch"):
            case.value(case.rows.x)
    else:
        assert_allclose(case.output, [3.0, 4.0, 7.0])
        assert_allclose(explain.shapley(case, remove=assay.Marginal(frame)).residual, 0.0, atol=1e-12)
    pd.testing.assert_frame_equal(frame, copy)
    assert case.rows.table.decode(case.rows.x)["a"].tolist() == [1.0, 2.0, 3.0]


def test_a_net_that_works_in_place_on_its_input_does_not_reach_the_rows() -> None:
    net = torch.nn.Sequential(torch.nn.ReLU(inplace=True), torch.nn.Linear(4, 2)).eval()
    case = assay.case(assay.model.torch(net), X, label=0)
    before = case.rows.x.clone()
    assert_array_equal(case.value(case.rows.x), case.value(case.rows.x))
    assert torch.isfinite(case.gradient(case.rows.x)).all()
    assert torch.equal(case.rows.x, before)


def test_read_only_and_turned_arrays_are_taken_without_a_word() -> None:
    x = X[::-1]
    x.flags.writeable = False
    case = assay.case(classifier(), x)
    assert_allclose(case.rows.x.numpy(), x, rtol=1e-6)
    assert case.rows.convert(x).shape == (6, 4)
    assert np.isfinite(explain.shapley(case, remove=assay.Constant(x[0])).values).all()


def test_an_error_midway_counts_only_what_was_answered() -> None:
    def model(x: np.ndarray) -> np.ndarray:
        if len(x) == 2:  # the second batch of six rows
            raise ZeroDivisionError
        return x[:, 0]

    wrapped = assay.model.function(model, batch=4)
    with pytest.raises(ZeroDivisionError):
        assay.case(wrapped, X).value(X)
    assert wrapped.meter.forwards == 4
