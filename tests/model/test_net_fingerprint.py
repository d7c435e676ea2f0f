"""A net's fingerprint covers weights, buffers, attributes, hooks and the code of its modules, in every process."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.model.processes import in_another_process
from torch import nn
from torch.nn.utils import parametrizations, parametrize

import assay
from assay.model.adapters.torch import net_fingerprint
from assay.model.state_fingerprint import read_state


def _activate(x: torch.Tensor) -> torch.Tensor:
    return torch.relu(x)


class Inner(nn.Module):
    """A layer with everything that a fingerprint must cover."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.1)
        self.register_buffer("saved", torch.ones(4))
        self.register_buffer("unsaved", torch.ones(4), persistent=False)
        self.plain = torch.ones(4)
        self.scale = 2.0
        self.name = "mean"
        self.flag = True
        self.sizes = (1, 2.0)
        self.table = {"a": 1.0}
        self.activation: Callable[[Any], Any] = _activate
        self.branches = [nn.Linear(4, 4)]  # no submodule

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.activation(self.norm(self.linear(x))) * self.saved * self.unsaved * self.plain * self.scale
        self.last = x  # written and never read
        if self.flag and self.name == "mean":
            x = x * self.sizes[1] * self.table["a"]
        return self.branches[0](self.helper(x))

    def helper(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(Inner(), nn.ReLU(), nn.Linear(4, 2))


def _hooked(inner: Any, factor: float) -> None:
    inner.linear.register_forward_hook(lambda module, given, out: out * factor)


def _set(name: str, value: Any) -> Callable[[Any], None]:
    return lambda inner: setattr(inner, name, value)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "a weight": lambda inner: inner.linear.weight.data.view(-1)[0].add_(1e-6),
    "a buffer": lambda inner: inner.saved[0].add_(1e-6),
    "a running mean": lambda inner: inner.norm.running_mean[0].add_(1e-6),
    "a buffer that is not saved": lambda inner: inner.unsaved[0].add_(1e-6),
    "a tensor that is no buffer": lambda inner: inner.plain[0].add_(1e-6),
    "a weight of a module in a list": lambda inner: inner.branches[0].bias.data[0].add_(1e-6),
    "a number": _set("scale", 2.5),
    "a text": _set("name", "sum"),
    "a flag": _set("flag", False),
    "a tuple": _set("sizes", (1, 3.0)),
    "a value of a dict": lambda inner: inner.table.update(a=2.0),
    "an option of torch's layer": lambda inner: setattr(inner.norm, "eps", 1e-3),
    "an activation held as a function": _set("activation", torch.tanh),
    "an activation held as a lambda": _set("activation", lambda x: torch.relu(x) + 1),
    "a forward hook": lambda inner: _hooked(inner, 2.0),
    "a pre-hook": lambda inner: inner.linear.register_forward_pre_hook(lambda module, given: (given[0] * 2,)),
    "a backward hook": lambda inner: inner.linear.register_full_backward_hook(lambda module, given, out: None),
    "a parametrization": lambda inner: parametrize.register_parametrization(inner.linear, "weight", nn.Tanh()),
    "weight norm": lambda inner: parametrizations.weight_norm(inner.linear),
    "a layer of another kind": lambda inner: setattr(inner, "linear", nn.Linear(3, 4)),
    "a replaced method": lambda inner: setattr(inner, "helper", lambda x: x + 2),
    "another number type": lambda inner: inner.double(),
}


@pytest.mark.parametrize("what", CHANGES)
def test_every_part_of_the_function_counts(what: str) -> None:
    one = net().eval()
    before = net_fingerprint(one)
    assert net_fingerprint(net().eval()) == before
    CHANGES[what](one[0])
    assert net_fingerprint(one.eval()) != before


def test_hooks_that_differ_have_different_fingerprints() -> None:
    marks = []
    for factor in (2.0, 2.0, 3.0):
        one = net().eval()
        _hooked(one[0], factor)
        marks.append(net_fingerprint(one))
    assert marks[0] == marks[1] != marks[2]


@pytest.mark.parametrize(
    "change", ["used", "copied", "compiled", "no gradients", "channels last", "hook added and removed"]
)
def test_what_does_not_change_the_function_does_not_count(change: str) -> None:
    one = net().eval()
    before = net_fingerprint(one)
    with torch.no_grad():
        if change == "used":
            one(torch.ones(2, 3))
            assert one[0].last.shape == (2, 4)
        elif change == "copied":
            one = copy.deepcopy(one)
        elif change == "compiled":
            one._is_torch_compile = True  # the mark that torch.compile leaves on the net itself
        elif change == "no gradients":
            one.requires_grad_(False)
        elif change == "channels last":
            images = nn.Conv2d(3, 4, 3)
            assert net_fingerprint(images) == net_fingerprint(
                copy.deepcopy(images).to(memory_format=torch.channels_last)
            )
        else:
            one[0].linear.register_forward_hook(lambda module, given, out: out * 2).remove()
    assert net_fingerprint(one) == before


def test_the_order_of_layers_counts() -> None:
    first, second = nn.ReLU(), nn.Tanh()
    assert net_fingerprint(nn.Sequential(first, second)) != net_fingerprint(nn.Sequential(second, first))


def test_a_layer_that_trains_when_the_others_do_not_counts() -> None:
    one = nn.Sequential(nn.Dropout(0.5)).eval()
    before = net_fingerprint(one)
    one[0].train()
    assert net_fingerprint(one) != before


