"""Nets as people write them: several inputs, odd return values, windows, volumes, compiled and exported programs."""

from __future__ import annotations

from collections import UserDict, namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import assay

NETS: dict[str, Written] = {}
"""The nets by name."""

COUNT = 7
generator = np.random.default_rng(5)
TABLE = torch.as_tensor(generator.normal(size=(COUNT, 4)).astype(np.float32))
CODES = torch.as_tensor(generator.integers(0, 6, (COUNT, 2)))
WINDOWS = torch.as_tensor(generator.normal(size=(COUNT, 3, 2)).astype(np.float32))
IMAGES = torch.as_tensor(generator.normal(size=(COUNT, 1, 2, 3)).astype(np.float32))
VOLUMES = torch.as_tensor(generator.normal(size=(COUNT, 1, 2, 2, 2)).astype(np.float32))


@dataclass(frozen=True, eq=False)
class Written:
    """A net, its rows, and what to tell ``wrap`` and ``case``.

    ``scores`` selects the scores in what the net returns, for the oracle. ``given`` makes of rows what the net itself
    is called with. ``whole`` says that some inputs have no derivative, ``jumps`` that the net is no smooth function of
    its rows. ``rows`` is the number of rows that an exported program takes.
    """

    make: Callable[[], Any]
    x: Any = field(default_factory=lambda: TABLE)
    scores: Callable[[Any], torch.Tensor] = lambda out: out
    given: Callable[[Any], Any] = lambda x: x
    options: dict[str, Any] = field(default_factory=dict)
    case: dict[str, Any] = field(default_factory=dict)
    whole: bool = False
    jumps: bool = False
    rows: int | None = None
    tolerance: float = 1e-6
    parts: tuple[str, ...] = ()

    @cached_property
    def net(self) -> Any:
        """The net with weights from a fixed seed, in evaluation mode where it has one."""
        torch.manual_seed(3)
        net = self.make()
        if hasattr(net, "eval") and type(net).__name__ != "ExportedProgram":
            net.eval()
        return net

    def run(self, x: Any) -> torch.Tensor:
        """The net's own scores (row, class) in float64."""
        x = self.given(x)
        if self.rows is not None:
            whole = torch.cat([x, x[-1:].expand(-len(x) % self.rows, *x.shape[1:])])
            return torch.cat([self._call(part) for part in whole.split(self.rows)])[: len(x)]
        return self._call(x)

    def _call(self, x: Any) -> torch.Tensor:
        net = self.net.module() if type(self.net).__name__ == "ExportedProgram" else self.net
        out = net(**x) if isinstance(x, Mapping) else net(*x) if isinstance(x, tuple) else net(x)
        out = self.scores(out).double()
        return out[:, None] if out.ndim == 1 else out

    def model(self) -> Any:
        """The net as a model."""
        given = self.options.get("gives")
        return assay.model.torch(self.net, **self.options) if given else assay.wrap(self.net, **self.options)

    @property
    def target(self) -> str:
        """The target whose value is a score of the net."""
        return "value" if "values" in self.options.values() else "logit"


class Tabular(nn.Module):
    """A net of numbers; ``after`` makes its return value."""

    def __init__(self, after: Callable[[Any], Any] = lambda z: z, columns: int = 3) -> None:
        super().__init__()
        self.first, self.last, self.after = nn.Linear(4, 5), nn.Linear(5, columns), after

    def forward(self, x: torch.Tensor) -> Any:
        return self.after(self.last(torch.tanh(self.first(x))))


class NumbersAndCodes(nn.Module):
    """Numbers beside an embedding of codes."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.last = nn.Embedding(6, 2), nn.Linear(4 + 2 * 2, 3)

    def forward(self, numbers: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.last(torch.cat([numbers, self.table(codes).flatten(1)], dim=1)))


class OneCode(nn.Module):
    """Numbers beside one code a row, without an axis of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.last = nn.Embedding(6, 4), nn.Linear(4, 2)

    def forward(self, numbers: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(numbers + self.table(code)))


class ImageAndTable(nn.Module):
    """An image beside a table; both are numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.last = nn.Conv2d(1, 2, 2), nn.Linear(4 + 2, 2)

    def forward(self, image: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        return self.last(torch.cat([torch.tanh(self.convolution(image)).flatten(1), table[:, :2]], dim=1))


class MaskedNumbers(nn.Module):
    """Numbers and which of them count, as truth values."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 2)

    def forward(self, numbers: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.last(numbers.masked_fill(~known, -1.0)))


