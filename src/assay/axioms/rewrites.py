# SPDX-License-Identifier: Apache-2.0
"""The same function written in other ways. Loaded with torch, when a net is built."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.axioms.attribution import PLACES
from assay.axioms.subjects import (
    START,
    WORDS,
    Function,
    Kind,
    Subject,
    X,
    built,
    convolution,
    laid_out,
    linear,
    mixed,
    subject,
)
from assay.axioms.tokens import Reader, SelfAttention
from assay.basics.optional import need
from assay.basics.types import Floats

if TYPE_CHECKING:
    import torch as pt

    Module = pt.nn.Module
else:
    Module = need("torch", extra="torch").nn.Module

Tensor = Any


class Written(Module):
    """A first layer, an activation written in some way, and what follows."""

    def __init__(self, first: Any, act: Callable[[Tensor], Tensor], rest: Any) -> None:
        super().__init__()
        self.first, self.rest = first, rest
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """The scores."""
        return self.rest(self.act(self.first(x)))


class Residual(Module):
    """Two rectified layers with a skip; the rectifier is one module, used twice, or two. ``joined`` adds by a layer."""

    def __init__(self, f: Function, *, reused: bool, joined: bool) -> None:
        super().__init__()
        pt = need("torch", extra="torch")
        units = len(f.v)
        self.first, self.second = linear(f.w, f.c), linear(SECOND, f.c)
        self.relu = pt.nn.ReLU()
        self.again = self.relu if reused else pt.nn.ReLU()
        self.join = linear(np.hstack([np.eye(units), np.eye(units)])) if joined else None
        self.head = linear(f.v[None], [f.b])

    def forward(self, x: Tensor) -> Tensor:
        """The scores."""
        pt = need("torch", extra="torch")
        a = self.relu(self.first(x))
        b = self.again(self.second(a))
        return self.head(a + b if self.join is None else self.join(pt.cat([a, b], dim=1)))


SECOND = np.array([[0.5, -1.0, 0.25], [1.0, 0.5, -0.5], [-0.25, 0.75, 1.0]])


def rectifiers() -> dict[str, Callable[[Tensor], Tensor]]:
    """max(0, x), as people write it."""
    pt = need("torch", extra="torch")
    return {
        "ReLU as a function": pt.relu,
        "ReLU in place": pt.relu_,
        "ReLU as a clamp": lambda x: x.clamp(min=0),
        "ReLU as −min(−x, 0)": lambda x: -pt.minimum(-x, pt.zeros_like(x)),
        "ReLU as (x + |x|) / 2": lambda x: (x + x.abs()) / 2,
    }


def doubled(f: Function) -> Function:
    """Every hidden unit twice, each with half the weight above."""
    return replace(f, w=np.vstack([f.w, f.w]), c=np.r_[f.c, f.c], v=np.r_[f.v, f.v] / 2)


def rescaled(f: Function) -> Function:
    """Hidden units twice as large, with half the weight above: rectifiers pass scales on."""
    return replace(f, w=2 * f.w, c=2 * f.c, v=f.v / 2)


def negated(f: Function) -> Function:
    """tanh(−x) = −tanh(x): hidden units and the weights above turned round."""
    return replace(f, w=-f.w, c=-f.c, v=-f.v)


def cancelling(f: Function) -> Function:
    """Two more hidden units that are equal and cancel."""
    return f.plus(replace(f, w=f.w[[1, 1]], c=f.c[[1, 1]], v=np.array([2.0, -2.0]), b=0.0))


@functools.cache
def pairs() -> list[tuple[str, Subject, Subject]]:
    """Name, the plain way, the other way: two nets of one function each."""
    return [*_layered("numbers"), *_layered("pooled"), *_layered("flat"), *_skips(), *_readers(), _early_or_late()]


def _early_or_late() -> tuple[str, Subject, Subject]:
    """Figure 7 of Sundararajan and others 2017: max(0, max(0, x₀) − 1 − max(0, x₁)), the 1 taken off late or early."""
    pt = need("torch", extra="torch")

    def asked(early: float, late: float) -> Subject:
        layers = [linear(np.eye(2), [early, 0.0]), pt.nn.ReLU(), linear([[1.0, -1.0]], [late]), pt.nn.ReLU()]
        return subject(pt.nn.Sequential(*layers), [3.0, 1.0], 0.0, "max(0, max(0, x₀) − 1 − max(0, x₁))")

    return "1 taken off before or after a ReLU", asked(0.0, -1.0), asked(-1.0, 0.0)


def _layered(kind: Kind) -> list[tuple[str, Subject, Subject]]:
    f, smooth = mixed(), mixed("tanh")
    pt = need("torch", extra="torch")

    def asked(net: Module, name: str) -> Subject:
        start = START if kind == "numbers" else 0.0
        return subject(net, X, start, f"{name}, {WORDS[kind]}", shape=laid_out(kind))

    def plain(g: Function, name: str) -> Subject:
        return asked(built(kind, g, 4, PLACES), name)

    def layers() -> list[Any]:
        return list(built(kind, f, 4, PLACES).children())

    def split(rest: Sequence[Any]) -> Module:
        """The first layer W as T (T⁻¹ W)."""
        first = rest[0]
        weight, bias = first.weight.detach().numpy(), first.bias.detach().numpy()
        turn = TURN[: len(weight), : len(weight)]
        shape = weight.reshape(len(weight), -1)
        layer = linear if kind == "numbers" else convolution
        return pt.nn.Sequential(layer(np.linalg.solve(turn, shape)), layer(turn, bias), *rest[1:])

    same = plain(f, "")
    found = []
    for name, act in rectifiers().items():
        first, _, *rest = layers()
        found.append((name, same, asked(Written(first, act, pt.nn.Sequential(*rest)), name)))
    found.append(("one linear layer as two", same, asked(split(layers()), "")))
    for name, other in (("every unit twice", doubled), ("units rescaled", rescaled), ("units that cancel", cancelling)):
        found.append((name, same, plain(other(f), name)))
        if name != "units rescaled":
            found.append((f"{name}, tanh", plain(smooth, ""), plain(other(smooth), name)))
    found.append(("tanh turned round", plain(smooth, ""), plain(negated(smooth), "")))
    return [(f"{name}, {WORDS[kind]}", one, two) for name, one, two in found]


TURN = np.array([[1.0, 0.5, 0.0], [-1.0, 1.0, 0.25], [0.5, 0.0, 1.0]])


def _skips() -> list[tuple[str, Subject, Subject]]:
    f = mixed()

    def asked(name: str, *, reused: bool, joined: bool) -> Subject:
        return subject(Residual(f, reused=reused, joined=joined), X, START, name)

    plain = asked("a skip", reused=False, joined=False)
    return [
        ("one ReLU module used twice", plain, asked("one ReLU used twice", reused=True, joined=False)),
        ("a skip as concatenation and a layer", plain, asked("a skip as concatenation", reused=False, joined=True)),
    ]


def _readers() -> list[tuple[str, Subject, Subject]]:
    def asked(name: str, *, act: Any = "tanh", attention: Module | None = None, f: Function | None = None) -> Subject:
        net = Reader(mixed(act) if f is None else f, np.full(4, 0.25), attention=attention)
        return subject(net, X, 0.0, f"{name}, {WORDS['tokens']}", shape=laid_out("tokens"))

    plain = asked("")
    idle = asked("", attention=SelfAttention((0.5, 0.0), (0.5, 0.0), (1.0, 0.0)))
    return [
        ("queries doubled, keys halved", plain, asked("", attention=SelfAttention((1.0,), (0.25,), (1.0,)))),
        ("a head twice, half each", plain, asked("", attention=SelfAttention((0.5,) * 2, (0.5,) * 2, (0.5,) * 2))),
        (
            "other weights in a head that is not used",
            idle,
            asked("", attention=SelfAttention((0.5, 2.0), (0.5, -1.0), (1.0, 0.0))),
        ),
        ("every unit above attention twice", plain, asked("", f=doubled(mixed("tanh")))),
        ("units above attention rescaled", asked("", act="relu"), asked("", f=rescaled(mixed()))),
    ]


def largest_difference(one: Subject, two: Subject) -> float:
    """How far the two nets' outputs are apart on 64 inputs around the subject's own: both write one function."""
    pt = need("torch", extra="torch")
    generator = np.random.Generator(np.random.PCG64(0))
    drawn: Floats = generator.normal(0.0, 2.0, (64, *one.case.rows.shape))
    x = pt.as_tensor(drawn)
    which = np.zeros(64, dtype=np.int64)
    return float((one.case.outputs(x, which) - two.case.outputs(x, which)).abs().max())
