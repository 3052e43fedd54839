# SPDX-License-Identifier: MIT
"""Connecting to every kind of deployment, and what goes wrong: which error, how often it was tried, and no secret in it."""

from __future__ import annotations

import contextlib
import socket
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from keyfleet.core.connect.client import close, connect
from keyfleet.core.connect.primaries import primaries
from keyfleet.core.connect.redis_py import translated
from keyfleet.core.connect.settings import Settings
from keyfleet.core.errors import (
    CertificateError,
    CredentialsError,
    DeniedError,
    KeyfleetError,
    ServerError,
    SettingsError,
    UnreachableError,
)
from keyfleet.testing._server import wait_until
from keyfleet.testing.servers import Cluster, Server, start_server
from support.targets import Target

SECRET = "hunter2-s3cret"


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[Any]:
    """Connect, translate errors, close."""
    with translated(settings):
        client = connect(settings)
        try:
            yield client
        finally:
            close(client)


def error_of(settings: Settings, *command: Any) -> KeyfleetError:
    """Return the error that *command* (PING) ends with; its whole chain must not hold the password."""
    with pytest.raises(KeyfleetError) as caught, opened(settings) as client:
        client.execute_command(*(command or ("PING",)))
    assert not settings.password or settings.password not in "".join(traceback.format_exception(caught.value))
    return caught.value


def test_every_target_stores_bytes(target: Target) -> None:
    """The client speaks bytes whatever stands behind it."""
    with opened(target.settings()) as client:
        client.set("k", b"\xff\x00")
        assert b"\xff\x00" == client.get("k")


def test_primaries_hold_all_keys(target: Target) -> None:
    """What one client writes is found on the primaries together, once."""
    with opened(target.settings()) as client:
        for number in range(100):
            client.set(f"k{number}", "v")
        nodes = primaries(client)
        assert (3 if isinstance(target, Cluster) else 1) == len(nodes)
        assert 100 == sum(node.client.dbsize() for node in nodes)
        assert len(nodes) == len({node.address for node in nodes})


def test_connecting_sends_no_surprises(tmp_path: Path) -> None:
    """No HELLO, no maintenance notifications: proxies and managed services know neither."""
    with start_server(tmp_path) as server:
        with opened(server.settings()) as client:
            client.ping()
        with opened(server.settings()) as client:
            seen = set(client.info("commandstats"))
    assert set() == seen - {"cmdstat_ping", "cmdstat_client|setinfo"}


def test_close_ends_the_connections(target: Target) -> None:
    """redis-py keeps a pool that it did not make; close does not."""

    def connected() -> int:
        return sum(node.client.info("clients")["connected_clients"] for node in primaries(watcher))

    with opened(target.settings()) as watcher:
        before = connected()
        with opened(target.settings()) as client:
            for node in primaries(client):
                node.client.ping()
            assert connected() > before
        wait_until(lambda: before == connected(), "the servers to see the connections closed")


def test_database_numbers_are_kept_apart(redis_server: Server) -> None:
    """db selects; the other database stays empty."""
    with opened(redis_server.settings(db=3)) as third, opened(redis_server.settings()) as first:
        third.set("k", "v")
        assert (1, 0) == (third.dbsize(), first.dbsize())


