"""The adapter for torch nets."""

import copy
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tests.cases import nets
from torch import nn

import assay
from assay.basics.errors import CapabilityError, InputError
from assay.model.adapters.torch import net_fingerprint

X = np.random.default_rng(0).normal(size=(4, 4))


def scores(net: nn.Module, x: np.ndarray = X) -> np.ndarray:
    with torch.no_grad():
        return copy.deepcopy(net).eval()(torch.tensor(x, dtype=torch.float32)).numpy()


class Wrapped(nn.Module):
    """A net that returns its scores in another structure."""

    def __init__(self, shape: Any) -> None:
        super().__init__()
        self.body, self.shape = nets.small(), shape

    def forward(self, x: torch.Tensor) -> Any:
        return self.shape(self.body(x))


Output = namedtuple("Output", "loss logits")


@pytest.mark.parametrize(
    ("shape", "output"),
    [
        (lambda s: (s, 1), lambda out: out[0]),
        (lambda s: {"logits": s}, lambda out: out["logits"]),
        (lambda s: Output(None, s), lambda out: out.logits),
        (lambda s: s[:, None], lambda out: out[:, 0]),
    ],
    ids=["tuple", "dict", "named tuple", "sequence"],
)
def test_output_selects_the_scores_in_the_return_value(shape: Any, output: Any) -> None:
    case = assay.case(assay.wrap(Wrapped(shape).eval(), output=output), X)
    assert_allclose(case.prediction, scores(nets.small()), rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (lambda s: (s, 1), "returns tuple, not a tensor.*output="),
        (lambda s: s[:, None].expand(-1, 2, -1), r"returns shape \(2, 2, 3\) for 2 rows"),
        (lambda s: s[:1], r"returns shape \(1, 3\) for 2 rows"),
    ],
)
def test_the_error_of_outputs_that_are_no_scores_names_a_fix(shape: Any, message: str) -> None:
    with pytest.raises(CapabilityError, match=message):
        assay.case(assay.wrap(Wrapped(shape).eval()), X)


