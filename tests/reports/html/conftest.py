"""A small WebDriver client (W3C protocol over urllib) for Debian's chromium and chromedriver; no selenium."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DRIVER = shutil.which("chromedriver")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One window of a headless chromium."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--autoplay-policy=no-user-gesture-required",
            "--mute-audio",
        ]
        wanted = {
            "goog:chromeOptions": {"binary": CHROMIUM, "args": args},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.base += f"/session/{made['sessionId']}"

    def _call(self, how: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=how)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()[:1000]) from error

    def open(self, page: Path, width: int = 1280, height: int = 900) -> None:
        """Load a file in a viewport of exactly that many CSS pixels."""
        self.cdp(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self._call("POST", "/url", {"url": page.resolve().as_uri()})

    def run(self, script: str, *args: Any) -> Any:
        """A function body's return value; a promise is awaited."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(args)})

    def until(self, script: str, seconds: float = 60.0) -> None:
        """Wait for a script to return something true."""
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, f"still not true after {seconds} s: {script}"
            time.sleep(0.05)

    def press(self, key: str) -> None:
        """One key, to where the focus is."""
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def cdp(self, command: str, **params: Any) -> Any:
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def dark(self, on: bool) -> None:
        value = "dark" if on else "light"
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def console(self) -> list[str]:
        """Warnings and errors since the last call."""
        rows = self._call("POST", "/se/log", {"type": "browser"})
        return [row["message"] for row in rows if row["level"] in ("WARNING", "SEVERE")]

    def requests(self) -> list[str]:
        """Addresses asked for since the last call."""
        rows = self._call("POST", "/se/log", {"type": "performance"})
        messages = [json.loads(row["message"])["message"] for row in rows]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def screenshot(self, path: Path, whole: bool = False) -> None:
        shot = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        self._call("DELETE", "")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless chromium; skips where there is none (Debian: apt-get install chromium chromium-driver)."""
    if DRIVER is None or CHROMIUM is None:
        pytest.skip("chromium and chromedriver are not installed")
    log = tmp_path_factory.mktemp("chromedriver") / "log.txt"
    with open(log, "w") as file:
        env = {**os.environ, "HOME": str(log.parent)}
        process = subprocess.Popen([DRIVER, "--port=0"], stdout=file, stderr=subprocess.STDOUT, env=env)
    try:
        port = _port(log, process)
        found = Browser(port)
        yield found
        found.close()
    finally:
        process.terminate()
        process.wait(10)


def _port(log: Path, process: subprocess.Popen[bytes]) -> int:
    """The port that chromedriver chose."""
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        for line in log.read_text().splitlines():
            if "started successfully on port " in line:
                return int(line.split("on port ")[1].strip(" ."))
        time.sleep(0.05)
    pytest.skip(f"chromedriver does not start: {log.read_text()[-300:]}")
