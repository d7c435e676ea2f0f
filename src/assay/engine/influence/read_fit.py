# SPDX-License-Identifier: Apache-2.0
"""Reading a model as linear in its weights: scikit-learn's linear models, and the last layer of a net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.influence.linear_fit import (
    CONVERGED,
    LinearFit,
    Link,
    in_basis,
    require_few_weights,
    weight_span,
)
from assay.engine.influence.weight_gradients import last_layer_inputs, last_linear_layer
from assay.model.adapters.estimator_outputs import EstimatorForward
from assay.model.forests.pipeline import transform, unwrap
from assay.model.linear_scores import estimator_of
from assay.model.model import Model
from assay.nouns.inputs.rows import Rows, to_floats
from assay.nouns.results.result import Note

FITTED = ("LogisticRegression", "LinearRegression", "Ridge")
"""Linear models of scikit-learn whose objective is known."""


def is_linear_fit(model: Model) -> bool:
    """Whether the model is one of scikit-learn's whose objective is known, also behind a pipeline."""
    found = estimator_of(model)
    return found is not None and type(unwrap(found)[1]).__name__ in FITTED


def weights_of_fit(model: Model, rows: int) -> int:
    """The number of weights of the linear model of which the Hessian is made, for so many training rows."""
    coef = np.atleast_2d(unwrap(estimator_of(model))[1].coef_)
    return len(coef) * min(coef.shape[1], rows)


def read_estimator(case: Case, train: Case, damping: float) -> tuple[LinearFit, tuple[Note, ...]]:
    """The fit of scikit-learn's estimator, at the optimum of its objective; the steps before it are held fixed."""
    fit, fixed = estimator_fit(case, train, damping)
    basis = weight_span(fit)  # weights, also those without a row, are sums of training rows
    require_few_weights(len(fit.weights) * (fit.x.shape[1] if basis is None else basis.shape[1]))
    fit, notes = _at_optimum(fit if basis is None else in_basis(fit, basis), case)
    return fit, (*fixed, *notes)


def estimator_fit(case: Case, train: Case, damping: float) -> tuple[LinearFit, tuple[Note, ...]]:
    """The fit of scikit-learn's estimator with the weights that it has, of all columns."""
    steps, last = unwrap(estimator_of(case.model))
    coef = np.atleast_2d(np.asarray(last.coef_, dtype=np.float64))
    strength = _penalty(last)
    link: Link = "identity" if type(last).__name__ != "LogisticRegression" else "softmax"
    link = "sigmoid" if link == "softmax" and len(coef) == 1 else link
    penalty = np.full(coef.shape[1], strength)
    if last.fit_intercept:
        level = np.broadcast_to(np.asarray(last.intercept_, dtype=np.float64), (len(coef),))
        coef = np.concatenate([coef, level[:, None]], axis=1)
        penalty = np.append(penalty, strength if getattr(last, "solver", "") == "liblinear" else 0.0)
    fit = LinearFit(
        x=estimator_matrix(case.model, train.rows),
        weights=coef,
        penalty=penalty,
        labels=train.label,
        importance=_importance(last, train),
        link=link,
        tests=estimator_matrix(case.model, case.rows),
        outputs=_outputs(case.model, link),
        damping=damping,
    )
    _require_same(fit.outputs(fit.tests @ fit.weights.T), case.prediction, case.model)
    text = "what the steps before the last learnt from the rows is held fixed"
    return fit, (Note("steps-fixed", text),) if steps else ()


def estimator_matrix(model: Model, rows: Rows) -> Floats:
    """What scikit-learn's linear model multiplies with its weights, (row, column), a 1 where it has an intercept."""
    forward = model.forward
    assert isinstance(forward, EstimatorForward)
    steps, last = unwrap(estimator_of(model))
    found = transform(steps, forward.prepare(rows))
    found = found.toarray() if hasattr(found, "toarray") else found
    x = to_floats(np.asarray(found, dtype=np.float64))
    return np.concatenate([x, np.ones((len(x), 1))], axis=1) if last.fit_intercept else x


def _at_optimum(fit: LinearFit, case: Case) -> tuple[LinearFit, tuple[Note, ...]]:
    """The fit at the optimum of its objective, and a note where the weights had to be moved."""
    share = fit.require_optimum()
    if share <= CONVERGED:
        return fit, ()
    optimum = fit.at_optimum()
    moved = np.abs(optimum.outputs(fit.tests @ optimum.weights.T) - case.prediction).max()
    text = (
        f"the gradient of the training loss is {share:.1e} of its rows' own: training stopped early, or used weights "
        f"of rows that are not known here. Values are those at the optimum of the same objective without such weights, "
        f"where outputs at the rows explained differ by up to {moved:.2g}"
    )
    return optimum, (Note("not-converged", text),)


