"""A small real server that speaks the chat-completions protocol, well or badly as told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["Visit"], None]


class Visit(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    body: dict[str, Any]
    count: int
    """How many requests came before with the same messages."""

    def do_POST(self) -> None:
        endpoint: Endpoint = self.server.endpoint  # type: ignore[attr-defined]
        self.body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        words = json.dumps(self.body["messages"])
        with endpoint.lock:
            self.count = sum(json.dumps(body["messages"]) == words for body in endpoint.bodies)
            endpoint.bodies.append(self.body)
            endpoint.headers.append({name.lower(): text for name, text in self.headers.items()})
            endpoint.paths.append(self.path)
        endpoint.behaviour(self)

    def say(self, text: str | None, *, finish_reason: str = "stop", **more: Any) -> None:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": finish_reason}
        usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
        head = {"id": "x", "object": "chat.completion", "created": 1, "model": self.body["model"]}
        self.raw(200, json.dumps(head | {"choices": [choice], "usage": usage} | more))

    def raw(self, status: int, text: str, headers: dict[str, str] | None = None, *, claim: int = 0) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data) + claim))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        if claim:
            self.close_connection = True

    def error(self, status: int, text: str = "no", headers: dict[str, str] | None = None) -> None:
        self.raw(status, json.dumps({"error": {"message": text, "type": "x", "code": None}}), headers)

    def log_message(self, *arguments: Any) -> None:
        pass


class Endpoint:
    """The server in a thread; `behaviour` may be changed at any time."""

    def __init__(self) -> None:
        self.behaviour: Behaviour = lambda visit: visit.say("Fine. [[6]]")
        self.lock = threading.Lock()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Visit)
        self.server.daemon_threads = True
        self.server.endpoint = self  # type: ignore[attr-defined]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """The first behaviour for the first time that something is asked, and so on; the last one stays."""
    return lambda visit: behaviours[min(visit.count, len(behaviours) - 1)](visit)


def slowly(behaviour: Behaviour, seconds: float) -> Behaviour:
    def act(visit: Visit) -> None:
        time.sleep(seconds)
        behaviour(visit)

    return act