def test_threads_share_a_client(redis_server: Server) -> None:
    """Twenty threads, no increment lost or doubled."""
    with opened(redis_server.settings()) as client:
        threads = [threading.Thread(target=lambda: [client.incr("n") for _unused in range(50)]) for _unused in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert b"1000" == client.get("n")


# Credentials and permissions


@pytest.mark.parametrize("password", ["wrong-" + SECRET, None])
def test_wrong_and_missing_passwords(password_server: Server, password: str | None) -> None:
    """Both are the credentials' fault, not the network's."""
    error = error_of(password_server.settings(password=password))
    assert isinstance(error, CredentialsError)
    assert f"127.0.0.1:{password_server.port}" == error.address


def test_a_password_where_none_is_set(redis_server: Server) -> None:
    """The server refuses AUTH, and so do we."""
    assert isinstance(error_of(redis_server.settings(username="app", password=SECRET)), CredentialsError)


def test_a_refused_password_is_tried_once(tmp_path: Path) -> None:
    """redis-py 8 tries eleven times, which locks accounts."""
    with start_server(tmp_path, password=SECRET) as server:
        error_of(server.settings(password="wrong", retry_attempts=5, retry_delay_ms=1))
        with opened(server.settings()) as client:
            assert 1 == client.info("commandstats")["cmdstat_auth"]["failed_calls"]


def test_an_acl_user_is_denied_what_it_may_not(tmp_path: Path) -> None:
    """Commands, keys and commands that do not exist: all are not available to this user."""
    users = ["default off", f"app on >{SECRET} ~app:* +@all -config -get"]
    with start_server(tmp_path, directives={"user": users}) as server:
        settings = server.settings(username="app", password=SECRET)
        with opened(settings) as client:
            assert client.set("app:k", "v")
        commands = (("CONFIG", "GET", "port"), ("GET", "app:k"), ("SET", "k", "v"), ("NOSUCH", "x"))
        denied = [error_of(settings, *command) for command in commands]
    assert [DeniedError] * len(denied) == [type(error) for error in denied]
    expected = [("command", "config get"), ("command", "get"), ("key", ""), ("command", "nosuch")]
    assert expected == [(getattr(error, "kind", None), getattr(error, "command", None)) for error in denied]


# The network


def test_nothing_listens(tmp_path: Path) -> None:
    """The address is named, the reason is the system's."""
    with start_server(tmp_path) as server:
        settings = server.settings(retry_attempts=0)
    error = error_of(settings)
    assert isinstance(error, UnreachableError)
    assert f"cannot reach 127.0.0.1:{server.port}: Error 111 connecting to 127.0.0.1:{server.port}. Connection refused." == str(error)


def test_a_missing_socket(tmp_path: Path) -> None:
    """The path is the address."""
    error = error_of(Settings(unix_socket=str(tmp_path / "s"), retry_attempts=0))
    assert isinstance(error, UnreachableError)
    assert f"unix:{tmp_path / 's'}" == error.address


def test_an_unknown_host() -> None:
    """A name that does not resolve is an address that cannot be reached."""
    assert isinstance(error_of(Settings(host="no-such-host.invalid", retry_attempts=0)), UnreachableError)


def test_connecting_is_tried_again_as_often_as_asked() -> None:
    """A listener that hangs up sees the first attempt and each further one."""
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _unused = listener.accept()
                    seen.append(connection.recv(100))
                    connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        settings = Settings(port=listener.getsockname()[1], password=SECRET, retry_attempts=3, retry_delay_ms=1)
        error = error_of(settings)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert isinstance(error, UnreachableError)
    assert 4 == len([data for data in seen if data])


def test_a_server_that_comes_up_meanwhile_is_reached(tmp_path: Path) -> None:
    """That is what the further attempts are for."""
    with start_server(tmp_path) as server:
        server.kill()
        starter = threading.Thread(target=server.start)
        with opened(server.settings(retry_attempts=50, retry_delay_ms=10)) as client:
            starter.start()
            assert client.ping()
        starter.join()


def test_a_silent_server_costs_one_timeout(tmp_path: Path) -> None:
    """Time for connecting is bounded as a whole: with a timeout used up there is no further attempt."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = Settings(port=listener.getsockname()[1], password=SECRET, timeout_seconds=0.2, retry_attempts=1000, retry_delay_ms=1)
        error = error_of(settings)
        listener.settimeout(1)
        listener.accept()[0].close()
        listener.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert isinstance(error, UnreachableError)


def test_a_restarted_server_needs_no_care(tmp_path: Path) -> None:
    """The pooled connection is dead, the next command does not notice, and runs once."""
    with start_server(tmp_path) as server, opened(server.settings()) as client:
        client.ping()
        server.restart()
        assert 1 == client.incr("n")


def test_a_connection_that_the_server_closed_needs_no_care(redis_server: Server) -> None:
    """As after the server's idle timeout."""
    with opened(redis_server.settings()) as client, opened(redis_server.settings()) as admin:
        client.ping()
        admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert 1 == client.incr("n")


# TLS


def test_tls_checks_the_certificate(tmp_path: Path) -> None:
    """An unknown CA, a name that is not in the certificate: both end the connection; tls_verify turns both off."""
    other = tmp_path / "other"
    with start_server(tmp_path / "a", tls=True) as first:
        unknown_ca = error_of(first.settings(tls_ca_file=None, retry_attempts=0))
        other.mkdir()
        for file in (tmp_path / "a").glob("*.*"):
            if file.suffix in (".crt", ".key"):
                (other / file.name).write_bytes(file.read_bytes())
    with start_server(other, tls=True, host="127.0.0.2") as second:
        wrong_name = error_of(second.settings(retry_attempts=0))
        with opened(second.settings(tls_verify=False)) as client:
            assert client.ping()
    assert [CertificateError, CertificateError] == [type(unknown_ca), type(wrong_name)]
    assert "certificate is not accepted" in str(unknown_ca)
    assert "IP address mismatch" in str(wrong_name)


def test_plain_against_tls_and_tls_against_plain(tmp_path: Path, redis_server: Server) -> None:
    """Neither hangs, both are unreachable."""
    with start_server(tmp_path, tls=True) as secure:
        plain = error_of(secure.settings(tls=False, tls_ca_file=None, retry_attempts=0, timeout_seconds=0.5))
    assert isinstance(plain, UnreachableError)
    assert isinstance(error_of(redis_server.settings(tls=True, retry_attempts=0, timeout_seconds=0.5)), UnreachableError)


def test_a_missing_certificate_file_is_a_matter_of_settings(tmp_path: Path) -> None:
    """redis-py would call it a failed connection."""
    with pytest.raises(SettingsError, match=r"tls_ca_file is '/nowhere/ca.crt', which is not a readable file"):
        connect(Settings(tls=True, tls_ca_file="/nowhere/ca.crt"))


# What a server answers


def test_an_error_of_the_server_is_passed_on(redis_server: Server) -> None:
    """Its own words, with the address."""
    with opened(redis_server.settings()) as client:
        client.set("k", "text")
    assert f"127.0.0.1:{redis_server.port}: value is not an integer or out of range" == str(error_of(redis_server.settings(), "INCR", "k"))


def test_a_pipeline_error_does_not_quote_the_command(redis_server: Server) -> None:
    """redis-py puts the command, and so the value, into the text."""
    with opened(redis_server.settings()) as client:
        client.set("k", "text")
    with pytest.raises(ServerError) as caught, opened(redis_server.settings()) as client:
        client.pipeline(transaction=False).set("other", SECRET).execute_command("HSET", "k", "field", SECRET).execute()
    assert SECRET not in str(caught.value)
    assert "WRONGTYPE" in str(caught.value)


def test_data_that_cannot_be_sent_is_refused(redis_server: Server) -> None:
    """A dict is no value; nothing was sent."""
    error = error_of(redis_server.settings(), "SET", "k", {"a": 1})
    assert "RefusedError" == type(error).__name__


def test_translated_leaves_our_errors_and_foreign_ones_alone() -> None:
    """Nothing is wrapped twice, and a bug in the block stays a bug."""
    for error in (SettingsError("x"), KeyError("x")):
        with pytest.raises(type(error)) as caught, translated(Settings()):
            raise error
        assert error is caught.value


def test_the_cause_is_kept() -> None:
    """The original error is there for whoever debugs."""
    with pytest.raises(UnreachableError) as caught, translated(Settings()):
        raise redis.TimeoutError("Timeout reading from socket")
    assert isinstance(caught.value.__cause__, redis.TimeoutError)
