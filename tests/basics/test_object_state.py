"""The digest of any object: the same for the same content in any process, another for other content."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from assay.basics.object_state import digest_state


def mark(thing: Any) -> str:
    return digest_state(thing).digest


class Point(NamedTuple):
    x: float
    y: float


@dataclasses.dataclass
class Weighted:
    weight: float
    other: Any = None


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Table(dict[str, float]):
    """A dict with an attribute."""

    unit = "m"


class Lazy:
    def __init__(self, weight: float) -> None:
        self.weight = weight

    @functools.cached_property
    def double(self) -> float:
        return self.weight * 2

    @property
    def broken(self) -> float:
        raise RuntimeError("not to be read")

    def call(self, x: float) -> float:
        return x * self.weight


def _record(fill: int, value: float) -> np.ndarray:
    """A structured array whose bytes between the fields are ``fill``."""
    kind = np.dtype({"names": ["a", "b"], "formats": ["u1", "<f8"], "offsets": [0, 8], "itemsize": 24})
    array = np.frombuffer(bytearray([fill] * 48), dtype=kind).copy()
    array["a"], array["b"] = 1, value
    raw = array.view(np.uint8).reshape(2, 24)
    raw[:, 1:8], raw[:, 16:] = fill, fill
    return array


def _masked(hidden: float) -> np.ma.MaskedArray:
    return np.ma.MaskedArray([1.0, hidden, 3.0], mask=[False, True, False])


def _cycle(value: float) -> list[Any]:
    one: list[Any] = [value]
    one.append({"self": one})
    return one


def _closed(value: Any) -> Callable[[float], float]:
    return lambda x: x * value


def _table(unit: str) -> Table:
    table = Table(a=1.0)
    table.unit = unit
    return table


PAIRS: dict[str, tuple[Any, Any, Any]] = {
    "numbers": (1.5, 1.5, 1.5000001),
    "numbers by type": (1, 1, 1.0),
    "signs of zero": (0.0, 0.0, -0.0),
    "text by type": ("x", "x", b"x"),
    "nothing": (None, None, False),
    "large numbers": (10**5000, 10**5000, 10**5000 + 1),
    "lists": ([1, [2, 3]], [1, [2, 3]], [1, 2, 3]),
    "long lists": ([0.5] * 999, [0.5] * 999, [0.5] * 998 + [0.6]),
    "keys in any order": ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2, "b": 1}),
    "keys of any type": ({1: "a", "1": "b"}, {"1": "b", 1: "a"}, {1: "b", "1": "a"}),
    "ordered keys": (
        collections.OrderedDict(a=1, b=2),
        collections.OrderedDict(a=1, b=2),
        collections.OrderedDict(b=2, a=1),
    ),
    "default dicts": (
        collections.defaultdict(int, a=1),
        collections.defaultdict(int, a=1),
        collections.defaultdict(float, a=1),
    ),
    "read-only dicts": (MappingProxyType({"a": 1}), MappingProxyType({"a": 1}), MappingProxyType({"a": 2})),
    "subclasses of dict": (_table("m"), _table("m"), _table("km")),
    "queues": (collections.deque([1, 2]), collections.deque([1, 2]), collections.deque([2, 1])),
    "sets": ({"x", "y", "z"}, {"z", "y", "x"}, {"x", "y"}),
    "sets of sets": (
        frozenset({frozenset({"a", "b"}), "c"}),
        frozenset({"c", frozenset({"b", "a"})}),
        frozenset({"c"}),
    ),
    "named tuples": (Point(1.0, 2.0), Point(1.0, 2.0), Point(2.0, 1.0)),
    "data classes": (Weighted(1.0), Weighted(1.0), Weighted(2.0)),
    "members of enumerations": (Colour.RED, Colour.RED, Colour.BLUE),
    "arrays": (np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(6.0)),
    "byte order": (np.arange(3.0), np.arange(3.0).astype(">f8"), np.arange(3.0, dtype="f4")),
    "extended precision": (
        np.ones(2, np.longdouble),
        np.ones(2, np.longdouble),
        np.ones(2, np.longdouble) + np.finfo(np.longdouble).eps,
    ),
    "records": (_record(0, 1.0), _record(255, 1.0), _record(0, 2.0)),
    "records with objects": (
        np.array([(1, "a")], dtype=[("n", int), ("o", object)]),
        np.array([(1, "a")], dtype=[("n", int), ("o", object)]),
        np.array([(1, "b")], dtype=[("n", int), ("o", object)]),
    ),
    "masked arrays": (_masked(2.0), _masked(9.0), np.ma.MaskedArray([1.0, 2.0, 4.0], mask=[0, 1, 0])),
    "arrays of objects": (np.array(["a", None], object), np.array(["a", None], object), np.array(["b", None], object)),
    "texts of variable width": (
        np.array(["ab", "c"], np.dtypes.StringDType()),
        np.array(["ab", "c"], np.dtypes.StringDType()),
        np.array(["ab", "d"], np.dtypes.StringDType()),
    ),
    "dates": (np.array(["2020-01-01"], "M8[D]"), np.array(["2020-01-01"], "M8[D]"), np.array(["2020-01-02"], "M8[D]")),
    "tensors": (torch.ones(3), torch.ones(3, requires_grad=True), torch.ones(3).double()),
    "tensors of large numbers": (torch.tensor([2**60]), torch.tensor([2**60]), torch.tensor([2**60 + 1])),
    "complex tensors": (torch.tensor([1 + 1j]), torch.tensor([1 - 1j]).conj(), torch.tensor([1 + 2j])),
    "sparse tensors": (torch.eye(3).to_sparse(), torch.eye(3).to_sparse(), (2 * torch.eye(3)).to_sparse()),
    "half tensors": (torch.ones(2).bfloat16(), torch.ones(2).bfloat16(), torch.ones(2).half()),
    "slices": (slice(1, 2), slice(1, 2), slice(1, 3)),
    "ranges": (range(3), range(3), range(4)),
    "partial functions": (functools.partial(round, ndigits=1), functools.partial(round, ndigits=1), round),
    "functions": (_closed(2.0), _closed(2.0), _closed(3.0)),
    "functions over arrays": (_closed(np.ones(3)), _closed(np.ones(3)), _closed(np.zeros(3))),
    "code": (lambda x: x + 1, lambda x: x + 1, lambda x: x - 1),
    "nested code": (lambda x: [v + 1 for v in x], lambda x: [v + 1 for v in x], lambda x: [v + 2 for v in x]),
    "names in code": (lambda x: x.min(), lambda x: x.min(), lambda x: x.max()),
    "constants in code": (lambda x: x in {"a", "b"}, lambda x: x in {"b", "a"}, lambda x: x in {"a", "c"}),
    "defaults": (lambda x, y=1: x, lambda x, y=1: x, lambda x, y=2: x),
    "named defaults": (lambda x, *, y=1: x, lambda x, *, y=1: x, lambda x, *, y=2: x),
    "methods": (Lazy(1.0).call, Lazy(1.0).call, Lazy(2.0).call),
    "methods of built-in types": ({"a": 1}.get, {"a": 1}.get, {"a": 2}.get),
    "objects with broken properties": (Lazy(1.0), Lazy(1.0), Lazy(2.0)),
    "cached functions": (functools.cache(_closed(1.0)), functools.cache(_closed(1.0)), functools.cache(_closed(2.0))),
    "cycles": (_cycle(1.0), _cycle(1.0), _cycle(2.0)),
    "locks": (Weighted(1.0, threading.Lock()), Weighted(1.0, threading.RLock()), Weighted(2.0, threading.Lock())),
}


@pytest.mark.parametrize("what", PAIRS)
def test_equal_content_has_one_digest_and_other_content_another(what: str) -> None:
    one, same, other = PAIRS[what]
    assert digest_state(one).unread == ()
    assert mark(one) == mark(same)
    assert mark(one) != mark(other)


def test_all_of_these_differ_from_each_other() -> None:
    assert len({mark(one) for one, _, _ in PAIRS.values()}) == len(PAIRS)


def test_what_is_shared_in_memory_does_not_count() -> None:
    part = np.arange(3.0)
    stored = pickle.dumps([part.copy(), [part.copy()]])
    assert mark([part, part]) == mark([part, part.copy()])
    assert mark([part, [part]]) == mark(pickle.loads(stored))  # noqa: S301  # written by this test


def test_a_value_that_is_computed_on_demand_does_not_count() -> None:
    lazy = Lazy(1.0)
    before = mark(lazy)
    assert lazy.double == 2.0
    assert "double" in vars(lazy)
    assert mark(lazy) == before


def test_a_chain_longer_than_the_recursion_limit_is_read() -> None:
    def chain(last: float) -> Any:
        one: Any = last
        for _ in range(5 * sys.getrecursionlimit()):
            one = [one]
        return one

    assert mark(chain(1.0)) == mark(chain(1.0))
    assert mark(chain(1.0)) != mark(chain(2.0))


def test_objects_that_contain_each_other_end() -> None:
    def pair(weight: float) -> Weighted:
        one, other = Weighted(weight), Weighted(1.0)
        one.other, other.other = other, one
        return one

    assert mark(pair(1.0)) == mark(pair(1.0))
    assert mark(pair(1.0)) != mark(pair(2.0))


class Refusing:
    """Raises whatever is asked of it."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise ZeroDivisionError

    def __getattr__(self, name: str) -> Any:
        raise ZeroDivisionError(name)


