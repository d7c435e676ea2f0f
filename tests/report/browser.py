"""A real Chromium, spoken to through its driver's plain HTTP."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKS = Path(__file__).with_name("checks.js").read_text(encoding="utf-8")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def missing() -> str:
    """Which program is not there; empty when all are."""
    return ", ".join(name for name in ("chromium", "chromedriver") if shutil.which(name) is None)


@dataclass
class Browser:
    """One window."""

    root: str

    def ask(self, path: str, body: Any = None, kind: str = "POST") -> Any:
        """One command of the WebDriver protocol."""
        data = None if kind != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(f"{self.root}{path}", data, {"Content-Type": "application/json"}, method=kind)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())["value"]

    def open(self, page: Path) -> None:
        """Load a file to its end and forget what was logged before."""
        self.log()
        self.ask("/url", {"url": page.as_uri()})
        until = time.monotonic() + 60
        while not self.run(
            "return document.readyState === 'complete' && location.href === arguments[0]", page.as_uri()
        ):
            assert time.monotonic() < until, f"{page} is not loaded after a minute"
            time.sleep(0.02)  # on a busy machine the driver answers before a large page has been read

    def run(self, script: str, *given: Any) -> Any:
        """What a function body returns in the page."""
        return self.ask("/execute/sync", {"script": script, "args": list(given)})

    def log(self) -> list[str]:
        """What the console said since last asked."""
        return [line["message"] for line in self.ask("/se/log", {"type": "browser"})]

    def devtools(self, command: str, **given: Any) -> Any:
        """One command of the protocol of Chromium's developer tools."""
        return self.ask("/goog/cdp/execute", {"cmd": command, "params": given})

    def shown_as(self, *, scheme: str = "light", media: str = "", width: int = 1280) -> None:
        """Light or dark, screen or print, and how wide the window is."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.devtools("Emulation.setEmulatedMedia", media=media, features=features)
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)

    def faults(self) -> list[str]:
        """What checks.js finds wrong with the page as it is shown."""
        found: list[str] = self.run(CHECKS)
        return found

    def picture(self, path: Path) -> None:
        """The whole page as a picture."""
        shot = self.devtools("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browser() -> Iterator[Browser]:
    """A window that is closed afterwards."""
    command = ["chromedriver", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as driver:
        assert driver.stdout is not None
        line = next(line for line in driver.stdout if "successfully on port" in line)
        outer = Browser(f"http://127.0.0.1:{line.rstrip().rstrip('.').rsplit(' ', 1)[1]}")
        options = {"args": list(FLAGS), "binary": shutil.which("chromium")}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        try:
            session = outer.ask("/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
            window = Browser(f"{outer.root}/session/{session}")
            try:
                yield window
            finally:
                window.ask("", kind="DELETE")
        finally:
            driver.terminate()
            driver.wait(30)
