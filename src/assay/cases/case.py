# SPDX-License-Identifier: Apache-2.0
"""A question put to a model about some rows: validated once, asked in batches, counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.cases.game import Game
from assay.cases.removals import Removal
from assay.model.model import Model, Slope
from assay.model.slices import OWN, held
from assay.nouns.features import Features, elements, units
from assay.nouns.frames import Table, check_columns, is_frame, some
from assay.nouns.result import Note
from assay.nouns.rows import Rows, refuse_gaps, to_floats, to_numpy
from assay.nouns.target import Target, class_scores, target_named
from assay.words.errors import CapabilityError, InputError
from assay.words.seed import Seed
from assay.words.types import Array, Floats, Ints

FULL = ("out of memory", "allocate memory")
"""What torch's errors say when memory runs out, on a graphics card and on a processor."""


@dataclass(frozen=True, eq=False)
class Case:
    """A model, rows, what is asked of its outputs there, and how the rows are cut into parts.

    Every number any method gets comes from here: ``value`` and ``gradient`` move data to the model's device, split
    batches (halving them when memory runs out), sum in float64 and count. ``live`` keeps autograd's graph, so that
    an attack can differentiate through an explanation; then values and gradients are tensors.
    """

    model: Model
    rows: Rows
    target: Target
    features: Features
    label: Ints
    seed: Seed
    notes: tuple[Note, ...] = ()
    live: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def outputs(self, x: Array, which: Ints | None = None) -> Array:
        """The model's outputs (row, out) at ``x``; ``which`` says whose row each line of ``x`` is."""
        which = np.arange(len(self)) if which is None else which
        chunks = self._batches(
            x, which, lambda rows, _: self.model.forward(rows) if self.live else self.model.values(rows)
        )
        return _concatenate(list(chunks))

    def value(self, x: Array, which: Ints | None = None) -> Any:
        """The target (row,) at ``x``, in float64."""
        which = np.arange(len(self)) if which is None else which

        def ask(rows: Rows, labels: Ints) -> Array:
            return self._read(labels)(self.model.forward(rows) if self.live else self.model.values(rows))

        chunks = list(self._batches(x, which, ask))
        return _concatenate(chunks) if self.live else np.concatenate([to_floats(c) for c in chunks])

    def gradient(self, x: Array, which: Ints | None = None) -> Array:
        """Derivative of the target with respect to ``x``, shaped and typed like ``x``."""
        self._differentiable()
        which = np.arange(len(self)) if which is None else which
        chunks = self._batches(
            x, which, lambda rows, labels: self.model.gradient(self._read(labels), rows, self.live), backwards=True
        )
        return _concatenate(list(chunks))

    def slope(self, x: Array, layer: str, which: Ints | None = None, along: Array | None = None) -> Slope:
        """Derivative of the target with respect to the activations of ``layer`` at ``x``, and those activations.

        With ``along``, directions shaped like ``x``, also how the activations move when the rows move so.
        """
        self._differentiable()
        which = np.arange(len(self)) if which is None else which
        found: list[Slope] = []

        def ask(rows: Rows, labels: Ints) -> Any:
            start = sum(len(one.gradient) for one in found)
            moved = None if along is None else along[start : start + len(rows)]
            return self.model.slope_at(self._read(labels), rows, layer, moved)

        found.extend(self._batches(x, which, ask, backwards=True))
        return Slope(
            _concatenate([one.gradient for one in found]),
            _concatenate([one.activation for one in found]),
            None if along is None else _concatenate([one.pushed for one in found]),
        )

    def _differentiable(self) -> None:
        """Raise ``CapabilityError`` where the target has no gradient worth the name."""
        if not self.model.has_gradient:
            raise CapabilityError(
                f"gradients are needed; {self.model.name} gives none. Use a removal method (shapley, occlusion), or a "
                f"differentiable surrogate."
            )
        if self.model.slope is not None and self.target.name != "value":
            raise CapabilityError(
                f"{self.model.name} gives the slope of its value alone, not of target {self.target.name!r}. Ask for "
                f"target='value', or wrap a torch net."
            )
        if not self.target.smooth:
            raise CapabilityError(
                f"target {self.target.name!r} is a step: its gradient is zero. Ask for logit or log_odds."
            )

    def _read(self, labels: Ints) -> Callable[[Array], Array]:
        """The target as a function of outputs in float64, for rows with these labels."""
        return lambda out: self.target.read(_double(out), _labels_like(labels, out), self.model.gives)

    def game(self, remove: Removal) -> Game:
        """The game v(S) = target with all parts outside S removed by ``remove``; one per removal, it remembers."""
        if isinstance(remove, type) or not isinstance(remove, Removal):
            raise InputError(
                f"remove={remove!r} is no removal. Give assay.Constant(0.0), Mean, Blur, Marginal or Conditional."
            )
        if remove.mark not in self._games:
            self._games[remove.mark] = Game(self, remove, remove.bind(self.rows))
        return self._games[remove.mark]

    @cached_property
    def _games(self) -> dict[str, Game]:
        return {}

    @cached_property
    def output(self) -> Floats:
        """The target (row,) at the rows themselves, asked once."""
        return replace(self, live=False).value(self.rows.x)

    @cached_property
    def prediction(self) -> Floats:
        """The model's outputs (row, out) at the rows themselves, asked once."""
        return to_floats(replace(self, live=False).outputs(self.rows.x))

    def predicted(self, x: Array, which: Ints | None = None) -> Ints:
        """The predicted class (row,) at ``x``."""
        outputs = to_floats(replace(self, live=False).outputs(x, which))
        return np.argmax(class_scores(outputs, self.model.gives), axis=1)

    def take(self, which: Sequence[int] | Ints) -> Case:
        """The same question about some of the rows."""
        which = np.asarray(which)
        which = np.flatnonzero(which) if which.dtype == bool else which.astype(np.int64)
        return replace(self, rows=self.rows.take(which), features=self.features.at(which), label=self.label[which])

    def asking(self, target: str | Target | None = None, label: Any = None) -> Case:
        """Another question about the same rows: another target, another class."""
        question = self.target if target is None else target_named(target)
        if question.layer is not None and question is not self.target:
            model = self.model.until(question.layer)
            other = replace(self, model=model, target=question)
            units = resolve_label(question.label, model, len(self), lambda: other.prediction)
            return replace(other, label=units)
        if label is None and question is not self.target:
            label = None if question.truth(self.model.gives) == self.target.truth(self.model.gives) else "predicted"
        if label is None:
            return self._knowing(replace(self, target=question))
        labels = _labels(label, question, self.model, len(self), lambda: self.prediction)
        return self._knowing(replace(self, target=question, label=labels))

    def _knowing(self, other: Case) -> Case:
        """The other case, of the same model and rows, with the outputs that are known already."""
        if "prediction" in self.__dict__:
            other.__dict__["prediction"] = self.prediction
        return other

    def at(self, x: Array) -> Case:
        """The same question, same labels, with the rows moved to ``x``."""
        return replace(self, rows=replace(self.rows, x=x))

    def since(self, layer: str, features: Features | None = None) -> Case:
        """The same question asked from ``layer`` on: the rows are its activations, the parts its units.

        Any method can then be put to the layer: gradients, integrated gradients, games with units as players. Parts
        are the units: the channels of a map (channel, height, width), else the last axis. The layer ``""`` is the
        net's own input, after ``preprocess``. What lies beneath the layer is computed once and carried along.
        """
        until, since = self.model.until(layer), self.model.since(layer)
        if layer == OWN:  # no pass of the net
            activation = until.values(self.rows)
        else:
            everyone = np.arange(len(self))
            activation = _concatenate(list(self._batches(self.rows.x, everyone, lambda rows, _: until.values(rows))))
        carried = {**self.rows.carried, held(self.model.place): self.rows.x}
        rows = replace(self.rows, x=activation, carried=carried, table=None)
        cut = features if features is not None else units(rows.shape)
        if layer == OWN and features is None and rows.shape == self.rows.shape:
            cut = self.features
        return self._knowing(replace(self, model=since, rows=rows, features=cut))

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of each row's class (row,); empty strings where the model has none."""
        names = self.model.classes
        return tuple(names[i] if i < len(names) else str(i) for i in self.label)

    @property
    def asked(self) -> str:
        """The question in words."""
        kinds = set(self.classes) if self.model.gives not in ("values", "units") else set()
        return f"{self.target.name}{f' of {kinds.pop()}' if len(kinds) == 1 else ''}"

    def shown(self) -> tuple[tuple[str, ...], ...]:
        """Cells of a table as text (row, part), where parts are columns; else empty."""
        if not self.features.elementwise or len(self.rows.shape) != 1:
            return ()
        matrix, table = to_floats(self.rows.x), self.rows.table
        cell = table.show if table is not None else lambda _, value: f"{value:.6g}"
        columns = np.argsort(self.features.index)
        return tuple(tuple(cell(int(j), row[j]) for j in columns) for row in matrix)

    def _batches(
        self, x: Array, which: Ints, ask: Callable[[Rows, Ints], Array], backwards: bool = False
    ) -> Iterator[Array]:
        start, size = 0, self.model.batch
        while start < len(x):
            part = slice(start, start + size)
            rows = self.rows.holding(x[part], which[part])
            try:
                answer = ask(rows, self.label[which[part]])
            except (MemoryError, RuntimeError) as error:
                full = isinstance(error, MemoryError) or any(sign in str(error) for sign in FULL)
                if size == 1 or not full:
                    raise
                size = (size + 1) // 2
                continue
            done = len(rows) * self.model.passes
            self.model.meter.count(forwards=done, backwards=done if backwards else 0)
            start += size
            yield answer

    def __repr__(self) -> str:
        return (
            f"Case({self.model.name}: {self.asked}; {len(self)} rows of shape {self.rows.shape}, "
            f"{len(self.features)} parts, seed {self.seed.root})"
        )