class Stateful(nn.Module):
    """Reads the tensor that it wrote in the pass before."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = torch.zeros(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = x - self.shift
        self.shift = x.mean(0)
        return out


def test_an_attribute_that_the_pass_writes_and_reads_counts() -> None:
    one = Stateful().eval()
    before = net_fingerprint(one)
    one(torch.ones(3, 2))
    assert net_fingerprint(one) != before


SCRIPT = """
import torch
from torch import nn
from assay.model.adapters.torch import net_fingerprint
FACTOR = {factor}
def helper(x):
    return torch.{called}(x)
class Base(nn.Module):
    def scaled(self, x):
        return x * {inherited}
class Net(Base):
    '''{text}'''
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 4)
    def forward(self, x):
        # {text}
        return self.scaled(torch.{direct}(helper(self.a(x)))) * FACTOR if {{"p", "q"}} else (lambda v: v + {nested})(x)
    def __repr__(self):
        return "Net"
torch.manual_seed(0)
mark = net_fingerprint(Net().eval())
"""
BASE = {"factor": "1.0", "called": "relu", "inherited": "1.0", "text": "one", "direct": "sigmoid", "nested": "1"}


def _mark(change: dict[str, str], hash_seed: int) -> str:
    code = SCRIPT.format(**{**BASE, **change}) + "print(mark)"
    return in_another_process("-c", code, hash_seed=hash_seed)


def _defined(change: dict[str, str]) -> str:
    space: dict[str, Any] = {"__name__": "users_script"}
    exec(compile(SCRIPT.format(**{**BASE, **change}), "users_script.py", "exec"), space)
    return space["mark"]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"text": "two"}, True),
        ({"direct": "tanh"}, False),
        ({"called": "tanh"}, False),
        ({"inherited": "2.0"}, False),
        ({"nested": "2"}, False),
        ({"factor": "2.0"}, False),
    ],
    ids=lambda change: "" if isinstance(change, bool) else next(iter(change)),
)
def test_the_code_of_the_users_modules_and_of_what_they_call_counts(change: dict[str, str], same: bool) -> None:
    assert (_defined(change) == _defined({})) is same


def test_the_same_code_has_the_same_fingerprint_in_every_process() -> None:
    assert _mark({"text": "two"}, 2) == _defined({}) + "\n"


def _scripted(scale: float, activation: str) -> torch.jit.ScriptModule:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)
            self.scale = scale
            self.act = getattr(nn, activation)()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(self.layer(x)) * self.scale

    torch.manual_seed(0)
    return torch.jit.script(Scaled())


def _traced(scale: float, activation: str) -> torch.jit.ScriptModule:
    return torch.jit.trace(_plain(scale, activation), torch.ones(1, 3))


def _symbolic(scale: float, activation: str) -> nn.Module:
    return torch.fx.symbolic_trace(_plain(scale, activation))


def _plain(scale: float, activation: str) -> nn.Module:
    act = getattr(torch, activation.lower())

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return act(self.layer(x)) * scale

    torch.manual_seed(0)
    return Net().eval()


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("make", [_scripted, _traced, _symbolic])
def test_traced_and_scripted_nets_count_by_their_code(make: Callable[[float, str], Any]) -> None:
    one, same = make(2.0, "ReLU"), make(2.0, "ReLU")
    assert read_state(one) == read_state(same)
    assert read_state(one).unread == ()
    assert read_state(make(3.0, "ReLU")) != read_state(one)
    assert read_state(make(2.0, "Tanh")) != read_state(one)


@pytest.mark.parametrize("kind", ["BertForSequenceClassification", "DistilBertForSequenceClassification"])
def test_a_saved_transformer_has_the_fingerprint_of_the_one_in_memory(kind: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    sizes |= {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16, "vocab_size": 40}
    torch.manual_seed(0)
    one = getattr(transformers, kind)(getattr(transformers, kind).config_class(**sizes)).eval()
    before = net_fingerprint(one)
    assert read_state(one).unread == ()
    one(torch.tensor([[1, 2, 3]]))
    assert net_fingerprint(one) == before
    one.save_pretrained(tmp_path)
    assert net_fingerprint(getattr(transformers, kind).from_pretrained(tmp_path).eval()) == before
    one.config.problem_type = "regression"
    assert net_fingerprint(one) != before


def test_a_net_inside_an_estimator_counts() -> None:
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Wrapped(ClassifierMixin, BaseEstimator):
        def __init__(self, module: Any = None) -> None:
            self.module = module

        def fit(self, x: Any, y: Any) -> Wrapped:
            self.module_, self.classes_ = self.module, [0, 1]
            return self

        def predict_proba(self, x: Any) -> Any:
            with torch.no_grad():
                return torch.softmax(self.module_(torch.as_tensor(x).float()), 1).numpy()

    one = Wrapped(net().eval()).fit(None, None)
    before = assay.wrap(one).fingerprint
    one.module_.train()
    assert assay.wrap(one).fingerprint == before
    one.module_[2].weight.data[0, 0] += 1
    assert assay.wrap(one).fingerprint != before


def test_the_functions_around_a_net_count() -> None:
    def wrapped(factor: float) -> str:
        return assay.wrap(net(), preprocess=lambda x: x * factor, output=lambda out: out).fingerprint

    assert wrapped(2.0) == wrapped(2.0) != wrapped(3.0)
