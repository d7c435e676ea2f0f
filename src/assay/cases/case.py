# SPDX-License-Identifier: Apache-2.0
"""A question put to a model about some rows: validated once, asked in batches, counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.basics.types import Array, Floats, Ints
from assay.cases.explanation_cache import ExplanationCache
from assay.cases.game import Game
from assay.cases.labels import apart, labels_of, resolve_label, rival_class
from assay.cases.read_inputs import read
from assay.cases.removals import Removal
from assay.model.layer_slices import OWN, held
from assay.model.model import Model, Returned, Ruling, Slope
from assay.nouns.inputs.features import Features, units
from assay.nouns.inputs.rows import Rows, double, joined, to_floats
from assay.nouns.inputs.target import Target, class_scores, target_named
from assay.nouns.results.result import Note

KEPT = 1
"""Copies of a row's activations that a gradient keeps; backward rules keep about four, second derivatives eight."""

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
        return joined(list(chunks))

    def value(self, x: Array, which: Ints | None = None) -> Any:
        """The target (row,) at ``x``, in float64."""
        which = np.arange(len(self)) if which is None else which

        def ask(rows: Rows, labels: Ints) -> Array:
            return self._read(labels)(self.model.forward(rows) if self.live else self.model.values(rows))

        chunks = list(self._batches(x, which, ask))
        return joined(chunks) if self.live else np.concatenate([to_floats(c) for c in chunks])

    def values(self, x: Array, which: Ints, others: Sequence[Case]) -> Floats:
        """The target at ``x`` here and in cases of the same model under other targets (case, row), from one pass."""
        outputs = self.outputs(x, which)
        return np.stack([to_floats(one._read(one.label[which])(outputs)) for one in (self, *others)])

    def gradient(self, x: Array, which: Ints | None = None) -> Array:
        """Derivative of the target with respect to ``x``, shaped and typed like ``x``."""
        self._differentiable()
        if x is self.rows.x and self.shared is not None and not self.live:
            size = len(self) * math.prod(self.rows.shape)
            known = self.shared.spare("gradient", size, lambda: self._slopes(x, np.arange(len(self))))
            return array_namespace(known).asarray(known, copy=True)
        return self._slopes(x, np.arange(len(self)) if which is None else which)

    def _slopes(self, x: Array, which: Ints) -> Array:
        chunks = self._batches(
            x,
            which,
            lambda rows, labels: self.model.gradient(self._read(labels), rows, self.live),
            backwards=1,
            kept=KEPT,
        )
        return joined(list(chunks))

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

        found.extend(self._batches(x, which, ask, backwards=1, kept=KEPT))
        return Slope(
            joined([one.gradient for one in found]),
            joined([one.activation for one in found]),
            None if along is None else joined([one.pushed for one in found]),
        )

    def curvature(self, x: Array, along: Array, which: Ints | None = None) -> Array:
        """Second derivative of the target at ``x``, times the directions ``along``, all shaped like ``x``: H · d."""
        self._differentiable()
        which = np.arange(len(self)) if which is None else which
        found: list[Array] = []

        def ask(rows: Rows, labels: Ints) -> Array:
            start = sum(map(len, found))
            return self.model.curvature(self._read(labels), rows, along[start : start + len(rows)])

        found.extend(self._batches(x, which, ask, backwards=2, kept=8 * KEPT))
        return joined(found)

    def backward(self, ruling: Callable[[int], Ruling], start: Array | None = None, *, sides: int = 1) -> Returned:
        """The target sent back to the rows by rules (row, *shape), and what the net's constants absorbed (row,).

        ``start`` has one row each, for rules that compare; ``sides`` is how many forward passes a pass is worth.
        """
        self._differentiable()
        found: list[Returned] = []

        def ask(rows: Rows, labels: Ints) -> Any:
            place = sum(len(one.values) for one in found)
            origin = None if start is None else start[place : place + len(rows)]
            return self.model.backward(self._read(labels), rows, ruling, origin)

        found.extend(self._batches(self.rows.x, np.arange(len(self)), ask, backwards=1, forwards=sides, kept=4 * KEPT))
        again = sum(one.again for one in found)
        self.model.meter.count(forwards=again * sides, backwards=again)
        absorbed = [one.absorbed for one in found if one.absorbed is not None]
        begun = [one.start for one in found if one.start is not None]
        return Returned(
            joined([one.values for one in found]),
            to_floats(joined(absorbed)) if absorbed else None,
            to_floats(joined(begun)) if begun else None,
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
        return lambda out: self.target.read(double(out), _labels_like(labels, out), self.model.gives)

    def room(self, kept: int = 0) -> int:
        """How many rows go into one pass that keeps so many copies of a row's activations (0: none, for outputs)."""
        return self.model.room(self.rows, kept)

    def read(self, outputs: Floats, which: Ints) -> Floats:
        """The target (row,) of outputs already known: class probabilities (row, class), or a regression's values."""
        gives = self.model.gives if self.model.gives in ("values", "units") else "probabilities"
        return to_floats(self.target.read(outputs, self.label[which], gives))

    def game(self, remove: Removal, *, pooled: bool = False) -> Game:
        """The game v(S) = target with all parts outside S removed by ``remove``; one per removal, it remembers.

        A ``pooled`` game reads the target from the mean of the outputs over the removal's fillings.
        """
        if isinstance(remove, type) or not isinstance(remove, Removal):
            raise InputError(
                f"remove={remove!r} is no removal. Give assay.Constant(0.0), Mean, Blur, Marginal or Conditional."
            )
        key = (remove.fingerprint, pooled)
        if key not in self._games:
            bound = [one._games[key].filling for one in self.sibling_targets if key in one._games]
            self._games[key] = Game(self, remove, bound[0] if bound else remove.bind(self.rows), pooled=pooled)
        return self._games[key]

    @cached_property
    def _games(self) -> dict[tuple[str, bool], Game]:
        return {}

    @cached_property
    def sibling_targets(self) -> tuple[Case, ...]:
        """The same rows under other targets, whose games learn what this one's are told (``cases.sibling_targets``)."""
        return ()

    @cached_property
    def explanation_cache(self) -> ExplanationCache:
        """What engines keep beside the case so as to ask it once, as ``game`` keeps its answers."""
        return ExplanationCache(self.model.meter)

    @cached_property
    def shared(self) -> ExplanationCache | None:
        """What methods share that are put to the very same rows: a recall for gradients there, or nothing."""
        return None

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

    def with_target(self, target: str | Target | None = None, label: Any = None) -> Case:
        """Another question about the same rows: another target, another class."""
        question = self.target if target is None else target_named(target)
        question = rival_class(question, self.model, lambda: self.prediction)
        if question.layer is not None and question is not self.target:
            model = self.model.up_to_layer(question.layer)
            other = replace(self, model=model, target=question)
            units = resolve_label(question.label, model, len(self), lambda: other.prediction)
            return replace(other, label=units)
        if label is None and question is not self.target:
            label = None if question.truth(self.model.gives) == self.target.truth(self.model.gives) else "predicted"
        if label is None:
            return self._knowing(replace(self, target=question, label=apart(question, self.label)))
        labels = labels_of(label, question, self.model, len(self), lambda: self.prediction)
        return self._knowing(replace(self, target=question, label=labels))

    def _knowing(self, other: Case) -> Case:
        """The other case, of the same model and rows, with the outputs that are known already."""
        if "prediction" in self.__dict__:
            other.__dict__["prediction"] = self.prediction
        return other

    def at(self, x: Array) -> Case:
        """The same question, same labels, with the rows moved to ``x``."""
        return replace(self, rows=replace(self.rows, x=x))

    def from_layer(self, layer: str, features: Features | None = None) -> Case:
        """The same question asked from ``layer`` on: the rows are its activations, the parts its units.

        Any method can then be put to the layer: gradients, integrated gradients, games with units as players. Parts
        are the units: the channels of a map (channel, height, width), else the last axis. The layer ``""`` is the
        net's own input, after ``preprocess``. What lies beneath the layer is computed once and carried along.
        """
        until, since = self.model.up_to_layer(layer), self.model.from_layer(layer)
        if layer == OWN:  # no pass of the net
            activation = until.values(self.rows)
        else:
            everyone = np.arange(len(self))
            activation = joined(list(self._batches(self.rows.x, everyone, lambda rows, _: until.values(rows))))
        carried = dict(self.rows.carried)
        if since.place != self.model.place:  # else the rows are that place's activations already
            carried[held(self.model.place)] = self.rows.x
        rows = replace(self.rows, x=activation, carried=carried, table=None)
        cut = features if features is not None else units(rows.shape)
        if layer == OWN and features is None and rows.shape == self.rows.shape:
            cut = self.features
        if rows.text is not None and cut is not self.features:
            rows = replace(rows, text=rows.text.bare)
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
        """Cells of a table as text (row, part), where parts are columns; the words of texts; else empty."""
        if self.rows.text is not None and self.rows.text.words:
            return tuple((*words, *[""] * (len(self.features) - len(words))) for words in self.rows.text.words)
        if not self.features.elementwise or len(self.rows.shape) != 1:
            return ()
        matrix, table = to_floats(self.rows.x), self.rows.table
        cell = table.show if table is not None else lambda _, value: f"{value:.6g}"
        columns = np.argsort(self.features.index)
        return tuple(tuple(cell(int(j), row[j]) for j in columns) for row in matrix)

    def _batches(
        self,
        x: Array,
        which: Ints,
        ask: Callable[[Rows, Ints], Array],
        backwards: int = 0,
        forwards: int = 1,
        kept: int = 0,
    ) -> Iterator[Array]:
        start, size = 0, self.room(kept)
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
            self.model.meter.count(forwards=done * forwards, backwards=done * backwards)
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

    ``x`` is a data frame, an array or a tensor, in the units before the model's ``preprocess``; for a model that reads
    text a list of texts: the rows are then the embeddings of their tokens, the parts their words. ``target`` defaults
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
    rows, cut, notes = read(model, x, ids, carried or {}, names, features)
    question = target_named(target if target is not None else model.default_target)
    if question.layer is not None:
        model = model.up_to_layer(question.layer)
        label = question.label
    if cut.shape != rows.shape:
        raise InputError(f"the feature map is for rows of shape {cut.shape}; these rows have shape {rows.shape}.")
    if cut.per_row and len(cut.index) != len(rows):
        raise InputError(f"the feature map cuts {len(cut.index)} rows, one by one; there are {len(rows)} rows.")
    root = seed if isinstance(seed, Seed) else Seed(seed)
    bare = Case(model, rows, question, cut, np.zeros(len(rows), dtype=np.int64), root, (*model.notes, *notes))
    question = rival_class(question, model, lambda: bare.prediction)
    if label is None:
        return replace(bare, target=question)
    labels = labels_of(label, question, model, len(rows), lambda: bare.prediction)
    return bare._knowing(replace(bare, target=question, label=labels))


def _labels_like(labels: Ints, out: Array) -> Array:
    if is_torch_array(out):
        import torch

        return torch.as_tensor(np.array(labels), device=out.device)
    return labels