def case(
    model: Model,
    x: Any,
    *,
    target: str | Target | None = None,
    label: Any = "predicted",
    features: Features | None = None,
    names: Sequence[str] | None = None,
    ids: Sequence[Any] | None = None,
    carried: Mapping[str, Any] | None = None,
    seed: int | Seed = 0,
) -> Case:
    """Put a question to a model about rows ``x``.

    ``x`` is a data frame, an array or a tensor, in the units before the model's ``preprocess``. ``target`` defaults
    to the logit of nets, the raw score (margin) of boosted trees, the probability of other classifiers and the value
    of regressions. ``label`` is ``"predicted"``, ``"runner_up"``, a class (its name, else its position: 1 is the
    class called "1" where there is one), or one a row; for several outputs of a regression it is the output's
    position; ``None`` stands for the first and asks the model nothing. ``features`` cuts rows into parts (default:
    each element or column); ``names`` names the elements; ``ids`` names the rows and keys their random streams.

    Refused, with rows or columns named and nothing of the caller's changed: NaN or infinite values, missing or
    unexpected columns (reordered ones are put right by name), labels that do not exist.
    """
    if not isinstance(model, Model):
        raise InputError(f"case needs a Model; got {type(model).__name__}. Make one with assay.wrap(…).")
    rows = _rows(model, x, ids, carried or {})
    named = tuple(names) if names is not None else rows.table.names if rows.table is not None else model.columns
    question = target_named(target if target is not None else model.default_target)
    notes = model.notes
    if question.layer is not None:
        model = model.until(question.layer)
        label = question.label
    cut = features if features is not None else _elements(rows, named)
    if cut.shape != rows.shape:
        raise InputError(f"the feature map is for rows of shape {cut.shape}; these rows have shape {rows.shape}.")
    if cut.per_row and len(cut.index) != len(rows):
        raise InputError(f"the feature map cuts {len(cut.index)} rows, one by one; there are {len(rows)} rows.")
    root = seed if isinstance(seed, Seed) else Seed(seed)
    bare = Case(model, rows, question, cut, np.zeros(len(rows), dtype=np.int64), root, notes)
    if label is None:
        return bare
    return bare._knowing(replace(bare, label=_labels(label, question, model, len(rows), lambda: bare.prediction)))


