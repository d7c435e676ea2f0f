# SPDX-License-Identifier: Apache-2.0
"""Interception of a net's tensor functions, so that backward rules apply to operations, whatever module calls them."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Protocol

import torch
from torch._ops import OpOverload
from torch.overrides import TorchFunctionMode, get_testing_overrides
from torch.utils.weak import WeakTensorKeyDictionary

from assay.basics.errors import CapabilityError
from assay.model.rules.operation_names import QUERIES

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
    the same interception, so ``rules`` gets only operations that torch does not decompose. A cast to a floating-point
    type less precise than ``precision`` is left out (nets may compute norms in float32 for any input): it has no
    derivative. After ``watch`` a tensor that depends on the input, but was computed by a function that no interception
    sees (a ``torch.autograd.Function``, compiled or scripted code), is refused by that function's name.
    """

    def __init__(self, rules: OperationRules, method: str = "") -> None:
        super().__init__()
        self.rules = rules
        self.method = method
        self.precision: torch.dtype | None = None
        self.seen: Any = WeakTensorKeyDictionary()
        self.watching = False
        self.refusal: CapabilityError | None = None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Leave the context; an operator such as ``*`` turns a refusal into another error, so it is raised again."""
        super().__exit__(kind, error, trace)  # type: ignore[no-untyped-call]  # torch gives it no types
        if self.refusal is not None and isinstance(error, TypeError | SystemError) and error is not self.refusal:
            raise self.refusal from error

    def watch(self, x: torch.Tensor, precision: torch.dtype) -> None:
        """Begin a pass over the net's input ``x``, in a net whose least precise type is ``precision``."""
        self.precision, self.watching = precision, True
        self.record_seen(x)

    def record_seen(self, tree: Any) -> None:
        """Count tensors with a gradient as computed under this interception."""
        for tensor in tensors(tree):
            if tensor.requires_grad:  # inside an autograd.Function nothing has a gradient yet
                self.seen[tensor] = tensor.grad_fn

    def is_seen(self, tensor: torch.Tensor | None) -> bool:
        """Whether the last function that computed a tensor, or the tensor whose memory it shows, was intercepted."""
        if tensor is None:
            return False
        return self.seen.get(tensor, self) is tensor.grad_fn or self.is_seen(tensor._base)

    def refuse_unseen(self, tree: Any) -> None:
        """Raise ``CapabilityError`` for a tensor that an invisible function computed from the input."""
        for tensor in tensors(tree) if self.watching else ():
            node = tensor.grad_fn if tensor.requires_grad else None
            if node is None or (self.rules.is_tracked(tensor) and self.is_seen(tensor)):
                continue
            raise CapabilityError(
                f"{self.method} needs a rule for every function of the net; it cannot look into the one that autograd "
                f"calls {node.name()!r}: a torch.autograd.Function, scripted or compiled code, or a tensor that shares "
                f"memory with one written in place. Write it with torch's own functions, or use integrated_gradients "
                f"or shapley."
            )

    def __torch_function__(self, func: Any, kinds: Any, args: Args = (), kwargs: Kwargs | None = None) -> Any:
        """Run one operation."""
        try:
            return self.run(func, args, {NUMPY_KEYWORDS.get(key, key): one for key, one in (kwargs or {}).items()})
        except CapabilityError as error:
            self.refusal = error
            raise

    def run(self, func: Any, args: Args, kwargs: Kwargs) -> Any:
        """Run one operation, by the rules where it depends on the input."""
        name, in_place = operation_name(func, kwargs)
        if name not in QUERIES:
            self.refuse_unseen((args, kwargs))
        if not any(self.rules.is_tracked(tensor) for tensor in tensors((args, kwargs))):
            return func(*args, **kwargs)
        if name in CASTS and loses_precision((*args, NARROW.get(name)), kwargs, self.precision):
            return args[0]
        if name not in OWN_DECOMPOSITION and (body := python_body(func)) is not None:
            with self:
                return body(*args, **kwargs)
        args, kwargs = operands_first(func, args, kwargs)
        out = self.rules.run_operation(name, func, args, kwargs, in_place)
        self.record_seen((out, [args[0], args[0]._base] if in_place else None))
        return out


