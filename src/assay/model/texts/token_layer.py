# SPDX-License-Identifier: Apache-2.0
"""The layer that embeds a net's token ids and the number of its positions, found by what a forward pass really does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assay.basics.types import Array

if TYPE_CHECKING:
    import torch as pt


@dataclass(frozen=True, eq=False)
class TokenLayer:
    """Where a net embeds token ids.

    ``name`` is the layer, with the number of its call where the pass calls it several times; empty where no module is
    called with the ids. ``decoder`` is the layer that embeds the same ids one position later, with the same numbers, as
    the input of a decoder. ``others`` are further layers that read the ids. ``positions`` is the largest number of
    tokens for which the net has a position, ``None`` where no table of positions was found.
    """

    name: str
    decoder: str
    others: tuple[str, ...]
    positions: int | None


@dataclass(frozen=True, eq=False)
class _LayerCall:
    """One call of a layer with whole numbers like the ids: both row first."""

    name: str
    number: int
    ids: Array
    out: Array
    reads: bool


def find_token_layer(
    net: pt.nn.Module, ids: Array, carried: Mapping[str, Any], real: int | None = None
) -> tuple[TokenLayer, Any]:
    """The layer that embeds ``ids`` (1, token), and the return value of the net; at least two tokens are needed.

    ``real`` is the number of tokens that are no padding; by default all.
    """
    import torch as pt

    names = {id(module): name for name, module in reversed(list(net.named_modules())) if name}
    calls: list[_LayerCall] = []
    counts: dict[str, int] = {}
    busy: list[bool] = []

    def record(module: pt.nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> None:
        if busy:
            return
        name = names[id(module)]
        number = counts.get(name, 0)
        counts[name] = number + 1
        first = out[0] if isinstance(out, tuple) and out else out
        given = [one for one in (*args, *kwargs.values()) if _is_like(one, ids)]
        if not given or not isinstance(first, pt.Tensor) or first.ndim != 3 or first.shape[:2] != given[0].shape:
            return
        busy.append(True)
        reads = _changes_with(module, args, kwargs, given[0], first)
        busy.clear()
        turned = given[0].shape != ids.shape
        own = (given[0].T, first.transpose(0, 1)) if turned else (given[0], first)
        calls.append(_LayerCall(name, number, own[0].clone(), own[1].clone(), reads))

    tables: list[tuple[int, Array]] = []
    with ExitStack() as stack, pt.no_grad():
        for module in net.modules():
            if module is not net:
                stack.callback(module.register_forward_hook(record, with_kwargs=True).remove)
        stack.enter_context(_table_recorder(tables, busy))
        out = net(ids, **carried)
    positions = _positions(tables, ids[:, : real or ids.shape[1]])
    return _read_calls([call for call in calls if call.reads], counts, positions, ids), out


def _changes_with(module: pt.nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], ids: Array, out: Array) -> bool:
    """Whether a layer's output changes with the ids, and not only with their number; true where it cannot be found."""
    import torch as pt

    other = pt.zeros_like(ids) if bool(ids.any()) else pt.ones_like(ids)

    def swap(value: Any) -> Any:
        return other if value is ids else value

    try:
        new = module(*map(swap, args), **{name: swap(value) for name, value in kwargs.items()})
    except Exception:  # noqa: BLE001  # a layer with a state of its own may refuse a second call
        return True
    new = new[0] if isinstance(new, tuple) and new else new
    return not (isinstance(new, pt.Tensor) and new.shape == out.shape and bool((new == out).all()))


def _read_calls(
    calls: Sequence[_LayerCall], counts: Mapping[str, int], positions: int | None, ids: Array
) -> TokenLayer:
    def label(call: _LayerCall) -> str:
        return call.name if counts[call.name] == 1 else f"{call.name}#{call.number}"

    reading = [call for call in calls if bool((call.ids == ids).all())]
    reading = [call for call in reading if not _is_around(call.name, {other.name for other in reading})]
    reading.sort(key=lambda call: -call.out.shape[2])  # of several tables, that of the largest dimension
    shifted = [call for call in calls if call not in reading and bool((call.ids[:, 1:] == ids[:, :-1]).all())]
    if not reading:
        return TokenLayer("", "", (), positions)
    first = reading[0]
    decoder = next((one for one in shifted if bool((one.out[:, 1:] == first.out[:, :-1]).all())), None)
    own = {first.name, "" if decoder is None else decoder.name}
    further = [one for one in (*reading[1:], *shifted) if one is not decoder and not _is_around(one.name, own)]
    inner = [one for one in further if not _is_around(one.name, {other.name for other in further})]
    others = tuple(dict.fromkeys(label(one) for one in inner))
    return TokenLayer(label(first), "" if decoder is None else label(decoder), others, positions)


def _is_around(name: str, inner: set[str]) -> bool:
    return any(one.startswith(f"{name}.") for one in inner if one)


def _is_like(value: Any, ids: Array) -> bool:
    """Whether a value is whole numbers of the shape of the ids, row or token first."""
    import torch as pt

    shapes = (ids.shape, ids.shape[::-1])
    return isinstance(value, pt.Tensor) and value.shape in shapes and value.dtype in (pt.int64, pt.int32)


def _positions(tables: Sequence[tuple[int, Array]], ids: Array) -> int | None:
    """The number of positions of the smallest table that is read at consecutive rows."""
    tokens = ids.shape[1]
    found = []
    for size, index in tables:
        if tokens > 1 and index.ndim and index.shape[-1] >= tokens:
            row = index.reshape(-1, index.shape[-1])[0, :tokens]
            if bool((row[1:] - row[:-1] == 1).all()) and not bool((row == ids[0]).all()):
                found.append(size - int(row[0]))
    return min(found) if found else None


def _table_recorder(tables: list[tuple[int, Array]], busy: Sequence[bool]) -> Any:
    """Context in which every look-up in a table of embeddings adds the table's size and the rows read."""
    import torch as pt

    class Recorder(pt.overrides.TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            if func is pt.nn.functional.embedding and not busy:
                given = dict(zip(("input", "weight"), args)) | dict(kwargs or {})
                tables.append((len(given["weight"]), given["input"]))
            return func(*args, **(kwargs or {}))

    return Recorder()
