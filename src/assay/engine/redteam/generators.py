# SPDX-License-Identifier: Apache-2.0
"""Generators: anything that answers messages with a text."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.seed import Seed
from assay.nouns.redteam.probe import Message


@dataclass(frozen=True)
class Query:
    """Messages to answer with at most ``tokens`` tokens; at ``temperature`` 0 the most likely ones.

    What is drawn at a higher temperature depends on ``seed`` alone, where the generator allows a seed.
    """

    messages: tuple[Message, ...]
    tokens: int
    temperature: float
    seed: Seed

    @property
    def is_beginning(self) -> bool:
        """Whether the query is a text to complete, not a conversation."""
        return self.messages[-1][0] == "text"


class Generator(Protocol):
    """Answers queries. ``about`` describes it on the page; its secrets (a key) are never in it."""

    @property
    def name(self) -> str:
        """What the page calls it."""

    @property
    def fingerprint(self) -> str:
        """Changes when the model changes, as far as that can be seen from here."""

    @property
    def about(self) -> Mapping[str, str]:
        """What is known about it."""

    def answer(self, queries: Sequence[Query]) -> list[str]:
        """One text for each query; ``NoAnswer`` where the generator cannot be reached or says nothing usable."""


@dataclass(frozen=True, eq=False)
class FunctionGenerator:
    """A Python function of a conversation as a generator: messages [{"role": …, "content": …}, …] to a text.

    A text to complete is one message of the user.
    """

    function: Callable[[list[dict[str, str]]], str]
    name: str = ""
    fingerprint: str = ""
    about: Mapping[str, str] = field(default_factory=lambda: {"reads": "messages", "gives": "a text"})

    def __post_init__(self) -> None:
        called = self.name or str(getattr(self.function, "__name__", type(self.function).__name__))
        object.__setattr__(self, "name", called)
        object.__setattr__(self, "fingerprint", self.fingerprint or digest("function", self.function))

    def answer(self, queries: Sequence[Query]) -> list[str]:
        """One text for each query."""
        return [self._answer(query) for query in queries]

    def _answer(self, query: Query) -> str:
        said = self.function(chat(query.messages))
        if not isinstance(said, str):
            raise InputError(f"{self.name} gave a {type(said).__name__}; it must return the answer as a text.")
        return said


def chat(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Messages as the dictionaries that chat models take."""
    return [{"role": "user" if role == "text" else role, "content": text} for role, text in messages]


def is_generator(thing: Any) -> bool:
    """Whether ``generator_of`` takes the object: it answers queries, is (net, tokenizer), or a function of messages."""
    has_answer = callable(getattr(thing, "answer", None)) and isinstance(getattr(thing, "fingerprint", None), str)
    is_pair = isinstance(thing, tuple) and len(thing) == 2
    return has_answer or is_pair or inspect.isfunction(thing) or inspect.ismethod(thing)


def generator_of(thing: Any) -> Generator:
    """A generator of a generator, of (net, tokenizer), or of a function of messages; ``InputError`` for others."""
    if not is_generator(thing):
        raise InputError(
            f"a {type(thing).__name__} cannot be red-teamed. Give (net, tokenizer) of a causal language model, a "
            f"function from messages to a text, assay.Endpoint(url, model), or a Model of texts or images with rows=."
        )
    if isinstance(thing, tuple):
        from assay.engine.redteam.local_model import LocalModel

        return LocalModel(*thing)
    if inspect.isfunction(thing) or inspect.ismethod(thing):
        return FunctionGenerator(thing)
    found: Generator = thing
    return found
