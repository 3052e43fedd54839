# SPDX-License-Identifier: MIT
"""
Providers of tokens: asked for each connection, and connections replaced before the service would end them.

A server that accepts whatever token was made last stands for the service: the test sets its password to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
import pytest
from keyfleet import AsyncClient, Client
from keyfleet.contrib.aws import IamCredentials
from keyfleet.core.connect.client import close
from keyfleet.core.connect.redis_py import AnyClient
from keyfleet.testing._server import wait_until
from keyfleet.testing.servers import Server
from support.clients import Blocking, Loop

SECONDS = 0.4


class Service:
    """Makes tokens as `IamCredentials` does, and lets the server accept each until *lifetime_seconds* are over."""

    per_connection = True

    def __init__(self, admin: AnyClient, connection_seconds: float) -> None:
        session = botocore.session.Session()
        session.set_credentials("AKIDEXAMPLE", "secret")
        self._provider = IamCredentials("my-cache", "iam-user", region="us-east-1", session=session)
        self._admin, self.connection_seconds, self.tokens = admin, connection_seconds, []  # type: ignore[var-annotated]

    def __call__(self) -> tuple[str, str]:
        user, token = self._provider()
        self.tokens.append(token)
        self._admin.execute_command("ACL", "SETUSER", user, "reset", "on", f">{token}", "~*", "&*", "+@all")
        return user, token


@pytest.fixture
def admin(redis_server: Server) -> Iterator[AnyClient]:
    """A client that may change users."""
    client = redis_server.client()
    yield client
    client.execute_command("ACL", "DELUSER", "iam-user")
    close(client)


Opened = Callable[[Any, Any], Any]


@pytest.fixture(params=["sync", "async"])
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    """Open clients of both kinds in turn."""
    clients: list[Any] = []
    if request.param == "sync":
        yield lambda settings, credentials: clients.append(Client.from_settings(settings, credentials=credentials)) or clients[-1]
        clients[-1].close()
        return
    loop = Loop()
    yield (
        lambda settings, credentials: (
            clients.append(AsyncClient.from_settings(settings, credentials=credentials)) or Blocking(loop, clients[-1])
        )
    )
    loop.run(clients[-1].close())
    loop.stop()


def test_each_connection_has_a_token_of_its_own(redis_server: Server, admin: AnyClient, opened: Opened) -> None:
    """None is kept: one that was signed with keys of a role ends with them."""
    service = Service(admin, 3600.0)
    client = opened(redis_server.settings(timeout_seconds=5.0), service)
    for number in range(3):
        assert number + 1 == client.incr("n")
        admin.execute_command("CLIENT", "KILL", "USER", "iam-user")
    assert 3 == len(service.tokens)
    assert all(token.startswith("my-cache/?Action=connect&User=iam-user&") for token in service.tokens)


def test_connections_are_replaced_before_they_end(redis_server: Server, admin: AnyClient, opened: Opened) -> None:
    """Calls before, at and after the replacement succeed, and every connection logged in with a token of its own."""
    service = Service(admin, SECONDS)
    client = opened(redis_server.settings(timeout_seconds=5.0), service)
    until, calls = time.monotonic() + 5 * SECONDS, 0
    while time.monotonic() < until:
        calls += 1
        assert calls == client.incr("n")
    assert 3 <= len(service.tokens) == client.stats.connections_opened
    wait_until(lambda: len([one for one in admin.client_list() if one["user"] == "iam-user"]) <= 1, "old connections to be closed")


def test_a_transaction_is_not_interrupted(redis_server: Server, admin: AnyClient, opened: Opened) -> None:
    """Between two transactions a connection is replaced, never within one."""
    client = opened(redis_server.settings(timeout_seconds=5.0), Service(admin, SECONDS))
    until, calls = time.monotonic() + 3 * SECONDS, 0
    while time.monotonic() < until:
        calls += 1
        with client.pipeline(transaction=True) as pipeline:
            pipeline.incr("n")
            pipeline.incr("m")
            assert [calls, calls] == list(pipeline.execute())
