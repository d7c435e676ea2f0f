# SPDX-License-Identifier: Apache-2.0
"""A case: a model, rows, a target and a cut into features; validated once, evaluated in batches, counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.basics.types import Array, Floats, Ints
from assay.cases.default_removal import DEFAULT, default_removal
from assay.cases.explanation_cache import ExplanationCache
from assay.cases.game import Game
from assay.cases.labels import (
    cut_at_target,
    labels_like,
    labels_of,
    refuse_rival_labels,
    resolve_label,
    rival_class,
)
from assay.cases.model_checks import FULL, check_function, check_outputs
from assay.cases.removals import Removal
from assay.model.layer_slices import NET_INPUT, ROWS, carried_name
from assay.model.layer_trace import find_channel_axis
from assay.model.model import BackwardResult, BackwardRules, LayerGradient, Model
from assay.model.pass_locks import computed_under_lock, under_lock
from assay.nouns.inputs.features import Features, units
from assay.nouns.inputs.frames import format_number
from assay.nouns.inputs.rows import Rows, concatenate, to_double, to_floats
from assay.nouns.inputs.target import Target, predicted_class, target_named
from assay.nouns.renamed import WithFormerNames
from assay.nouns.results.result import Note

GRADIENT_COPIES = 1
"""Copies of a row's activations that a gradient stores; backward rules store about four, second derivatives eight."""


