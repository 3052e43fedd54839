# SPDX-License-Identifier: MIT
"""One connection for threads, used by one at a time: each step has a deadline."""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import ssl
import time
from itertools import islice
from typing import Any

from .._protocol.resp import INCOMPLETE, make_reader, pack
from ..core.connect.redis_py import FOREIGN_ERRORS
from ..core.connect.tls import certificate_problem
from ..core.errors import CredentialsError, KeyfleetError, UnreachableError
from .dialer import RECEIVE_BYTES, Address, Dialer, WatchParts, format_address, make_watch
from .failures import LostError, NotSentError
from .login import Login


class Link:
    """
    One connection.

    Whoever lets go of it without closing it closes it too: an exception that a signal handler raises may come between any two steps.
    """

    def __init__(self, connection: socket.socket, address: Address, generation: int = 0) -> None:
        self.address, self.generation, self.is_closed = address, generation, False
        self.heard_at = -math.inf  # when a part of a reply came
        self.retire_at = math.inf  # when it is to be replaced by a new one, which logs in anew
        self.seat: object = None  # of its pool, which is free again when nothing refers to it
        self._socket = connection
        self._is_encrypted = isinstance(connection, ssl.SSLSocket)
        self._reader = make_reader()
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._process_id = os.getpid()

    def __del__(self) -> None:
        connection = getattr(self, "_socket", None)  # an exception may have come before it was noted
        if connection is not None:
            connection.close()

    @classmethod
    def open(cls, dialer: Dialer, address: Address, deadline: float, generation: int = 0, trouble: str = "") -> Link:
        """
        Connect; NotSentError says why not.

        Args:
            dialer: Knows how.
            address: Where to.
            deadline: Until when the connection has to be there.
            generation: Distinguishes the connections of one owner.
            trouble: Why the attempt before failed, which is what the caller hears if the time is over.
        """
        if deadline <= time.monotonic():
            raise dialer.too_late(address, trouble)
        try:
            link = cls(_connect(dialer, address, deadline), address, generation)
            link._greet(dialer, deadline)
            link.retire_at = time.monotonic() + dialer.login.connection_seconds
        except NotSentError as failure:
            if failure.__cause__ is None or not certificate_problem(failure.__cause__):
                raise
            raise dialer.not_connected(failure.__cause__, address) from failure.__cause__
        except KeyfleetError as error:
            raise NotSentError(error) from error
        except LostError as error:
            raise dialer.not_connected(error.__cause__ or UnreachableError(format_address(address), str(error)), address) from error
        except TimeoutError as error:
            raise dialer.too_late(address, trouble) from error
        except (*FOREIGN_ERRORS, UnicodeError) as error:
            raise dialer.not_connected(error, address) from error
        dialer.counters.connections_opened += 1
        return link

    def _greet(self, dialer: Dialer, deadline: float) -> None:
        """Authenticate and choose the database; a password that is refused is asked for again, once."""
        try:
            login = dialer.login.to_try or self._ask_login(dialer, None)
            trouble = self._say_hello(dialer, login, deadline)
            if trouble is not None and isinstance(trouble.cause, CredentialsError) and dialer.login.is_renewable:
                renewed = self._ask_login(dialer, login)
                if renewed != login:
                    trouble = self._say_hello(dialer, renewed, deadline)
            if trouble is not None:
                raise trouble
        except BaseException:
            self.close()
            raise

    def _ask_login(self, dialer: Dialer, refused: Login | None) -> Login:
        try:
            return dialer.login.ask(refused)
        except Exception as error:
            raise dialer.no_login(error, self.address) from error

    def _say_hello(self, dialer: Dialer, login: Login, deadline: float) -> NotSentError | None:
        commands = dialer.greeting(login)
        replies = self.exchange(b"".join(map(pack, commands)), len(commands), deadline)
        return dialer.refusal(commands, replies, self.address)

    def is_stale(self) -> bool:
        """Say whether the connection is too old, closed by the server, or got an unrequested reply; for the thread that uses it."""
        return bool(self._poll.poll(0)) or (self.retire_at < math.inf and time.monotonic() >= self.retire_at)

    @property
    def seems_alive(self) -> bool:
        """Whether nothing speaks against the connection; for any thread, also while another one uses it."""
        poll = select.poll()  # one of its own, since the kept one refuses to be used by two threads
        try:
            poll.register(self._socket, select.POLLIN)
            return not poll.poll(0)
        except (OSError, ValueError):  # it was closed meanwhile
            return False

    def fileno(self) -> int:
        """Return the number of the socket, to wait for it together with others."""
        return self._socket.fileno()

    def send(self, data: bytes, deadline: float, reply_count: int = 1) -> None:
        """Send one or more commands; a connection that failed at it is closed."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise NotSentError(UnreachableError(format_address(self.address), "no time was left to send"))
        try:
            self._socket.settimeout(None if left == math.inf else left)
            if self._is_encrypted:
                self._send_encrypted(memoryview(data), deadline)
            else:
                self._socket.sendall(data)
        except OSError as failed:
            error = self._alert() or failed
            self.close()
            if reply_count == 1:  # its end was not taken, so the server cannot have run it
                raise NotSentError(UnreachableError(format_address(self.address), str(error))) from error
            raise LostError(str(error)) from error
        except BaseException:
            self.close()
            raise

    def _alert(self) -> ssl.SSLError | None:
        """Return the alert by which a server that takes no more data said why, if it came."""
        try:
            if self._is_encrypted:
                self._socket.settimeout(0.0)
                self._socket.recv(1)
        except ssl.SSLError as alert:
            return alert if certificate_problem(alert) else None
        except OSError:
            pass
        return None

    def _send_encrypted(self, data: memoryview, deadline: float) -> None:
        """Send piece by piece, since sendall of TLS would give each piece the whole time again."""
        while data:
            data = data[self._socket.send(data) :]
            if data and deadline < math.inf:
                self._socket.settimeout(_left(deadline))

    def poll(self, deadline: float) -> Any:
        """Return the next reply, INCOMPLETE if none came in time; LostError leaves the connection closed."""
        reader = self._reader
        try:
            reply = reader.gets()
            while reply is INCOMPLETE:
                left = deadline - time.monotonic()
                if left <= 0 and not self._poll.poll(0):  # what has come is taken, whatever the time is
                    return reply
                self._socket.settimeout(None if left == math.inf else max(left, 0))
                data = self._socket.recv(RECEIVE_BYTES)
                if not data:
                    raise ConnectionError("the server closed the connection")
                reader.feed(data)
                reply = reader.gets()
                if reply is INCOMPLETE:
                    self.heard_at = time.monotonic()
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            return INCOMPLETE
        except FOREIGN_ERRORS as error:
            self.close()
            raise LostError(str(error)) from error
        except BaseException:  # as Ctrl-C: the reply that is still to come must not be taken for another one
            self.close()
            raise
        return reply

    def receive(self, deadline: float, watch: Any = None) -> Any:
        """
        Return the next reply; LostError leaves the connection closed.

        Args:
            deadline: Longest wait.
            watch: Checks from time to time whether waiting is of use, as `make_watch` says.
        """
        reply = self.poll(deadline if watch is None else min(deadline, watch.check_at))
        try:
            while reply is INCOMPLETE and watch is not None and time.monotonic() < deadline:
                if time.monotonic() >= watch.check_at:
                    watch.check(self)
                reply = self.poll(min(deadline, watch.check_at))
        except BaseException:
            self.close()
            raise
        if reply is INCOMPLETE:
            self.close()
            raise LostError("no reply in time", timed_out=True)
        return reply

    def receive_all(
        self, count: int, deadline: float, replies: list[Any], check_at: float = math.inf, watch: WatchParts | None = None
    ) -> None:
        """
        Put the next *count* replies on the list *replies*; what came before a LostError is on it.

        Args:
            count: How many replies there are to be on the list.
            deadline: Longest wait.
            replies: The list.
            check_at, watch: When to check whether waiting is of use, and the factory of the check, as for `make_watch`.
        """
        gets, watching = self._reader.gets, None
        while len(replies) < count:
            reply = self.poll(min(deadline, check_at if watching is None else watching.check_at))
            if reply is INCOMPLETE:
                watching = watching or (None if watch is None else make_watch(watch))
                reply = self.receive(deadline, watching)
            replies.append(reply)
            try:  # the fast path: what came with it waits for nothing
                replies.extend(islice(iter(gets, INCOMPLETE), count - len(replies)))
            except FOREIGN_ERRORS as error:
                self.close()
                raise LostError(str(error)) from error

    def exchange(self, data: bytes, reply_count: int, deadline: float) -> list[Any]:
        """Send commands and return their replies."""
        self.send(data, deadline, reply_count)
        return [self.receive(deadline) for _unused in range(reply_count)]

    def certificate(self) -> bytes | None:
        """Return the certificate that the server showed, in DER; None without TLS."""
        return self._socket.getpeercert(binary_form=True) if isinstance(self._socket, ssl.SSLSocket) else None

    def close(self) -> None:
        """Close the connection."""
        self.is_closed = True
        if os.getpid() == self._process_id:  # in a fork it is the parent's, and here only a copy of its file descriptor
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _connect(dialer: Dialer, address: Address, deadline: float) -> socket.socket:
    """Return a connected socket, encrypted if the settings say so; each address of a name gets an equal share of the time."""
    if isinstance(address, str):
        return _reach(socket.AF_UNIX, address, deadline)
    host, port = address
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for left_to_try, (family, _kind, _protocol, _name, place) in zip(range(len(found), 0, -1), found, strict=True):
        now = time.monotonic()
        try:
            plain = _reach(family, place, now + (deadline - now) / left_to_try)
            break
        except OSError:
            if left_to_try == 1:
                raise
    if dialer.tls is None:
        return plain
    connection = plain
    try:
        # the handshake apart, so that its time is one for all of its steps
        name = dialer.server_name(host)
        connection = encrypted = dialer.tls.get().wrap_socket(plain, server_hostname=name, do_handshake_on_connect=False)
        encrypted.settimeout(_left(deadline))
        encrypted.do_handshake()
    except BaseException:
        connection.close()
        raise
    return encrypted


def _reach(family: int, place: Any, deadline: float) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.settimeout(_left(deadline))
        connection.connect(place)
    except BaseException:
        connection.close()
        raise
    return connection


def _left(deadline: float) -> float:
    """Return the time that is left, which must not be 0: that would mean not to wait at all."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no connection in time")
    return left
