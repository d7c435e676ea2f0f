# SPDX-License-Identifier: Apache-2.0
"""What a torch net's outputs are: found from the last operation of its forward pass and from the outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from assay.basics.errors import AssayError, CapabilityError, InputError
from assay.model.model import Model
from assay.model.nets.selected_outputs import RegionMean
from assay.nouns.inputs.input_layout import InputLayout
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.rows import Rows

SHAPE_ONLY = frozenset(
    "view reshape squeeze unsqueeze select slice permute transpose t clone _to_copy alias detach expand index narrow "  # noqa: SIM905  # a list of words reads better as text
    "contiguous as_strided copy lift_fresh split unbind cat stack _reshape_alias _unsafe_view".split()
)
"""Operations that move, copy or join numbers: what comes before them makes the outputs."""

AVERAGING = frozenset({"mean", "index"})
"""Operations of ``region_mean``: a mean of probabilities is one."""

UNBOUNDED = frozenset(
    "addmm mm bmm baddbmm addmv mv matmul linear convolution add sum mean native_batch_norm native_layer_norm relu "  # noqa: SIM905  # a list of words reads better as text
    "leaky_relu elu gelu silu softplus tanh log _log_softmax mkldnn_rnn_layer _cudnn_rnn miopen_rnn lstm gru".split()
)
"""Operations after which outputs in [0, 1] are so by chance."""

PROBABILITIES = frozenset({"_softmax", "softmax", "_safe_softmax", "sigmoid"})
"""Operations that make probabilities."""

MASKS = frozenset({"native_dropout", "_fused_dropout", "bernoulli"})
"""Operations that draw which numbers are kept, with a share as their second argument."""

ROWS_COMPARED = 64
"""The most rows on which outputs are looked at where the last operation says nothing."""

SUM_TOLERANCE = 1e-3
"""How far the probabilities of a row may sum from 1."""


@dataclass(frozen=True)
class Head:
    """The last operation of a net, the number of its outputs, and how its rows are laid out.

    ``bounded`` says that all outputs lie in [0, 1], ``sums_to_one`` that they also sum to 1.
    """

    operation: str
    columns: int
    sums_to_one: bool
    layout: InputLayout | None
    bounded: bool = False


def find_head(model: Model, rows: Rows) -> Head:
    """The head of a net, from a pass of up to two rows, which is not counted.

    Where an operation that says nothing gives numbers in [0, 1] there, more rows tell whether that is by chance.
    """
    while model.read_from is not None:
        model = model.read_from
    few = rows.take(_first(rows, 2))
    given = few
    if rows.whole and rows.layout is None:  # as real numbers first
        few = replace(few, x=in_net_type(few.x, model))
    try:
        operation, out = _traced(model, few)
    except Exception as error:
        if rows.layout is not None or not rows.whole or isinstance(error, AssayError):
            raise
        few = replace(given, layout=InputLayout(None, (rows.shape,), ("whole",), single=True))
        try:
            operation, out = _traced(model, few)
        except AssayError:
            raise
        except Exception as other:
            raise error from other
    bounded, sums = _ranges(out)
    if bounded and operation not in UNBOUNDED and operation not in PROBABILITIES:
        more = rows.take(_first(rows, min(ROWS_COMPARED, model.batch)))
        more = replace(more, layout=few.layout, x=more.x if few.layout is not None else more.x.to(few.x.dtype))
        bounded, sums = _ranges(_forward(model, more))
    return Head(operation, int(out.shape[1]), sums, few.layout, bounded)


def _ranges(out: Any) -> tuple[bool, bool]:
    """Whether all outputs lie in [0, 1], and whether those of each row also sum to 1."""
    values = out.detach().double()
    bounded = bool((values >= 0).all() and (values <= 1).all())
    sums = bounded and values.shape[1] > 1 and bool(((values.sum(dim=1) - 1).abs() < SUM_TOLERANCE).all())
    return bounded, sums


def _forward(model: Model, rows: Rows) -> Any:
    import torch

    with torch.no_grad():
        return model.forward(rows)


def in_net_type(x: Any, model: Model) -> Any:
    """Rows in the number type of the net; whole numbers stay in float64 until the net shows how it takes them."""
    import torch

    return x.to(getattr(torch, model.dtype))


def _first(rows: Rows, count: int) -> Any:
    import numpy as np

    return np.arange(min(count, len(rows)))


def _traced(model: Model, rows: Rows) -> tuple[str, Any]:
    """The name of the last operation that computed the outputs, and the outputs."""
    import torch

    passing = SHAPE_ONLY | (AVERAGING if isinstance(getattr(model.forward, "output", None), RegionMean) else set())
    order = count()
    written: dict[int, tuple[int, str]] = {}  # by memory: the number and name of the last operation that wrote there

    def record(name: str, args: Any, out: Any) -> None:
        made = next(order), name
        if name in passing:
            given = args if name in ("cat", "stack") else args[1:2] if name == "copy" else args[:1]
            made = max((written[one] for one in _memories(given) if one in written), default=(-1, ""))
        written.update(dict.fromkeys(_memories(out), made))

    with torch.no_grad():
        try:
            with _watch(record):
                out = model.forward(rows)
        except NotImplementedError:  # scripted and exported programs do not show their operations
            return "", model.forward(rows)
    return next((written[one][1] for one in _memories(out) if one in written), ""), out


def draws_masks(model: Model, rows: Rows) -> bool:
    """Whether a torch net applies dropout in a pass of these rows, which a comparison of few outputs may miss."""
    if model.namespace != "torch":
        return False
    import torch

    drawn: list[bool] = []

    def record(name: str, args: Any, out: Any) -> None:
        share = args[1] if len(args) > 1 and isinstance(args[1], float) else 0.0
        drawn.append(name in MASKS and 0 < share < 1)

    with torch.no_grad(), suppress(NotImplementedError), _watch(record):
        model.forward(rows)
    return any(drawn)


def _watch(record: Callable[[str, Any, Any], None]) -> Any:
    """Context in which ``record(name, arguments, result)`` gets every operation of torch."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch gives it no types
        """Runs every operation as it is."""

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            name = func.overloadpacket.__name__
            record(name.rstrip("_") or name, args, out)  # in place
            return out

    return Watch()  # type: ignore[no-untyped-call]  # torch gives it no types


