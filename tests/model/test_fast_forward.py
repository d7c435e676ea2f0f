"""The converted forward pass: equal outputs, a choice by counts, and the plain pass where conversion fails."""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.model.texts import TEXTS, bert, tokenizer
from torch import nn

import assay
from assay import certify, explain
from assay.basics.errors import InputError
from assay.cases.fast_path import fast_path
from assay.engine.cost import cost_of
from assay.model import fast
from assay.model.transformations.fast_forward import (
    BREAK_EVEN,
    TOLERANCE,
    count_convolution_outputs,
    is_worth_converting,
)
from assay.nouns.inputs.rows import Rows

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
import sys

fast_module: Any = sys.modules["assay.model.transformations.fast_forward"]


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x)[:, 0])


def conv() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )


def single() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 1), nn.Flatten(0))


NETS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "conv": (conv, (1, 8, 8)),
    "mlp": (lambda: nn.Sequential(nn.Linear(5, 9), nn.GELU(), nn.Linear(9, 3)), (5,)),
    "one output": (single, (5,)),
    "attention": (Attending, (5, 8)),
}


def model_of(name: str = "conv", **options: Any) -> tuple[assay.Model, np.ndarray]:
    torch.manual_seed(0)
    build, shape = NETS[name]
    x = np.random.default_rng(0).normal(size=(11, *shape)).astype(np.float32)
    return assay.model.torch(build().eval(), **options), x


def outputs(model: assay.Model, x: np.ndarray) -> np.ndarray:
    return model.values(rows_of(x)).numpy()


def rows_of(x: np.ndarray) -> Rows:
    return Rows(torch.as_tensor(x), tuple(map(str, range(len(x)))))


@pytest.fixture(scope="module")
def conv_pair() -> tuple[assay.Model, assay.Model, np.ndarray]:
    """A net, the same net converted, and rows; a conversion takes about a second."""
    model, x = model_of()
    converted = fast(model, rows=x)
    assert (model.meter.forwards, model.meter.backwards) == (0, 0)  # passes for checking are not counted
    return model, converted, x


@pytest.mark.parametrize("name", NETS)
def test_outputs_are_equal_for_any_number_of_rows(name: str, conv_pair: Any) -> None:
    model, converted, x = conv_pair
    if name != "conv":
        model, x = model_of(name)
        converted = fast(model, rows=x)
    assert converted.about["forward"].startswith("onnxruntime ")
    for count in (11, 1, 2, 7):
        np.testing.assert_allclose(outputs(converted, x[:count]), outputs(model, x[:count]), rtol=1e-5, atol=1e-6)


def test_preprocess_and_output_are_converted_with_the_net() -> None:
    x = np.full((3, 5), 127.0, dtype=np.float32) + np.arange(15, dtype=np.float32).reshape(3, 5)
    net = nn.Linear(5, 4)
    model = assay.model.torch(net, preprocess=lambda x: (x - 127.0) / 128.0, output=lambda out: out[:, :2])
    converted = fast(model, rows=x)
    assert converted.fingerprint != model.fingerprint
    np.testing.assert_allclose(outputs(converted, x), outputs(model, x), rtol=1e-5)
    assert outputs(converted, x).shape == (3, 2)


def test_a_model_from_a_layer_is_converted() -> None:
    model, x = model_of()
    case = assay.case(model, x).from_layer("2")
    converted = fast(case.model, rows=case.rows)
    assert converted.fingerprint != case.model.fingerprint
    moved = case.rows.with_inputs(case.rows.x * 0.5, np.arange(11))
    np.testing.assert_allclose(converted.values(moved), case.model.values(moved), rtol=1e-5, atol=1e-6)
    until = fast(model.up_to_layer("2"), rows=x)
    assert until.notes[-1].code == "plain-forward"


def test_texts_are_converted_with_their_masks() -> None:
    model = assay.model.transformers(bert().float(), tokenizer())
    case = assay.case(model, TEXTS)
    converted = fast(model, rows=case.rows)
    assert converted.about["forward"].startswith("onnxruntime ")
    np.testing.assert_allclose(
        converted.values(case.rows).numpy(), model.values(case.rows).numpy(), rtol=1e-4, atol=1e-6
    )
    assert assay.case(converted, TEXTS[:2]).prediction.shape == (2, 2)  # shorter texts in a shorter batch