def read_last_layer(
    case: Case, train: Case, damping: float, weight_decay: float, *, decay_bias: bool = True
) -> tuple[LinearFit, tuple[Note, ...]]:
    """The fit of a net's last linear layer, the layers before it held fixed.

    ``weight_decay`` is that of ``torch.optim``: the mean loss plus ½ weight_decay ‖θ‖², with ``decay_bias`` also of the
    bias.
    """
    name, weights, x = last_layer_inputs(train)
    _, _, tests = last_layer_inputs(case)
    if weight_decay < 0:
        raise InputError(f"weight_decay={weight_decay}; it is at least 0.")
    kind = case.model.kind
    link: Link = "identity" if kind == "values" else "sigmoid" if len(weights) == 1 else "softmax"
    if kind != "values" and not kind.exclusive:
        raise CapabilityError(f"{case.model.name} has several labels a row; influence takes one label a row.")
    doubled = 2.0 if link == "identity" else 1.0  # a squared error is twice ½ (s − y)²
    penalty = np.full(x.shape[1], weight_decay * len(x) / doubled)
    if not decay_bias and last_linear_layer(case.model).module.bias is not None:
        penalty[-1] = 0.0
    fit = LinearFit(
        x=x,
        weights=weights,
        penalty=penalty,
        labels=train.label,
        importance=np.ones(len(x)),
        link=link,
        tests=tests,
        outputs=_outputs(case.model, link),
        damping=damping,
    )
    _require_same(fit.outputs(fit.tests @ fit.weights.T), case.prediction, case.model)
    text = f"the layers before {name!r} are held fixed; values are those of refitting this layer alone"
    notes = [Note("last-layer", text)]
    share = fit.gradient_share()
    if share > CONVERGED:
        text = (
            f"the last layer is not at its optimum: the gradient is {share:.1e} of its rows' own. Values say what the "
            f"row adds to a Newton step from these weights, not what retraining to the end would give"
        )
        notes.append(Note("not-converged", text))
    return fit, tuple(notes)


def _penalty(estimator: Any) -> float:
    """λ of Σ loss + ½ λ ‖w‖²; ``CapabilityError`` for another penalty."""
    name, given = type(estimator).__name__, estimator.get_params()
    if given.get("positive"):
        raise CapabilityError(f"{name}(positive=True) has bounds on its weights. Use method='refit' with a recipe.")
    if name == "LinearRegression":
        return 0.0
    if name == "Ridge":
        if np.ndim(given["alpha"]):
            raise CapabilityError("Ridge with one alpha for each output is not read; fit one model for each.")
        return float(given["alpha"])
    l1, penalty = given.get("l1_ratio"), given.get("penalty", "l2")
    if penalty == "l1" or (penalty in ("elasticnet", "deprecated") and l1):
        raise CapabilityError(
            "an ℓ1 penalty has no second derivative where weights are 0. Use method='refit' with a recipe."
        )
    return 0.0 if penalty is None or np.isinf(given["C"]) else 1.0 / float(given["C"])


def _importance(estimator: Any, train: Case) -> Floats:
    """The weight (row,) that the estimator gives each row by its class."""
    given = getattr(estimator, "class_weight", None)
    if given is None:
        return np.ones(len(train))
    classes = estimator.classes_
    if isinstance(given, str):
        counts = np.bincount(train.label, minlength=len(classes))
        each = len(train) / (len(classes) * np.maximum(counts, 1))
    else:
        each = np.array([float(given.get(one, 1.0)) for one in classes])
    return np.asarray(each[train.label], dtype=np.float64)


def _outputs(model: Model, link: Link) -> Callable[[Floats], Floats]:
    """The map from scores to what the model gives."""

    def outputs(scores: Floats) -> Floats:
        if link == "identity" or model.gives != "probabilities":
            return scores
        if link == "sigmoid":
            p = 0.5 * (1 + np.tanh(scores / 2))
            return np.concatenate([1 - p, p], axis=1) if len(model.classes) == 2 else p
        shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

    return outputs


def _require_same(found: Floats, given: Floats, model: Model) -> None:
    """Raise ``CapabilityError`` unless the scores read give the model's own outputs."""
    scale = max(1.0, float(np.abs(given).max()))
    if found.shape != given.shape or not np.allclose(found, given, atol=1e-5 * scale, rtol=1e-4):
        raise CapabilityError(
            f"the outputs of {model.name} are no softmax, sigmoid or identity of its last linear scores. Use "
            f"method='gauss_newton' of a net, or method='refit' with a recipe."
        )