def _memories(tree: Any) -> Iterator[int]:
    """Where the numbers of the tensors in nested arguments lie; the views of a tensor lie at one place."""
    import torch

    if isinstance(tree, torch.Tensor):
        with suppress(RuntimeError, NotImplementedError):  # sparse tensors have several places
            yield tree.untyped_storage().data_ptr()
    elif isinstance(tree, list | tuple):
        for one in tree:
            yield from _memories(one)


def outputs_of(head: Head, model: Model, target: str | None) -> OutputKind:
    """The kind of a net's outputs where it is not stated; ``InputError`` where several readings remain possible.

    ``target`` is its name, if the caller gave one: it decides between logits and values for one column.
    """
    single = head.columns == 1
    if head.operation in PROBABILITIES or head.sums_to_one:
        return OutputKind("probabilities", exclusive=single or head.sums_to_one or head.operation != "sigmoid")
    if single and target == "value":
        return OutputKind("values")
    if head.operation == "log_sigmoid_forward":
        raise CapabilityError(
            f"{model.name} ends in a log-sigmoid: its outputs are log probabilities of labels. Give the net without "
            f"its last step, with output='multilabel logits'."
        )
    if head.bounded and head.operation not in UNBOUNDED:
        raise InputError(
            f"{model.name} returns numbers in [0, 1], from the operation {head.operation or '(unknown)'}: "
            f"probabilities, or something else? Say which with output='probabilities' (of one column: of the second "
            f"class), 'multilabel probabilities', 'logits' or 'values' (assay.wrap(net, output=…); assay.model.torch: "
            f"gives=…)."
        )
    return OutputKind("logits", assumed=single and not model.classes)


def refuse_assumed(model: Model) -> None:
    """Raise ``InputError`` where one number a row may be the logit of two classes or the value of a regression."""
    raise InputError(
        f"{model.name} returns one number a row: the logit of the second of two classes, or the value of a regression? "
        f"Say which with output='logits' or output='values' (assay.wrap(net, output=…); assay.model.torch: gives=…)."
    )
