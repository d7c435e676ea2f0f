# SPDX-License-Identifier: Apache-2.0
"""The same numbers from a cheaper forward pass: a torch net converted once, for many rows."""

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
from assay.model.adapters.onnx import short, troubles
from assay.model.adapters.torch import _Net
from assay.model.model import Model
from assay.nouns.inputs.rows import Rows
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    import torch as pt

BREAK_EVEN = 10_000_000_000
"""Numbers written by convolutions above which converting pays: at about 1 ns saved each, 10 s (bench/fast.md)."""

TOLERANCE = 1e-4
"""How far fast outputs may lie from plain ones: a share of the largest plain output, in absolute value."""

PROOF = 8
"""Rows on which a converted net is compared with the plain one."""

LARGEST = 1_500_000_000
"""Bytes of weights beyond which a net is not written as ONNX in memory (its format ends at 2 GB)."""

PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def fast(model: Model, *, rows: Any, work: float = math.inf) -> Model:
    """The model with a forward pass by ONNX Runtime, where ``work`` rows that lie ahead pay for converting it.

    The choice is made by counts alone: converting takes about 10 s, and what it saves grows with the numbers that the
    net's convolutions write. Below ``BREAK_EVEN`` of them in all (rows × numbers a row) the model itself comes back;
    a net without convolutions saves too little to be converted, unless ``work`` is infinite: then any net is.
    ``rows`` are the rows of a case (or an array like them): they give the shape, and the first of them prove the
    conversion. Fast outputs must equal the plain ones within ``TOLERANCE`` × the largest plain output there, together
    and for one row alone; else the plain model comes back with a note that names the difference. So it does where the
    net cannot be converted, where the packages are missing, and for models that are no float32 torch net on the
    processor. The passes of counting and proving are not counted.

    One conversion serves one shape of rows, any number of them; rows of another shape go through the plain net.
    What comes back has the name, the meter and the bounds of the model, a mark of its own, ``about["forward"]`` and a
    note. Gradients, layers and rules still go through the plain net.
    """
    held = _rows(model, rows)
    reason = _unfit(model)
    if reason:
        return _plain(model, reason)
    if not math.isinf(work) and not pays(model, held, work):
        return model
    key = (
        model.fingerprint,
        held.shape,
        *((name, tuple(part.shape[1:])) for name, part in sorted(held.carried.items())),
    )
    if key not in model.meter.converted:
        model.meter.converted[key] = _converted(model, held)
    quick = model.meter.converted[key]
    if isinstance(quick, str):
        return _plain(model, quick)
    return replace(
        model,
        forward=quick,
        fingerprint=digest(model.fingerprint, quick.engine),
        notes=(*model.notes, Note("fast-forward", quick.told)),
        about={**model.about, "forward": quick.engine},
    )


def pays(model: Model, rows: Rows, work: float) -> bool:
    """Whether ``work`` rows like these are worth converting the model for, by counts known beforehand."""
    return not _unfit(model) and written(model, rows) * work >= BREAK_EVEN


def written(model: Model, rows: Rows) -> int:
    """How many numbers the net's convolutions write for one row: counted once for each shape, in one pass."""
    if not any(parameter.ndim > 2 for parameter in model.net.parameters()):  # no weights of a convolution
        return 0
    key = (f"{model.fingerprint} written", rows.shape)
    if key not in model.meter.weights:
        model.meter.weights[key] = _counted(model, rows.take(np.array([0]))), 0
    return model.meter.weights[key][0]


def _unfit(model: Model) -> str:
    """Why this kind of model is never converted; empty where it may be."""
    net = model.forward
    if isinstance(net, _Quick):
        return "its forward pass is a fast one already"
    if not isinstance(net, _Net):
        return "only a torch net's own forward pass is converted"
    if net.until is not None:
        return "it ends at a layer"
    if model.dtype != "float32" or model.device != "cpu":
        return f"it is of {model.dtype} on {model.device}; nets of float32 on the processor are converted"
    return ""


def _plain(model: Model, reason: str) -> Model:
    return replace(model, notes=(*model.notes, Note("plain-forward", f"the plain forward pass is used: {reason}")))


def _rows(model: Model, rows: Any) -> Rows:
    if isinstance(rows, Rows):
        held = rows
    else:
        x = np.asarray(rows) if model.namespace != "torch" else _tensor(rows, model)
        held = Rows(x, tuple(map(str, range(len(x)))))
    if len(held) == 0:
        raise InputError("rows=… is empty; at least one row is needed to see the shape and to prove the conversion.")
    return held


def _tensor(rows: Any, model: Model) -> Array:
    pt = need("torch", extra="torch")
    return pt.as_tensor(rows, dtype=getattr(pt, model.dtype), device=model.device)


