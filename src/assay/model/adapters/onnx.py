# SPDX-License-Identifier: Apache-2.0
"""ONNX files as black boxes: onnxruntime answers, no gradient can be had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from assay.basics.errors import CapabilityError, InputError, Unreadable
from assay.basics.fingerprint import digest
from assay.basics.optional import need
from assay.basics.types import Array, Floats
from assay.model.adapters.function import as_outputs, class_names
from assay.model.model import Model
from assay.nouns.inputs.rows import Rows
from assay.nouns.inputs.target import Gives
from assay.nouns.results.result import Note

FLOATS = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16"}
KINDS = tuple(kind for kind in get_args(Gives) if kind != "units")


def onnx(
    data: bytes,
    *,
    output: str | None = None,
    classes: Sequence[str] | None = None,
    name: str = "model.onnx",
) -> Model:
    """The bytes of an ONNX file as a model without gradients: CPU, one thread, deterministic kernels.

    ``output`` says what the file gives: ``"logits"``, ``"margin"``, ``"probabilities"`` or ``"values"``; where it has
    several outputs, ``"NAME=KIND"`` names the one to read, otherwise the first. An output that bears the name of a
    kind (as skl2onnx's ``probabilities``) needs no telling. A fixed batch is met by repeating the last row.
    """
    session = _session(data, name)
    entry = _entry(session, name)
    chosen, gives = _chosen(session, output, name)
    fixed = entry.shape[0] if entry.shape and isinstance(entry.shape[0], int) else None
    box = _Box(session, entry.name, tuple(entry.shape[1:]), FLOATS[entry.type], chosen, fixed)
    note = f"its batch is fixed at {fixed} rows; the last batch is filled with copies of its last row"
    most = 4096 if len(entry.shape) <= 2 else 64
    return Model(
        forward=box,
        name=name,
        fingerprint=digest(data, chosen, gives),
        gives=gives,
        classes=class_names(classes, None),
        batch=most if fixed is None else max(1, most // fixed) * fixed,
        notes=() if fixed is None else (Note("fixed-batch", note),),
        default_target={"values": "value", "logits": "logit", "margin": "margin"}.get(gives, "probability"),
        about={
            "black box": "no gradients",
            "input": f"{entry.name}: {entry.type} {tuple(entry.shape)}",
            "output": f"{chosen}, read as {gives}",
        },
    )


@dataclass(frozen=True, eq=False)
class _Box:
    """A session, and how rows go through it."""

    session: Any
    entry: str
    shape: tuple[Any, ...]
    dtype: str
    chosen: str
    fixed: int | None

    def __call__(self, rows: Rows) -> Array:
        if rows.table is not None and rows.table.coded.any():
            raise InputError("an ONNX file takes numbers; the rows have columns of text or categories.")
        fit = len(rows.shape) == len(self.shape) and all(
            want == found for want, found in zip(self.shape, rows.shape) if isinstance(want, int)
        )
        if not fit:
            raise InputError(f"the rows have shape {rows.shape}; the file's input {self.entry!r} takes {self.shape}.")
        x = np.ascontiguousarray(rows.x, dtype=self.dtype)
        if self.fixed is None or len(x) == 0:
            return as_outputs(self._run(x), len(x))
        short = -len(x) % self.fixed
        filled = np.concatenate([x, np.repeat(x[-1:], short, axis=0)])
        parts = [
            as_outputs(self._run(filled[at : at + self.fixed]), self.fixed) for at in range(0, len(filled), self.fixed)
        ]
        return np.concatenate(parts)[: len(x)]

    def _run(self, x: Array) -> Floats:
        try:
            answer = self.session.run([self.chosen], {self.entry: x})[0]
        except troubles() as error:
            raise CapabilityError(f"onnxruntime could not run the file on rows {x.shape}: {short(error)}") from error
        return np.asarray(answer, dtype=np.float64)


def _session(data: bytes, name: str) -> Any:
    runtime = need("onnxruntime", extra="files")
    told = runtime.SessionOptions()
    told.intra_op_num_threads = told.inter_op_num_threads = 1
    told.use_deterministic_compute = True
    told.log_severity_level = 4
    try:
        return runtime.InferenceSession(data, told, providers=["CPUExecutionProvider"])
    except troubles() as error:
        advice = f"If its weights lie in another file, put them in one: onnx.save(onnx.load({name!r}), 'one.onnx')."
        raise Unreadable(f"onnxruntime could not read {name}: {short(error)} {advice}") from error


def troubles() -> tuple[type[Exception], ...]:
    """Whatever onnxruntime raises."""
    state = need("onnxruntime.capi.onnxruntime_pybind11_state", extra="files")
    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError)


def short(error: Exception) -> str:
    """Its message on one line, cut."""
    return " ".join(str(error).split())[:300]


def _entry(session: Any, name: str) -> Any:
    """The model's one input, of floats."""
    entries = session.get_inputs()
    listed = ", ".join(f"{entry.name}: {entry.type} {entry.shape}" for entry in entries)
    if len(entries) != 1:
        raise CapabilityError(
            f"{name} has {len(entries)} inputs ({listed}); assay gives it one array of rows. Export it with one input; "
            f"skl2onnx: initial_types=[('x', FloatTensorType([None, columns]))]."
        )
    if entries[0].type not in FLOATS:
        raise CapabilityError(f"{name} takes {listed}; needed is a tensor of floats. Export it with a float input.")
    return entries[0]


def _chosen(session: Any, output: str | None, name: str) -> tuple[str, Gives]:
    """Which output is read, and what it gives."""
    outputs = {item.name: item.type for item in session.get_outputs()}
    listed = ", ".join(f"{key} ({kind})" for key, kind in outputs.items())
    named, _, said = (output or "").rpartition("=")
    if output is not None and (said not in KINDS or (named and named not in outputs)):
        raise InputError(f"output={output!r}; {name} gives {listed}. Say {_ways(outputs)}.")
    mapped = [key for key, kind in outputs.items() if "map(" in kind]
    if mapped and named not in set(outputs) - set(mapped):
        raise CapabilityError(
            f"{name} gives {mapped[0]} as a ZipMap, not as an array. Export it without: "
            f"convert_sklearn(…, options={{'zipmap': False}})."
        )
    telling = [key for key, kind in outputs.items() if key in KINDS and kind in FLOATS]
    if output is None and len(telling) != 1:
        raise InputError(f"{name} gives {listed}, and not what that means. Say {_ways(outputs)}.")
    kind = said or telling[0]
    chosen = named or (kind if kind in outputs else next(iter(outputs)))
    if outputs[chosen] not in FLOATS:
        raise InputError(
            f"output {chosen!r} of {name} is {outputs[chosen]}, no scores; it gives {listed}. Say {_ways(outputs)}."
        )
    return chosen, next(known for known in KINDS if known == kind)


def _ways(outputs: dict[str, str]) -> str:
    scores = [key for key, kind in outputs.items() if kind in FLOATS] or list(outputs)
    kinds = "'logits', 'margin', 'probabilities' or 'values'"
    return f"output={kinds}" + (f", with a name as in output='{scores[-1]}=logits'" if len(outputs) > 1 else "")
