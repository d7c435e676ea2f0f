# SPDX-License-Identifier: Apache-2.0
"""A private copy of a torch net in evaluation mode, taken out of what nets are wrapped in for training and export."""

from __future__ import annotations

import contextlib
import copy
import inspect
import types
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from assay.basics.errors import CapabilityError, InputError
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    import torch as pt

WRAPPERS = {"DataParallel": "module", "DistributedDataParallel": "module", "OptimizedModule": "_orig_mod"}
"""Modules of torch that run another one in parallel or compiled, and the attribute that holds it."""


def is_exported_program(obj: Any) -> bool:
    """Whether ``obj`` is the result of ``torch.export.export``."""
    return type(obj).__name__ == "ExportedProgram" and type(obj).__module__.startswith("torch.export")


def private_net(net: Any) -> tuple[pt.nn.Module, str, tuple[Note, ...]]:
    """A copy of a net in evaluation mode whose weights need no gradient, the net's name, and notes.

    A net in ``DataParallel`` or ``torch.compile`` is taken out; an exported program becomes a module, and where it
    takes a fixed number of rows, batches are filled up and cut. Tensors that autograd computed and the net stores
    (``torch.nn.utils.weight_norm``) are copied as constants. ``CapabilityError`` where a part cannot be copied.
    """
    _refuse_uninitialised(net)
    notes: tuple[Note, ...] = ()
    name = str(getattr(net, "original_name", type(net).__name__))  # of a scripted module, that of its source
    if is_exported_program(net):
        net = net.module()
    while type(net).__name__ in WRAPPERS:
        notes = (Note("unwrapped", f"the net inside {type(net).__name__} is used"),)
        net = getattr(net, WRAPPERS[type(net).__name__])
        name = type(net).__name__
    is_exported = "inline_constraints" in getattr(net, "meta", {})  # a mark of torch's own
    if not is_exported and any(getattr(module, "training", False) for module in net.modules()):
        notes += (Note("train-mode", "the net was in training mode; a private copy in evaluation mode is used"),)
    private = _copied(net)
    for module in private.modules():
        _undo_compilation(module)
    _freeze(private)
    least, most = _exported_rows(private) if is_exported else (1, None)
    if least == 1 and most is None:
        return private, name, notes
    from assay.model.nets.fixed_batch import FixedBatch

    if least > 2 or most is not None:  # torch exports for two rows or more where any number will do
        rows = f"{least}" if least == most else f"{least} or more" if most is None else f"{least} to {most}"
        text = f"the exported program takes {rows} rows: batches are filled up with copies of their last row, and cut"
        notes += (Note("fixed-batch", text),)
    return FixedBatch(private, least, most), name, notes


def _refuse_uninitialised(net: Any) -> None:
    """Raise ``InputError`` for lazy layers, whose weights get their shape in the first call."""
    from torch.nn.parameter import is_lazy

    named = [*net.named_parameters(), *net.named_buffers()]
    lazy = [name for name, tensor in named if is_lazy(tensor)]
    if lazy:
        raise InputError(
            f"{type(net).__name__} has weights without a shape yet: {', '.join(lazy[:4])}. Lazy layers get it from an "
            f"input: call the net once on some rows, then wrap it."
        )


def _copied(net: pt.nn.Module) -> pt.nn.Module:
    """A deep copy; tensors that autograd computed, or that need a gradient without being parameters, are constants."""
    import torch as pt
    from torch.overrides import TorchFunctionMode

    class Copying(TorchFunctionMode):
        def __torch_function__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is not pt.Tensor.__deepcopy__ or not args[0].requires_grad:
                return func(*args, **(kwargs or {}))
            tensor, memo = args
            if id(tensor) not in memo:
                memo[id(tensor)] = tensor.detach().clone()
            return memo[id(tensor)]

    try:
        with Copying(), pt.no_grad(), warnings.catch_warnings():  # copies of scripted weights would be computed tensors
            warnings.simplefilter("ignore", FutureWarning)  # torch's own, about its graphs
            return copy.deepcopy(net)
    except Exception as error:
        raise CapabilityError(
            f"{type(net).__name__} cannot be copied, and assay works on a private copy: {error} Take what cannot be "
            f"copied (locks, open files, loggers) out of the net, or give a function of rows instead."
        ) from error


def _undo_compilation(module: pt.nn.Module) -> None:
    """Take compiled children out of their wrapper, and make a compiled ``forward`` that of the copy."""
    for key, child in list(module.named_children()):
        if type(child).__name__ == "OptimizedModule":
            module._modules[key] = child._orig_mod  # type: ignore[assignment]  # the attribute has no type in torch
    compiled = getattr(module.__dict__.get("forward"), "_torchdynamo_orig_callable", None)
    original = None if compiled is None else inspect.unwrap(compiled)
    if isinstance(original, types.MethodType):  # it would read the weights of the caller's net
        module.forward = types.MethodType(original.__func__, module)


def _freeze(net: pt.nn.Module) -> None:
    """Evaluation mode without gradients; also for scripted and exported modules, which lack the usual methods."""
    with contextlib.suppress(NotImplementedError):  # an exported program has one mode
        net.eval()
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    for module in net.modules():
        for tensor in _loose_tensors(list(module.__dict__.values()), 4):
            if tensor.is_leaf:
                tensor.requires_grad_(False)


def _loose_tensors(tree: Any, depth: int) -> Iterator[pt.Tensor]:
    """Tensors in lists and dictionaries that a module holds without having registered them."""
    import torch as pt

    if isinstance(tree, pt.Tensor):
        yield tree
    elif depth and isinstance(tree, list | tuple | dict):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from _loose_tensors(part, depth - 1)


def _exported_rows(net: pt.nn.Module) -> tuple[int, int | None]:
    """The smallest and the largest number of rows that an exported program takes, ``None`` for any larger number."""
    graph = getattr(net, "graph", None)
    inputs = [node for node in getattr(graph, "nodes", ()) if getattr(node, "op", "") == "placeholder"]
    lengths = [rows for node in inputs for rows in list(getattr(node.meta.get("val"), "shape", ()))[:1]]
    if not lengths:
        return 1, None
    if isinstance(lengths[0], int):
        return lengths[0], lengths[0]
    symbol = lengths[0].node
    bounds = symbol.shape_env.bound_sympy(symbol.expr)
    return max(1, int(bounds.lower)), int(bounds.upper) if bounds.upper.is_Integer else None