def _counted(model: Model, row: Rows) -> int:
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
class _Quick:
    """A session of ONNX Runtime in the place of a net; where autograd listens, or shapes are others, the net itself."""

    plain: _Net
    session: Any
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    engine: str
    told: str = ""

    def derived(self, rows: Rows) -> _Net:
        """What gradients are taken of: the plain net's."""
        return self.plain.derived(rows)

    def __call__(self, rows: Rows) -> pt.Tensor:
        import torch as pt

        given = (rows.x, *(rows.carried[name] for name in self.names))
        listening = pt.is_grad_enabled() and any(part.requires_grad for part in given)
        if listening or tuple(tuple(part.shape[1:]) for part in given) != self.shapes:
            return self.plain(rows)
        feeds = {f"in{place}": part.detach().contiguous().numpy() for place, part in enumerate(given)}
        try:
            return pt.from_numpy(self.session.run(None, feeds)[0])
        except troubles() as error:
            if "allocate" in str(error):
                raise MemoryError(short(error)) from error
            raise CapabilityError(
                f"onnxruntime could not run the converted net on rows {tuple(rows.x.shape)}: {short(error)} Give "
                f"fast=False to assay.wrap to stay with the plain forward pass."
            ) from error


def _converted(model: Model, rows: Rows) -> _Quick | str:
    """The net as a session that was proven, or why there is none."""
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        return f"{', '.join(missing)} not installed (pip install 'assay[fast]' brings what a faster one needs)"
    weights = sum(tensor.numel() * tensor.element_size() for tensor in model.net.state_dict().values())
    if weights > LARGEST:
        return f"its weights take {weights:,} bytes; a net of up to {LARGEST:,} is converted"
    proof = rows.take(np.arange(min(PROOF, len(rows))))
    plain = model.values(proof)  # first: it settles how pictures lie in memory
    net: Any = model.forward
    names = tuple(sorted(proof.carried))
    engine = f"onnxruntime {version('onnxruntime')}"
    shapes = (proof.shape, *(tuple(proof.carried[name].shape[1:]) for name in names))
    try:
        quick = _Quick(net, _session(_exported(net, proof, names)), names, shapes, engine)
        gap = _gap(model, quick, proof, plain)
    except (*troubles(), *_exporting()) as error:
        return f"the net could not be converted ({type(error).__name__}: {_first(error)})"
    if not gap <= TOLERANCE:
        return (
            f"outputs of {engine} differ by up to {gap:.2g} × the largest plain output on {len(proof)} rows; at most "
            f"{TOLERANCE:g} is allowed"
        )
    told = (
        f"forward passes were made by {engine} after converting the net; on {len(proof)} rows the largest difference "
        f"from the plain pass was {gap:.1g} × the largest output; rows of another shape go through the plain pass"
    )
    return replace(quick, told=told)


def _gap(model: Model, quick: _Quick, proof: Rows, plain: pt.Tensor) -> float:
    """The largest difference over the largest plain output, all rows together and the first alone."""
    first = proof.take(np.array([0]))
    pairs = [(plain, quick(proof)), (model.values(first), quick(first))]
    if any(one.shape != other.shape for one, other in pairs):
        return math.inf
    scale = float(plain.abs().max())
    far = max(float((one.double() - other.double()).abs().max()) for one, other in pairs)
    if math.isnan(far) or math.isnan(scale):
        return math.nan
    return far / scale if scale > 0 else (0.0 if far == 0 else math.inf)


def _session(data: bytes) -> Any:
    import torch as pt

    runtime = need("onnxruntime", extra="fast")
    told = runtime.SessionOptions()
    told.intra_op_num_threads, told.inter_op_num_threads = pt.get_num_threads(), 1
    told.use_deterministic_compute = True
    told.log_severity_level = 4
    return runtime.InferenceSession(data, told, providers=["CPUExecutionProvider"])


def _exported(net: _Net, rows: Rows, names: tuple[str, ...]) -> bytes:
    """The net from rows to scores, preprocess and output included, as the bytes of an ONNX file; any number of rows."""
    import torch as pt

    class Whole(pt.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = net.module

        def forward(self, *given: pt.Tensor) -> Any:
            seen = Rows(given[0], (), dict(zip(names, given[1:])))
            out = net.run(seen)
            if net.read is not None:
                out = net.read(out, seen)
            elif net.output is not None:
                out = net.output(out)
            return out[:, None] if out.ndim == 1 else out

    two = rows.take(np.array([0, len(rows) - 1]))  # one row would be taken for a constant
    given = tuple(part.detach().clone() for part in (two.x, *(two.carried[name] for name in names)))
    with _quiet(), pt.no_grad():
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


def _exporting() -> tuple[type[Exception], ...]:
    """Whatever an export raises: torch's own errors, and those of code that cannot be traced."""
    import torch as pt

    return (pt.onnx.errors.OnnxExporterError, CapabilityError, TypeError, AttributeError, NotImplementedError)


def _first(error: Exception) -> str:
    """The cause that lies deepest, on one line."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    return short(error)[:160]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's own warnings and log lines, which no caller can act on."""
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
