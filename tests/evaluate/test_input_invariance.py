"""Input invariance, against the axiom on known nets, the closed form, and nets of every first layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.subjects import SUBJECTS, pictures, textual

import assay
from assay import Constant, Marginal, evaluate, explain
from assay.axioms.functions import ACTIVATIONS
from assay.axioms.invariance import _shift_difference
from assay.axioms.measurement import with_subject_baseline
from assay.axioms.networks import mixed_sign_function
from assay.axioms.subjects import POSITION_WEIGHTS, START, X, function_subject
from assay.axioms.torch_modules import InputShift
from assay.basics.errors import AssayError, CapabilityError, InputError, NumericalError
from assay.cases.case import Case
from assay.engine.cost import cost_of
from assay.engine.gradients.distributions import Line
from assay.engine.neighbourhoods.input_shift import explain_shifted, shift_of
from assay.model.transformations.shift_input import shift_input
from assay.nouns.catalogue import Cost, find

nn = torch.nn
METHODS = (
    "saliency", "input_x_gradient", "integrated_gradients", "lrp", "deep_lift", "smooth_grad", "guided_backprop",
    "shapley", "occlusion", "lime", "expected_gradients", "internal_influence",
)  # fmt: skip


def seeded(*layers: nn.Module) -> nn.Module:
    """A net in float64 with weights from a private generator, batch norms with statistics of their own."""
    net, stream = nn.Sequential(*layers).double(), torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.rand(tensor.shape, generator=stream, dtype=torch.float64)
                tensor.copy_(noise + 0.5 if "running_var" in name else noise - 0.4)
    return net.eval()


class Branches(nn.Module):
    """The input through two layers side by side, flattened and reversed."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(6, 4), nn.Linear(6, 3, bias=False), nn.Linear(7, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([torch.relu(self.one(x)), torch.tanh(self.two(x.flip(1)))], dim=1))