def test_the_choice_is_made_by_counts(conv_pair: Any) -> None:
    model, _, x = conv_pair
    rows = rows_of(x)
    assert count_convolution_outputs(model, rows) == 4 * 6 * 6
    enough = math.ceil(BREAK_EVEN / count_convolution_outputs(model, rows))
    assert is_worth_converting(model, rows, enough)
    assert not is_worth_converting(model, rows, enough - 1)
    assert fast(model, rows=x, work=enough - 1) is model
    assert (
        fast(model, rows=x, work=enough).fingerprint
        == fast(model, rows=x, work=enough).fingerprint
        != model.fingerprint
    )
    assert fast(model, rows=x, work=enough - 1) is model  # although a conversion exists
    linear, table = model_of("mlp")
    assert count_convolution_outputs(linear, rows_of(table)) == 0
    assert fast(linear, rows=table, work=10**12) is linear


def test_a_net_is_converted_once(conv_pair: Any) -> None:
    model, converted, x = conv_pair
    assert fast(model, rows=x[:5]).forward is converted.forward


def test_the_metadata_of_the_model_stays(conv_pair: Any) -> None:
    model, converted, x = conv_pair
    for name in (
        "name",
        "classes",
        "gives",
        "meter",
        "batch",
        "memory",
        "passes_per_row",
        "columns",
        "net",
        "layer_access",
        "dtype",
    ):
        assert getattr(converted, name) is getattr(model, name) or getattr(converted, name) == getattr(model, name)
    note = converted.notes[-1]
    assert note.code == "fast-forward"
    assert "onnxruntime" in note.text
    assert converted.fingerprint != model.fingerprint
    case = assay.case(converted, x, label=0)
    before = converted.meter.forwards
    case.value(torch.as_tensor(x))
    assert converted.meter.forwards == before + 11
    assert fast(converted, rows=x).forward is converted.forward  # not twice


def test_passes_for_counting_are_not_counted() -> None:
    model, x = model_of()
    assert fast(model, rows=x, work=1) is model
    assert (model.meter.forwards, model.meter.backwards) == (0, 0)


def test_gradients_use_the_plain_net(conv_pair: Any) -> None:
    model, converted, x = conv_pair
    case, other = (assay.case(one, x, label=0) for one in (model, converted))
    for method in (explain.saliency, explain.integrated_gradients, explain.deep_lift):
        np.testing.assert_allclose(method(other).values, method(case).values, rtol=1e-5, atol=1e-7)
    tensor = torch.as_tensor(x).requires_grad_(True)
    converted.forward(replace(case.rows, x=tensor)).sum().backward()
    assert tensor.grad is not None
    assert np.isfinite(tensor.grad.numpy()).all()
    since = other.from_layer("2")
    np.testing.assert_allclose(since.value(since.rows.x), case.output, rtol=1e-5)


def test_layers_of_a_converted_net_are_found_in_the_plain_one(conv_pair: Any) -> None:
    model, converted, x = conv_pair
    case, other = (assay.case(one, x, label=0) for one in (model, converted))
    np.testing.assert_allclose(explain.grad_cam(other).values, explain.grad_cam(case).values, rtol=1e-5, atol=1e-7)
    ball, e = assay.Ball("linf", 0.01), explain.saliency(case)
    scores = [assay.evaluate.relative_representation_stability(e, c, ball=ball, draws=2).values for c in (case, other)]
    np.testing.assert_allclose(*scores, rtol=1e-3)


def test_the_callers_state_is_unchanged() -> None:
    torch.manual_seed(0)
    net = conv().train()
    model = assay.wrap(net)
    x = np.random.default_rng(0).normal(size=(4, 1, 8, 8)).astype(np.float32)
    before, random, numpy_state = x.copy(), torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002  # the stream that must not change
    state = {name: value.clone() for name, value in net.state_dict().items()}
    files = set(os.listdir(tempfile.gettempdir())), set(os.listdir("."))
    converted = fast(model, rows=x)
    assert converted.fingerprint != model.fingerprint
    assert (set(os.listdir(tempfile.gettempdir())) - files[0], set(os.listdir(".")) - files[1]) == (set(), set())
    assert torch.equal(random, torch.get_rng_state())
    assert (numpy_state == np.random.get_state()[1]).all()  # noqa: NPY002  # the stream that must not change
    assert (x == before).all()
    assert net.training
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    for module in (*net.modules(), *model.net.modules()):
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())
    assert not any(module.training for module in model.net.modules())


