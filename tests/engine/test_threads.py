"""Threads that share a model or a case get the numbers of a single thread, and no refusals."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import assay
from assay import evaluate, explain
from assay.model.model import Meter, Model
from assay.model.pass_locks import PassLock, hold_locks

X = np.random.default_rng(0).normal(size=(6, 5))
Y = (X[:, 0] > 0).astype(int)


def net() -> Any:
    torch.manual_seed(0)
    layers = (
        torch.nn.Linear(5, 16),
        torch.nn.ReLU(),
        torch.nn.BatchNorm1d(16),
        torch.nn.ReLU(),
        torch.nn.Linear(16, 3),
    )
    return torch.nn.Sequential(*layers).double().eval()


BACKGROUND = np.random.default_rng(1).normal(size=(4, 5))
MARGINAL = assay.Marginal(BACKGROUND)
REMOVAL_METHODS: dict[str, Callable[[Any], Any]] = {
    "shapley": lambda case: explain.shapley(case, remove=MARGINAL),
    "occlusion": lambda case: explain.occlusion(case, remove=assay.Constant(0.0)),
    "banzhaf": lambda case: explain.banzhaf(case, remove=MARGINAL),
    "lime": lambda case: explain.lime(case, remove=MARGINAL, budget=64),
}
NET_METHODS: dict[str, Callable[[Any], Any]] = {
    **REMOVAL_METHODS,
    "integrated gradients": lambda case: explain.integrated_gradients(case, start=0.0, steps=16),
    "smooth_grad": lambda case: explain.smooth_grad(case),
    "lrp": lambda case: explain.lrp(case),
    "deep_lift": lambda case: explain.deep_lift(case, start=0.0),
    "saliency": lambda case: explain.saliency(case),
    "guided_backprop": lambda case: explain.guided_backprop(case),
    "a layer": lambda case: explain.input_x_gradient(case.from_layer("1")),
    "a score": lambda case: evaluate.completeness(explain.shapley(case, remove=MARGINAL), case),
}


def logistic() -> Any:
    generator = np.random.default_rng(2)
    x = generator.normal(size=(200, 5))
    return LogisticRegression().fit(x, x[:, 0] + x[:, 1] > 0)


def forest() -> Any:
    generator = np.random.default_rng(2)
    x = generator.normal(size=(200, 5))
    return RandomForestClassifier(10, random_state=0, n_jobs=2).fit(x, x[:, 0] + x[:, 1] > 0)


MODELS: dict[str, tuple[Callable[[], Any], dict[str, Callable[[Any], Any]]]] = {
    "torch": (net, NET_METHODS),
    "logistic": (logistic, REMOVAL_METHODS),
    "forest": (forest, REMOVAL_METHODS),
}


def threads(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
    start = threading.Barrier(8)

    def first(job: Callable[[], Any]) -> Any:
        start.wait()
        return job()

    with ThreadPoolExecutor(8) as pool:
        begun = [pool.submit(first, job) for job in jobs[:8]]
        return [one.result(timeout=120) for one in [*begun, *[pool.submit(job) for job in jobs[8:]]]]


def joblib_threads(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
    return list(joblib.Parallel(n_jobs=8, backend="threading")(joblib.delayed(job)() for job in jobs))


def coroutines(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
    async def together() -> list[Any]:
        return list(await asyncio.gather(*(asyncio.to_thread(job) for job in jobs)))

    return asyncio.run(together())


EXECUTORS = {"threads": threads, "joblib": joblib_threads, "asyncio": coroutines}


@pytest.mark.parametrize("shared", ["one case", "one model"])
@pytest.mark.parametrize(
    "executor", ["threads", *(pytest.param(one, marks=pytest.mark.judge) for one in ("joblib", "asyncio"))]
)
@pytest.mark.parametrize("kind", MODELS)
def test_methods_that_run_together_give_what_they_give_alone(kind: str, executor: str, shared: str) -> None:
    make, methods = MODELS[kind]
    alone = {name: method(assay.case(assay.wrap(make()), X)).values for name, method in methods.items()}
    for repetition in range(3):
        model = assay.wrap(make())
        case = assay.case(model, X)
        names = [name for name in methods for _ in range(3)]
        np.random.default_rng(repetition).shuffle(names)

        def job(name: str, model: Model = model, case: Any = case) -> Callable[[], Any]:
            return lambda: methods[name](case if shared == "one case" else assay.case(model, X)).values

        for name, values in zip(names, EXECUTORS[executor]([job(name) for name in names]), strict=True):
            assert_allclose(values, alone[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_each_thread_counts_its_own_passes() -> None:
    model = assay.wrap(net())
    costs = threads([lambda: explain.saliency(assay.case(model, X)).provenance.cost for _ in range(16)])
    assert all(cost == costs[0] for cost in costs)


def test_calls_with_two_models_in_either_order_do_not_wait_for_each_other() -> None:
    one, two = assay.wrap(net()), assay.wrap(logistic())
    done: list[int] = []

    def call(models: tuple[Model, Model]) -> None:
        for _ in range(200):
            with hold_locks(models), models[1].meter.lock, models[0].meter.lock:
                done.append(1)

    workers = [threading.Thread(target=call, args=(pair,), daemon=True) for pair in ((one, two), (two, one)) * 4]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert len(done) == 1600


def test_the_output_of_a_case_is_read_while_another_thread_holds_the_model() -> None:
    model = assay.wrap(net())
    cases = [assay.case(model, X, label=None) for _ in range(64)]
    found: list[Any] = []

    def read() -> None:
        found.extend(case.prediction for case in cases)

    def explain_each() -> None:
        for case in cases:
            with model.meter.lock:
                found.append(case.prediction)

    workers = [threading.Thread(target=work, daemon=True) for work in (read, explain_each) * 4]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert len(found) == 8 * 64


def test_variants_share_the_lock_and_copies_do_not() -> None:
    model = assay.wrap(net())
    variants = (model.up_to_layer("1"), model.from_layer("1"), assay.model.smooth(model, sigma=0.1))
    assert {id(one.meter.lock) for one in variants} == {id(model.meter.lock)}
    assert model.meter.separate().lock is model.meter.lock
    for other in (copy.deepcopy(model.meter), pickle.loads(pickle.dumps(Meter()))):  # noqa: S301  # made here
        assert isinstance(other.lock, PassLock)
        assert other.lock is not model.meter.lock
        with other.lock:
            pass


def test_one_thread_may_hold_the_lock_several_times() -> None:
    lock = PassLock()
    with lock, lock, lock:
        pass
    assert threads([lambda: lock.__enter__() or lock.__exit__() or 1 for _ in range(8)]) == [1] * 8
