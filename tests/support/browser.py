"""A real browser without a window, spoken to through pipes: what a page runs, asks for and shows."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SWITCHES = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync", "--disable-extensions")
SILENT = ("--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND")
LIMIT_S = 60.0


@dataclass
class Opened:
    """What happened while a page was opened."""

    requests: list[str] = field(default_factory=list)
    """Addresses that were asked for, the page's own left out, and so are `data:` ones."""
    said: list[str] = field(default_factory=list)
    """Dialogs, complaints and lines on the console."""
    title: str = ""
    text: str = ""
    """All text of the page, also what is folded away."""
    scripts: int = 0
    owned: bool = False
    """Whether anything set the attribute `data-owned`."""


def find_browser() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class PageLeftError(Exception):
    """The page has sent the browser elsewhere."""


class Browser:
    """One browser, which opens page after page."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._number, self._buffer = folder, 0, b""
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        (theirs, self._to), (self._from, back) = os.pipe(), os.pipe()
        command = [str(find_browser()), *SWITCHES, *SILENT, "--remote-debugging-pipe"]
        command += [f"--user-data-dir={self.folder}", "about:blank"]

        def connect() -> None:
            # The browser reads from 3 and writes to 4. Copies first: either number may be one of ours.
            one, other = os.dup(theirs), os.dup(back)
            os.dup2(one, 3)
            os.dup2(other, 4)

        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, preexec_fn=connect, close_fds=False, start_new_session=True, **quiet)
        os.close(theirs)
        os.close(back)
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._from, selectors.EVENT_READ)
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for area in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{area}.enable", session=self._session)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._ready.close()
        os.close(self._to)
        os.close(self._from)

    def open(self, page: Path) -> Opened:
        """Open a file, let it settle, and tell what it did."""
        self._events.clear()
        opened = Opened()
        frame = self.ask("Page.navigate", session=self._session, url=page.as_uri())
        assert "errorText" not in frame, frame
        self._until("Page.loadEventFired")
        try:
            # What a handler starts, or a script after a moment, still counts.
            self._value("new Promise(done => setTimeout(done, 60))")
            opened.owned = self._value("document.documentElement.hasAttribute('data-owned')")
            opened.scripts = self._value("document.scripts.length")
            opened.title = self._value("document.title")
            opened.text = self._value("document.body.textContent")
        except PageLeftError:
            opened.said.append("the page led to another one")
        for event in self._events:
            self._note(event, opened, page.as_uri())
        return opened

    def _note(self, event: dict[str, Any], opened: Opened, own: str) -> None:
        name, details = event["method"], event.get("params", {})
        if name == "Network.requestWillBeSent":
            address = details["request"]["url"]
            if address != own and not address.startswith("data:"):
                opened.requests.append(address)
        elif name == "Page.javascriptDialogOpening":
            opened.said.append(f"dialog {details['message']}")
        elif name in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            opened.said.append(json.dumps(details)[:300])

    def _value(self, expression: str) -> Any:
        answer = self.ask(
            "Runtime.evaluate", session=self._session, expression=expression, awaitPromise=True, returnByValue=True
        )
        return answer["result"].get("value")

    def ask(self, method: str, *, session: str = "", **parameters: Any) -> dict[str, Any]:
        """One command and its answer; what happens meanwhile is kept."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": session} if session else {}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                if "navigated" in str(answer.get("error")):
                    raise PageLeftError
                assert "error" not in answer, f"{method}: {answer}"
                result: dict[str, Any] = answer["result"]
                return result

    def _until(self, event: str) -> None:
        while not any(one["method"] == event for one in self._events):
            self._next()

    def _next(self) -> dict[str, Any]:
        """The next message; a dialog is answered at once, because the page waits for it."""
        limit = time.monotonic() + LIMIT_S
        while b"\0" not in self._buffer:
            assert self._ready.select(limit - time.monotonic()), f"the browser says nothing for {LIMIT_S} s"
            data = os.read(self._from, 1 << 16)
            assert data, "the browser has ended"
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if "method" in message:
            self._events.append(message)
            if message["method"] == "Page.javascriptDialogOpening":
                self._number += 1
                reply = {"id": self._number, "method": "Page.handleJavaScriptDialog", "params": {"accept": False}}
                os.write(self._to, json.dumps(reply | {"sessionId": self._session}).encode() + b"\0")
        return message
