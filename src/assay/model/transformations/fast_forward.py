# SPDX-License-Identifier: Apache-2.0
"""Conversion of a torch net to ONNX Runtime: the same outputs from a faster forward pass, for many rows."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.basics.optional import need
from assay.basics.types import Array
from assay.model.adapters.onnx import one_line, runtime_errors
from assay.model.adapters.torch import _Net
from assay.model.model import Model
from assay.nouns.inputs.rows import Rows
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    import torch as pt

BREAK_EVEN = 10_000_000_000
"""Number of convolution outputs above which the conversion saves time: 1 ns each, and it takes 10 s (bench/fast.md)."""

TOLERANCE = 1e-4
"""Largest allowed difference of converted and plain outputs, as a share of the largest plain output."""

CHECK_ROWS = 8
"""Number of rows on which a converted net is compared with the plain one."""

LARGEST = 1_500_000_000
"""Bytes of weights above which a net is not converted (an ONNX file in memory is limited to 2 GB)."""

PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def fast(model: Model, *, rows: Any, work: float = math.inf) -> Model:
    """The model with a forward pass by ONNX Runtime, if the conversion saves time over ``work`` rows.

    The choice depends on counts only: the conversion takes about 10 s, and the time it saves grows with the numbers
    that the net's convolutions write. Below ``BREAK_EVEN`` of them in all (rows × numbers a row) the model itself is
    returned; so is a net without convolutions, unless ``work`` is infinite: then any net is converted. ``rows`` are the
    rows of a case (or an array of such rows): they give the shape, and the first of them check the conversion.
    Converted outputs must equal the plain ones within ``TOLERANCE`` × the largest plain output on those rows, for all
    rows together and for one row; else the plain model is returned with a note of the difference. The plain model is
    also returned where the net cannot be converted, where packages are missing, and for models other than a float32
    torch net on the CPU. The passes for counting and checking are not counted.

    A conversion applies to one shape of rows, any number of them; rows of another shape go through the plain net.
    The result has the name, the meter and the bounds of the model, its own fingerprint, ``about["forward"]`` and a
    note. Gradients, layers and backward rules use the plain net.
    """
    given_rows = _to_rows(model, rows)
    reason = _unsupported_reason(model)
    if reason:
        return _plain(model, reason)
    if not math.isinf(work) and not is_worth_converting(model, given_rows, work):
        return model
    key = (
        model.fingerprint,
        given_rows.shape,
        *((name, tuple(part.shape[1:])) for name, part in sorted(given_rows.carried.items())),
    )
    if key not in model.meter.converted:
        model.meter.converted[key] = _convert(model, given_rows)
    converted = model.meter.converted[key]
    if isinstance(converted, str):
        return _plain(model, converted)
    return _with_forward(model, converted)


def _with_forward(model: Model, converted: _ConvertedForward) -> Model:
    """The model with the converted forward pass, which stays where a case settles what its outputs are."""
    settle = model.with_kind
    return replace(
        model,
        forward=converted,
        fingerprint=digest(model.fingerprint, converted.engine),
        notes=(*model.notes, Note("fast-forward", converted.description)),
        about={**model.about, "forward": converted.engine},
        with_kind=None if settle is None else lambda kind: _with_forward(settle(kind), converted),
        read_from=model,
    )


def is_worth_converting(model: Model, rows: Rows, work: float) -> bool:
    """Whether the conversion saves time over ``work`` rows like these, by counts."""
    return not _unsupported_reason(model) and count_convolution_outputs(model, rows) * work >= BREAK_EVEN


def count_convolution_outputs(model: Model, rows: Rows) -> int:
    """Number of values that the net's convolutions write for one row: counted once for each shape, in one pass."""
    if not any(parameter.ndim > 2 for parameter in model.net.parameters()):  # no weights of a convolution
        return 0
    key = (f"{model.fingerprint} written", rows.shape)
    if key not in model.meter.row_costs:
        model.meter.row_costs[key] = _count_outputs(model, rows.take(np.array([0]))), 0
    return model.meter.row_costs[key][0]


def _unsupported_reason(model: Model) -> str:
    """Why this kind of model is not converted; empty where it may be."""
    net = model.forward
    if isinstance(net, _ConvertedForward):
        return "its forward pass is converted already"
    if not isinstance(net, _Net):
        return "only a torch net's own forward pass is converted"
    if net.until is not None:
        return "it ends at a layer"
    if model.dtype != "float32" or model.device != "cpu":
        return f"it is a {model.dtype} net on {model.device}; float32 nets on the CPU are converted"
    return ""


def _plain(model: Model, reason: str) -> Model:
    return replace(model, notes=(*model.notes, Note("plain-forward", f"the plain forward pass is used: {reason}")))


def _to_rows(model: Model, rows: Any) -> Rows:
    if isinstance(rows, Rows):
        given_rows = rows
    else:
        x = np.asarray(rows) if model.namespace != "torch" else _to_tensor(rows, model)
        given_rows = Rows(x, tuple(map(str, range(len(x)))))
    if len(given_rows) == 0:
        raise InputError("rows=… is empty; at least one row is needed for the shape and to check the conversion.")
    return given_rows


def _to_tensor(rows: Any, model: Model) -> Array:
    pt = need("torch", extra="torch")
    return pt.as_tensor(rows, dtype=getattr(pt, model.dtype), device=model.device)


def _count_outputs(model: Model, row: Rows) -> int:
    from torch.utils._python_dispatch import TorchDispatchMode

    count = 0

    class Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch gives it no types
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal count
            out = func(*args, **(kwargs or {}))
            if "convolution" in func.name() or "conv2d" in func.name():
                count += out.numel()
            return out

    with Counting():  # type: ignore[no-untyped-call]  # torch gives it no types
        model.values(row)
    return count


