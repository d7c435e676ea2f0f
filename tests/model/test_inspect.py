"""Model files, looked at from outside."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pytest
import safetensors.torch
import skops.io
import torch
import xgboost
from onnx import TensorProto, helper
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from assay.basics.errors import InputError, MissingExtra
from assay.model.files import inspect
from assay.model.files.inspect import inspect_model

X = np.random.default_rng(0).normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(int)


class Payload:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def onnx_file(path: Path) -> Path:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["values"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("row", 4))],
        [helper.make_tensor_value_info("values", TensorProto.FLOAT, ("row", 4))],
    )
    model = helper.make_model(graph, producer_name="test", opset_imports=[helper.make_opsetid("", 17)])
    path.write_bytes(model.SerializeToString())
    return path


def test_every_file_tells_its_size_and_digest(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"nothing known")
    assert inspect_model(file) == {
        "file": "model.bin",
        "format": "unknown",
        "size": 13,
        "sha256": hashlib.sha256(b"nothing known").hexdigest(),
        "can_run_code": False,
    }


@pytest.mark.parametrize("dump", [joblib.dump, torch.save], ids=["joblib", "torch"])
def test_a_pickle_tells_its_imports_and_does_not_run(tmp_path: Path, dump: Any) -> None:
    dump([X, Payload(tmp_path / "ran")], tmp_path / "model.pkl")
    contents = inspect_model(tmp_path / "model.pkl")
    assert (contents["not_allowed"], contents["can_run_code"], contents["followed_to_end"]) == (
        ["posix.system"],
        True,
        True,
    )
    assert "posix.system" in contents["imports"]
    assert not (tmp_path / "ran").exists()


def test_an_honest_pickle_has_no_import_flagged_and_can_still_run_code(tmp_path: Path) -> None:
    joblib.dump(RandomForestClassifier(2).fit(X, Y), tmp_path / "model.pkl")
    contents = inspect_model(tmp_path / "model.pkl")
    assert (contents["not_allowed"], contents["can_run_code"]) == ([], True)
    assert "sklearn.ensemble._forest.RandomForestClassifier" in contents["imports"]


def test_a_pickle_that_breaks_off_says_so(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Payload(tmp_path))[:-4])
    assert inspect_model(tmp_path / "model.pkl")["followed_to_end"] is False


def test_a_state_dict_is_distinguished_from_a_whole_net(tmp_path: Path) -> None:
    net = torch.nn.Linear(3, 2)
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    torch.save(net, tmp_path / "net.pt")
    assert [inspect_model(tmp_path / name)["can_run_code"] for name in ("weights.pt", "net.pt")] == [False, True]


def test_safetensors_tell_their_tensors(tmp_path: Path) -> None:
    safetensors.torch.save_file({"a": torch.zeros(2, 3), "b": torch.zeros(4).half()}, tmp_path / "w.safetensors")
    contents = inspect_model(tmp_path / "w.safetensors")
    assert contents["tensors"] == {"a": {"dtype": "F32", "shape": [2, 3]}, "b": {"dtype": "F16", "shape": [4]}}
    assert contents["parameters"] == 10


def test_onnx_tells_inputs_outputs_and_origin(tmp_path: Path) -> None:
    contents = inspect_model(onnx_file(tmp_path / "m.onnx"))
    assert contents["inputs"] == [{"name": "x", "type": "float", "shape": ["row", 4]}]
    assert contents["outputs"] == [{"name": "values", "type": "float", "shape": ["row", 4]}]
    assert (contents["opset"], contents["producer"], contents["operators"]) == ({"ai.onnx": 17}, "test", ["Relu"])


def test_without_onnx_the_report_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(module: str, *, extra: str) -> Any:
        raise MissingExtra(f"{module} could not be imported; assay[{extra}]")

    monkeypatch.setattr(inspect, "need", absent)
    contents = inspect_model(onnx_file(tmp_path / "m.onnx"))
    assert contents["note"] == "onnx could not be imported; assay[files]"


def test_a_damaged_onnx_file_is_reported_as_damaged(tmp_path: Path) -> None:
    file = onnx_file(tmp_path / "m.onnx")
    file.write_bytes(file.read_bytes()[:-3])
    assert "damaged" in inspect_model(file)


def test_skops_tells_its_types_and_which_are_not_allowed(tmp_path: Path) -> None:
    skops.io.dump(RandomForestClassifier(2).fit(X, Y), tmp_path / "forest.skops")
    skops.io.dump(make_pipeline(FunctionTransformer(onnx_file)), tmp_path / "own.skops")
    forest, own = (inspect_model(tmp_path / name) for name in ("forest.skops", "own.skops"))
    assert "sklearn.tree._tree.Tree" in forest["types"]
    assert (forest["not_allowed"], forest["can_run_code"]) == ([], False)
    assert ([kind.rpartition(".")[2] for kind in own["not_allowed"]], own["can_run_code"]) == (["onnx_file"], True)


def test_xgboost_and_lightgbm_tell_objective_features_and_trees(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(frame, Y).save_model(tmp_path / "m.json")
    lightgbm.LGBMClassifier(n_estimators=3, min_child_samples=2, verbose=-1).fit(frame, Y).booster_.save_model(
        tmp_path / "m.txt"
    )
    first, second = inspect_model(tmp_path / "m.json"), inspect_model(tmp_path / "m.txt")
    assert (first["objective"], second["objective"]) == ("binary:logistic", "binary sigmoid:1")
    assert first["features"] == second["features"] == ["a", "b", "c"]
    assert first["trees"] == second["trees"] == 3


@pytest.mark.parametrize("labels", [Y, np.digitize(X[:, 0], [-0.5, 0.5])], ids=["two", "three"])
def test_the_binary_form_of_xgboost_has_the_fields_of_the_text_form(tmp_path: Path, labels: Any) -> None:
    estimator = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(X, labels)
    estimator.save_model(tmp_path / "m.ubj")
    estimator.save_model(tmp_path / "m.json")
    text, binary = inspect_model(tmp_path / "m.json"), inspect_model(tmp_path / "m.ubj")
    keys = {"format", "objective", "features", "columns", "classes", "trees"}
    assert {key: binary[key] for key in keys} == {key: text[key] for key in keys}


def test_a_cut_binary_file_is_reported_as_damaged(tmp_path: Path) -> None:
    xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(X, Y).save_model(tmp_path / "m.ubj")
    (tmp_path / "m.ubj").write_bytes((tmp_path / "m.ubj").read_bytes()[:-9])
    assert "unexpected end" in inspect_model(tmp_path / "m.ubj")["damaged"]


def test_code_is_named_and_not_run(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    contents = inspect_model(f"{file}:build")
    assert (contents["note"], contents["sha256"]) == (
        "your own code, not run",
        hashlib.sha256(file.read_bytes()).hexdigest(),
    )
    assert inspect_model("no.such:build")["note"] == "your own code, not run"
    assert not (tmp_path / "ran").exists()


def test_a_file_that_is_not_there_is_reported(tmp_path: Path) -> None:
    for place in ("absent.skops", "absent.py"):
        with pytest.raises(InputError, match=f"there is no file {place}"):
            inspect_model(place)


def test_hostile_names_stay_on_their_line(tmp_path: Path) -> None:
    safetensors.torch.save_file({"a\x1b[2J\nb": torch.zeros(1)}, tmp_path / "w.safetensors")
    assert list(inspect_model(tmp_path / "w.safetensors")["tensors"]) == ["a\\x1b[2J\\nb"]


def test_all_contents_are_plain_data(tmp_path: Path) -> None:
    onnx_file(tmp_path / "m.onnx")
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pt")
    for name in ("m.onnx", "w.pt"):
        contents = inspect_model(tmp_path / name)
        assert json.loads(json.dumps(contents)) == contents