def test_an_object_that_raises_is_read_by_its_attributes() -> None:
    assert mark(Refusing(1.0)) == mark(Refusing(1.0))
    assert mark(Refusing(1.0)) != mark(Refusing(2.0))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: (v for v in "ab"), "builtins.generator"),
        (lambda: memoryview, ""),
        (lambda: threading.local(), "_thread._local"),
        (lambda: np.frompyfunc(lambda v: v + 1, 1, 1), "numpy.ufunc"),
    ],
    ids=["generator", "type", "thread's own", "function made a ufunc"],
)
def test_what_cannot_be_read_is_named(make: Callable[[], Any], name: str) -> None:
    assert digest_state(make()).unread == ((name,) if name else ())


CODE = """
import enum, functools, dataclasses
from assay.basics.object_state import digest_state
class Kind(enum.Enum):
    A = 1
@dataclasses.dataclass
class Own:
    names: set
    kind: Kind = Kind.A
    def call(self, x):
        return [v for v in x if v in {"p", "q", "r"}]
print(digest_state([Own({"a", "b", "c"}), Own.call, Own({"z"}).call, {frozenset({"i", "j"}): 1}, len, dict.get,
                    functools.partial(sorted, key=len), object, Kind]))
"""


def test_the_digest_is_the_same_in_every_process() -> None:
    def run(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.run(
            [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env=environment
        ).stdout

    one = run("1")
    assert one == run("2")
    assert "unread=()" in one
