# SPDX-License-Identifier: Apache-2.0
"""Every tensor function a net calls passes through here, so that no module needs to be known or rewritten."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Protocol

import torch
from torch.overrides import TorchFunctionMode

ASKS = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")

Args = Sequence[Any]
Kwargs = Mapping[str, Any]


class Table(Protocol):
    """What is to be done at each operation."""

    def follows(self, tensor: torch.Tensor) -> bool:
        """Whether the tensor depends on what is explained."""

    def step(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs, written: bool) -> Any:
        """One operation, called by its plain name; ``written`` when its first argument is changed in place."""


class Interception(TorchFunctionMode):
    """While entered, operations on tensors that follow the input go to ``table``; all others run as they are.

    Functions that torch writes in Python (``F.softmax``, ``F.multi_head_attention_forward``) are opened: their bodies
    run under the same interception, so the table meets only what torch cannot take apart. A cast to a narrower type of
    number on the way (nets that compute norms in float32 whatever they are given) is left out: it has no derivative.
    """

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table = table

    def __torch_function__(self, func: Any, kinds: Any, args: Args = (), kwargs: Kwargs | None = None) -> Any:
        """Run one operation."""
        kwargs = {NUMPYS.get(key, key): value for key, value in (kwargs or {}).items()}
        name, written = named(func, kwargs)
        if not any(self.table.follows(tensor) for tensor in tensors((args, kwargs))):
            return func(*args, **kwargs)
        if name in CASTS and narrowed((*args, NARROW.get(name)), kwargs):
            return args[0]
        if name not in OWN_DECOMPOSITION and (body := opened(func)) is not None:
            with self:
                return body(*args, **kwargs)
        return self.table.step(name, func, args, kwargs, written)


NUMPYS = {"axis": "dim", "keepdims": "keepdim"}
"""Names that torch takes from numpy for its own."""

OWN_DECOMPOSITION = {"multi_head_attention_forward"}
"""Written in Python by torch, but taken apart here: torch's own way puts the row on the second axis."""


CASTS = frozenset({"to", "float", "half", "bfloat16", "type", "type_as"})
NARROW = {"float": torch.float32, "half": torch.float16, "bfloat16": torch.bfloat16}


def narrowed(args: Args, kwargs: Kwargs) -> bool:
    """Whether a cast would take digits from a tensor."""
    x, *rest = args
    wanted = [kwargs.get("dtype"), *(one.dtype if isinstance(one, torch.Tensor) else one for one in rest)]
    kinds = [one for one in wanted if isinstance(one, torch.dtype) and one.is_floating_point]
    return bool(kinds) and x.is_floating_point() and torch.finfo(kinds[0]).eps > torch.finfo(x.dtype).eps


def tensors(tree: Any) -> Iterator[torch.Tensor]:
    """Every tensor in nested arguments."""
    if isinstance(tree, torch.Tensor):
        yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from tensors(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from tensors(value)


def mapped(tree: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    """Nested arguments with every tensor changed."""
    if isinstance(tree, torch.Tensor):
        return change(tree)
    if isinstance(tree, dict):
        return {key: mapped(value, change) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(mapped(value, change) for value in tree))
    if isinstance(tree, list | tuple):
        return type(tree)(mapped(value, change) for value in tree)
    return tree


def named(func: Any, kwargs: Kwargs) -> tuple[str, bool]:
    """An operation's plain name, and whether it writes into its first argument.

    ``Tensor.__iadd__``, ``torch.add_`` and ``Tensor.__radd__`` are all "add".
    """
    name = str(getattr(func, "__name__", func))
    if name == "__get__":
        return str(func.__self__.__name__), False
    written = bool(kwargs.get("inplace"))
    if name.startswith("__") and name.endswith("__"):
        name = name.strip("_")
        if name in DUNDERS:
            return DUNDERS[name], name.startswith("i") or name == "setitem"
        return name, False
    if name.endswith("_") and not name.startswith("_"):
        return name.rstrip("_"), True
    return name, written


DUNDERS = {
    **{prefix + op: op for prefix in ("", "r", "i") for op in ("add", "mul", "matmul")},
    "sub": "sub", "isub": "sub", "rsub": "rsub", "truediv": "div", "itruediv": "div", "rtruediv": "rdiv", "div": "div",
    "idiv": "div", "rdiv": "rdiv", "pow": "pow", "ipow": "pow", "rpow": "rpow", "neg": "neg", "pos": "positive",
    "abs": "abs", "getitem": "getitem", "setitem": "setitem",
}  # fmt: skip


@cache
def opened(func: Any) -> Callable[..., Any] | None:
    """The body of a function that torch writes in Python, with its question whether anyone listens answered no."""
    scope = getattr(func, "__globals__", None)
    if not isinstance(func, types.FunctionType) or scope is None or not any(ask in scope for ask in ASKS):
        return None
    quiet = {**scope, **dict.fromkeys(ASKS, lambda *_: False)}
    body = types.FunctionType(func.__code__, quiet, func.__name__, func.__defaults__, func.__closure__)
    body.__kwdefaults__ = func.__kwdefaults__
    return body
