"""The real Chromium, told what to do over a pipe by its own protocol: pages opened, measured and pictured."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select
from typing import Any

import pytest

__all__ = ["Browser", "browsing"]

OPTIONS = (
    "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
    " --disable-component-update --disable-quic --hide-scrollbars --remote-debugging-pipe"
)
#: Seconds for an answer.
PATIENCE = 60


class Browser:
    """One tab, in a width and a colour scheme."""

    def __init__(self, into: int, out: int) -> None:
        self.into, self.out = into, out
        self.rest = b""
        self.number = 0
        self.session = ""
        #: Addresses that were asked for since the page was opened, its own included.
        self.asked: list[str] = []
        #: What the page complained of.
        self.complaints: list[str] = []
        self.events: list[str] = []

    def call(self, method: str, **given: Any) -> dict[str, Any]:
        """Call a method of the protocol, and return its result."""
        self.number += 1
        asked: dict[str, Any] = {"id": self.number, "method": method, "params": given}
        if self.session:
            asked["sessionId"] = self.session
        os.write(self.into, json.dumps(asked).encode() + b"\0")
        while (answer := self._message()).get("id") != self.number:
            self._event(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            assert select([self.out], [], [], PATIENCE)[0], "the browser does not answer"
            piece = os.read(self.out, 1 << 16)
            assert piece, "the browser has ended"
            self.rest += piece
        message, _, self.rest = self.rest.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        return told

    def _event(self, event: dict[str, Any]) -> None:
        method, given = event.get("method", ""), event.get("params", {})
        self.events.append(method)
        if method == "Network.requestWillBeSent":
            self.asked.append(given["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(given["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(given["exceptionDetails"]))

    def start(self) -> None:
        """Open a tab."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def open(self, file: Path, width: int = 1400, scheme: str = "light") -> None:
        """Open a file in a window of a width, for people who like it light or dark; wait until it is there."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.asked, self.complaints, self.events = [], [], []
        self.call("Page.navigate", url=file.as_uri())
        while "Page.loadEventFired" not in self.events:
            self._event(self._message())

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression on the page."""
        told = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def picture(self) -> bytes:
        """Return a picture of the whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        told = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(told["data"])


@contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """Run a browser while the context lasts; skip the test if there is none."""
    if not shutil.which("chromium"):
        pytest.skip("chromium is not installed")
    (its_in, into), (out, its_out) = os.pipe(), os.pipe()
    # Those are the numbers at which it reads and writes.
    command = f'exec chromium {OPTIONS} "--user-data-dir=$1" 3<&{its_in} 4>&{its_out}'
    with subprocess.Popen(
        ["bash", "-c", command, "chromium", str(profile)],
        pass_fds=(its_in, its_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(its_in)
        os.close(its_out)
        try:
            browser = Browser(into, out)
            browser.start()
            yield browser
            browser.session = ""
            with suppress(AssertionError, OSError):
                browser.call("Browser.close")
        finally:
            process.terminate()
            for descriptor in (into, out):
                os.close(descriptor)
