"""Nets from files: functions of the user's own, weights in a named architecture, and whole nets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tests.model.test_files import X, outputs

from assay.basics.errors import InputError, Refused
from assay.model.files.load import load_model

CODE = """
import torch

class Small(torch.nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.first = torch.nn.Linear(3, hidden)
        self.last = torch.nn.Linear(hidden, 2)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))

def build():
    return Small(4)

def wide():
    return Small(5)

def number():
    return 3
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(CODE)
    return tmp_path


def net() -> Any:
    """A net of the architecture in mine.py, with weights from a fixed formula."""
    small = load_model("mine.py:build").net
    with torch.no_grad():
        for number, weight in enumerate(small.parameters()):
            weight.copy_(torch.sin(torch.arange(weight.numel()) + number).reshape(weight.shape))
    return small


def test_a_function_of_ones_own_gives_the_model(project: Path) -> None:
    assert load_model("mine.py:build").name == "Small"


def test_a_function_of_an_installed_module_gives_the_model(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(project))
    assert load_model("mine:build", output="values").gives == "values"


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("mine.py:absent", r"mine\.py has no function 'absent'; it has Small, build, number, wide"),
        ("mine.py", r"mine\.py:FUNCTION.*It has build, wide, number"),
        ("other.py:build", "there is no file other.py"),
        ("no.such:build", "there is no module no.such.*PYTHONPATH"),
        ("absent.skops", "there is no file absent.skops"),
        (".", "is a folder"),
    ],
)
def test_a_wrong_place_is_reported_with_alternatives(project: Path, place: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_model(place)


def weights(kind: str) -> str:
    state = net().state_dict()
    if kind == "safetensors":
        safetensors.torch.save_file(state, "weights.bin")
    else:
        torch.save(state, "weights.bin", _use_new_zipfile_serialization=kind == "torch")
    return "weights.bin"


KINDS = pytest.mark.parametrize("kind", ["safetensors", "torch", "old torch"])


@KINDS
def test_weights_in_a_named_architecture_give_the_nets_logits(project: Path, kind: str) -> None:
    model = load_model(weights(kind), architecture="mine.py:build")
    rows = X.astype("float32")
    assert_allclose(outputs(model, rows), net()(torch.as_tensor(rows)).detach().numpy(), rtol=0, atol=0)


@KINDS
def test_weights_without_an_architecture_say_what_to_give(project: Path, kind: str) -> None:
    with pytest.raises(InputError, match=r"4 tensors.*--architecture FILE.py:FUNCTION"):
        load_model(weights(kind))


@KINDS
def test_weights_of_another_net_are_named(project: Path, kind: str) -> None:
    with pytest.raises(InputError, match=r"do not fit mine.py:wide: different shape: first.weight \(4, 3\)"):
        load_model(weights(kind), architecture="mine.py:wide")


def test_missing_and_surplus_weights_are_named(project: Path) -> None:
    torch.save({"first.weight": torch.zeros(4, 3), "more": torch.zeros(1)}, "weights.pt")
    with pytest.raises(
        InputError, match=r"missing in the file: first.bias, last.weight, last.bias; missing in the net: more"
    ):
        load_model("weights.pt", architecture="mine.py:build")


def test_a_training_checkpoint_says_what_to_save(project: Path) -> None:
    torch.save({"epoch": 3, "model": net().state_dict()}, "weights.pt")
    with pytest.raises(InputError, match=r"holds epoch, model.*torch.save\(net.state_dict"):
        load_model("weights.pt", architecture="mine.py:build")


def test_an_architecture_that_is_no_net_is_reported(project: Path) -> None:
    with pytest.raises(InputError, match=r"mine.py:number returns int; it must return the untrained torch module"):
        load_model(weights("torch"), architecture="mine.py:number")


def test_a_whole_net_is_refused_and_loaded_where_it_is_trusted(project: Path) -> None:
    whole = torch.nn.Sequential(torch.nn.Linear(3, 2))
    torch.save(whole, "net.pt")
    with pytest.raises(Refused, match=r"net\.pt is a torch file that holds more than weights(.|\n)*save_model"):
        load_model("net.pt")
    rows = torch.as_tensor(X, dtype=torch.float32)
    loaded = load_model("net.pt", unsafe_pickle=True)
    assert_array_equal(outputs(loaded, rows), whole(rows).detach().numpy())