class Unwritable(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(int(x[0, 0].abs() * 10)):
            x = x * 1.1
        return x[:, :2]


class TwoRowsAtATime(nn.Module):
    """Mixes rows, so that the conversion of two rows is wrong for one row."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :2] if len(x) == 1 else x[:, 2:4] + x.mean()


@pytest.mark.parametrize("net", [Unwritable(), TwoRowsAtATime()])
def test_a_net_that_cannot_be_converted_stays_plain(net: nn.Module) -> None:
    model = assay.wrap(net.eval())
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    other = fast(model, rows=x)
    assert other.forward is model.forward
    assert other.fingerprint == model.fingerprint
    assert other.notes[-1].code == "plain-forward"


def test_a_conversion_with_other_outputs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = model_of("mlp")
    true = fast_module._session

    class Off:
        def __init__(self, data: bytes) -> None:
            self.session = true(data)

        def run(self, names: Any, feeds: Any) -> Any:
            out = self.session.run(names, feeds)[0]
            return [out + 3 * TOLERANCE * np.abs(outputs(model, x)[:8]).max()]

    monkeypatch.setattr(fast_module, "_session", Off)
    other = fast(model, rows=x)
    assert other.forward is model.forward
    assert other.notes[-1].code == "plain-forward"
    assert "differ by up to 0.0003 ×" in other.notes[-1].text


def test_missing_packages_are_named_in_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = model_of("mlp")
    monkeypatch.setattr(fast_module, "PACKAGES", ("onnx", "no_such_package"))
    other = fast(model, rows=x)
    assert other.forward is model.forward
    assert "no_such_package not installed" in other.notes[-1].text
    assert "assay[fast]" in other.notes[-1].text


def test_other_models_are_returned_with_a_note() -> None:
    from sklearn.linear_model import LinearRegression

    x = np.random.default_rng(0).normal(size=(20, 3))
    tree = assay.wrap(LinearRegression().fit(x, x[:, 0]))
    assert fast(tree, rows=x).notes[-1].code == "plain-forward"
    assert fast(tree, rows=x).forward is tree.forward
    double = assay.wrap(nn.Linear(3, 2).double())
    assert "float64" in fast(double, rows=x).notes[-1].text
    with pytest.raises(InputError, match="empty"):
        fast(tree, rows=x[:0])


def test_games_above_the_break_even_count_convert_the_net(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = model_of()
    parts = assay.grid((1, 8, 8), 4)
    plain = assay.case(assay.wrap(model, fast=False), x, label=0, features=parts)
    case = assay.case(model, x, label=0, features=parts)
    few = explain.shapley(case)
    assert not any("forward" in note.code for note in few.notes)
    monkeypatch.setattr(fast_module, "BREAK_EVEN", 11 * 16 * 144)
    assert not fast_path(case, assay.Constant(0.0), 15).is_fast
    assert fast_path(case, assay.Constant(0.0), 16).is_fast
    before = case.model.meter.requested
    many = explain.shapley(case)
    assert case.model.meter.requested - before == cost_of(explain.shapley.method, case, {}).forwards
    assert [note.code for note in many.notes if "forward" in note.code] == ["fast-forward"]
    np.testing.assert_allclose(many.values, few.values, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(many.residual, 0.0, atol=1e-12)  # the output is the fast forward's, too
    assert case.game(assay.Constant(0.0)) is not fast_path(case, assay.Constant(0.0), 16).game  # two memories
    assert fast_path(case, assay.Constant(0.0), 16).game is fast_path(case, assay.Constant(0.0), 16).game
    repeated = explain.shapley(case)
    assert repeated.provenance.cost.get("forwards", 0) == 0
    assert not any("forward" in note.code for note in explain.shapley(plain).notes)
    assert not fast_path(replace(case, live=True), assay.Constant(0.0), 16).is_fast
    for method, options in ((certify.mus, {"smoothing": 0.5, "q": 8}), (certify.soft_stability, {"radius": 1})):
        found, slow = (method(one, many.top(0.5), remove=assay.Constant(0.0), **options) for one in (case, plain))
        assert "fast-forward" in [note.code for note in found.notes]
        for name, values in slow.bounds.items():
            np.testing.assert_array_equal(found.bounds[name], values)


def test_a_note_gives_the_reason_why_a_large_game_stays_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = model_of()
    case = assay.case(model, x, label=0, features=assay.grid((1, 8, 8), 4))
    monkeypatch.setattr(fast_module, "BREAK_EVEN", 1)
    monkeypatch.setattr(fast_module, "PACKAGES", ("no_such_package",))
    found = explain.shapley(case)
    assert [note.code for note in found.notes if "forward" in note.code] == ["plain-forward"]
    assert fast_path(case, assay.Constant(0.0), 16).game is case.game(assay.Constant(0.0))
    np.testing.assert_allclose(found.output, case.output)
