# SPDX-License-Identifier: Apache-2.0
"""The lock of a model, held while something is computed with it; threads that share a model take turns."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from threading import RLock
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

_NUMBERS = count()

MAX_LISTED = 64
"""Entries of a list that are searched for models; rows given as a list are longer."""

P = ParamSpec("P")
T = TypeVar("T")
Owner = TypeVar("Owner", bound=Any)


class PassLock:
    """A lock that one thread may hold several times; a copy, also a pickled one, is a new lock with a new ``number``.

    A model, its variants and its cases share one, so that passes which register hooks or change a net, and caches of
    answers, belong to one thread at a time.
    """

    def __init__(self) -> None:
        self.number, self._lock = next(_NUMBERS), RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[PassLock], tuple[()]]:
        return PassLock, ()


_KERNELS = RLock()


@contextmanager
def kernel_settings(context: AbstractContextManager[Any]) -> Iterator[None]:
    """A context of torch that changes settings of the whole process, for one thread of all at a time.

    Without turns, a thread would restore what another thread, with another model, has set meanwhile.
    """
    with _KERNELS, context:
        yield


@contextmanager
def forward_mode() -> Iterator[None]:
    """Context of torch's forward mode of differentiation; attention runs without fused kernels, which have none."""
    import warnings

    from torch.autograd import forward_ad
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with kernel_settings(sdpa_kernel(SDPBackend.MATH)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script", DeprecationWarning)  # torch scripts its decompositions
        with forward_ad.dual_level():
            yield


def under_lock(method: Callable[Concatenate[Owner, P], T]) -> Callable[Concatenate[Owner, P], T]:
    """A method of a case that holds the lock of its model while it runs."""

    @functools.wraps(method)
    def call(self: Owner, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self.model.meter.lock:
            return method(self, *args, **kwargs)

    return call


class computed_under_lock(Generic[T]):  # used as a decorator, like cached_property
    """A property of a case that is computed once, while the lock of its model is held.

    ``functools.cached_property`` of Python 3.11 holds a lock of its own: two threads, one with each lock, would wait
    for each other forever.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute, self.name = compute, compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, case: None, owner: type) -> computed_under_lock[T]: ...

    @overload
    def __get__(self, case: object, owner: type) -> T: ...

    def __get__(self, case: Any, owner: type) -> Any:
        if case is None:
            return self
        with case.model.meter.lock:
            if self.name not in case.__dict__:
                case.__dict__[self.name] = self.compute(case)
            return case.__dict__[self.name]


@contextmanager
def hold_locks(arguments: Iterable[Any]) -> Iterator[None]:
    """Hold the locks of all models among the arguments, in one order, so that no two threads wait for each other."""
    locks = {id(lock): lock for value in arguments for lock in _locks(value)}
    with ExitStack() as stack:
        for lock in sorted(locks.values(), key=lambda one: one.number):
            stack.enter_context(lock)
        yield


def _locks(value: Any) -> Iterator[PassLock]:
    """The locks of a model, of the model of a case, and of those in a list, tuple or mapping."""
    lock = getattr(getattr(getattr(value, "model", value), "meter", None), "lock", None)
    if isinstance(lock, PassLock):
        yield lock
    elif isinstance(value, list | tuple):
        for one in value[:MAX_LISTED]:
            yield from _locks(one)
    elif isinstance(value, dict):
        yield from _locks(list(value.values()))
