# SPDX-License-Identifier: Apache-2.0
"""Adapter for ONNX files: onnxruntime computes the outputs, gradients are not available."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from assay.basics.errors import CapabilityError, InputError, Unreadable
from assay.basics.fingerprint import digest
from assay.basics.optional import need
from assay.basics.types import Array, Floats
from assay.model.adapters.function import class_names, to_outputs
from assay.model.model import Model
from assay.nouns.inputs.output_kind import Gives, PlainKind
from assay.nouns.inputs.rows import Rows
from assay.nouns.results.result import Note

FLOATS = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16"}
KINDS = tuple(kind for kind in get_args(PlainKind) if kind != "units")


def onnx(
    data: bytes,
    *,
    output: str | None = None,
    classes: Sequence[str] | None = None,
    name: str = "model.onnx",
) -> Model:
    """The bytes of an ONNX file as a model without gradients: CPU, one thread, deterministic kernels.

    ``output`` says what the file gives: ``"logits"``, ``"margin"``, ``"probabilities"`` or ``"values"``; where it has
    several outputs, ``"NAME=KIND"`` names the one to read, otherwise the first. It may be left out where exactly one
    output has the name of a kind (as skl2onnx's ``probabilities``). A fixed batch is filled by repeating the last row.
    """
    session = _session(data, name)
    entry = _only_input(session, name)
    chosen, gives = _choose_output(session, output, name)
    fixed = entry.shape[0] if entry.shape and isinstance(entry.shape[0], int) else None
    forward = _OnnxForward(session, entry.name, tuple(entry.shape[1:]), FLOATS[entry.type], chosen, fixed)
    note = f"its batch is fixed at {fixed} rows; the last batch is filled with copies of its last row"
    batch = 4096 if len(entry.shape) <= 2 else 64
    return Model(
        forward=forward,
        name=name,
        fingerprint=digest(data, chosen, gives),
        gives=gives,
        classes=class_names(classes, None),
        batch=batch if fixed is None else max(1, batch // fixed) * fixed,
        notes=() if fixed is None else (Note("fixed-batch", note),),
        default_target={"values": "value", "logits": "logit", "margin": "margin"}.get(gives, "probability"),
        about={
            "black box": "no gradients",
            "input": f"{entry.name}: {entry.type} {tuple(entry.shape)}",
            "output": f"{chosen}, read as {gives}",
        },
    )


@dataclass(frozen=True, eq=False)
class _OnnxForward:
    """A forward pass by an onnxruntime session."""

    session: Any
    entry: str
    shape: tuple[Any, ...]
    dtype: str
    chosen: str
    fixed: int | None

    def __call__(self, rows: Rows) -> Array:
        if rows.table is not None and rows.table.coded.any():
            raise InputError("an ONNX file takes numbers; these rows have columns of text or categories.")
        fit = len(rows.shape) == len(self.shape) and all(
            want == found for want, found in zip(self.shape, rows.shape) if isinstance(want, int)
        )
        if not fit:
            raise InputError(f"the rows have shape {rows.shape}; the file's input {self.entry!r} takes {self.shape}.")
        x = np.ascontiguousarray(rows.x, dtype=self.dtype)
        if self.fixed is None or len(x) == 0:
            return to_outputs(self._run(x), len(x))
        missing = -len(x) % self.fixed
        filled = np.concatenate([x, np.repeat(x[-1:], missing, axis=0)])
        parts = [
            to_outputs(self._run(filled[at : at + self.fixed]), self.fixed) for at in range(0, len(filled), self.fixed)
        ]
        return np.concatenate(parts)[: len(x)]

    def _run(self, x: Array) -> Floats:
        try:
            outputs = self.session.run([self.chosen], {self.entry: x})[0]
        except runtime_errors() as error:
            raise CapabilityError(f"onnxruntime could not run the file on rows {x.shape}: {one_line(error)}") from error
        return np.asarray(outputs, dtype=np.float64)


def _session(data: bytes, name: str) -> Any:
    runtime = need("onnxruntime", extra="files")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    try:
        return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except runtime_errors() as error:
        advice = f"If its weights lie in another file, put them in one: onnx.save(onnx.load({name!r}), 'one.onnx')."
        raise Unreadable(f"onnxruntime could not read {name}: {one_line(error)} {advice}") from error


def runtime_errors() -> tuple[type[Exception], ...]:
    """The exceptions that onnxruntime raises."""
    state = need("onnxruntime.capi.onnxruntime_pybind11_state", extra="files")
    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError)


def one_line(error: Exception) -> str:
    """The error's message on one line, at most 300 characters."""
    return " ".join(str(error).split())[:300]


def _only_input(session: Any, name: str) -> Any:
    """The model's one input of floats; raises ``CapabilityError`` for other models."""
    entries = session.get_inputs()
    listed = ", ".join(f"{entry.name}: {entry.type} {entry.shape}" for entry in entries)
    if len(entries) != 1:
        raise CapabilityError(
            f"{name} has {len(entries)} inputs ({listed}); assay gives it one array of rows. Export it with one input; "
            f"skl2onnx: initial_types=[('x', FloatTensorType([None, columns]))]."
        )
    if entries[0].type not in FLOATS:
        raise CapabilityError(f"{name} takes {listed}; a tensor of floats is needed. Export it with a float input.")
    return entries[0]


def _choose_output(session: Any, output: str | None, name: str) -> tuple[str, Gives]:
    """The name of the output to read, and its kind."""
    outputs = {item.name: item.type for item in session.get_outputs()}
    listed = ", ".join(f"{key} ({kind})" for key, kind in outputs.items())
    named, _, stated = (output or "").rpartition("=")
    if output is not None and (stated not in KINDS or (named and named not in outputs)):
        raise InputError(f"output={output!r}; {name} gives {listed}. Give {_options(outputs)}.")
    mapped = [key for key, kind in outputs.items() if "map(" in kind]
    if mapped and named not in set(outputs) - set(mapped):
        raise CapabilityError(
            f"{name} gives {mapped[0]} as a ZipMap, not as an array. Export it without: "
            f"convert_sklearn(…, options={{'zipmap': False}})."
        )
    named_kinds = [key for key, kind in outputs.items() if key in KINDS and kind in FLOATS]
    if output is None and len(named_kinds) != 1:
        raise InputError(f"the kind of output is unknown; {name} gives {listed}. Give {_options(outputs)}.")
    kind = stated or named_kinds[0]
    chosen = named or (kind if kind in outputs else next(iter(outputs)))
    if outputs[chosen] not in FLOATS:
        raise InputError(
            f"output {chosen!r} of {name} is {outputs[chosen]}, not a tensor of floats; it gives {listed}. "
            f"Give {_options(outputs)}."
        )
    return chosen, next(known for known in KINDS if known == kind)


def _options(outputs: dict[str, str]) -> str:
    scores = [key for key, kind in outputs.items() if kind in FLOATS] or list(outputs)
    kinds = "'logits', 'margin', 'probabilities' or 'values'"
    return f"output={kinds}" + (f", with a name as in output='{scores[-1]}=logits'" if len(outputs) > 1 else "")