class Residual(nn.Module):
    """The input added to what a layer makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.head = nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.one(x) + x))


def convolutional(**options: Any) -> nn.Module:
    side = 8 if options.get("padding") else 6
    return seeded(nn.Conv2d(3, 2, 3, **options), nn.ReLU(), nn.Flatten(), nn.Linear(2 * side * side, 3))


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: seeded(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)), (6,)),
    "no bias": (lambda: seeded(nn.Linear(6, 4, bias=False), nn.Tanh(), nn.Linear(4, 2)), (6,)),
    "batch norm": (lambda: seeded(nn.BatchNorm1d(6), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)), (6,)),
    "bare batch norm": (lambda: seeded(nn.BatchNorm1d(6, affine=False), nn.Linear(6, 4), nn.Linear(4, 2)), (6,)),
    "flattened": (lambda: seeded(nn.Flatten(), nn.Dropout(), nn.Linear(192, 4), nn.ReLU(), nn.Linear(4, 2)), (3, 8, 8)),
    "convolution": (convolutional, (3, 8, 8)),
    "zero padding": (lambda: convolutional(padding=1), (3, 8, 8)),
    "padding by name": (lambda: convolutional(padding="same"), (3, 8, 8)),
    "mirrored padding": (lambda: convolutional(padding=1, padding_mode="reflect", bias=False), (3, 8, 8)),
    "two branches": (lambda: seeded(Branches()), (6,)),
}


def case_of(name: str, *, dtype: torch.dtype = torch.float64, rows: int = 3) -> Case:
    make, shape = NETS[name]
    x = torch.as_tensor(np.random.default_rng(5).normal(size=(rows, *shape)))
    return assay.case(assay.wrap(make().to(dtype)), x.to(dtype), label=1)


@pytest.mark.parametrize("name", NETS)
def test_the_shifted_net_computes_the_same_from_shifted_inputs(name: str) -> None:
    case = case_of(name)
    move = np.linspace(0.5, 2.0, int(np.prod(case.rows.shape))).reshape(case.rows.shape)
    for m in (move, np.full(case.rows.shape, -1.5)):
        other = shift_input(case.model, case.rows, m)
        shifted = replace(case.rows, x=case.rows.x + torch.as_tensor(m))
        assert_allclose(other.values(shifted), case.model.values(case.rows), atol=1e-10)
        assert (other.values(case.rows) - case.model.values(case.rows)).abs().max() > 1e-3


@pytest.mark.parametrize("name", NETS)
def test_explanations_are_those_of_a_net_that_subtracts_the_shift_before_its_first_layer(name: str) -> None:
    case, move = case_of(name), shift_of(case_of(name), 1.5, ())
    wrapped = assay.wrap(nn.Sequential(InputShift(move), NETS[name][0]()))
    outside = replace(case, model=wrapped, rows=replace(case.rows, x=case.rows.x + torch.as_tensor(move)))
    for explainer in (explain.saliency, explain.input_x_gradient, explain.integrated_gradients):
        expected = explainer(outside, **({"start": 1.5} if explainer is explain.integrated_gradients else {}))
        assert_allclose(explain_shifted(explainer(case), case, move)[0], expected.values, atol=1e-8)


@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("name", METHODS)
def test_on_the_nets_of_the_axiom_it_has_the_size_of_the_violation(name: str, act: Any) -> None:
    """The axiom builds its shifted net from the formula; this score finds the first layer of a net it is given."""
    run = with_subject_baseline(find("explain", name))
    subject = function_subject("numbers", mixed_sign_function(act), X, START, f"oracle {act}", POSITION_WEIGHTS)
    try:
        explanation = run(subject)
    except AssayError:
        pytest.skip(f"{name} has no rule for {act}")
    expected = _shift_difference(run, "numbers", act, np.full(4, 2.0))
    score = evaluate.input_invariance(explanation, subject.case, shift=2.0)
    before, after = explanation.values, explain_shifted(explanation, subject.case, np.full(4, 2.0))[0]
    size = np.abs(before - after).max() / max(np.abs(before).max(), np.abs(after).max())
    assert_allclose(size, expected.size, atol=1e-6)
    assert_allclose(score.values, [np.abs(before - after).max() / np.abs(before).max()], atol=1e-12)


def test_of_a_linear_net_gradient_times_input_changes_by_the_largest_weight() -> None:
    """φ = w x and φ' = w (x + m), so the score is |m| max |w| / max |w x|."""
    weight = torch.tensor([[2.0, -1.0, 0.5]], dtype=torch.float64)
    net = nn.Linear(3, 1).double()
    with torch.no_grad():
        net.weight.copy_(weight)
    x = torch.tensor([[1.0, 3.0, -2.0], [0.5, 0.0, 1.0]], dtype=torch.float64)
    case = assay.case(assay.wrap(net, output="values"), x)
    score = evaluate.input_invariance(explain.input_x_gradient(case), case, shift=0.5)
    assert_allclose(score.values, [0.5 * 2 / 3, 0.5 * 2 / 1])
    by_column = evaluate.input_invariance(explain.input_x_gradient(case), case, shift=0.5, scale=(0.0, 4.0, 1.0))
    assert_allclose(by_column.values, [2.0 / 3, 2.0 / 1])
    for same in (
        explain.saliency(case),
        explain.integrated_gradients(case),
        explain.occlusion(case, remove=Constant(0)),
    ):
        assert_allclose(evaluate.input_invariance(same, case).values, 0.0, atol=1e-12)
    assert (score.better, score.of) == ("lower", "input_x_gradient")


def test_the_outputs_of_a_float32_net_differ_by_rounding_which_is_reported() -> None:
    case = case_of("zero padding", dtype=torch.float32)
    score = evaluate.input_invariance(explain.saliency(case, signed=True), case)
    assert 0 < score.extra["output change"].max() < 1e-4
    assert score.values.max() < 1e-3
    with pytest.raises((NumericalError, CapabilityError), match=r"too large for float32|cannot be shifted exactly"):
        evaluate.input_invariance(explain.saliency(case), case, shift=1e9)


def test_constant_and_given_backgrounds_and_paths_move_with_the_inputs() -> None:
    case = case_of("linear")
    background = case.rows.x.numpy()[:2] + 0.25
    for explanation in (
        explain.shapley(case, remove=Constant([1.0, 0.0, -1.0, 2.0, 0.0, 0.5])),
        explain.shapley(case, remove=Marginal(background)),
        explain.shapley(case, remove=assay.Mean(background)),
        explain.shapley(case, remove=assay.Conditional(background, 2)),
        explain.shapley(case),
        explain.expected_gradients(case, background=background),
        explain.integrated_gradients(case, start=background[0]),
        explain.internal_influence(case, over=Line(background[0])),
        explain.qii(case, comparison=background, folds=2),
    ):
        assert_allclose(evaluate.input_invariance(explanation, case).values, 0.0, atol=1e-9)


