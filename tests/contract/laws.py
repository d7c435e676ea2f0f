"""The laws every method keeps. Each takes a method and the name of a subject, and raises AssertionError."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from array_api_compat import is_torch_array
from numpy.testing import assert_allclose
from tests.contract.subjects import (
    ROWS,
    SUBJECTS,
    Planted,
    batched,
    curved,
    deep,
    explained,
    failing,
    first_explanation,
    judged,
    net,
    offered,
    options,
    slope,
    told,
)

import assay
from assay.cases.case import Case
from assay.engine.cost import cost_of
from assay.examples import analytic
from assay.nouns.catalogue import Method, find
from assay.nouns.inputs.features import units
from assay.nouns.inputs.rows import to_floats
from assay.nouns.records.store import load
from assay.nouns.results.result import Estimate

Law = Callable[[Method, str], None]
ORDER = np.array([2, 0, 1])


def ask(method: Method, case: Case) -> Any:
    """An explanation, or the score of the first explanation."""
    return explained(method, case) if method.verb == "explain" else judged(method, case)


def has_the_shape_of_its_rows(method: Method, subject: str) -> None:
    case, result = SUBJECTS[subject](), told(method, subject)
    wanted = (len(case), len(result.features)) if method.verb == "explain" else (len(case),)
    assert result.values.shape == wanted
    if method.verb == "explain":
        assert result.x.shape == (len(case), *result.features.shape)
        inside = "layer" in method.options and result.features.fingerprint == units(result.features.shape).fingerprint
        assert inside or result.features.fingerprint == case.features.fingerprint
    assert result.values.dtype == np.float64
    assert result.ids == case.rows.ids
    assert result.meaning
    if result.stderr is not None:
        assert result.stderr.shape == wanted
        assert (result.stderr[np.isfinite(result.stderr)] >= 0).all()


def is_finite_or_says_why_not(method: Method, subject: str) -> None:
    result = told(method, subject)
    undefined = np.isnan(result.values).reshape(len(result.ids), -1).any(axis=1)
    assert not np.isinf(result.values).any()
    named = {row for note in result.notes if note.code == "undefined" for row in note.rows}
    assert named == {name for name, missing in zip(result.ids, undefined) if missing}
    if method.verb == "explain":
        assert not undefined.any()


def is_read_only(method: Method, subject: str) -> None:
    assert not told(method, subject).values.flags.writeable


def repeats_itself_to_the_byte(method: Method, subject: str) -> None:
    one, two = told(method, subject), ask(method, SUBJECTS[subject]())
    assert one.values.tobytes() == two.values.tobytes()
    assert (one.stderr is None) == (two.stderr is None)
    assert one.stderr is None or one.stderr.tobytes() == two.stderr.tobytes()


def cares_not_for_batches(method: Method, subject: str) -> None:
    case = SUBJECTS[subject]()
    few = batched(case, 1 if case.rows.table is None else 5)  # a pipeline's call is dear
    assert case.model.batch > 5
    assert_allclose(ask(method, few).values, told(method, subject).values, atol=1e-6, rtol=1e-6)


def cares_not_for_the_order_of_rows(method: Method, subject: str) -> None:
    case = SUBJECTS[subject]()
    assert_allclose(ask(method, case.take(ORDER)).values, told(method, subject).values[ORDER], atol=1e-6, rtol=1e-6)


def cares_not_for_other_rows(method: Method, subject: str) -> None:
    case = SUBJECTS[subject]()
    assert_allclose(ask(method, case.take([1])).values, told(method, subject).values[[1]], atol=1e-6, rtol=1e-6)


def streams() -> tuple[Any, ...]:
    """The state of numpy's and torch's global streams; Python's own is moved by the tests' type checker."""
    keys = np.random.get_state()  # noqa: NPY002  # the stream that must stay untouched
    return keys[1].tobytes(), keys[2:], torch.get_rng_state().numpy().tobytes()


def leaves_everything_as_it_was(method: Method, subject: str) -> None:
    case = SUBJECTS[subject]()
    settings = np.geterr(), torch.is_grad_enabled(), torch.get_num_threads()
    before, (x, state) = streams(), deep(case)
    ask(method, case)
    _untouched(case, x, state, before)
    assert settings == (np.geterr(), torch.is_grad_enabled(), torch.get_num_threads())


def leaves_everything_as_it_was_after_an_error(method: Method, subject: str) -> None:
    case = SUBJECTS[subject]()
    broken = failing(case, after=2 if method.verb == "explain" else 3)
    before, (x, state) = streams(), deep(case)
    with suppress(Planted):
        ask(method, broken)
    _untouched(case, x, state, before)
    assert torch.is_grad_enabled()


def _untouched(case: Case, x: Any, state: dict[str, Any], before: tuple[Any, ...]) -> None:
    assert streams() == before
    assert to_floats(case.rows.x).tobytes() == to_floats(x).tobytes()
    if is_torch_array(x):
        assert not case.rows.x.requires_grad
        assert case.rows.x.grad is None
    if case.model.net is not None:
        now = case.model.net.state_dict()
        assert all(torch.equal(now[name], tensor) for name, tensor in state.items())
        assert not case.model.net.training
        assert not any(p.requires_grad or p.grad is not None for p in case.model.net.parameters())
        assert not any(hooks for m in case.model.net.modules() for hooks in (m._forward_hooks, m._forward_pre_hooks))
        assert not any(m._backward_hooks for m in case.model.net.modules())
    assert not torch.overrides._get_current_function_mode_stack()


def says_how_it_was_made(method: Method, subject: str) -> None:
    case, made = SUBJECTS[subject](), told(method, subject).provenance
    assert (made.method, made.verb) == (method.name, method.verb)
    assert set(made.options) == set(method.options)
    assert (made.model_fingerprint, made.rows_fingerprint) == (case.model.fingerprint, case.rows.fingerprint)
    assert made.seed == case.seed


def asks_for_what_its_price_says(method: Method, subject: str) -> None:
    """A method without a price enters no plan; that all of ours have one is asked in test_catalogue."""
    if method.cost is None:
        return
    given = options(method, SUBJECTS[subject]())
    explanation = first_explanation(SUBJECTS[subject]()) if method.verb == "evaluate" else None
    case = SUBJECTS[subject]()  # its game remembers nothing, and nothing has been counted
    meter, _ = case.model.meter, (case.output, case.prediction)
    again = None if explanation is None else cost_of(find("explain", "shapley"), case, explanation.provenance.options)
    asked, backwards = meter.asked, meter.backwards
    method.call(*([] if explanation is None else [explanation]), case, **given)
    cost = cost_of(method, case, given, again)
    assert (meter.asked - asked, meter.backwards - backwards) == (cost.forwards, cost.backwards)


def survives_the_disk(method: Method, subject: str, folder: Path) -> None:
    result = told(method, subject)
    back = load(result.save(folder / "result.assay"))
    assert type(back) is type(result)
    assert back.values.tobytes() == result.values.tobytes()
    assert (back.ids, back.notes, back.meaning) == (result.ids, result.notes, result.meaning)
    assert (back.provenance.method, back.provenance.seed, dict(back.provenance.cost)) == (
        result.provenance.method,
        result.provenance.seed,
        dict(result.provenance.cost),
    )
    assert set(back.provenance.options) == set(result.provenance.options)
    assert (back.stderr is None) == (result.stderr is None)
    if method.verb == "explain":
        assert_allclose(back.map(), result.map())
        assert_allclose(back.residual, result.residual)


LAWS: dict[str, Law] = {
    law.__name__: law
    for law in (
        has_the_shape_of_its_rows,
        is_finite_or_says_why_not,
        is_read_only,
        repeats_itself_to_the_byte,
        cares_not_for_batches,
        cares_not_for_the_order_of_rows,
        cares_not_for_other_rows,
        leaves_everything_as_it_was,
        leaves_everything_as_it_was_after_an_error,
        says_how_it_was_made,
        asks_for_what_its_price_says,
    )
}


def complete(method: Method) -> None:
    """Σ values = output − base."""
    asked = [name for name in ("smooth", "neural", "visual", "wooded") if offered(method, name)]
    assert asked
    finely = {"steps": 64} if "steps" in method.options else {}
    for name in asked:
        case = SUBJECTS[name]()
        result = explained(method, case, **finely)
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

    result = explained(method, analytic(without_last, its_slope, ROWS, "last part idle"))
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
    result = explained(method, case)
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
        return explained(method, case).values

    assert_allclose(of(1.0, 2.0), of(1.0, 0.0) + 2.0 * of(0.0, 1.0), atol=1e-8)


def enumerable(method: Method) -> None:
    """With a budget of all coalitions, nothing is left to chance."""
    budget = {"budget": 2 ** len(SUBJECTS["smooth"]().features)} if "budget" in method.options else {}
    one, two = (explained(method, SUBJECTS["smooth"](seed=seed), **budget) for seed in (1, 2))
    assert_allclose(one.values, two.values, atol=1e-8)
    assert one.stderr is None or not one.stderr.any()


def differentiable(method: Method) -> None:
    """The body follows autograd on a live case, and says there what it says elsewhere."""
    case = SUBJECTS["neural"]()
    x = case.rows.x.clone().requires_grad_(True)
    live = replace(case.at(x), live=True)
    answer = method.body(live, **options(method, live))
    values = answer.values if isinstance(answer, Estimate) else answer
    assert is_torch_array(values)
    assert values.requires_grad
    (moved,) = torch.autograd.grad((values**2).sum(), x)
    assert torch.isfinite(moved).all()
    assert float(moved.abs().max()) > 0
    assert_allclose(to_floats(values), explained(method, case).values, atol=1e-9)


def reference(method: Method) -> None:
    """What a reference explainer says does not depend on the model."""
    for name in ("neural", "visual"):
        case = SUBJECTS[name]()
        try:
            one = explained(method, case)
        except assay.basics.errors.CapabilityError:
            continue
        shifted = torch.nn.Sequential(torch.nn.Flatten(), net(11, inputs=int(np.prod(case.rows.shape))))
        other = assay.case(assay.wrap(shifted), case.rows.x, label=1, features=case.features)
        assert_allclose(explained(method, other).values, one.values, atol=1e-12)


HEIGHTS = np.array([8.0, 5.0, 3.0, 2.0, 1.0, 0.5])


def additive() -> Case:
    """Σ h x² over six parts: the heights are the truth whatever is removed together."""
    return analytic(lambda x: x**2 @ HEIGHTS, lambda x: 2 * x * HEIGHTS, np.ones((2, 6)), "six heights")


def ranked(values: Any) -> Any:
    """An explanation of the additive case that says ``values``."""
    from assay.explain.shapley import shapley

    exact = shapley(additive())
    return replace(exact, values=np.broadcast_to(values, exact.values.shape))


def directed(method: Method) -> None:
    """The truth is better than chance, and chance better than the truth reversed, in the direction declared."""
    assert method.better in ("higher", "lower")
    generator = np.random.default_rng(0)
    sign = 1.0 if method.better == "higher" else -1.0
    case = additive()
    truth = sign * judged(method, case, ranked(HEIGHTS)).values.mean()
    opposed = sign * judged(method, case, ranked(-HEIGHTS)).values.mean()
    drawn = [judged(method, case, ranked(generator.permutation(HEIGHTS))).values.mean() for _ in range(12)]
    chance = sign * float(np.mean(drawn))
    assert truth > chance > opposed


def ordered(method: Method) -> None:
    """Only the order of the parts counts."""
    case = SUBJECTS["smooth"]()
    from assay.explain.shapley import shapley

    exact = shapley(case)
    stretched = replace(exact, values=np.exp(2.0 * exact.values) - 7.0)
    assert_allclose(judged(method, case, stretched).values, judged(method, case, exact).values, atol=1e-12)


CLAIMS: dict[str, dict[str, Callable[[Method], None]]] = {
    "explain": {
        claim.__name__: claim for claim in (complete, dummy, symmetric, linear, enumerable, differentiable, reference)
    },
    "evaluate": {claim.__name__: claim for claim in (directed, ordered)},
}