class CastingItself(nn.Module):
    """One matrix of numbers, the first column of which is a code that the net casts itself."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.last = nn.Embedding(6, 2), nn.Linear(3 + 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.last(torch.cat([self.table(x[:, 0].long()), x[:, 1:]], dim=1)))


class Recurrent(nn.Module):
    """A recurrent net on windows (step, feature); without ``batch_first`` it transposes them itself."""

    def __init__(self, kind: type[nn.RNNBase], batch_first: bool, **options: Any) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.steps = kind(2, 4, batch_first=batch_first, **options)
        self.last = nn.Linear(8 if options.get("bidirectional") else 4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out, _ = self.steps(x if self.batch_first else x.transpose(0, 1))
        return self.last(out[:, -1] if self.batch_first else out[-1])


class LastState(nn.Module):
    """A recurrent net that reads the last hidden state."""

    def __init__(self) -> None:
        super().__init__()
        self.steps, self.last = nn.LSTM(2, 4, num_layers=2, batch_first=True, dropout=0.3), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.steps(x)[1][0][-1])


class Cells(nn.Module):
    """A loop over the steps of a window."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.last = nn.GRUCell(2, 4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = x.new_zeros(len(x), 4)
        for step in x.unbind(1):
            state = self.cell(step, state)
        return self.last(state)