def test_a_stored_explanation_is_scored_as_the_one_in_memory(tmp_path: Any) -> None:
    case = case_of("linear")
    explanation = explain.occlusion(case, remove=Constant(0.5))
    explanation.save(tmp_path / "e.assay")
    read = assay.load(tmp_path / "e.assay")
    assert_allclose(evaluate.input_invariance(read, case).values, evaluate.input_invariance(explanation, case).values)


def test_where_the_explanation_is_zero_it_is_undefined_with_a_note() -> None:
    case = case_of("linear")
    zero = replace(explain.input_itself(case), values=np.zeros((3, 6)))
    score = evaluate.input_invariance(zero, case)
    assert np.isnan(score.values).all()
    assert any(note.code == "undefined" for note in score.notes)


@pytest.mark.parametrize("net", [Residual(), nn.Sequential(nn.ReLU(), nn.Linear(6, 2))], ids=["skip", "rectified"])
def test_nets_whose_input_is_read_by_something_else_are_refused(net: nn.Module) -> None:
    case = assay.case(assay.wrap(seeded(net)), torch.randn((2, 6), dtype=torch.float64), label=1)
    with pytest.raises(CapabilityError, match="cannot be shifted exactly"):
        evaluate.input_invariance(explain.saliency(case), case)


@pytest.mark.parametrize("subject", ["textual", "mixed", "plain", "wooded"])
def test_texts_coded_columns_and_models_that_are_no_nets_are_refused(subject: str) -> None:
    case = textual() if subject == "textual" else SUBJECTS[subject]()
    with pytest.raises(CapabilityError, match=r"evaluate\.input_invariance needs"):
        evaluate.input_invariance(explain.constant(case), case)


@pytest.mark.parametrize(
    "options", [{"shift": 0.0}, {"shift": float("nan")}, {"scale": (1.0, 2.0)}, {"scale": (0.0,)}, {"scale": (-1.0,)}]
)
def test_shifts_that_are_none_are_refused(options: dict[str, Any]) -> None:
    case = case_of("linear")
    with pytest.raises(InputError, match=r"shift|scale"):
        evaluate.input_invariance(explain.saliency(case), case, **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ties_in_a_flat_background_stay_ties(dtype: torch.dtype) -> None:
    """Windows at the border and inside hold equal numbers in both nets, so max pooling picks the same pixel."""
    net = seeded(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(54, 2)).to(dtype)
    images = torch.zeros((4, 1, 12, 12), dtype=dtype)
    images[1:, :, 5:8, 4:7] = 0.5
    case = assay.case(assay.wrap(net), images, label=1)
    assert_allclose(evaluate.input_invariance(explain.saliency(case), case).values, 0.0, atol=1e-6)


@pytest.mark.parametrize("name", ["lrp", "deep_lift", "guided_backprop", "grad_cam"])
@pytest.mark.parametrize("net", ["zero padding", "mirrored padding", "convolution"])
def test_methods_with_backward_rules_pass_through_the_changed_layers(net: str, name: str) -> None:
    case = case_of(net)
    value = evaluate.input_invariance(find("explain", name).call(case), case, shift=0.5).values
    assert (value > 0.01).all() if name == "lrp" else (value < 1e-9).all()


def test_a_preprocessing_step_may_standardise_the_inputs() -> None:
    model = assay.wrap(convolutional(), preprocess=lambda x: (x - 0.4) / 0.25)
    case = assay.case(model, pictures(), label=1)
    assert_allclose(evaluate.input_invariance(explain.saliency(case), case, shift=0.5).values, 0.0, atol=1e-9)


def test_a_second_score_of_the_same_explanation_asks_the_model_nothing() -> None:
    case = case_of("linear")
    explanation = explain.integrated_gradients(case)
    meter, _ = case.model.meter, (case.output, case.prediction)
    asked = meter.requested, meter.backwards
    evaluate.input_invariance(explanation, case)
    forwards, backwards = meter.forwards, meter.backwards
    again = cost_of(explanation_method := find("explain", "integrated_gradients"), case, {})
    assert explanation_method.cost is not None
    declared = cost_of(find("evaluate", "input_invariance"), case, {}, again)
    assert Cost(meter.requested - asked[0], backwards - asked[1]) == declared
    evaluate.input_invariance(explanation, case)
    assert (meter.forwards, meter.backwards) == (forwards, backwards)
