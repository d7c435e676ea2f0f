"""The adapter for ONNX files."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from onnx import TensorProto, helper

import assay
from assay import Constant, explain
from assay.basics.errors import CapabilityError, InputError, Unreadable
from assay.model.adapters.onnx import onnx as onnx_model
from assay.model.files.load import load_model
from assay.nouns.inputs.rows import Rows

X = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
WEIGHTS = np.arange(8, dtype="float32").reshape(4, 2) / 7 - 0.4


def exported(net: Any, example: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(net, (example,), stream, dynamo=False, input_names=["x"], **options)
    return stream.getvalue()


def net() -> Any:
    module = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    with torch.no_grad():
        for number, weight in enumerate(module.parameters()):
            weight.copy_(torch.sin(torch.arange(weight.numel()) + number).reshape(weight.shape))
    return module.eval()


def of_net(output: str = "logits", dynamic: bool = True) -> bytes:
    axes = {"dynamic_axes": {"x": {0: "row"}, output: {0: "row"}}} if dynamic else {}
    return exported(net(), torch.zeros(3, 4), output_names=[output], **axes)


def product(
    outputs: dict[str, int],
    *,
    kind: int = TensorProto.FLOAT,
    inputs: tuple[str, ...] = ("x",),
    shape: tuple[Any, ...] = ("row", 4),
) -> bytes:
    """A file that multiplies its rows by ``WEIGHTS``; each output is that, in the given type."""
    dtype = {TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64", TensorProto.INT64: "int64"}[kind]
    nodes = [helper.make_node("MatMul", [inputs[0], "w"], ["product"])]
    nodes += [helper.make_node("Cast", ["product"], [name], to=to) for name, to in outputs.items()]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, kind, shape) for name in inputs],
        [helper.make_tensor_value_info(name, to, ("row", 2)) for name, to in outputs.items()],
        [onnx.numpy_helper.from_array((WEIGHTS * 100).astype(dtype), "w")],
    )
    return to_bytes(graph)


def to_bytes(graph: Any) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)])
    model.ir_version = 9
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("explainer", [explain.shapley, explain.occlusion])
def test_the_exported_net_gives_the_same_removal_results_as_the_net(tmp_path: Path, explainer: Any) -> None:
    (tmp_path / "net.onnx").write_bytes(of_net())
    boxed = assay.case(load_model(tmp_path / "net.onnx"), X, label=1)
    live = assay.case(assay.wrap(net()), X, label=1)
    found, expected = (explainer(case, remove=Constant(0.0)).values for case in (boxed, live))
    assert np.abs(np.asarray(expected)).max() > 0.1
    assert_allclose(np.asarray(found), np.asarray(expected), rtol=0, atol=1e-5)


def test_an_image_net_gives_its_logits() -> None:
    layers = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(8, 2)).eval()
    axes = {"x": {0: "row"}, "logits": {0: "row"}}
    data = exported(layers, torch.zeros(1, 1, 4, 4), output_names=["logits"], dynamic_axes=axes)
    x = np.arange(48, dtype="float32").reshape(3, 1, 4, 4) / 48
    expected = layers(torch.as_tensor(x)).detach().numpy()
    assert_allclose(assay.case(onnx_model(data), x).prediction, expected, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_a_fixed_batch_gives_the_outputs_of_a_free_one(rows: int) -> None:
    fixed, free = onnx_model(of_net(dynamic=False)), onnx_model(of_net())
    assert [note.code for note in fixed.notes] == ["fixed-batch"]
    expected = assay.case(free, X[:rows]).prediction
    assert_allclose(assay.case(fixed, X[:rows]).prediction, expected, rtol=0, atol=1e-6)


def test_the_error_of_a_gradient_method_names_an_alternative(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(of_net())
    model = load_model(tmp_path / "net.onnx")
    assert model.about["black box"] == "no gradients"
    with pytest.raises(CapabilityError, match=r"saliency needs gradients; net\.onnx gives none\. Use shapley"):
        explain.saliency(assay.case(model, X))


def test_the_kind_of_output_is_required_where_its_name_is_none() -> None:
    data = of_net("y")
    with pytest.raises(
        InputError, match=r"kind of output is unknown; .* gives y \(tensor\(float\)\)\. Give output='logits'"
    ):
        onnx_model(data)
    assert onnx_model(data, output="margin").gives == "margin"


def test_of_several_outputs_the_first_or_the_one_named_is_read() -> None:
    data = product({"a": TensorProto.FLOAT, "b": TensorProto.DOUBLE})
    assert onnx_model(data, output="values").about["output"] == "a, read as values"
    assert onnx_model(data, output="b=logits").about["output"] == "b, read as logits"


@pytest.mark.parametrize("output", ["scores", "c=logits", "a=scores", "=", "units"])
def test_the_error_of_an_unknown_output_lists_the_outputs(output: str) -> None:
    with pytest.raises(InputError, match=r"gives a \(tensor\(float\)\), b .*as in output='b=logits'"):
        onnx_model(product({"a": TensorProto.FLOAT, "b": TensorProto.FLOAT}), output=output)


def test_probabilities_are_found_by_name_among_several_outputs() -> None:
    model = onnx_model(product({"label": TensorProto.INT64, "probabilities": TensorProto.FLOAT}))
    assert (model.gives, model.about["output"]) == ("probabilities", "probabilities, read as probabilities")


def test_labels_are_refused_as_scores() -> None:
    with pytest.raises(InputError, match=r"output 'label' of model\.onnx is tensor\(int64\), not a tensor of floats"):
        onnx_model(product({"label": TensorProto.INT64}), output="values")


def test_the_error_of_a_zipmap_names_the_export_option() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("ZipMap", ["p"], ["output_probability"], domain="ai.onnx.ml", classlabels_int64s=[0, 1]),
    ]
    mapped = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (None, 4))],
        [helper.make_value_info("output_probability", helper.make_sequence_type_proto(mapped))],
        [onnx.numpy_helper.from_array(WEIGHTS, "w")],
    )
    with pytest.raises(CapabilityError, match=r"as a ZipMap.*options=\{'zipmap': False\}"):
        onnx_model(to_bytes(graph), output="probabilities")


def test_doubles_are_given_as_doubles() -> None:
    model = onnx_model(product({"values": TensorProto.DOUBLE}, kind=TensorProto.DOUBLE))
    x = np.full((2, 4), 1 / 3)
    expected = x @ (WEIGHTS * 100).astype(float)
    assert_allclose(model.values(Rows(x, ("a", "b"))), expected, rtol=1e-14)


def test_the_errors_of_several_or_integer_inputs_name_the_export() -> None:
    with pytest.raises(CapabilityError, match=r"has 2 inputs \(x: .*FloatTensorType"):
        onnx_model(product({"values": TensorProto.FLOAT}, inputs=("x", "z")))
    with pytest.raises(CapabilityError, match=r"takes x: tensor\(int64\).*Export it with a float input"):
        onnx_model(product({"values": TensorProto.INT64}, kind=TensorProto.INT64))


def test_rows_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match=r"the rows have shape \(3,\); the file's input 'x' takes \(4,\)"):
        assay.case(onnx_model(of_net()), X[:, :3])


def test_the_fingerprint_depends_on_the_bytes_and_the_output() -> None:
    data = of_net()
    assert onnx_model(data).fingerprint == onnx_model(data).fingerprint
    assert (
        len(
            {
                onnx_model(data).fingerprint,
                onnx_model(of_net("margin")).fingerprint,
                onnx_model(data, output="margin").fingerprint,
            }
        )
        == 3
    )


def test_the_same_rows_give_the_same_bytes() -> None:
    rows = assay.case(onnx_model(of_net()), X).rows
    assert_array_equal(onnx_model(of_net()).values(rows), onnx_model(of_net()).values(rows))


def test_class_names_are_kept() -> None:
    assert onnx_model(of_net(), classes=["a", "b", "c"]).classes == ("a", "b", "c")


def test_the_error_of_external_weights_names_a_fix(tmp_path: Path) -> None:
    graph = onnx.load_model_from_string(product({"values": TensorProto.FLOAT}))
    onnx.save(graph, tmp_path / "big.onnx", save_as_external_data=True, location="big.data", size_threshold=0)
    with pytest.raises(Unreadable, match=r"onnx\.save\(onnx\.load\('big\.onnx'\), 'one\.onnx'\)"):
        load_model(tmp_path / "big.onnx")


def test_a_damaged_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(of_net()[:80])
    with pytest.raises(Unreadable, match=r"onnxruntime could not read net\.onnx"):
        load_model(tmp_path / "net.onnx")
