"""A device without hardware: its tensors hold their numbers on the CPU, and any silent transfer to or from it fails.

Inside ``fake_device()`` torch makes tensors for ``device=FAKE`` and for ``.to(FAKE)`` as it does for "cuda". As there,
an operation on tensors of both devices fails (a CPU tensor without axes and CPU indices are let through), and so do
conversions to numpy other than through ``.cpu()``. Autograd runs its passes in the thread of the caller.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

FAKE = "lazy:0"
"""The name of the device: one that torch knows, has no code for, and differentiates without a thread of its own."""

INDEXING = frozenset({"index", "index_put", "index_put_", "_index_put_impl_"})
"""Operations that take indices from the CPU, as on a GPU."""

JOINING = frozenset({"cat", "stack"})
"""Operations that take no CPU tensor at all, not even one without axes."""


class DeviceTensor(torch.Tensor):
    """A tensor of the fake device; ``held`` has its numbers."""

    held: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> DeviceTensor:
        found = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=torch.device(FAKE),
        )
        found.held = held
        return found

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})

    @property
    def data(self) -> torch.Tensor:
        return torch.Tensor.data.__get__(self)

    @data.setter
    def data(self, value: torch.Tensor) -> None:
        if not isinstance(value, DeviceTensor):
            raise RuntimeError("data of another device is assigned to a tensor of the fake device")
        torch.Tensor.data.__set__(self, value)
        self.held = value.held

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError(f"can't convert {FAKE} device type tensor to numpy. Use Tensor.cpu() first.")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return self.numpy()

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __getitem__(self, index: Any) -> Any:  # torch would make the tensor of a list's indices on the device
        parts = index if isinstance(index, tuple) else (index,)
        found = tuple(torch.tensor(part) if isinstance(part, list) else part for part in parts)
        return torch.Tensor.__getitem__(self, found if isinstance(index, tuple) else found[0])

    def untyped_storage(self) -> Any:
        return self.held.untyped_storage()

    def __repr__(self, **kwargs: Any) -> str:
        return f"DeviceTensor({self.held!r})"


class _Device(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


class _Making(TorchFunctionMode):
    """Tensors of Python numbers for the device: torch would make them without asking the device."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor, torch.asarray) and _is_ours(kwargs.get("device")):
            return func(*args, **{**kwargs, "device": None}).to(FAKE)
        if func is torch.Tensor.new_tensor and isinstance(args[0], DeviceTensor):
            return torch.tensor(*args[1:], **{"dtype": args[0].dtype, **kwargs}).to(FAKE)
        return func(*args, **kwargs)


@contextmanager
def fake_device() -> Iterator[str]:
    """Context in which the fake device exists; its name."""
    with _Device(), _Making():
        yield FAKE


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operation of torch, on the fake device where its tensors or ``device=`` say so."""
    tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
    ours = [one for one in tensors if isinstance(one, DeviceTensor)]
    named = kwargs.get("device")
    to_us = bool(ours) if named is None else _is_ours(named)
    if ours and len(ours) < len(tensors):
        _refuse_mixture(func, args, tensors)
    if to_us and isinstance(kwargs.get("generator"), torch.Generator):
        raise RuntimeError(f"{func}: a generator of the CPU cannot draw numbers on the fake device")
    if named is not None and to_us:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    out = func(*tree_map(_held, args), **tree_map(_held, kwargs))
    for one in _written(func, args):
        held = _held(one)
        if (one.shape, one.stride()) != (held.shape, held.stride()):
            torch.Tensor.data.__set__(one, DeviceTensor(one.held))  # its shape was changed in place
    if not to_us:
        return out
    known = {id(one.held): one for one in ours}  # what is changed in place stays the same tensor

    def moved(one: Any) -> Any:
        if not isinstance(one, torch.Tensor):
            return one
        return known[id(one)] if id(one) in known else DeviceTensor(one)

    return tree_map(moved, out)


def _is_ours(device: Any) -> bool:
    return device is not None and torch.device(device).type == torch.device(FAKE).type


def _held(one: Any) -> Any:
    found = one.held if isinstance(one, DeviceTensor) else one
    is_zero = isinstance(found, torch.Tensor) and found._is_zerotensor()  # of forward mode: it has no numbers yet
    return torch.zeros(found.shape, dtype=found.dtype) if is_zero else found


def _written(func: Any, args: Any) -> list[Any]:
    """The arguments that an operation changes in place."""
    known = zip(func._schema.arguments, args)
    return [value for about, value in known if about.alias_info is not None and about.alias_info.is_write]


def _refuse_mixture(func: Any, args: Any, tensors: list[torch.Tensor]) -> None:
    """Raise ``RuntimeError`` where torch on a GPU would."""
    name = func.overloadpacket.__name__
    if name == "copy_":  # a copy between devices is asked for
        return
    into_cpu = any(map(_is_plain, _written(func, args)))
    if name in INDEXING:
        tensors = [args[0], *(one for one in args[2:] if isinstance(one, torch.Tensor))]
        into_cpu = into_cpu or _is_plain(args[0])
    if into_cpu or any(_is_plain(one) and (one.ndim > 0 or name in JOINING) for one in tensors):
        shapes = [f"{'cpu' if _is_plain(one) else FAKE} {tuple(one.shape)}" for one in tensors]
        raise RuntimeError(f"Expected all tensors to be on the same device: {func} got {', '.join(shapes)}")


def _is_plain(one: Any) -> bool:
    return isinstance(one, torch.Tensor) and not isinstance(one, DeviceTensor)
