# SPDX-License-Identifier: MIT
"""Real HTTP servers on loopback for applications under test, and one request to them."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any

import uvicorn
from keyfleet.testing._server import wait_until
from werkzeug.serving import make_server


@dataclass
class Reply:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: str


class Browser:
    """Sends requests to one server, and keeps its cookies."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.cookies: dict[str, str] = {}

    def request(self, method: str, path: str, body: str = "", headers: Mapping[str, str] | None = None) -> Reply:
        """Send one request on a connection of its own."""
        sent = dict(headers or {})
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, body or None, sent)
            answer = connection.getresponse()
            reply = Reply(answer.status, dict(answer.getheaders()), answer.read().decode())
            for header in answer.headers.get_all("Set-Cookie", []):
                self._keep(header)
        finally:
            connection.close()
        return reply

    def get(self, path: str) -> Reply:
        """Send a GET."""
        return self.request("GET", path)

    def post(self, path: str, body: str = "") -> Reply:
        """Send a POST."""
        return self.request("POST", path, body)

    def _keep(self, header: str) -> None:
        for name, morsel in SimpleCookie(header).items():
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value


@contextmanager
def asgi_server(app: Any) -> Iterator[int]:
    """Serve *app* with uvicorn, and give the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            wait_until(lambda: server.started, "uvicorn")
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(30)


@contextmanager
def wsgi_server(app: Any) -> Iterator[int]:
    """Serve *app* with werkzeug, a thread for each request, and give the port."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(30)
        server.server_close()
