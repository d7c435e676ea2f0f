# SPDX-License-Identifier: Apache-2.0
"""Interception of a net's tensor functions, so that backward rules apply to operations, whatever module calls them."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Protocol

import torch
from torch.overrides import TorchFunctionMode

OVERRIDE_CHECKS = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")

Args = Sequence[Any]
Kwargs = Mapping[str, Any]


class OperationRules(Protocol):
    """The behaviour of every operation during an intercepted pass."""

    def is_tracked(self, tensor: torch.Tensor) -> bool:
        """Whether the tensor depends on the input."""

    def run_operation(self, name: str, func: Callable[..., Any], args: Args, kwargs: Kwargs, in_place: bool) -> Any:
        """Run one operation, given by its plain name; ``in_place``: it writes into its first argument."""


class Interception(TorchFunctionMode):
    """Context in which operations on tensors that depend on the input go to ``rules``; all others run unchanged.

    The bodies of functions that torch writes in Python (``F.softmax``, ``F.multi_head_attention_forward``) run under
    the same interception, so ``rules`` gets only operations that torch does not decompose. A cast to a less precise
    floating-point type is left out (nets may compute norms in float32 for any input): it has no derivative.
    """

    def __init__(self, rules: OperationRules) -> None:
        super().__init__()
        self.rules = rules

    def __torch_function__(self, func: Any, kinds: Any, args: Args = (), kwargs: Kwargs | None = None) -> Any:
        """Run one operation."""
        kwargs = {NUMPY_KEYWORDS.get(key, key): value for key, value in (kwargs or {}).items()}
        name, in_place = operation_name(func, kwargs)
        if not any(self.rules.is_tracked(tensor) for tensor in tensors((args, kwargs))):
            return func(*args, **kwargs)
        if name in CASTS and loses_precision((*args, NARROW.get(name)), kwargs):
            return args[0]
        if name not in OWN_DECOMPOSITION and (body := python_body(func)) is not None:
            with self:
                return body(*args, **kwargs)
        return self.rules.run_operation(name, func, args, kwargs, in_place)


NUMPY_KEYWORDS = {"axis": "dim", "keepdims": "keepdim"}
"""Keyword arguments of numpy that torch accepts, and torch's own names."""

OWN_DECOMPOSITION = {"multi_head_attention_forward"}
"""Written in Python by torch, but decomposed in ``operations``: torch's body puts the row on the second axis."""


CASTS = frozenset({"to", "float", "half", "bfloat16", "type", "type_as"})
NARROW = {"float": torch.float32, "half": torch.float16, "bfloat16": torch.bfloat16}


def loses_precision(args: Args, kwargs: Kwargs) -> bool:
    """Whether a cast makes a floating-point tensor less precise."""
    x, *rest = args
    dtypes = [kwargs.get("dtype"), *(one.dtype if isinstance(one, torch.Tensor) else one for one in rest)]
    kinds = [one for one in dtypes if isinstance(one, torch.dtype) and one.is_floating_point]
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


def map_tensors(tree: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    """Nested arguments with ``change`` applied to every tensor."""
    if isinstance(tree, torch.Tensor):
        return change(tree)
    if isinstance(tree, dict):
        return {key: map_tensors(value, change) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(map_tensors(value, change) for value in tree))
    if isinstance(tree, list | tuple):
        return type(tree)(map_tensors(value, change) for value in tree)
    return tree


def operation_name(func: Any, kwargs: Kwargs) -> tuple[str, bool]:
    """An operation's plain name, and whether it writes into its first argument.

    ``Tensor.__iadd__``, ``torch.add_`` and ``Tensor.__radd__`` are all "add".
    """
    name = str(getattr(func, "__name__", func))
    if name == "__get__":
        return str(func.__self__.__name__), False
    in_place = bool(kwargs.get("inplace"))
    if name.startswith("__") and name.endswith("__"):
        name = name.strip("_")
        if name in DUNDERS:
            return DUNDERS[name], name.startswith("i") or name == "setitem"
        return name, False
    if name.endswith("_") and not name.startswith("_"):
        return name.rstrip("_"), True
    return name, in_place


DUNDERS = {
    **{prefix + op: op for prefix in ("", "r", "i") for op in ("add", "mul", "matmul")},
    "sub": "sub", "isub": "sub", "rsub": "rsub", "truediv": "div", "itruediv": "div", "rtruediv": "rdiv", "div": "div",
    "idiv": "div", "rdiv": "rdiv", "pow": "pow", "ipow": "pow", "rpow": "rpow", "neg": "neg", "pos": "positive",
    "abs": "abs", "getitem": "getitem", "setitem": "setitem",
}  # fmt: skip


@cache
def python_body(func: Any) -> Callable[..., Any] | None:
    """The body of a function that torch writes in Python, without its checks for overrides; ``None`` for others."""
    scope = getattr(func, "__globals__", None)
    if (
        not isinstance(func, types.FunctionType)
        or scope is None
        or not any(check in scope for check in OVERRIDE_CHECKS)
    ):
        return None
    without_checks = {**scope, **dict.fromkeys(OVERRIDE_CHECKS, lambda *_: False)}
    body = types.FunctionType(func.__code__, without_checks, func.__name__, func.__defaults__, func.__closure__)
    body.__kwdefaults__ = func.__kwdefaults__
    return body
