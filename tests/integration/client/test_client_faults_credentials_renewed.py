# SPDX-License-Identifier: MIT
"""Passwords that change: a provider is asked again, once, when the server refuses what it returned before."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from keyfleet import AsyncClient, Client, CredentialsError, PasswordFile, RotatingPassword, Settings
from keyfleet.core.connect.client import close
from keyfleet.core.connect.redis_py import AnyClient
from keyfleet.testing._server import wait_until
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Server
from support.clients import Blocking, Loop

NEW = "another-password"


@pytest.fixture
def proxy(password_server: Server) -> Iterator[FaultProxy]:
    """A proxy in front of a server with a password, which has its first one again at the end."""
    with FaultProxy(password_server) as proxy:
        admin = password_server.client()
        admin.ping()
        yield proxy
        admin.execute_command("ACL", "SETUSER", "default", "resetpass", f">{password_server.password}")
        close(admin)


@pytest.fixture
def admin(password_server: Server) -> Iterator[AnyClient]:
    """A connection that stays, whatever the password is."""
    client = password_server.client()
    client.ping()
    yield client
    close(client)


class Opened:
    """Opens clients of one kind with credentials."""

    def __init__(self, kind: str) -> None:
        self._loop = Loop() if kind == "async" else None
        self._clients: list[Any] = []

    def __call__(self, settings: Settings, credentials: Any = None) -> Client:
        kind: Any = Client if self._loop is None else AsyncClient
        client = kind.from_settings(settings, credentials=credentials)
        self._clients.append(client if self._loop is None else Blocking(self._loop, client))
        return self._clients[-1]  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close all of them."""
        for client in self._clients:
            client.close()
        if self._loop is not None:
            self._loop.stop()


@pytest.fixture(params=["sync", "async"])
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    """Open clients of both kinds in turn."""
    opener = Opened(request.param)
    yield opener
    opener.close()


def change_password(admin: AnyClient, proxy: FaultProxy) -> None:
    """Let the server accept only the new password, and end the connections that there are."""
    admin.execute_command("ACL", "SETUSER", "default", "resetpass", f">{NEW}")
    proxy.close_connections()
    wait_until(lambda: proxy.open_connections == 0, "the connections to end")
    proxy.reset_counts()


def test_a_password_file_is_read_again(tmp_path: Path, opened: Opened, proxy: FaultProxy, admin: AnyClient) -> None:
    """The call that meets the new password succeeds; the one refused attempt and the good one share a connection."""
    file = tmp_path / "password"
    file.write_text(f"{proxy.settings().password}\n", encoding="utf-8")
    client = opened(proxy.settings(password=None, password_file=str(file), timeout_seconds=5.0))
    client.set("k", "v")
    file.write_text(f"{NEW}\r\n", encoding="utf-8")
    change_password(admin, proxy)
    assert "v" == client.get("k")
    assert (2, 1) == (proxy.commands["AUTH"], proxy.total_connections)


def test_a_file_that_still_holds_the_refused_password_is_tried_once(
    tmp_path: Path, opened: Opened, proxy: FaultProxy, admin: AnyClient
) -> None:
    """Sending it again would only lock the account."""
    file = tmp_path / "password"
    file.write_text(str(proxy.settings().password), encoding="utf-8")
    client = opened(proxy.settings(password=None, password_file=str(file), timeout_seconds=5.0))
    client.ping()
    change_password(admin, proxy)
    with pytest.raises(CredentialsError):
        client.ping()
    assert 1 == proxy.commands["AUTH"]


def test_a_callable_is_asked_when_it_is_needed(opened: Opened, proxy: FaultProxy, admin: AnyClient) -> None:
    """For the first connection, and once for a refused one; user name and password, or the password alone."""
    answers: list[Any] = [("default", proxy.settings().password), NEW]
    asked: list[Any] = []

    def provide() -> Any:
        asked.append(answers[len(asked)])
        return asked[-1]

    client = opened(proxy.settings(password=None, timeout_seconds=5.0), provide)
    assert [] == asked
    client.set("k", "v")
    client.get("k")
    assert answers[:1] == asked
    change_password(admin, proxy)
    assert "v" == client.get("k")
    assert answers == asked


def test_rotating_passwords(opened: Opened, proxy: FaultProxy, admin: AnyClient) -> None:
    """Whichever of both is valid."""
    client = opened(proxy.settings(password=None, timeout_seconds=5.0), RotatingPassword(NEW, str(proxy.settings().password)))
    client.set("k", "v")
    change_password(admin, proxy)
    assert "v" == client.get("k")


def test_many_threads_ask_once(proxy: FaultProxy, admin: AnyClient) -> None:
    """Connections that are refused at the same time share what the provider returns then."""
    asked = 0
    lock = threading.Lock()
    first = str(proxy.settings().password)

    def provide() -> str:
        nonlocal asked
        with lock:
            asked += 1
            return first if asked == 1 else NEW

    with Client.from_settings(proxy.settings(password=None, timeout_seconds=10.0), credentials=provide) as client:
        client.set("k", "v")
        change_password(admin, proxy)
        with ThreadPoolExecutor(8) as pool:
            assert ["v"] * 40 == list(pool.map(lambda _number: client.get("k"), range(40)))
    assert 2 == asked


def test_a_provider_that_is_awaited(proxy: FaultProxy) -> None:
    """AsyncClient takes a coroutine function as well."""

    async def provide() -> str:
        await asyncio.sleep(0)
        return str(proxy.settings().password)

    async def work() -> bool:
        async with AsyncClient.from_settings(proxy.settings(password=None), credentials=provide) as client:
            return await client.ping()

    assert asyncio.run(work())


@pytest.mark.parametrize("given", ["secret-1\n", 5, None, ("u", None), ("a", "b", "secret-1")])
def test_a_provider_that_returns_no_password(opened: Opened, proxy: FaultProxy, given: Any) -> None:
    """It is named, nothing is sent, and no error holds what it returned."""
    client = opened(proxy.settings(password=None, timeout_seconds=5.0), lambda: given)
    with pytest.raises(Exception, match="the provider of credentials") as caught:
        client.ping()
    assert "secret-1" not in f"{caught.value!r} {caught.value}"
    assert 0 == proxy.commands["AUTH"]


def test_a_provider_that_fails(opened: Opened, proxy: FaultProxy) -> None:
    """Its text may hold a secret; its error is the cause."""

    def provide() -> str:
        raise ValueError("secret-1")

    client = opened(proxy.settings(password=None, timeout_seconds=5.0), provide)
    with pytest.raises(CredentialsError, match="failed with ValueError") as caught:
        client.ping()
    assert "secret-1" not in f"{caught.value!r} {caught.value}"


@pytest.mark.parametrize("username", [None, "nobody"])
def test_a_password_where_the_server_has_none(opened: Opened, redis_server: Server, username: str | None) -> None:
    """Both clients say that the credentials were refused, and never repeat the password."""
    client = opened(redis_server.settings(username=username, password="secret-1"))
    with pytest.raises(CredentialsError) as caught:
        client.get("k")
    assert "secret-1" not in str(caught.value)


def test_providers_print_no_secret(tmp_path: Path) -> None:
    """Error trackers print local variables."""
    assert "secret-1" not in repr(RotatingPassword("secret-1"))
    assert repr(PasswordFile(tmp_path / "p")) == f"PasswordFile('{tmp_path / 'p'}')"
    with pytest.raises(ValueError, match="at least one"):
        RotatingPassword()
