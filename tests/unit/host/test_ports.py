# SPDX-License-Identifier: MIT
"""Who listens where, shown by sockets of this process."""

from __future__ import annotations

import os
import pwd
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from keyfleet.core.host import ports

ANY = "0.0.0.0"  # noqa: S104 - listened on for a moment, by a test about just that


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    """Close the sockets of a test."""
    with ExitStack() as stack:
        yield stack


def listen(sockets: ExitStack, host: str, *, only_v6: bool = False) -> int:
    """Listen on a free port and return it."""
    server = sockets.enter_context(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET))
    if ":" in host:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only_v6))
    server.bind((host, 0))
    server.listen()
    return int(server.getsockname()[1])


def taken(host: str, port: int) -> bool:
    """Return whether a process listens there."""
    return ports.listener(host, port) is not None


def test_a_listener_is_named_with_its_process_and_user(sockets: ExitStack) -> None:
    """The message is for an operator."""
    port = listen(sockets, "127.0.0.1")
    found = ports.listener("127.0.0.1", port)

    assert found is not None
    assert (f"127.0.0.1:{port}", os.getpid()) == (found.address, found.pid)
    assert f"{found.process} (pid {os.getpid()}" in str(found)


@pytest.mark.parametrize(
    ("listening", "wanted", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", ANY, True),
        ("127.0.0.1", "*", True),
        ("127.0.0.1", "::1", False),
        ("127.0.0.1", "::", False),
        (ANY, "127.0.0.1", True),
        (ANY, "127.0.0.2", True),
        ("::1", "::1", True),
        ("::1", "::*", True),
        ("::1", "127.0.0.1", False),
        ("::", "::1", True),
        ("::", "127.0.0.1", True),
    ],
)
def test_wildcards_conflict_with_every_address_of_their_family(sockets: ExitStack, listening: str, wanted: str, expected: bool) -> None:
    """As the kernel decides when a server binds; `::` takes IPv4 too."""
    assert expected == taken(wanted, listen(sockets, listening))


def test_a_wildcard_for_ipv6_alone_leaves_ipv4_free(sockets: ExitStack) -> None:
    """The tables do not show it, so the address is tried."""
    port = listen(sockets, "::", only_v6=True)

    assert (True, False, False) == (taken("::1", port), taken("127.0.0.1", port), taken("*", port))


def test_a_bound_socket_that_does_not_listen_is_no_listener(sockets: ExitStack) -> None:
    """Nor is a connection."""
    idle = sockets.enter_context(socket.socket())
    idle.bind(("127.0.0.1", 0))

    assert not taken("127.0.0.1", idle.getsockname()[1])


def test_a_unix_socket_has_a_listener_too(sockets: ExitStack, tmp_path: Path) -> None:
    """By its path."""
    server = sockets.enter_context(socket.socket(socket.AF_UNIX))
    server.bind(str(tmp_path / "s"))
    before = ports.unix_listener(str(tmp_path / "s"))
    server.listen()
    found = ports.unix_listener(str(tmp_path / "s"))

    assert (None, os.getpid()) == (before, found and found.pid)


@pytest.mark.skipif(sys.byteorder != "little", reason="the samples are of a little-endian machine")
@pytest.mark.parametrize(
    ("digits", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("00000000", ANY),
        ("00000000000000000000000001000000", "::1"),
        ("B80D0120000000000000000001000000", "2001:db8::1"),
        ("0000000000000000FFFF00000100007F", "127.0.0.1"),
    ],
)
def test_addresses_of_the_kernel_are_decoded(digits: str, address: str) -> None:
    """IPv4, IPv6 and IPv4 in IPv6."""
    assert address == str(ports.decode(digits))


@pytest.mark.parametrize(
    ("line", "unit"),
    [
        ("0::/system.slice/redis-server.service\n", "redis-server.service"),
        ("0::/system.slice/system-keyfleet.slice/keyfleet@cache.service\n", "keyfleet@cache.service"),
        ("2:cpu:/\n1:name=systemd:/system.slice/redis-server.service\n0::/\n", "redis-server.service"),
        ("0::/user.slice/user-0.slice/session-1.scope\n", None),
        ("0::/\n", None),
    ],
)
def test_the_unit_of_a_process_is_read_from_its_control_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, unit: str | None
) -> None:
    """Version 1 and 2 of control groups."""
    (tmp_path / "1").mkdir()
    (tmp_path / "1/cgroup").write_text(line)
    monkeypatch.setattr(ports, "_PROC", tmp_path)

    assert unit == ports.unit_of(1)


def test_a_process_that_may_not_be_seen_is_unknown_and_not_an_error() -> None:
    """An ordinary user sees the socket and its owner."""
    shown = str(ports.Listener("0.0.0.0:6379", user="redis"))

    assert "a process that this user may not see of user redis on 0.0.0.0:6379" == shown


def test_an_unseen_process_is_known_by_its_user() -> None:
    """Root in a container without CAP_SYS_PTRACE cannot see which process holds the socket of another user."""
    mine = pwd.getpwuid(os.geteuid()).pw_name
    seen, unseen, other = (
        ports.Listener("x", pid=os.getpid(), user=mine),
        ports.Listener("x", user=mine),
        ports.Listener("x", user="nobody-else"),
    )

    assert (True, False, False) == (seen.held_by(os.getpid()), seen.held_by(os.getppid()), seen.held_by(None))
    assert (True, False, False) == (unseen.held_by(os.getpid()), unseen.held_by(None), other.held_by(os.getpid()))
