# SPDX-License-Identifier: Apache-2.0
"""What a torch net's outputs are: found from the last operation of its forward pass and from the outputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from assay.basics.errors import CapabilityError, InputError
from assay.model.adapters.selected_outputs import RegionMean
from assay.model.model import Model
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
    except (RuntimeError, IndexError, TypeError) as error:
        if rows.layout is not None or not rows.whole:
            raise
        few = replace(given, layout=InputLayout(None, (rows.shape,), ("whole",), single=True))
        try:
            operation, out = _traced(model, few)
        except (RuntimeError, IndexError, TypeError):
            raise error from None
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
    """The name of the last operation that computes, and the outputs."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch gives it no types
        """Keeps the name of the last operation that is not only a change of shape."""

        last = ""
        passing = SHAPE_ONLY | (AVERAGING if isinstance(getattr(model.forward, "output", None), RegionMean) else set())

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = func.overloadpacket.__name__
            name = name.rstrip("_") or name  # in place
            if name not in self.passing:
                self.last = name
            return func(*args, **(kwargs or {}))

    with torch.no_grad():
        try:
            with Recorder() as recorder:  # type: ignore[no-untyped-call]  # torch gives it no types
                out = model.forward(rows)
        except NotImplementedError:  # scripted and exported programs do not show their operations
            return "", model.forward(rows)
    return recorder.last, out


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