def test_a_functional_net_explains_as_a_module_does() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.arange(12.0).reshape(4, 3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tanh(x) @ self.weight

    values = assay.explain.integrated_gradients(assay.case(assay.wrap(Functional()), X, label=2)).values
    assert_allclose(values, np.tanh(X) * np.arange(12.0).reshape(4, 3)[:, 2], atol=1e-5)


@pytest.mark.parametrize("flat", [False, True])
def test_one_column_of_logits_means_two_classes(flat: bool) -> None:
    body = nets.small(classes=1)
    net = nn.Sequential(body, nn.Flatten(0)) if flat else body
    model = assay.wrap(net.eval(), output="logits")
    raw = scores(body)[:, 0]
    case = assay.case(model, X)
    assert_array_equal(case.label, 1)
    assert_allclose(case.output, raw, rtol=1e-5)
    case = assay.case(model, X, label="predicted")
    assert_array_equal(case.label, raw > 0)
    assert_allclose(case.output, np.abs(raw), rtol=1e-5)
    assert_allclose(case.with_target("probability", label=1).output, 1 / (1 + np.exp(-raw)), rtol=1e-6)


def test_preprocess_is_inside_the_graph_and_everything_stays_in_the_callers_units() -> None:
    body = nn.Linear(4, 2)
    case = assay.case(assay.wrap(body, preprocess=lambda x: (x - 127) / 128), X * 100, label=1)
    expected = body.weight[1].detach().numpy() / 128
    assert_allclose(case.gradient(case.rows.x), np.broadcast_to(expected, X.shape), rtol=1e-5)
    assert_allclose(case.prediction, scores(body, (X * 100 - 127) / 128), rtol=1e-4)


def test_a_preprocess_that_leaves_torch_is_refused_by_gradient_methods() -> None:
    model = assay.wrap(nets.small(), preprocess=lambda x: torch.tensor(x.detach().numpy() * 2))
    case = assay.case(model, X)
    assert np.isfinite(assay.explain.shapley(case).values).all()
    with pytest.raises(CapabilityError, match="no gradient reaches the rows"):
        assay.explain.saliency(case)


def test_the_device_is_the_nets_own_unless_another_is_named() -> None:
    assert assay.wrap(nets.small()).device == "cpu"
    assert assay.wrap(nets.small(), device="cpu").device == "cpu"


def test_rows_take_the_nets_number_type() -> None:
    case = assay.case(assay.wrap(nets.small().double()), X.astype(np.float32))
    assert case.rows.x.dtype == torch.float64
    assert case.gradient(case.rows.x).dtype == torch.float64


def test_half_precision_nets_are_read_in_float64() -> None:
    case = assay.case(assay.wrap(nn.Linear(4, 2).bfloat16()), X)
    result = assay.explain.integrated_gradients(case)
    assert result.values.dtype == np.float64
    assert np.isfinite(result.values).all()


def test_the_model_is_a_copy_that_later_training_does_not_reach() -> None:
    net = nets.small()
    model = assay.wrap(net)
    before = assay.case(model, X).prediction
    with torch.no_grad():
        net[0].weight.zero_()
    assert_array_equal(assay.case(model, X).prediction, before)


def test_the_fingerprint_changes_with_weights_and_buffers_only() -> None:
    net = nets.small()
    fingerprint = assay.wrap(net).fingerprint
    assert assay.wrap(nets.small(train=True).eval()).fingerprint == fingerprint
    case = assay.case(assay.wrap(net), X)
    case.gradient(case.rows.x)
    assert assay.wrap(net).fingerprint == fingerprint
    for name in ("0.weight", "1.running_mean", "1.num_batches_tracked", "4.bias"):
        other = nets.small()
        with torch.no_grad():
            other.state_dict()[name].view(-1)[0] += 1
        assert assay.wrap(other).fingerprint != fingerprint, name
    assert assay.wrap(nets.small(), preprocess=lambda x: x / 2).fingerprint != fingerprint


def test_a_net_with_empty_and_scalar_parameters_has_a_fingerprint() -> None:
    net = nn.Module()
    net.register_buffer("none", torch.empty(0, 3))
    net.register_buffer("one", torch.tensor(2.0))
    assert len(net_fingerprint(net)) == 32


def test_up_to_layer_gives_a_layers_activations_even_if_the_next_works_in_place() -> None:
    net = nets.images()
    x = np.random.default_rng(1).normal(size=(2, 3, 6, 6))
    layer = assay.wrap(net).up_to_layer("0")
    case = assay.case(
        layer, x, target=assay.nouns.inputs.target.Target("sum", lambda out, label, gives: out.sum((1, 2, 3)), "")
    )
    with torch.no_grad():
        expected = net[0](torch.tensor(x, dtype=torch.float32))
    assert (expected < 0).any()
    assert_allclose(case.prediction, expected, atol=1e-6)
    assert layer.gives == "units"


def test_up_to_layer_shares_the_meter_and_leaves_no_hook() -> None:
    model = assay.wrap(nets.images())
    layer = model.up_to_layer("1")
    assay.case(layer, np.zeros((2, 3, 6, 6)), label=0)
    assert model.meter.forwards == layer.meter.forwards == 2
    assert not any(module._forward_hooks for module in model.net.modules())


def test_the_error_of_a_misspelt_layer_names_similar_ones() -> None:
    net = nn.Sequential()
    net.add_module("layer_one", nn.Linear(4, 4))
    with pytest.raises(InputError, match="no layer 'layer_on'; near names: layer_one"):
        assay.wrap(net).up_to_layer("layer_on")


def test_a_layer_that_returns_several_things_is_refused() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.GRU(1, 2, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.cell(x[..., None])[0][:, -1]

    with pytest.raises(CapabilityError, match="layer 'cell' returns tuple"):
        assay.case(assay.wrap(Recurrent()), X, target=assay.unit("cell", 0))


def test_other_models_have_no_layers() -> None:
    with pytest.raises(CapabilityError, match="no layers to cut at"):
        assay.examples.linear().model.up_to_layer("0")


def test_carried_inputs_reach_the_net_and_follow_their_rows() -> None:
    class Masked(nn.Linear):
        def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return super().forward(x * mask)

    net = Masked(4, 2)
    mask = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0]] * 2, dtype=np.float32)
    case = assay.case(assay.model.torch(net, batch=3), X, label=0, carried={"mask": mask})
    assert_allclose(case.take([1]).gradient(case.rows.x[1:2])[0], net.weight[0].detach().numpy() * mask[1])
    assert_allclose(case.take([3, 0]).output, case.output[[3, 0]], rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_convolution_weights_are_channels_last_and_the_callers_unchanged(channels: int) -> None:
    net = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 2))
    before = net[0].weight.stride()
    kept: Any = assay.model.torch(net).net
    assert kept[0].weight.stride() == (9 * channels, 1, 3 * channels, channels)
    assert net[0].weight.stride() == before
