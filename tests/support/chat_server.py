"""A chat server on the loopback that does what a test's script says: answers, refuses, stalls, breaks off.

It speaks real HTTP over a real socket. Every request is kept, so that a test can see what was sent.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Script:
    """Replies to `/v1/chat/completions`, one after another (the last one again and again); other paths."""

    replies: list[Callable[[Connection], None]] = field(default_factory=list)
    paths: dict[str, Any] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    url: str = ""

    @property
    def chats(self) -> list[Request]:
        return [each for each in self.requests if each.path == "/v1/chat/completions"]


@dataclass
class Connection:
    """The server's side of one request."""

    handler: BaseHTTPRequestHandler

    def head(self, status: int, kind: str, headers: dict[str, str] | None = None) -> None:
        self.handler.send_response(status)
        self.handler.send_header("Content-Type", kind)
        self.handler.send_header("Connection", "close")
        for name, value in (headers or {}).items():
            self.handler.send_header(name, value)
        self.handler.end_headers()

    def send(self, data: bytes) -> None:
        self.handler.wfile.write(data)
        self.handler.wfile.flush()


def event(text: str = "", finish: str | None = None, **extra: Any) -> bytes:
    delta = {"content": text} if text else {}
    value = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **extra}
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def usage(prompt: int, answer: int) -> bytes:
    value = {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": answer}}
    return f"data: {json.dumps(value)}\n\n".encode()


DONE = b"data: [DONE]\n\n"


def streaming(*chunks: bytes) -> Callable[[Connection], None]:
    def reply(connection: Connection) -> None:
        connection.head(200, "text/event-stream")
        for chunk in chunks:
            connection.send(chunk)

    return reply


def answering(*texts: str, finish: str = "stop", prompt_tokens: int = 100) -> Callable[[Connection], None]:
    """A well-behaved answer."""
    pieces = [event(text) for text in texts]
    return streaming(*pieces, event(finish=finish), usage(prompt_tokens, len(texts)), DONE)


def refusing(
    status: int, body: Any = None, headers: dict[str, str] | None = None, kind: str = "application/json"
) -> Callable[[Connection], None]:
    def reply(connection: Connection) -> None:
        connection.head(status, kind, headers)
        connection.send(body.encode() if isinstance(body, str) else json.dumps(body or {}).encode())

    return reply


def resetting(*chunks: bytes) -> Callable[[Connection], None]:
    """Sends what it has, then closes the connection hard, as a killed server does."""

    def reply(connection: Connection) -> None:
        if chunks:
            connection.head(200, "text/event-stream", {"Transfer-Encoding": "chunked"})
            for chunk in chunks:
                connection.send(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        raw = connection.handler.connection
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        raw.close()

    return reply


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Script

    def do_GET(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._serve(json.loads(raw) if raw else None)

    def _serve(self, body: Any) -> None:
        script = self.script
        script.requests.append(Request(self.command, self.path, dict(self.headers.items()), body))
        connection = Connection(self)
        self.close_connection = True
        try:
            if self.path == "/v1/chat/completions" and script.replies:
                number = min(len(script.chats), len(script.replies)) - 1
                script.replies[number](connection)
            elif self.path in script.paths:
                found = script.paths[self.path]
                refusing(200, found(body) if callable(found) else found)(connection)
            else:
                refusing(404, {"error": "no such path"})(connection)
        except (BrokenPipeError, ConnectionResetError):
            return  # the client went away, which is what some tests are about

    def log_message(self, *_: Any) -> None:
        return


@contextmanager
def chat_server(*replies: Callable[[Connection], None], **paths: Any) -> Iterator[Script]:
    """A running server; `paths` are further paths without their slash, `__` standing for one."""
    script = Script(list(replies), {"/" + name.replace("__", "/"): value for name, value in paths.items()})
    handler = type("Handler", (_Handler,), {"script": script})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
