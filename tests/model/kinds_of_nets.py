"""Kinds of torch nets with what the net itself returns."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tests.model.kinds_of_models import Kind, Own, X
from torch import nn

KINDS: dict[str, Kind] = {}
"""The kinds of nets by name."""

ROWS = torch.tensor(X, dtype=torch.float32)
CODES = torch.tensor(np.clip(np.round(X[:, :3]) + 2, 0, 4).astype(np.int64))


class Head(nn.Module):
    """A small net with a function of its last scores."""

    def __init__(self, columns: int, after: Callable[[Any], Any], inputs: int = 4) -> None:
        super().__init__()
        torch.manual_seed(columns)
        self.first, self.last, self.after = nn.Linear(inputs, 5), nn.Linear(5, columns), after

    def forward(self, x: Any) -> Any:
        return self.after(self.last(torch.tanh(self.first(x))))


class Codes(nn.Module):
    """An embedding of categories, and numbers where there are some."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table, self.last = nn.Embedding(5, 2), nn.Linear(2 * (3 if not numbers else 1) + numbers, 2)

    def forward(self, codes: Any, numbers: Any = None) -> Any:
        found = self.table(codes).flatten(1)
        return self.last(found if numbers is None else torch.cat([found, numbers], dim=1))


class Named(nn.Module):
    """Numbers and codes by name."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Codes(2)

    def forward(self, *, numbers: Any, code: Any) -> Any:
        return {"logits": self.inner(code, numbers)}


def net(columns: int, after: Callable[[Any], Any] = lambda z: z, inputs: int = 4) -> Callable[[], nn.Module]:
    """A function that makes a net, in evaluation mode."""
    return lambda: Head(columns, after, inputs).eval()


def own_of(meaning: str, select: Callable[[Any], Any] = lambda out: out) -> Callable[[Any], Own]:
    """What a net predicts, by what it is: its scores are computed by the net itself."""

    def own(module: Any) -> Own:
        def run(x: Any) -> torch.Tensor:
            with torch.no_grad():
                out = module(**x) if isinstance(x, dict) else module(*x) if isinstance(x, tuple) else module(x)
                out = select(out).double()
                return out[:, None] if out.ndim == 1 else out

        def two(x: Any) -> torch.Tensor:  # probabilities of two classes
            p = torch.sigmoid(run(x)) if meaning == "logit" else run(x)
            return torch.cat([1 - p, p], dim=1)

        def many(x: Any) -> torch.Tensor:
            return run(x) if meaning == "shares" else F.softmax(run(x), dim=1)

        def labels(x: Any) -> torch.Tensor:
            return run(x) if meaning == "labels" else torch.sigmoid(run(x))

        if meaning == "value":
            return Own(value=run)
        if meaning in ("logit", "share"):
            return Own((), two, lambda x: torch.cat([-run(x), run(x)], dim=1), lambda x: two(x) > 0.5)
        if meaning in ("labels", "label logits"):
            return Own((), labels, run, lambda x: labels(x) > 0.5)

        def decision(x: Any) -> np.ndarray:
            found = many(x)
            return (found == found.max(dim=1, keepdim=True).values).numpy()

        return Own((), many, run, decision)

    return own


def add(
    name: str, meaning: str, make: Callable[[], Any], x: Any = ROWS, select: Any = lambda out: out, **about: Any
) -> None:
    """One more kind."""
    assert name not in KINDS
    KINDS[name] = Kind(make, x, own_of(meaning, select), **({"tolerance": 1e-5} | about))


def as_module(head: nn.Module, columns: int) -> Callable[[], nn.Module]:
    """A net whose last layer is ``head``."""

    def make() -> nn.Module:
        torch.manual_seed(7)
        return nn.Sequential(
            nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, columns), head
        ).eval()

    return make


def changed(make: Callable[[], Any], change: Callable[[Any], Any]) -> Callable[[], Any]:
    """A function that changes the net of another one."""
    return lambda: change(make())


def exported(module: nn.Module) -> Any:
    """The exported program of a net, for any number of rows."""
    return torch.export.export(module, (ROWS[:2],), dynamic_shapes=({0: torch.export.Dim("rows")},))


def own_of_other(own: Callable[[Any], Own], make: Callable[[], Any], program: Any) -> Own:
    """The predictions of the net that a program was made of."""
    return own(make())


SIGMOIDS = {
    "torch.sigmoid": torch.sigmoid,
    "F.sigmoid": F.sigmoid,
    "the method sigmoid": lambda z: z.sigmoid(),
    "a squeezed sigmoid": lambda z: torch.sigmoid(z).squeeze(),
    "a sigmoid of one axis": lambda z: torch.sigmoid(z[:, 0]),
    "a sigmoid in a dictionary": lambda z: {"p": torch.sigmoid(z)},
    "a sigmoid in float64": lambda z: torch.sigmoid(z).double(),
}
for name, head in SIGMOIDS.items():
    add(f"{name}, one column", "share", net(1, head), select=lambda out: out["p"] if isinstance(out, dict) else out)
add("nn.Sigmoid, one column", "share", as_module(nn.Sigmoid(), 1))
add("nn.Sigmoid, two columns", "labels", as_module(nn.Sigmoid(), 2))
add("torch.sigmoid, three columns", "labels", net(3, torch.sigmoid))
SOFTMAXES = {
    "F.softmax": lambda z: F.softmax(z, dim=1),
    "torch.softmax": lambda z: torch.softmax(z, dim=-1),
    "the method softmax": lambda z: z.softmax(1),
    "the exponential of log_softmax": lambda z: torch.log_softmax(z, dim=1).exp(),
    "exponentials over their sum": lambda z: z.exp() / z.exp().sum(dim=1, keepdim=True),
    "shares of softplus": lambda z: F.normalize(F.softplus(z), p=1.0, dim=1),
}
for name, head in SOFTMAXES.items():
    for columns in (2, 3):
        add(f"{name}, {columns} columns", "shares", net(columns, head))
add("nn.Softmax", "shares", as_module(nn.Softmax(dim=1), 3))
add("a probability beside its complement", "shares", net(1, lambda z: torch.cat([1 - z.sigmoid(), z.sigmoid()], dim=1)))
for columns in (2, 3):
    add(f"no final layer, {columns} columns", "logits", net(columns))
    add(f"log_softmax, {columns} columns", "logits", net(columns, lambda z: F.log_softmax(z, dim=1)))
add("nn.LogSoftmax", "logits", as_module(nn.LogSoftmax(dim=1), 3))
add("no final layer, one column", "logit", net(1), options={"output": "logits"})
add("no final layer, squeezed", "logit", net(1, lambda z: z.squeeze()), options={"output": "logits"})
add("no final layer, one column, asked by the target", "logit", net(1))
add("logits of labels", "label logits", net(3), options={"output": "multilabel logits"})
add("probabilities that are stated", "share", net(1, lambda z: 1 - z.sigmoid()), options={"output": "probabilities"})
add(
    "clipped probabilities of labels",
    "labels",
    net(3, lambda z: z.sigmoid().clamp(0.01, 0.99)),
    options={"output": "multilabel probabilities"},
)
add("regression of one column", "value", net(1), options={"output": "values"})
add("regression, squeezed", "value", net(1, lambda z: z.squeeze(-1)), options={"output": "values"})
add("regression asked by the target", "value", net(1))
add("regression of three columns", "value", net(3), options={"output": "values"})
add("regression of a rate", "value", net(1, torch.exp), options={"output": "values"})
add("regression of a share", "value", net(1, torch.sigmoid), options={"output": "values"})
add(
    "dictionary by key",
    "logits",
    net(3, lambda z: {"loss": z.sum(), "scores": z}),
    select=lambda out: out["scores"],
    options={"output": "scores"},
)
add("tuple by position", "logits", net(3, lambda z: (z.sum(), z)), select=lambda out: out[1], options={"output": 1})
add("sigmoid in a tuple", "share", net(1, lambda z: (z, z.sigmoid())), select=lambda out: out[1], options={"output": 1})
add(
    "function of the output",
    "shares",
    net(3, lambda z: (z, z)),
    select=lambda out: out[0].softmax(1),
    options={"output": lambda out: out[0].softmax(1)},
)
add("double precision", "logits", changed(net(3), lambda m: m.double()), ROWS.double(), tolerance=1e-6)
add(
    "half precision", "shares", changed(net(3, SOFTMAXES["F.softmax"]), lambda m: m.half()), ROWS.half(), tolerance=5e-3
)
add("bfloat16", "logits", changed(net(2), lambda m: m.bfloat16()), ROWS.bfloat16(), tolerance=5e-2)
for name, meaning, head, columns in (
    ("sigmoid", "share", nn.Sigmoid(), 1),
    ("softmax", "shares", nn.Softmax(dim=1), 3),
):
    plain, own = as_module(head, columns), own_of(meaning)
    for form, change in {"scripted": torch.jit.script, "compiled": torch.compile, "exported": exported}.items():
        KINDS[f"{form} {name}"] = Kind(
            changed(plain, change), ROWS, functools.partial(own_of_other, own, plain), tolerance=1e-5
        )
add("traced program", "shares", changed(net(3, SOFTMAXES["F.softmax"]), lambda m: torch.jit.trace(m, ROWS[:2])))
add(
    "convolution",
    "logits",
    lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(2, 3)).eval(),
    ROWS.reshape(-1, 1, 2, 2),
)
add("windows of two steps", "share", lambda: Steps().eval(), ROWS.reshape(-1, 2, 2))
add("embedding of codes", "logits", lambda: Codes(0).eval(), CODES)
add("codes beside numbers", "logits", lambda: Codes(2).eval(), (CODES[:, :1], ROWS[:, 2:]))
add(
    "inputs by name",
    "logits",
    lambda: Named().eval(),
    {"numbers": ROWS[:, 2:], "code": CODES[:, :1]},
    select=lambda out: out["logits"],
)


class Steps(nn.Module):
    """A recurrent net on windows (step, feature)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.steps, self.last = nn.GRU(2, 3, batch_first=True), nn.Linear(3, 1)

    def forward(self, x: Any) -> Any:
        return torch.sigmoid(self.last(self.steps(x)[0][:, -1]))


AMBIGUOUS = {
    "one linear column": net(1),
    "one column of a negative sigmoid": net(1, lambda z: 1 - z.sigmoid()),
    "one clipped sigmoid": net(1, lambda z: z.sigmoid().clamp(0.01, 0.99)),
    "one sigmoid by hand": net(1, lambda z: 1 / (1 + torch.exp(-z))),
    "a halved tangent": net(1, lambda z: (torch.tanh(z) + 1) / 2),
    "labels clipped": net(3, lambda z: z.sigmoid().clamp(0.01, 0.99)),
    "labels by hand": net(3, lambda z: 1 / (1 + torch.exp(-z))),
    "a hard sigmoid": net(1, F.hardsigmoid),
}
"""Nets with outputs that have several readings."""
