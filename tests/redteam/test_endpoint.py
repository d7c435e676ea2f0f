"""The endpoint client beside a server on loopback: dead, slow, malformed, busy, redirecting; and its consent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

import assay
from assay.auditing.gate import evaluate_gate
from assay.auditing.redteam.red_team import redteam
from assay.basics.errors import InputError, NoAnswer
from assay.basics.seed import Seed
from assay.engine.redteam.endpoint import MAX_WAIT, Endpoint, is_loopback
from assay.engine.redteam.generators import Query
from tests.redteam.planted import leaky

QUERY = Query((("system", "Be short."), ("user", "Say hello.")), 7, 0.5, Seed(3))
KEY = "sk-invented-0123456789"


class Server(ThreadingHTTPServer):
    """Answers with ``reply`` (status, headers, bytes) and remembers requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.reply: Any = said("hello")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, dict(self.headers), body))
        reply = self.server.reply
        status, headers, content = reply(body, len(self.server.requests)) if callable(reply) else reply
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        for part in content if isinstance(content, list) else [content]:
            try:
                self.wfile.write(part)
                self.wfile.flush()
            except OSError:
                return
            if isinstance(content, list):
                time.sleep(0.15)

    def log_message(self, *given: Any) -> None:
        return


def said(text: Any, status: int = 200, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return status, headers, json.dumps({"choices": [{"message": {"content": text}}]}).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def endpoint(server: Server, **given: Any) -> Endpoint:
    return Endpoint(server.url, "invented", **{"timeout": 2.0, "wait": lambda seconds: None, **given})


def test_a_query_is_sent_as_a_chat_completion(server: Server, monkeypatch) -> None:
    monkeypatch.setenv("OUR_KEY", KEY)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    asked = endpoint(server, key_env="OUR_KEY")
    assert asked.answer([QUERY]) == ["hello"]
    path, headers, body = server.requests[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body["messages"] == [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Say hello."}]
    assert (body["model"], body["max_tokens"], body["temperature"], body["stream"]) == ("invented", 7, 0.5, False)
    assert body["seed"] == Seed(3).entropy % 2**31
    assert asked.about["endpoint"].endswith("(1 requests, 0 of them repeated)")


def test_without_a_key_none_is_sent_and_an_empty_content_is_an_empty_answer(server: Server) -> None:
    server.reply = said(None)
    assert endpoint(server).answer([QUERY]) == [""]
    assert "Authorization" not in server.requests[0][1]


def test_a_busy_server_is_asked_again_and_the_repeats_are_counted(server: Server) -> None:
    waits: list[float] = []
    server.reply = lambda body, count: said("x", 429, **{"Retry-After": "900"}) if count < 3 else said("late")
    asked = endpoint(server, wait=waits.append)
    assert asked.answer([QUERY]) == ["late"]
    assert waits == [MAX_WAIT, MAX_WAIT]
    assert "3 requests, 2 of them repeated" in asked.about["endpoint"]
    server.reply = said("x", 503)
    with pytest.raises(NoAnswer, match="status 503"):
        asked.answer([QUERY])


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ((200, {}, b"not json"), "no chat completion"),
        ((200, {}, b'{"choices": []}'), "no chat completion"),
        ((200, {}, b"[" * 20000), "no chat completion"),
        (said(["list"]), "gave a list as content"),
        ((200, {}, b" " * 1_100_000), "more than 1,000,000 bytes"),
        ((500, {}, b"broken inside"), "status 500: broken inside"),
        ((401, {}, f"wrong key {KEY}".encode()), r"status 401: wrong key \(key\)"),
        ((302, {"Location": "http://example.org/"}, b""), "a redirect, which is not followed"),
        ((307, {"Location": "/v1/other"}, b""), "a redirect, which is not followed"),
        ((200, {"Content-Length": "50"}, b"short"), "gave no answer|no chat completion"),
    ],
)
def test_what_is_no_answer_is_refused_and_the_key_is_never_shown(
    server: Server, monkeypatch, reply: Any, message: str
) -> None:
    monkeypatch.setenv("OUR_KEY", KEY)
    server.reply = reply
    asked = endpoint(server, key_env="OUR_KEY")
    with pytest.raises(NoAnswer, match=message) as caught:
        asked.answer([QUERY])
    assert len(server.requests) == 1
    for text in (str(caught.value), repr(asked), str(asked.about), asked.fingerprint, repr(caught.value.__cause__)):
        assert KEY not in text


def test_a_slow_server_ends_after_the_time_limit_though_it_keeps_sending(server: Server) -> None:
    server.reply = (200, {}, [b" "] * 40)
    started = time.monotonic()
    with pytest.raises(NoAnswer, match=r"within 0\.3 s"):
        endpoint(server, timeout=0.3).answer([QUERY])
    assert time.monotonic() - started < 3


def test_a_dead_server_ends_in_an_error_finding_and_exit_code_3() -> None:
    dead = Endpoint("http://127.0.0.1:9/v1", "invented", timeout=1.0)
    run = redteam(dead, probes=["direct_injection"])
    assert (run["RED201"].verdict, evaluate_gate(run).exit) == ("error", 3)
    assert run.record.refusals[0].kind == "NoAnswer"


def test_a_server_that_leaks_its_system_prompt_is_found(server: Server, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("OUR_KEY", KEY)
    server.reply = lambda body, count: said(leaky(body["messages"]))
    run = redteam(endpoint(server, key_env="OUR_KEY"), probes=["prompt_leakage", "direct_injection"], out=tmp_path)
    assert {finding.code: finding.verdict for finding in run.findings} == {"RED101": "fail", "RED201": "pass"}
    assert "240 requests" in run.record.about["endpoint"]
    for file in tmp_path.iterdir():
        assert KEY.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"url": "http://example.org/v1"}, "example.org is another machine.*--allow-host example.org"),
        ({"url": "http://127.0.0.1.example.org/v1"}, "another machine"),
        ({"url": "http://10.0.0.7/v1"}, "another machine"),
        ({"url": "http://0.0.0.0/v1"}, "another machine"),
        ({"url": "ftp://127.0.0.1/v1"}, "none that prompts can be sent to"),
        ({"url": "http://user:secret@127.0.0.1/v1"}, "without user, query"),
        ({"url": "http://127.0.0.1/v1?key=secret"}, "without user, query"),
        ({"url": "http://example.org/v1", "allow_hosts": ("example.org",), "key_env": "K"}, "without encryption"),
        ({"allow_hosts": "example.org"}, "give a tuple of hosts"),
        ({"model": ""}, "needed are the name"),
        ({"timeout": 0}, "a timeout above 0"),
    ],
)
def test_prompts_leave_this_machine_only_with_consent(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Endpoint(**{"url": "http://127.0.0.1:1/v1", "model": "m", **given})
    assert "secret" not in str(caught.value)


def test_consent_names_the_host() -> None:
    assert assay.Endpoint("https://example.org/v1", "m", allow_hosts=("example.org",)).name == "m"
    assert [is_loopback(host) for host in ("localhost", "127.0.0.9", "::1", "example.org", "")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_a_key_that_is_not_set_is_an_error_of_use(server: Server, monkeypatch) -> None:
    monkeypatch.delenv("OUR_KEY", raising=False)
    with pytest.raises(InputError, match="OUR_KEY"):
        redteam(endpoint(server, key_env="OUR_KEY"), probes=["unplanted"])
    assert server.requests == []