class Shared(nn.Module):
    """One layer used three times, and one matrix forwards and backwards."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.tied = nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 4, bias=False)
        self.tied.weight = nn.Parameter(self.first.weight.detach().t().contiguous())
        self.again = self.middle
        self.copy = nn.Linear(5, 5)
        self.copy.weight = self.middle.weight
        self.last = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.middle(torch.tanh(self.first(x))))
        x = torch.tanh(self.copy(torch.tanh(self.again(x))))
        return self.last(self.tied(x) + F.linear(x, self.first.weight.t()))


class Segmenting(nn.Module):
    """Scores of each class at each position; ``after`` makes its return value."""

    def __init__(self, after: Callable[[Any], Any] = lambda z: z) -> None:
        super().__init__()
        self.first, self.last, self.after = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 3, 1), after

    def forward(self, x: torch.Tensor) -> Any:
        return self.after(self.last(torch.tanh(self.first(x))))


def volumes() -> nn.Module:
    """A net on volumes."""
    first = nn.Sequential(nn.Conv3d(1, 3, 2, padding=1), nn.BatchNorm3d(3), nn.Tanh(), nn.AdaptiveAvgPool3d(1))
    return nn.Sequential(first, nn.Flatten(), nn.Linear(3, 2))


Pair = namedtuple("Pair", ["features", "scores"])


@dataclass
class Output:
    """A return value with names."""

    scores: torch.Tensor
    loss: torch.Tensor | None = None


def add(name: str, make: Callable[[], Any], x: Any = TABLE, **about: Any) -> None:
    """One more net."""
    assert name not in NETS
    NETS[name] = Written(make, x, **about)


NAMED = ("numbers 0", "numbers 1", "numbers 2", "numbers 3", "codes 0", "codes 1")
BY_PLACE = tuple(name.replace("numbers", "input 0").replace("codes", "input 1") for name in NAMED)
add("numbers and codes, a tuple", NumbersAndCodes, (TABLE, CODES), whole=True, parts=BY_PLACE)
add("codes of int32", NumbersAndCodes, (TABLE, CODES.int()), whole=True, parts=BY_PLACE)
add("numbers and codes, a mapping", NumbersAndCodes, {"numbers": TABLE, "codes": CODES}, whole=True, parts=NAMED)
add(
    "a mapping in another order",
    NumbersAndCodes,
    {"codes": CODES, "numbers": TABLE},
    whole=True,
    parts=(*NAMED[4:], *NAMED[:4]),
)
add(
    "a mapping of numpy arrays",
    NumbersAndCodes,
    {"numbers": TABLE.numpy(), "codes": CODES.numpy().astype(np.int16)},
    given=lambda x: {"numbers": torch.as_tensor(x["numbers"]), "codes": torch.as_tensor(x["codes"]).long()},
    whole=True,
    parts=NAMED,
)
add(
    "float64 numbers of a net in float32",
    NumbersAndCodes,
    (TABLE.numpy().astype(np.float64), CODES.numpy()),
    given=lambda x: (torch.as_tensor(x[0]).float(), torch.as_tensor(x[1])),
    whole=True,
    parts=BY_PLACE,
)
add("a user's own mapping", NumbersAndCodes, UserDict(numbers=TABLE, codes=CODES), whole=True, parts=NAMED)
add("one code a row", OneCode, (TABLE, CODES[:, 0]), whole=True, parts=(*BY_PLACE[:4], "input 1"))
add(
    "an image and a table",
    ImageAndTable,
    {"image": IMAGES, "table": TABLE[:, :2]},
    parts=(*[f"image 0,{i},{j}" for i in range(2) for j in range(3)], "table 0", "table 1"),
)
add(
    "truth values",
    MaskedNumbers,
    {"numbers": TABLE, "known": CODES.repeat(1, 2) > 2},
    whole=True,
    parts=(*NAMED[:4], *[f"known {i}" for i in range(4)]),
)
for kind in ("int64", "int32"):
    add(f"codes alone, {kind}", lambda: nn.Sequential(nn.Embedding(6, 2), nn.Flatten(), nn.Linear(4, 3)),
        CODES.to(getattr(torch, kind)), whole=True)  # fmt: skip
for kind in ("int64", "int32", "int16", "uint8"):
    add(
        f"codes alone, numpy {kind}",
        lambda: nn.Sequential(nn.Embedding(6, 2), nn.Flatten(), nn.Linear(4, 3)),
        CODES.numpy().astype(kind),
        given=lambda x: torch.as_tensor(x).long(),
        whole=True,
    )
add(
    "many codes in half precision",
    lambda: nn.Sequential(nn.Embedding(4096, 2), nn.Flatten(), nn.Linear(4, 3)).half(),
    CODES + 4001,
    whole=True,
    tolerance=5e-3,
)
MIXED = torch.cat([CODES[:, :1].float(), TABLE[:, :3]], dim=1)
add("a code among numbers", CastingItself, MIXED, jumps=True)
add("whole numbers of a net that casts them", CastingItself, torch.round(MIXED).abs().long(), jumps=True)

for name, after, scores, output in (
    ("a mapping, by key", lambda z: {"loss": z.sum(), "scores": z}, lambda out: out["scores"], "scores"),
    ("a mapping of one entry", lambda z: {"scores": z}, lambda out: out["scores"], None),
    ("a tuple, by position", lambda z: (z.mean(1), z), lambda out: out[1], 1),
    ("a tuple, from its end", lambda z: (z.mean(1), z), lambda out: out[1], -1),
    ("a list, by position", lambda z: [z, z.mean(1)], lambda out: out[0], 0),
    ("a named tuple, by name", lambda z: Pair(z.mean(1), z), lambda out: out.scores, "scores"),
    ("a named tuple, by position", lambda z: Pair(z.mean(1), z), lambda out: out.scores, 1),
    ("a dataclass", lambda z: Output(z), lambda out: out.scores, "scores"),
    ("an object with attributes", lambda z: SimpleNamespace(scores=z), lambda out: out.scores, "scores"),
    ("a mapping in a tuple", lambda z: ({"s": z}, None), lambda out: out[0]["s"], lambda out: out[0]["s"]),
    ("a function that computes", lambda z: (z, z), lambda out: 2 * out[0], lambda out: 2 * out[0]),
):
    add(
        name,
        lambda after=after: Tabular(after),
        scores=scores,
        options={} if output is None else {"output": output},
    )

LAGS = ("a (t−2)", "b (t−2)", "a (t−1)", "b (t−1)", "a (t)", "b (t)")
for kind in (nn.LSTM, nn.GRU, nn.RNN):
    for first in (True, False):
        add(
            f"{kind.__name__}, {'rows' if first else 'steps'} first",
            lambda kind=kind, first=first: Recurrent(kind, first),
            WINDOWS,
            case={"names": ("a", "b")},
            parts=LAGS,
        )
add("LSTM in both directions", lambda: Recurrent(nn.LSTM, True, bidirectional=True), WINDOWS)
add("LSTM of two layers", LastState, WINDOWS, case={"names": ["a", "b"]}, parts=LAGS)
add("GRU cells", Cells, WINDOWS, case={"names": ["a", "b"]}, parts=LAGS)
add(
    "1-d convolutions",
    lambda: nn.Sequential(nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3), nn.Tanh(), nn.Flatten(), nn.Linear(6, 2)),
    WINDOWS.transpose(1, 2).contiguous(),
)
add(
    "3-d convolutions",
    volumes,
    VOLUMES,
)
