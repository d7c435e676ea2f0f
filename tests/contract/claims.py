"""What a method may claim beyond the laws. Each claim takes a method and raises AssertionError where it is false."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from array_api_compat import is_torch_array
from numpy.testing import assert_allclose
from tests.contract.nets import net
from tests.contract.runs import run_method
from tests.contract.subjects import ROWS, SUBJECTS, curved, explain_case, required_options, slope, supports

import assay
from assay.cases.case import Case
from assay.examples import analytic
from assay.nouns.catalogue import Method
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Estimate


def complete(method: Method) -> None:
    """Σ values = output − base."""
    asked = [name for name in ("smooth", "neural", "visual", "wooded") if supports(method, name)]
    asked = asked or [name for name in ("mixed",) if supports(method, name)]
    assert asked
    finely = {"steps": 64} if "steps" in method.options else {}
    for name in asked:
        case = SUBJECTS[name]()
        result = explain_case(method, case, **finely)
        assert np.isfinite(result.base).all()
        assert_allclose(result.values.sum(axis=1), result.output - result.base, atol=1e-6)


def dummy(method: Method) -> None:
    """A part that never matters gets 0."""

    def without_last(x: Any) -> Any:
        return curved(_last_cleared(x))

    def its_slope(x: Any) -> Any:
        out = slope(_last_cleared(x))
        out[:, 3] = 0.0
        return out

    result = explain_case(method, analytic(without_last, its_slope, ROWS, "last part idle"))
    assert_allclose(result.values[:, 3], 0.0, atol=1e-9)
    assert np.abs(result.values[:, :3]).max() > 1e-3


def _last_cleared(x: Any) -> Any:
    out = np.array(x)
    out[:, 3] = 0.0
    return out


def symmetric(method: Method) -> None:
    """Parts that may be exchanged get the same."""
    case = analytic(
        lambda x: x[:, 0] * x[:, 1] + x[:, 0] + x[:, 1] + x[:, 2] ** 2 * x[:, 0] * x[:, 1] + x[:, 3],
        lambda x: np.stack(
            [
                x[:, 1] + 1 + x[:, 2] ** 2 * x[:, 1],
                x[:, 0] + 1 + x[:, 2] ** 2 * x[:, 0],
                2 * x[:, 2] * x[:, 0] * x[:, 1],
                np.ones(len(x)),
            ],
            axis=1,
        ),
        np.array([[0.7, 0.7, 1.1, -0.4], [-1.2, -1.2, 0.3, 0.9]]),
        "exchangeable",
    )
    result = explain_case(method, case)
    assert_allclose(result.values[:, 0], result.values[:, 1], atol=1e-9)
    assert np.abs(result.values[:, 0] - result.values[:, 2]).min() > 1e-6


def linear(method: Method) -> None:
    """Values of f + 2g are values of f plus twice those of g."""

    def of(a: float, b: float) -> Any:
        case = analytic(
            lambda x: a * curved(x) + b * np.sin(x).sum(axis=1),
            lambda x: a * slope(x) + b * np.cos(x),
            ROWS,
            f"mixture {a} {b}",
        )
        return explain_case(method, case).values

    assert_allclose(of(1.0, 2.0), of(1.0, 0.0) + 2.0 * of(0.0, 1.0), atol=1e-8)


def enumerable(method: Method) -> None:
    """With a budget of all coalitions, nothing is left to chance."""
    budget = {"budget": 2 ** len(SUBJECTS["smooth"]().features)} if "budget" in method.options else {}
    one, two = (explain_case(method, SUBJECTS["smooth"](seed=seed), **budget) for seed in (1, 2))
    assert_allclose(one.values, two.values, atol=1e-8)
    assert one.stderr is None or not one.stderr.any()


def differentiable(method: Method) -> None:
    """The body follows autograd on a live case, and says there what it says elsewhere."""
    case = SUBJECTS["neural"]()
    x = case.rows.x.clone().requires_grad_(True)
    live = replace(case.at(x), live=True)
    answer = method.body(live, **required_options(method, live))
    values = answer.values if isinstance(answer, Estimate) else answer
    assert is_torch_array(values)
    assert values.requires_grad
    (moved,) = torch.autograd.grad((values**2).sum(), x)
    assert torch.isfinite(moved).all()
    assert float(moved.abs().max()) > 0
    assert_allclose(to_floats(values), explain_case(method, case).values, atol=1e-9)


def reference(method: Method) -> None:
    """What a reference explainer says does not depend on the model."""
    for name in ("neural", "visual"):
        case = SUBJECTS[name]()
        try:
            one = explain_case(method, case)
        except assay.basics.errors.CapabilityError:
            continue
        shifted = torch.nn.Sequential(torch.nn.Flatten(), net(11, inputs=int(np.prod(case.rows.shape))))
        other = assay.case(assay.wrap(shifted), case.rows.x, label=1, features=case.features)
        assert_allclose(explain_case(method, other).values, one.values, atol=1e-12)


HEIGHTS = np.array([8.0, 5.0, 3.0, 2.0, 1.0, 0.5])


def additive() -> Case:
    """Σ h x² over six parts: the heights are the truth whatever is removed together."""
    return analytic(lambda x: x**2 @ HEIGHTS, lambda x: 2 * x * HEIGHTS, np.ones((2, 6)), "six heights")


def ranked(values: Any) -> Any:
    """An explanation of the additive case that says ``values``."""
    from assay.explain.shapley import shapley

    exact = shapley(additive(), remove=assay.Constant(0.0))
    return replace(exact, values=np.broadcast_to(values, exact.values.shape))


def directed(method: Method) -> None:
    """The truth is better than chance, and chance better than the truth reversed, in the direction declared."""
    assert method.better in ("higher", "lower")
    generator = np.random.default_rng(0)
    sign = 1.0 if method.better == "higher" else -1.0
    case = additive()
    truth = sign * run_method(method, case, ranked(HEIGHTS)).values.mean()
    opposed = sign * run_method(method, case, ranked(-HEIGHTS)).values.mean()
    drawn = [run_method(method, case, ranked(generator.permutation(HEIGHTS))).values.mean() for _ in range(12)]
    chance = sign * float(np.mean(drawn))
    assert truth > chance > opposed


def ordered(method: Method) -> None:
    """Only the order of the parts counts."""
    case = SUBJECTS["smooth"]()
    from assay.explain.shapley import shapley

    exact = shapley(case, remove=assay.Constant(0.0))
    stretched = replace(exact, values=np.exp(2.0 * exact.values) - 7.0)
    assert_allclose(run_method(method, case, stretched).values, run_method(method, case, exact).values, atol=1e-12)


def searched(method: Method) -> None:
    """The options say how long to search, and more steps find nothing that is farther away."""
    case = SUBJECTS["neural"]()
    assert {"steps"} <= set(method.options)
    few, many = (method.call(case, steps=steps).extra["distance"] for steps in (10, 300))
    assert (many <= few * (1 + 1e-3)).all()


CLAIMS: dict[str, dict[str, Callable[[Method], None]]] = {
    "explain": {
        claim.__name__: claim
        for claim in (complete, dummy, symmetric, linear, enumerable, differentiable, reference, searched)
    },
    "evaluate": {claim.__name__: claim for claim in (directed, ordered)},
}
