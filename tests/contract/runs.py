"""Calls of one method on one subject. Each call is made once, and every law that looks at it shares it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from array_api_compat import is_torch_array
from tests.contract.subjects import GIVEN, SUBJECTS, explain_case, required_options, shapley_values

from assay.basics.errors import CapabilityError
from assay.cases.case import Case
from assay.engine.cost import cost_of
from assay.model.model import Model
from assay.nouns.catalogue import Cost, Method, find
from assay.nouns.inputs.rows import to_floats

REORDERED = (2, 0)
"""Rows of the reduced case: two of the three, in another order."""


def run_method(method: Method, case: Case, explanation: Any = None) -> Any:
    """The explanation of a case, or the score of an explanation (Shapley values, unless given)."""
    if method.verb == "explain":
        return explain_case(method, case)
    explanation = shapley_values(case) if explanation is None else explanation
    return method.call(explanation, case, **required_options(method, case))


@cache
def shared_explanation(subject: str, rows: tuple[int, ...] = ()) -> Any:
    """The Shapley values of a subject, or of some of its rows, computed once on a case of their own."""
    case = SUBJECTS[subject]()
    return shapley_values(case.take(rows) if rows else case)


@cache
def shared_influence(subject: str, rows: tuple[int, ...] = ()) -> Any:
    """Influence of training rows on a subject or on some of its rows; drawn, since the recipe learns nothing."""
    case = SUBJECTS[subject]()
    recipe = GIVEN["recipe"](case)
    train = (recipe.x, recipe.y)
    explained = case.take(rows) if rows else case
    found = find("explain", "training_influence").call(explained, train=train, method="refit", recipe=recipe)
    drawn = np.random.default_rng(5).normal(size=(len(case), found.values.shape[1]))
    return replace(found, values=drawn[list(rows)] if rows else drawn)


class Runs:
    """The calls of one method on one subject, on fresh cases."""

    def __init__(self, method: Method, subject: str) -> None:
        self.method = method
        self.subject = subject

    def explanation(self, rows: tuple[int, ...] = ()) -> Any:
        """The explanation that a score rates; ``None`` for an explanation method."""
        if self.method.verb != "evaluate":
            return None
        of_training_rows = "train" in self.method.needs
        return (shared_influence if of_training_rows else shared_explanation)(self.subject, rows)

    @cached_property
    def first(self) -> tuple[Case, Any, list[str]]:
        """A case for which nothing is computed yet, the result there, and what the call changed."""
        case, explanation = SUBJECTS[self.subject](), self.explanation()
        before = Snapshot.of(case)
        result = run_method(self.method, case, explanation)
        return case, result, before.changes(case)

    @property
    def result(self) -> Any:
        """The result of the first call."""
        return self.first[1]

    @cached_property
    def second(self) -> tuple[Any, Cost, Cost | None]:
        """A second result, the model evaluations that it took, and those that the method declares."""
        case = SUBJECTS[self.subject]()
        meter, _ = case.model.meter, (case.output, case.prediction)
        requested, backwards = meter.requested, meter.backwards
        explanation = self.explanation()
        result = run_method(self.method, case, explanation)
        counted = Cost(meter.requested - requested, meter.backwards - backwards)
        return result, counted, self._declared_cost(case, explanation)

    def _declared_cost(self, case: Case, explanation: Any) -> Cost | None:
        if self.method.cost is None:
            return None
        again = None
        if explanation is not None:
            again = cost_of(find("explain", "shapley"), case, explanation.provenance.options)
        return cost_of(self.method, case, required_options(self.method, case), again)

    @cached_property
    def reduced(self) -> Any:
        """The result for two of the rows, in another order and in small batches."""
        case = with_small_batches(SUBJECTS[self.subject]().take(REORDERED))
        return run_method(self.method, case, self.explanation(REORDERED))

    @cached_property
    def changes_after_error(self) -> list[str]:
        """What a call changed during which the model raised an error."""
        case, explanation = SUBJECTS[self.subject](), self.explanation()
        broken = with_failing_model(case, after=2 if self.method.verb == "explain" else 1)
        before = Snapshot.of(case)
        with suppress(PlantedError, CapabilityError):  # methods that read an estimator refuse the broken one
            run_method(self.method, broken, explanation)
        return before.changes(case)


@dataclass(frozen=True)
class Snapshot:
    """Everything of the caller's that a method could change: random streams, settings, rows and weights."""

    streams: tuple[Any, ...]
    settings: tuple[Any, ...]
    x: Any
    weights: dict[str, torch.Tensor]

    @classmethod
    def of(cls, case: Case) -> Snapshot:
        """The state before a call."""
        weights = {} if case.model.net is None else {k: v.clone() for k, v in case.model.net.state_dict().items()}
        return cls(streams(), settings(), copy.deepcopy(case.rows.x), weights)

    def changes(self, case: Case) -> list[str]:
        """What differs now."""
        found = {
            "random streams": streams() != self.streams,
            "settings of numpy or torch": settings() != self.settings,
            "rows": to_floats(case.rows.x).tobytes() != to_floats(self.x).tobytes(),
            "function modes of torch": bool(torch.overrides._get_current_function_mode_stack()),
        }
        if is_torch_array(self.x):
            found["gradients of the rows"] = case.rows.x.requires_grad or case.rows.x.grad is not None
        if case.model.net is not None:
            found |= self._changes_of_net(case.model.net)
        return [name for name, is_changed in found.items() if is_changed]

    def _changes_of_net(self, net: torch.nn.Module) -> dict[str, bool]:
        now = net.state_dict()
        modules = list(net.modules())
        return {
            "weights": not all(torch.equal(now[name], tensor) for name, tensor in self.weights.items()),
            "training mode": net.training,
            "gradients of the weights": any(p.requires_grad or p.grad is not None for p in net.parameters()),
            "hooks": any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in modules),
        }


def streams() -> tuple[Any, ...]:
    """The state of numpy's and torch's global streams; Python's own is moved by the tests' type checker."""
    keys = np.random.get_state()  # noqa: NPY002  # the stream that must stay untouched
    return keys[1].tobytes(), keys[2:], torch.get_rng_state().numpy().tobytes()


def settings() -> tuple[Any, ...]:
    """Settings of numpy and torch that hold for the whole process."""
    return np.geterr(), torch.is_grad_enabled(), torch.get_num_threads()


def with_small_batches(case: Case) -> Case:
    """The same case in batches of one row; of five for a table, where each call of the pipeline takes long."""
    size = 1 if case.rows.table is None else 5
    assert case.model.batch > size
    return replace(case, model=replace(case.model, batch=size))


class PlantedError(RuntimeError):
    """An error that the model raises during a call."""


def with_failing_model(case: Case, after: int = 1) -> Case:
    """The same case of a model that raises an error after ``after`` calls."""
    calls = [0]
    model: Model = case.model

    def counted(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(rows: Any) -> Any:
            calls[0] += 1
            if calls[0] > after:
                raise PlantedError("the model broke")
            return function(rows)

        return call

    gradient = None if model.closed_form_gradient is None else counted(model.closed_form_gradient)
    return replace(case, model=replace(model, forward=counted(model.forward), closed_form_gradient=gradient))