@dataclass(frozen=True, eq=False)
class Case(WithFormerNames):
    """A model, rows, the target of its outputs, and how the rows are cut into features.

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
        """The model's outputs (row, out) at ``x``; ``which`` is the row that each line of ``x`` belongs to."""
        which = np.arange(len(self)) if which is None else which
        chunks = self._batches(
            x, which, lambda rows, _: self.model.forward(rows) if self.live else self.model.values(rows)
        )
        return concatenate(list(chunks))

    def value(self, x: Array, which: Ints | None = None) -> Any:
        """The target (row,) at ``x``, in float64."""
        which = np.arange(len(self)) if which is None else which

        def evaluate(rows: Rows, labels: Ints) -> Array:
            return self._read(labels)(self.model.forward(rows) if self.live else self.model.values(rows))

        chunks = list(self._batches(x, which, evaluate))
        return concatenate(chunks) if self.live else np.concatenate([to_floats(c) for c in chunks])

    def values(self, x: Array, which: Ints, others: Sequence[Case]) -> Floats:
        """The target at ``x`` here and in cases of the same model under other targets (case, row), from one pass."""
        outputs = self.outputs(x, which)
        return np.stack([to_floats(one._read(one.label[which])(outputs)) for one in (self, *others)])

    def gradient(self, x: Array, which: Ints | None = None) -> Array:
        """Derivative of the target with respect to ``x``, shaped and typed like ``x``."""
        self._differentiable()
        if x is self.rows.x and self.shared is not None and not self.live:
            size = len(self) * math.prod(self.rows.shape)
            known = self.shared.get_recomputable("gradient", size, lambda: self._gradient(x, np.arange(len(self))))
            return array_namespace(known).asarray(known, copy=True)
        return self._gradient(x, np.arange(len(self)) if which is None else which)

    def _gradient(self, x: Array, which: Ints) -> Array:
        chunks = self._batches(
            x,
            which,
            lambda rows, labels: self.model.gradient(self._read(labels), rows, self.live),
            backwards=1,
            copies=GRADIENT_COPIES,
        )
        return concatenate(list(chunks))

    def layer_gradient(self, x: Array, layer: str, which: Ints | None = None, along: Any = None) -> LayerGradient:
        """Derivative of the target with respect to the activations of ``layer`` at ``x``, and those activations.

        With ``along``, directions shaped like ``x``, also the directional derivative of the activations.
        """
        self._differentiable()
        which = np.arange(len(self)) if which is None else which
        found: list[LayerGradient] = []

        def evaluate(rows: Rows, labels: Ints) -> Any:
            start = sum(len(one.gradient) for one in found)
            directions = None if along is None else along[start : start + len(rows)]
            return self.model.layer_gradient(self._read(labels), rows, layer, directions)

        found.extend(self._batches(x, which, evaluate, backwards=1, copies=GRADIENT_COPIES))
        return LayerGradient(
            concatenate([one.gradient for one in found]),
            concatenate([one.activation for one in found]),
            None if along is None else concatenate([one.directional_derivative for one in found]),
        )

    def curvature(self, x: Array, along: Array, which: Ints | None = None) -> Array:
        """Second derivative of the target at ``x``, times the directions ``along``, all shaped like ``x``: H · d."""
        self._differentiable()
        which = np.arange(len(self)) if which is None else which
        found: list[Array] = []

        def evaluate(rows: Rows, labels: Ints) -> Array:
            start = sum(map(len, found))
            return self.model.curvature(self._read(labels), rows, along[start : start + len(rows)])

        found.extend(self._batches(x, which, evaluate, backwards=2, copies=8 * GRADIENT_COPIES))
        return concatenate(found)

    def backward(
        self, make_rules: Callable[[int], BackwardRules], start: Array | None = None, *, sides: int = 1
    ) -> BackwardResult:
        """The target propagated back to the rows by rules (row, *shape), and what the net's constants absorbed (row,).

        ``start`` holds one baseline per row, for rules that compare with a baseline; ``sides`` is the cost of a pass
        in forward passes.
        """
        self._differentiable()
        found: list[BackwardResult] = []

        def evaluate(rows: Rows, labels: Ints) -> Any:
            place = sum(len(one.values) for one in found)
            origin = None if start is None else start[place : place + len(rows)]
            return self.model.backward(lambda places: self._read(labels[places]), rows, make_rules, origin)

        found.extend(
            self._batches(
                self.rows.x, np.arange(len(self)), evaluate, backwards=1, forwards=sides, copies=4 * GRADIENT_COPIES
            )
        )
        repeated = sum(one.repeated_passes for one in found)
        self.model.meter.count(forwards=repeated * sides, backwards=repeated)
        absorbed = [one.absorbed_relevance for one in found if one.absorbed_relevance is not None]
        begun = [one.start for one in found if one.start is not None]
        return BackwardResult(
            concatenate([one.values for one in found]),
            to_floats(concatenate(absorbed)) if absorbed else None,
            to_floats(concatenate(begun)) if begun else None,
        )

    @property
    def takes_ids(self) -> bool:
        """Whether some of the net's inputs are whole numbers or truth values, which have no derivative."""
        return self.rows.layout is not None and self.rows.layout.any_whole and self.model.input_layer == ROWS

    def _differentiable(self) -> None:
        """Raise ``CapabilityError`` if the target has no useful gradient."""
        if not self.model.has_gradient:
            raise CapabilityError(
                f"gradients are needed; {self.model.name} gives none. Use a removal method (shapley, occlusion), or a "
                f"differentiable surrogate."
            )
        if self.takes_ids:
            raise CapabilityError(
                f"{self.model.name} takes whole numbers, which have no derivative. Use a removal method (shapley, "
                f"occlusion), explain a layer (case.from_layer), or carry these inputs along (carried=…)."
            )
        if self.model.closed_form_gradient is not None and self.target.name != "value":
            raise CapabilityError(
                f"{self.model.name} gives the gradient of its value only, not of target {self.target.name!r}. Use "
                f"target='value', or wrap a torch net."
            )
        if not self.target.smooth:
            raise CapabilityError(
                f"target {self.target.name!r} is a step function: its gradient is zero. Use logit or log_odds."
            )

    def _read(self, labels: Ints) -> Callable[[Array], Array]:
        """The target as a function of outputs in float64, for rows with these labels."""
        return lambda out: self.target.read(to_double(out), labels_like(labels, out), self.model.gives)

    def max_batch_rows(self, copies: int = 0) -> int:
        """How many rows fit into one pass that stores so many copies of a row's activations (0: none, for outputs)."""
        return self.model.max_batch_rows(self.rows, copies)

    def read(self, outputs: Floats, which: Ints) -> Floats:
        """The target (row,) of outputs already known: class probabilities (row, class), or a regression's values."""
        gives = self.model.kind.as_probabilities() if self.model.kind.is_classifier else self.model.kind
        return to_floats(self.target.read(outputs, self.label[which], gives))

    @property
    def default_removal(self) -> tuple[Removal, Note | None]:
        """The removal where the caller names none, and a note that says what it is."""
        return default_removal(self.rows, self.seed, self.model.input_layer)

    def game(self, remove: Removal, *, pooled: bool = False) -> Game:
        """The game v(S) = target with all parts outside S removed by ``remove``; one game per removal, with a cache.

        A ``pooled`` game reads the target from the mean of the outputs over the removal's fillings.
        """
        if isinstance(remove, type) or not isinstance(remove, Removal):
            raise InputError(
                f"remove={remove!r} is not a removal. Give assay.Constant(0.0), Mean, Blur, Marginal or Conditional."
            )
        if remove is DEFAULT:
            remove = self.default_removal[0]
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
        """The same rows under other targets, whose games read the passes of this one (``cases.sibling_targets``)."""
        return ()

    @cached_property
    def explanation_cache(self) -> ExplanationCache:
        """The cache of explanations, predictions and models that engines compute once for this case."""
        return ExplanationCache(self.model.meter)

    @cached_property
    def shared(self) -> ExplanationCache | None:
        """The cache of gradients that methods share at the very same rows; ``None`` where they share none."""
        return None

    @computed_under_lock
    def output(self) -> Floats:
        """The target (row,) at the rows themselves, evaluated once."""
        values = replace(self, live=False).value(self.rows.x)
        _ = self.prediction if np.isnan(values).any() else None  # refuses NaN of the model itself
        return values

    @computed_under_lock
    def prediction(self) -> Floats:
        """The model's outputs (row, out) at the rows themselves, evaluated once and checked."""
        outputs = to_floats(replace(self, live=False).outputs(self.rows.x))
        return check_outputs(outputs, self.model, self.rows.ids)

    def predicted(self, x: Array, which: Ints | None = None) -> Ints:
        """The predicted class (row,) at ``x``."""
        outputs = to_floats(replace(self, live=False).outputs(x, which))
        return predicted_class(outputs, self.model.gives)

    def take(self, which: Sequence[int] | Ints) -> Case:
        """The same case with some of the rows."""
        which = np.asarray(which)
        which = np.flatnonzero(which) if which.dtype == bool else which.astype(np.int64)
        return replace(self, rows=self.rows.take(which), features=self.features.at(which), label=self.label[which])

    @under_lock
    def with_target(self, target: str | Target | None = None, label: Any = None) -> Case:
        """The same rows with another target or another class."""
        new = self.target if target is None else target_named(target)
        new = rival_class(new, self.model, lambda: self.prediction)
        if new.is_unit and (new.layer, new.label) == (self.target.layer, self.target.label):
            new = self.target
        if new.layer is not None and new is not self.target:
            new, model = cut_at_target(new, self.model, self.rows)
            other = replace(self, model=model, target=new)
            label = resolve_label(new.label, model, len(self), lambda: new.by_label(other.prediction))
            return replace(other, label=label)
        gives = self.model.gives
        if label is None and new.label_is_truth(gives) != self.target.label_is_truth(gives):
            label = "predicted"
        if label is None:
            labels = refuse_rival_labels(new, self.label)
        else:
            labels = labels_of(label, new, self.model, len(self), lambda: self.prediction)
        return self._with_known_prediction(replace(self, target=new, label=labels))

    def _with_known_prediction(self, other: Case) -> Case:
        """The other case, of the same model and rows, with the outputs that are already known."""
        if "prediction" in self.__dict__:
            other.__dict__["prediction"] = self.prediction
        return other

    def at(self, x: Array) -> Case:
        """The same case and labels, with the rows replaced by ``x``."""
        return replace(self, rows=replace(self.rows, x=x))

    @under_lock
    def from_layer(self, layer: str, features: Features | None = None) -> Case:
        """The case from ``layer`` on: the rows are its activations, the features its units.

        Any method then explains the layer: gradients, integrated gradients, games with units as players. The features
        are the units: the channels, on the axis that the net's operations tell, else on the first of a map with three
        axes (channel, height, width), else on the last. The layer ``""`` is the
        net's own input, after ``preprocess``. The layers below it are evaluated once.
        """
        until, since = self.model.up_to_layer(layer), self.model.from_layer(layer)
        if layer == NET_INPUT:  # no pass of the net
            activation = until.values(self.rows)
        else:
            everyone = np.arange(len(self))
            activation = concatenate(list(self._batches(self.rows.x, everyone, lambda rows, _: until.values(rows))))
        carried = dict(self.rows.carried)
        if since.input_layer != self.model.input_layer:  # else the rows are that place's activations already
            carried[carried_name(self.model.input_layer)] = self.rows.x
        rows = replace(self.rows, x=activation, carried=carried, table=None)
        cut = features if features is not None else self.unit_features(layer, rows.shape)
        if layer == NET_INPUT and features is None and rows.shape == self.rows.shape:
            cut = self.features
        if rows.text is not None and cut is not self.features:
            rows = replace(rows, text=rows.text.without_words)
        return self._with_known_prediction(replace(self, model=since, rows=rows, features=cut))

    def unit_features(self, layer: str, shape: Sequence[int]) -> Features:
        """The units of a layer whose rows have this shape, on the axis that the net's operations tell."""
        known = find_channel_axis(self.model, self.rows, layer) if len(shape) > 1 else None
        return units(shape, known)

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of each row's class (row,); empty strings where the model has none."""
        names = self.model.classes or self.model.output_names
        return tuple(names[i] if i < len(names) else str(i) for i in self.label)

    @property
    def target_text(self) -> str:
        """The target and the class, as text."""
        kinds = set(self.classes) if self.model.kind.is_classifier or self.model.output_names else set()
        return f"{self.target.name}{f' of {kinds.pop()}' if len(kinds) == 1 else ''}"

    def part_texts(self) -> tuple[tuple[str, ...], ...]:
        """Cells of a table as text (row, part), where parts are columns; the words of texts; else empty."""
        if self.rows.text is not None and self.rows.text.words:
            return tuple((*words, *[""] * (len(self.features) - len(words))) for words in self.rows.text.words)
        if not self.features.elementwise or len(self.rows.shape) > 2:
            return ()
        matrix, table = to_floats(self.rows.x), self.rows.table
        cell = table.format_cell if table is not None else lambda _, value: format_number(value)
        columns = np.argsort(self.features.index.ravel())
        return tuple(tuple(cell(int(j), row[j]) for j in columns) for row in matrix.reshape(len(matrix), -1))

    def _batches(
        self,
        x: Array,
        which: Ints,
        evaluate: Callable[[Rows, Ints], Array],
        backwards: int = 0,
        forwards: int = 1,
        copies: int = 0,
    ) -> Iterator[Array]:
        lock = self.model.meter.lock
        with lock:
            if not self.live:
                check_function(self.model, self.rows)
            start, size = 0, self.max_batch_rows(copies)
        while start < len(x):
            part = slice(start, start + size)
            rows = self.rows.with_inputs(x[part], which[part])
            try:
                with lock:  # for this batch only: a generator may be continued by another thread
                    answer = evaluate(rows, self.label[which[part]])
            except (MemoryError, RuntimeError) as error:
                full = isinstance(error, MemoryError) or any(sign in str(error) for sign in FULL)
                if size == 1 or not full:
                    raise
                size = (size + 1) // 2
                continue
            done = len(rows) * self.model.passes_per_row
            with lock:
                self.model.meter.count(forwards=done * forwards, backwards=done * backwards)
            start += size
            yield answer

    def __repr__(self) -> str:
        return (
            f"Case({self.model.name}: {self.target_text}; {len(self)} rows of shape {self.rows.shape}, "
            f"{len(self.features)} parts, seed {self.seed.root})"
        )