def _elements(rows: Rows, named: Sequence[str] | None) -> Features:
    if named is not None and len(named) != int(np.prod(rows.shape)):
        raise InputError(f"{len(named)} names for rows of shape {rows.shape} ({int(np.prod(rows.shape))} elements).")
    return elements(rows.shape, named)


def _rows(model: Model, x: Any, ids: Sequence[Any] | None, carried: Mapping[str, Any]) -> Rows:
    table = None
    if is_frame(x):
        table = Table.of(x)
        if model.columns is not None:
            check_columns(table.names, model.columns)
            places = [table.names.index(name) for name in model.columns]
            import narwhals as nw

            x = nw.from_native(x, eager_only=True)[:, places].to_native()
            table = Table.of(x)
        if model.namespace == "torch" and table.coded.any():
            odd = [name for name, coded in zip(table.names, table.coded) if coded]
            raise InputError(f"a net takes numbers; column(s) {odd[:5]} hold none. Encode them, or wrap a Pipeline.")
        array = table.encode(x)
    else:
        array = x.detach() if is_torch_array(x) else np.asarray(x)
        if array.ndim < 2:
            raise InputError(f"rows have axes (row, …); got shape {tuple(array.shape)}. For one row use x[None].")
        if model.columns is not None and array.shape[1] != len(model.columns):
            raise InputError(
                f"{array.shape[1]} columns for a model of {len(model.columns)}: {list(model.columns)[:8]}."
            )
    array = _private(array, model)
    if len(array) == 0:
        raise InputError("there are no rows to explain.")
    refuse_gaps(array, "the rows")
    labels = tuple(map(str, ids)) if ids is not None else tuple(map(str, range(len(array))))
    if len(labels) != len(array):
        raise InputError(f"{len(labels)} ids for {len(array)} rows.")
    if len(set(labels)) != len(labels):
        raise InputError("ids repeat; each row needs its own, since random streams follow ids.")
    return Rows(array, labels, {name: _carry(value, array) for name, value in carried.items()}, table)