@dataclass(frozen=True, eq=False)
class _ConvertedForward:
    """A session of ONNX Runtime in place of a net; the net itself where autograd records, or for other shapes."""

    plain: _Net
    session: Any
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    engine: str
    description: str = ""

    def for_gradients(self, rows: Rows) -> _Net:
        """The net for gradients: that of the plain net."""
        return self.plain.for_gradients(rows)

    def __call__(self, rows: Rows) -> pt.Tensor:
        import torch as pt

        given = (rows.x, *(rows.carried[name] for name in self.names))
        records_graph = pt.is_grad_enabled() and any(part.requires_grad for part in given)
        if records_graph or tuple(tuple(part.shape[1:]) for part in given) != self.shapes:
            return self.plain(rows)
        feeds = {f"in{place}": part.detach().contiguous().numpy() for place, part in enumerate(given)}
        try:
            return pt.from_numpy(self.session.run(None, feeds)[0])
        except runtime_errors() as error:
            if "allocate" in str(error):
                raise MemoryError(one_line(error)) from error
            raise CapabilityError(
                f"onnxruntime could not run the converted net on rows {tuple(rows.x.shape)}: {one_line(error)} Give "
                f"fast=False to assay.wrap for the plain forward pass."
            ) from error


def _convert(model: Model, rows: Rows) -> _ConvertedForward | str:
    """The converted net after its check, or the reason why there is none."""
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        return f"{', '.join(missing)} not installed (pip install 'assay[fast]')"
    weights = sum(tensor.numel() * tensor.element_size() for tensor in model.net.state_dict().values())
    if weights > LARGEST:
        return f"its weights take {weights:,} bytes; a net of up to {LARGEST:,} is converted"
    check_rows = rows.take(np.arange(min(CHECK_ROWS, len(rows))))
    plain = model.values(check_rows)  # first: it fixes the memory format of images
    net: Any = model.forward
    names = tuple(sorted(check_rows.carried))
    engine = f"onnxruntime {version('onnxruntime')}"
    shapes = (check_rows.shape, *(tuple(check_rows.carried[name].shape[1:]) for name in names))
    try:
        converted = _ConvertedForward(net, _session(_export(net, check_rows, names)), names, shapes, engine)
        difference = _largest_difference(model, converted, check_rows, plain)
    except (*runtime_errors(), *_export_errors()) as error:
        return f"the net could not be converted ({type(error).__name__}: {_root_cause(error)})"
    if not difference <= TOLERANCE:
        return (
            f"outputs of {engine} differ by up to {difference:.2g} × the largest plain output on {len(check_rows)} "
            f"rows; at most {TOLERANCE:g} is allowed"
        )
    description = (
        f"forward passes by {engine} after converting the net; on {len(check_rows)} rows the largest difference "
        f"from the plain pass was {difference:.1g} × the largest output; rows of another shape use the plain pass"
    )
    return replace(converted, description=description)


def _largest_difference(model: Model, converted: _ConvertedForward, check_rows: Rows, plain: pt.Tensor) -> float:
    """The largest difference over the largest plain output, for all rows together and for the first one alone."""
    first = check_rows.take(np.array([0]))
    pairs = [(plain, converted(check_rows)), (model.values(first), converted(first))]
    if any(one.shape != other.shape for one, other in pairs):
        return math.inf
    scale = float(plain.abs().max())
    difference = max(float((one.double() - other.double()).abs().max()) for one, other in pairs)
    if math.isnan(difference) or math.isnan(scale):
        return math.nan
    return difference / scale if scale > 0 else (0.0 if difference == 0 else math.inf)


def _session(data: bytes) -> Any:
    import torch as pt

    runtime = need("onnxruntime", extra="fast")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = pt.get_num_threads(), 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _export(net: _Net, rows: Rows, names: tuple[str, ...]) -> bytes:
    """The net from rows to scores, preprocess and output included, as the bytes of an ONNX file; any number of rows."""
    import torch as pt

    class Whole(pt.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = net.module

        def forward(self, *given: pt.Tensor) -> Any:
            rows = Rows(given[0], (), dict(zip(names, given[1:])))
            out = net.run(rows)
            if net.read is not None:
                out = net.read(out, rows)
            elif net.output is not None:
                out = net.output(out)
            return out[:, None] if out.ndim == 1 else out

    two = rows.take(np.array([0, len(rows) - 1]))  # the export treats a size of one as a constant
    given = tuple(part.detach().clone() for part in (two.x, *(two.carried[name] for name in names)))
    with _silence_exporter(), pt.no_grad():
        program = pt.onnx.export(
            Whole().eval(),
            given,
            dynamo=True,
            input_names=[f"in{place}" for place in range(len(given))],
            dynamic_shapes=(tuple({0: pt.export.Dim.DYNAMIC} for _ in given),),
            verbose=False,
        )
    assert program is not None
    return program.model_proto.SerializeToString()


def _export_errors() -> tuple[type[Exception], ...]:
    """The exceptions of an export: torch's own errors, and those of code that cannot be traced."""
    import torch as pt

    return (pt.onnx.errors.OnnxExporterError, CapabilityError, TypeError, AttributeError, NotImplementedError)


def _root_cause(error: Exception) -> str:
    """The message of the innermost cause, on one line."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    return one_line(error)[:160]


@contextmanager
def _silence_exporter() -> Iterator[None]:
    """Context without the exporter's warnings and log lines, which no caller can act on."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels):
                logger.setLevel(level)
