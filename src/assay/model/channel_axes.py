# SPDX-License-Identifier: Apache-2.0
"""Which axis of a tensor holds the channels, found by following a net's operations from its weighted sums."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from assay.model.rules.interception import NUMPY_KEYWORDS, operands_first, operation_name, python_body, tensors
from assay.model.rules.operation_names import CURVES, JOINS, PIECEWISE_LINEAR, QUERIES, SMOOTH, STRUCTURE, SUMS

SECOND = frozenset(
    [f"{kind}{n}d" for kind in ("conv", "conv_transpose") for n in (1, 2, 3)]
    + ["convolution", "batch_norm", "instance_norm", "group_norm", "native_group_norm", "grid_sampler"]
)
"""Operations whose input and output have the channels on the second axis."""

LAST = frozenset({"linear", "embedding", "layer_norm", "native_layer_norm", "rms_norm"})
"""Operations whose input and output have the channels on the last axis; recurrent layers and attention, too."""

RECURRENT = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu", "multi_head_attention_forward"})
PRODUCTS = frozenset({"matmul", "bmm", "mm", "baddbmm", "addmm", "scaled_dot_product_attention"})
FOLLOWED = STRUCTURE | SUMS | {"amax", "amin", "max", "min", "cat", "concat", "stack", "pad", "constant_pad_nd"}
FOLLOWED |= {f"{way}_pool{n}d" for way in ("max", "avg", "adaptive_max", "adaptive_avg") for n in (1, 2, 3)}
"""Operations that are run on the numbers of the channels as they are run on the tensor."""

ELEMENTWISE = PIECEWISE_LINEAR | SMOOTH | CURVES | (JOINS - FOLLOWED)
ELEMENTWISE |= {"mul", "multiply", "div", "divide", "true_divide", "maximum", "minimum", "softmax", "log_softmax"}
ELEMENTWISE |= {"addcmul", "addcdiv", "lerp", "logaddexp", "native_dropout", "local_response_norm"}
"""Operations that compute each element from those at the same place, or along one axis without turning any."""


class ChannelAxes(TorchFunctionMode):
    """Context that follows the channels of every tensor, and finds the channel axis of the net's own input ``x``.

    A tensor's channels are followed as a tensor of the same shape that holds the number of each element's channel.
    They begin at weighted sums and norms, which say by their definition which axis they read as channels, unless the
    tensor they read has its channels elsewhere (a sum over positions), and pass through every change of shape. The
    input's axis is the one that varies along the channels of the first weighted sum that reads it.
    """

    def __init__(self, x: torch.Tensor) -> None:
        super().__init__()
        self.channels: Any = WeakTensorKeyDictionary()
        self.places: Any = WeakTensorKeyDictionary()  # positions in a row of the input, of tensors that rearrange it
        self.dependent: Any = WeakTensorKeyDictionary({x: True})
        self.shape = tuple(x.shape[1:])
        self.input_axis: int | None = None
        self.places[x] = torch.arange(math.prod(self.shape)).reshape(1, *self.shape).expand(x.shape).double()

    def axis(self, tensor: torch.Tensor) -> int | None:
        """The axis that holds the channels; ``None`` where it is unknown, or where there is a single channel."""
        with torch._C.DisableTorchFunction():
            known = self.channels.get(tensor)
            return None if known is None else _varying_axis(known)

    def set_axis(self, tensor: torch.Tensor, axis: int) -> None:
        """Declare an axis of a tensor to be the channels."""
        shape = [1] * tensor.ndim
        shape[axis] = -1
        self.channels[tensor] = torch.arange(tensor.shape[axis]).reshape(shape).expand(tensor.shape).double()

    def depends(self, given: Any, out: torch.Tensor) -> bool:
        """Whether a layer's output depends on the net's input; a layer that cannot be seen passes on what it gets."""
        if any(one in self.dependent for one in tensors(given)):
            self.dependent[out] = True
        return out in self.dependent

    def inherit(self, args: Any, out: torch.Tensor) -> None:
        """The channels of a layer's output where its operations cannot be seen: those of an input of the same shape.

        Left unknown where another axis is as long as the channels, since then the axes may have been turned.
        """
        with torch._C.DisableTorchFunction():
            known = next((one for one in tensors(args) if one in self.channels and one.shape == out.shape), None)
            axis = None if known is None else _varying_axis(self.channels[known])
            if known is not None and axis is not None and out.shape.count(out.shape[axis]) == 1:
                self.channels[out] = self.channels[known]

    def __torch_function__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation, and follow the channels."""
        kwargs = {NUMPY_KEYWORDS.get(key, key): value for key, value in (kwargs or {}).items()}
        name, in_place = operation_name(func, kwargs)
        if name in QUERIES:
            return func(*args, **kwargs)
        if name not in RECURRENT and (body := python_body(func)) is not None:
            with self:
                return body(*args, **kwargs)
        given, options = operands_first(func, args, kwargs)
        out = func(*args, **kwargs)
        if any(one in self.dependent for one in tensors((args, kwargs))):
            for one in tensors((out, [args[0], args[0]._base] if in_place and args else None)):
                self.dependent[one] = True
        with torch.no_grad(), suppress(RuntimeError, TypeError, ValueError, IndexError):  # then they are unknown
            self._follow(name, func, given, options, args[0] if in_place and args else out)
        return out

    def _follow(self, name: str, func: Any, args: Any, kwargs: Mapping[str, Any], out: Any) -> None:
        first = next(tensors(args), None)
        result = next(tensors(out), None)
        if first is None or result is None or not result.is_floating_point():
            return
        if name in SECOND or name in LAST or name in RECURRENT:
            self._weighted(name, first, result)
        elif name in PRODUCTS:
            self._product(name, args, result)
        elif name in FOLLOWED:
            for book in (self.channels, self.places):
                self._run_on(book, func, args, kwargs, result)
        elif name in ELEMENTWISE:
            self._elementwise(args, kwargs, result)
        else:
            self.inherit(args, result)

    def _weighted(self, name: str, x: torch.Tensor, out: torch.Tensor) -> None:
        axis = 1 if name in SECOND else x.ndim - 1
        if self.input_axis is None and x in self.places and name != "embedding":
            self.input_axis = self._input_axis(self.places[x], axis)
        own = axis if name in SECOND else out.ndim - 1  # ids that are embedded have an axis less
        elsewhere = self.axis(x) if x.ndim == out.ndim else None
        self.set_axis(out, own if elsewhere is None or name in RECURRENT else elsewhere)

    def _input_axis(self, places: torch.Tensor, axis: int) -> int | None:
        """The one axis of the input that varies along an axis of a tensor that rearranges it."""
        line = places[(0,) * axis + (slice(None),) + (0,) * (places.ndim - axis - 1)].long()
        found = [len(set(index.tolist())) > 1 for index in torch.unravel_index(line, self.shape)]
        return found.index(True) if sum(found) == 1 else None

    def _product(self, name: str, args: Any, out: torch.Tensor) -> None:
        """A product by constants, or of attention and values: the second factor's last axis is that of the result."""
        first, second = args[1:3] if name in ("baddbmm", "addmm") else args[2::-2] if "attention" in name else args[:2]
        one, other = self.axis(first), self.axis(second)
        if other is not None and other == second.ndim - 1:
            self.set_axis(out, out.ndim - 1)
        elif one is not None and one != first.ndim - 1:
            self.set_axis(out, one + out.ndim - first.ndim)
        elif other is None and (one is not None or first in self.places):  # a dense layer written as a product
            self._weighted("linear", first, out)

    def _run_on(self, book: Any, func: Any, args: Any, kwargs: Mapping[str, Any], out: torch.Tensor) -> None:
        """Run an operation on what is known of its tensors."""
        known = [one for one in tensors(args) if one in book]
        if not known or (book is self.places and len(list(tensors(args))) > 1):
            return
        axis = _varying_axis(book[known[0]])

        def numbers(tree: Any) -> Any:
            if isinstance(tree, torch.Tensor):
                if tree in book or not tree.is_floating_point():
                    return book.get(tree, tree)
                return book[known[0]].narrow(axis or 0, 0, 1).expand_as(tree) if axis is not None else tree
            return type(tree)([numbers(one) for one in tree]) if type(tree) in (list, tuple) else tree

        found = func(*(numbers(one) for one in args), **{k: v for k, v in kwargs.items() if k != "dtype"})
        book[out] = next(tensors(found))

    def _elementwise(self, args: Any, kwargs: Mapping[str, Any], out: torch.Tensor) -> None:
        """An operation that keeps the shape keeps the channels, where its operands agree about them."""
        operands = [one for one in tensors((args, kwargs)) if one in self.channels and one.ndim <= out.ndim]
        found = [self.channels[one].expand(out.shape) for one in operands if _broadcasts(one, out)]
        axes = {_varying_axis(one) for one in found} - {None}
        if len(axes) == 1:
            self.channels[out] = next(one for one in found if _varying_axis(one) is not None)
        inputs = [one for one in tensors((args, kwargs)) if one in self.places and one.shape == out.shape]
        if len(inputs) == 1:
            self.places[out] = self.places[inputs[0]]


def _broadcasts(one: torch.Tensor, out: torch.Tensor) -> bool:
    """Whether a tensor can be expanded to the shape of another."""
    return all(here in (1, there) for here, there in zip(one.shape[::-1], out.shape[::-1]))


def _varying_axis(numbers: torch.Tensor) -> int | None:
    """The only axis along which numbers vary; ``None`` where there is none, or several."""
    varying = [axis for axis in range(numbers.ndim) if bool((numbers != numbers.narrow(axis, 0, 1)).any())]
    return varying[0] if len(varying) == 1 else None