NUMPY_KEYWORDS = {"axis": "dim", "keepdims": "keepdim"}
"""Keyword arguments of numpy that torch accepts, and torch's own names."""

OWN_DECOMPOSITION = {"multi_head_attention_forward"}
"""Written in Python by torch, but decomposed in ``operations``: torch's body puts the row on the second axis."""


CASTS = frozenset({"to", "float", "half", "bfloat16", "type", "type_as"})
NARROW = {"float": torch.float32, "half": torch.float16, "bfloat16": torch.bfloat16}


def loses_precision(args: Args, kwargs: Kwargs, precision: torch.dtype | None = None) -> bool:
    """Whether a cast makes a floating-point tensor less precise than it is, and than ``precision``."""
    x, *rest = args
    dtypes = [kwargs.get("dtype"), *(one.dtype if isinstance(one, torch.Tensor) else one for one in rest)]
    kinds = [one for one in dtypes if isinstance(one, torch.dtype) and one.is_floating_point]
    if not kinds or not x.is_floating_point():
        return False
    kept = max(torch.finfo(one).eps for one in (x.dtype, precision) if one is not None)
    return torch.finfo(kinds[0]).eps > kept


def operands_first(func: Any, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
    """The call with operands given by name (``batch1=…``, ``other=…``) in their places before the options."""
    named = [key for key, value in kwargs.items() if key in SCALAR_OPERANDS or any(True for _ in tensors(value))]
    order = operand_names(func) if named else ()
    given, left = list(args), dict(kwargs)
    for key in order[len(args) :]:
        if key not in named:
            break
        given.append(left.pop(key))
    return given, left


SCALAR_OPERANDS = frozenset({"other", "exponent"})
"""Operands that may be numbers."""

OPERANDS = {"dot": ("input", "tensor"), "where": ("condition", "input", "other"), "out": ()}
"""Operations whose operands torch's table of signatures names otherwise than the operation itself."""


@cache
def operand_names(func: Any) -> tuple[str, ...]:
    """The names of an operation's arguments, in order, by torch's own table of signatures; empty where it has none."""
    name = str(getattr(func, "__name__", ""))
    stand_in = get_testing_overrides().get(func)
    if name in OPERANDS:
        return OPERANDS[name]
    return () if stand_in is None else tuple(inspect.signature(stand_in).parameters)


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
    qualified = func._schema.name if isinstance(func, OpOverload) else str(getattr(func, "_qualified_op_name", ""))
    if qualified and not qualified.startswith("aten::"):
        return qualified, False  # an operation that is not torch's own, whatever it is called
    name = str(getattr(func, "__name__", func)).partition(".")[0]  # torch.ops names the overload after a dot
    if name == "__get__":
        return str(func.__self__.__name__), False
    in_place = bool(kwargs.get("inplace"))
    if name.startswith("__") and name.endswith("__"):
        name = name.strip("_")
        if name in CONVERSIONS:
            return f"as_{name}", False
        if name in DUNDERS:
            return DUNDERS[name], name.startswith("i") or name == "setitem"
        return name, False
    if name.endswith("_") and not name.startswith("_"):
        return name.rstrip("_"), True
    return name, in_place


CONVERSIONS = frozenset({"bool", "complex", "float", "index", "int"})
"""Conversions to a number of Python, which are no casts of a tensor."""

DUNDERS = {
    **{prefix + op: op for prefix in ("", "r", "i") for op in ("add", "mul", "matmul")},
    "sub": "sub", "isub": "sub", "rsub": "rsub", "truediv": "div", "itruediv": "div", "rtruediv": "rdiv", "div": "div",
    "idiv": "div", "rdiv": "rdiv", "pow": "pow", "ipow": "pow", "rpow": "rpow", "neg": "neg", "pos": "positive",
    "abs": "abs", "getitem": "getitem", "setitem": "setitem",
}  # fmt: skip


@cache
def python_body(func: Any) -> Callable[..., Any] | None:
    """The body of a function that torch writes in Python, without its checks for overrides; ``None`` for others.

    ``None`` also for a method that only passes on to that of the same name in C (``Tensor.unflatten``), which torch
    would again report as the method itself.
    """
    scope = getattr(func, "__globals__", None)
    names = func.__code__.co_names if isinstance(func, types.FunctionType) else ()
    if "super" in names and func.__name__ in names:
        return None
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