def _private(array: Array, model: Model) -> Array:
    """A copy of the caller's numbers in the model's namespace, type and place."""
    if not is_torch_array(array) and array.dtype.kind not in "biuf":
        raise InputError(f"rows of {array.dtype} are no numbers; give text and categories as a data frame.")
    if model.namespace == "torch":
        import torch

        given = array if is_torch_array(array) else np.array(array, order="C")
        return torch.as_tensor(given).to(device=model.device, dtype=getattr(torch, model.dtype)).clone()
    array = np.array(to_numpy(array), dtype=np.float64)
    array.flags.writeable = False
    return array


def _carry(value: Any, like: Array) -> Array:
    if len(value) != len(like):
        raise InputError(f"a carried input has {len(value)} rows; the rows explained are {len(like)}.")
    return array_namespace(like).asarray(value)


def _labels(label: Any, question: Target, model: Model, rows: int, prediction: Callable[[], Floats]) -> Any:
    """What the target reads beside the outputs: a class a row, or a regression's truth."""
    if not question.truth(model.gives):
        return resolve_label(label, model, rows, prediction)
    if isinstance(label, str):
        raise InputError("loss of a regression compares with the truth; give label=…, one number a row.")
    truth = np.asarray(to_numpy(label), dtype=np.float64)
    if truth.shape not in ((), (rows,)) or not np.isfinite(truth).all():
        raise InputError(f"the truth has shape {truth.shape}; needed are {rows} finite numbers.")
    return np.broadcast_to(truth, (rows,)).copy()


def resolve_label(label: Any, model: Model, rows: int, prediction: Callable[[], Floats]) -> Ints:
    """One class (or output) position a row; raises ``InputError`` naming rows and labels that do not fit."""
    if model.gives in ("values", "units") and isinstance(label, str) and label in ("predicted", "runner_up"):
        return np.zeros(rows, dtype=np.int64)
    if isinstance(label, str) and label in ("predicted", "runner_up"):
        scores = class_scores(prediction(), model.gives)
        place = 0 if label == "predicted" else 1
        if model.classes and len(model.classes) != scores.shape[1]:
            raise InputError(f"{len(model.classes)} class names for a model of {scores.shape[1]} classes.")
        if scores.shape[1] <= place:
            raise InputError(f"label={label!r} needs {place + 1} classes; the model has {scores.shape[1]}.")
        return np.asarray(np.argsort(-scores, axis=1, kind="stable")[:, place])
    given = [label] * rows if isinstance(label, str) or np.ndim(label) == 0 else to_numpy(label).tolist()
    if len(given) != rows:
        raise InputError(f"{len(given)} labels for {rows} rows. Give one label, or one a row.")
    count = len(model.classes) or prediction().shape[1]
    if count == 1 and model.gives not in ("values", "units"):
        count = 2
    places = {name: i for i, name in enumerate(model.classes)}
    texts = [class_text(value) for value in given]
    named = set(texts) <= set(places) or any(isinstance(value, str) for value in given)
    positions = [places.get(t, -1) for t in texts] if named else [_position(v, row) for row, v in enumerate(given)]
    found = np.array(positions, dtype=np.int64)
    wrong = np.flatnonzero((found < 0) | (found >= count))
    if len(wrong):
        kind = {"values": "output(s)", "units": "unit(s)"}.get(model.gives, "classes")
        known = f": {', '.join(model.classes[:8])}" if model.classes else f", numbered 0 … {count - 1}"
        raise InputError(
            f"row {some(wrong)}: label {given[int(wrong[0])]!r} does not exist; the model has {count} {kind}{known}."
        )
    return found


def class_text(label: Any) -> str:
    """A label as the name of a class would be written: 1 and 1.0 are "1"."""
    number = isinstance(label, float | np.floating) and float(label).is_integer()
    return str(int(label)) if number else str(label)


def _position(label: Any, row: int) -> int:
    """A label as a position, −1 for a number that is not whole; raises ``InputError`` for what is no number."""
    if isinstance(label, int | float | np.number | np.bool_):
        return int(label) if float(label).is_integer() else -1
    raise InputError(f"row {row}: label {label!r} does not exist: it is neither a class's name nor its position.")


def _labels_like(labels: Ints, out: Array) -> Array:
    if is_torch_array(out):
        import torch

        return torch.as_tensor(np.array(labels), device=out.device)
    return labels


def _double(out: Array) -> Array:
    return out.double() if is_torch_array(out) else np.asarray(out, dtype=np.float64)


def _concatenate(chunks: list[Array]) -> Array:
    return chunks[0] if len(chunks) == 1 else array_namespace(chunks[0]).concat(chunks)
