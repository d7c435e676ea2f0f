# SPDX-License-Identifier: Apache-2.0
"""A chat model behind an address: the protocol of OpenAI's chat completions, with the standard library alone."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from assay.basics.errors import InputError, NoAnswer
from assay.basics.fingerprint import digest
from assay.engine.redteam.generators import Query, chat

MAX_BYTES = 1_000_000
"""Largest answer that is read."""

MAX_WAIT = 30.0
"""Longest wait in seconds before a request is repeated, whatever the server asks for."""

BUSY = (429, 503)
"""Statuses after which a request is repeated."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: prompts and key go to the address that was given, and to no other."""

    def redirect_request(self, *given: Any, **named: Any) -> None:
        """No request."""


@dataclass
class _Tally:
    """Requests sent, and how many of them were repeated."""

    requests: int = 0
    repeated: int = 0


@dataclass(frozen=True, eq=False)
class Endpoint:
    """A model behind ``url``/chat/completions, such as Endpoint("http://127.0.0.1:8080/v1", "my-model").

    Prompts leave this machine where the host is not a loopback address: such a host must be named in ``allow_hosts``
    (``InputError``), and needs https where a key is sent. The key is read from the environment variable ``key_env`` for
    each request; it is in no result, message or file. No redirect is followed, and on loopback no proxy is used.

    A request may take ``timeout`` seconds in all. One that the server turns down as too many (429, 503) is repeated at
    most ``repeats`` times, and the repeats are counted. Whatever else goes wrong is ``NoAnswer``. The seed is sent; few
    servers promise the same answer for it.
    """

    url: str
    model: str
    key_env: str = ""
    allow_hosts: Sequence[str] = ()
    timeout: float = 60.0
    repeats: int = 2
    wait: Callable[[float], None] = field(default=time.sleep, repr=False)
    tally: _Tally = field(default_factory=_Tally, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or "@" in parts.netloc:
            raise InputError(
                f"the address {_without_secrets(self.url)} is none that prompts can be sent to. Give http(s)://HOST/v1 "
                f"without user, query or fragment; a key comes from the environment (key_env)."
            )
        if isinstance(self.allow_hosts, str):
            raise InputError(f"allow_hosts={self.allow_hosts!r}; give a tuple of hosts, ({self.allow_hosts!r},).")
        if not is_loopback(host) and host not in self.allow_hosts:
            raise InputError(
                f"{host} is another machine: prompts, and whatever is in them, would be sent to it. If you agree, name "
                f"the host: --allow-host {host} (in Python allow_hosts=({host!r},))."
            )
        if self.key_env and parts.scheme == "http" and not is_loopback(host):
            raise InputError(f"the key would be sent to {host} without encryption. Give an address with https.")
        if not self.model or not self.timeout > 0 or self.repeats < 0:
            raise InputError(
                f"model={self.model!r}, timeout={self.timeout}, repeats={self.repeats}; needed are the name of the "
                f"model at the endpoint, a timeout above 0 and at least 0 repeats."
            )

    @property
    def name(self) -> str:
        """The model's name at the endpoint."""
        return self.model

    @property
    def fingerprint(self) -> str:
        """Of address and name: that the model behind them changed cannot be seen."""
        return digest("endpoint", self.url, self.model)

    @property
    def about(self) -> Mapping[str, str]:
        """The address, and how many requests were sent."""
        sent = f"{self.tally.requests:,} requests, {self.tally.repeated:,} of them repeated"
        return {"reads": "messages", "gives": "a text", "endpoint": f"{self.url} ({sent})"}

    def answer(self, queries: Sequence[Query]) -> list[str]:
        """One text for each query, one request after the other."""
        if self.key_env and not os.environ.get(self.key_env):
            raise InputError(f"the environment variable {self.key_env}, which should hold the key, is not set.")
        return [self._answer(query) for query in queries]

    def _answer(self, query: Query) -> str:
        body = {
            "model": self.model,
            "messages": chat(query.messages),
            "max_tokens": query.tokens,
            "temperature": query.temperature,
            "seed": query.seed.entropy % 2**31,
            "stream": False,
        }
        for again in range(self.repeats + 1):
            self.tally.requests += 1
            try:
                return self._text(self._send(json.dumps(body).encode()))
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in BUSY or again == self.repeats:
                        raise NoAnswer(f"{self.url} answered with status {error.code}{self._said(error)}.") from None
                    pause = _seconds(error.headers.get("Retry-After"))
                self.tally.repeated += 1
                self.wait(pause)
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                reason = getattr(error, "reason", error)
                raise NoAnswer(
                    f"{self.url} gave no answer: {self._hidden(str(reason) or type(error).__name__)}."
                ) from None
        raise NoAnswer(f"{self.url} gave no answer.")

    def _send(self, body: bytes) -> bytes:
        """The bytes of the answer; ``TimeoutError`` after ``timeout`` seconds in all."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key_env:
            headers["Authorization"] = f"Bearer {os.environ[self.key_env]}"
        request = urllib.request.Request(f"{self.url.rstrip('/')}/chat/completions", body, headers, method="POST")
        deadline, read = time.monotonic() + self.timeout, b""
        with self._opener().open(request, timeout=self.timeout) as answer:
            while part := answer.read1(65536):
                read += part
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no whole answer within {self.timeout:g} s")
                if len(read) > MAX_BYTES:
                    raise NoAnswer(f"{self.url} gave an answer of more than {MAX_BYTES:,} bytes.")
        return read

    def _opener(self) -> urllib.request.OpenerDirector:
        handlers: list[Any] = [_NoRedirect()]
        if is_loopback(urlsplit(self.url).hostname or ""):
            handlers.append(urllib.request.ProxyHandler({}))
        return urllib.request.build_opener(*handlers)

    def _text(self, read: bytes) -> str:
        try:
            content = json.loads(read)["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
            raise NoAnswer(
                f"{self.url} gave no chat completion ({type(error).__name__}); needed is choices[0].message.content."
            ) from None
        if content is not None and not isinstance(content, str):
            raise NoAnswer(f"{self.url} gave a {type(content).__name__} as content; needed is a text.")
        return (content or "").strip()

    def _said(self, error: urllib.error.HTTPError) -> str:
        if 300 <= error.code < 400:
            return " (a redirect, which is not followed)"
        try:
            text = " ".join(error.read(300).decode("utf-8", "replace").split())
        except (OSError, http.client.HTTPException):
            text = ""
        return f": {self._hidden(text)}" if text else ""

    def _hidden(self, text: str) -> str:
        """A text without the key."""
        key = os.environ.get(self.key_env, "") if self.key_env else ""
        return text.replace(key, "(key)") if key else text


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its own words: localhost, or a loopback address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _seconds(text: str | None) -> float:
    """Seconds of a Retry-After header, at most ``MAX_WAIT``; a second where it has none."""
    try:
        return min(MAX_WAIT, max(0.0, float(text or 1.0)))
    except ValueError:
        return 1.0


def _without_secrets(url: str) -> str:
    """An address for a message, without user and query."""
    place = urlsplit(url)
    return f"{place.scheme or '(no scheme)'}://{place.netloc.rpartition('@')[2]}{place.path}"
