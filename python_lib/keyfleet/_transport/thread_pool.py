# SPDX-License-Identifier: MIT
"""Connections for threads: a bounded pool for each server, one thread at a time on a connection."""

from __future__ import annotations

import contextlib
import math
import os
import select
import ssl
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, ParamSpec, TypeVar

from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection

from .._protocol.resp import INCOMPLETE, make_reader, pack
from ..core.connect.client import close, connect
from ..core.connect.redis_py import FOREIGN_ERRORS, AnyClient
from ..core.connect.settings import Settings
from ..core.errors import ClosedError, PoolTimeoutError, UnreachableError
from .dialer import READONLY, RECEIVE_BYTES, Address, Dialer, Request, format_address
from .failures import CLOSED, Failure, LostError, NotSentError

P = ParamSpec("P")
T = TypeVar("T")

Lock = threading.Lock
sleep = time.sleep


def acquire(lock: threading.Lock, deadline: float) -> bool:
    """Take *lock* before *deadline*; say whether it was taken."""
    return lock.acquire(timeout=max(deadline - time.monotonic(), 0))


def end(nodes: Iterable[Node]) -> None:
    """Do nothing: *nodes* that were closed hold no socket any more."""


def run_blocking(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do *work*, which waits for a server by itself."""
    return work(*args, **kwargs)


def open_raw(settings: Settings) -> AnyClient:
    """Return a redis-py client."""
    return connect(settings)


def close_raw(client: AnyClient) -> None:
    """Close a redis-py client."""
    close(client)


def _no_greeting(_connection: Any) -> None:
    """Leave a new connection as it is."""


class Link:
    """One connection: redis-py connects, then its socket is read and written here, each step before a deadline."""

    def __init__(self, connection: Any, address: Address, generation: int) -> None:
        self.address, self.generation, self.is_closed = address, generation, False
        self._connection, self._socket = connection, connection._sock
        self._reader = make_reader()
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    @classmethod
    def open(cls, dialer: Dialer, address: Address, deadline: float, generation: int = 0) -> Link:
        """Connect; NotSentError says why not."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise dialer.too_late(address)
        kind: type = UnixDomainSocketConnection if isinstance(address, str) else SSLConnection if dialer.settings.tls else Connection
        # redis-py's own greeting would give each read its whole time again, so that a reply that dribbles in never ends
        connection = kind(**dialer.options(address, left), redis_connect_func=_no_greeting)
        try:
            connection.connect()
        except FOREIGN_ERRORS as error:
            raise dialer.not_connected(error, address) from error
        link = cls(connection, address, generation)
        link._greet(dialer, deadline)
        dialer.counters.connections_opened += 1
        return link

    def _greet(self, dialer: Dialer, deadline: float) -> None:
        """Authenticate and choose the database; NotSentError leaves the connection closed."""
        commands = dialer.greeting()
        try:
            self.send(b"".join(map(pack, commands)), deadline, len(commands))
            for command in commands:
                dialer.check_greeting(command, self.receive(deadline), self.address)
        except LostError as error:
            raise NotSentError(UnreachableError(format_address(self.address), str(error))) from error
        except BaseException:
            self.close()
            raise

    def is_stale(self) -> bool:
        """Say whether the server closed the connection, or sent what nobody asked for."""
        return bool(self._poll.poll(0))

    def fileno(self) -> int:
        """Return the number of the socket, to wait for it together with others."""
        return self._socket.fileno()  # type: ignore[no-any-return]

    def send(self, data: bytes, deadline: float, reply_count: int = 1) -> None:
        """Send one or more commands; a connection that failed at it is closed."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise NotSentError(UnreachableError(format_address(self.address), "no time was left to send"))
        try:
            self._socket.settimeout(None if left == math.inf else left)
            self._socket.sendall(data)
        except OSError as error:
            self.close()
            if reply_count == 1:  # its end was not taken, so the server cannot have run it
                raise NotSentError(UnreachableError(format_address(self.address), str(error))) from error
            raise LostError(str(error)) from error
        except BaseException:
            self.close()
            raise

    def poll(self, deadline: float) -> Any:
        """Return the next reply, INCOMPLETE if none came in time; LostError leaves the connection closed."""
        reader = self._reader
        try:
            reply = reader.gets()
            while reply is INCOMPLETE:
                left = deadline - time.monotonic()
                if left <= 0:
                    return reply
                self._socket.settimeout(None if left == math.inf else left)
                data = self._socket.recv(RECEIVE_BYTES)
                if not data:
                    raise ConnectionError("the server closed the connection")
                reader.feed(data)
                reply = reader.gets()
        except TimeoutError:
            return INCOMPLETE
        except FOREIGN_ERRORS as error:
            self.close()
            raise LostError(str(error)) from error
        except BaseException:  # as Ctrl-C: the reply that is still to come must not be taken for another one
            self.close()
            raise
        return reply

    def receive(self, deadline: float) -> Any:
        """Return the next reply; LostError leaves the connection closed."""
        reply = self.poll(deadline)
        if reply is INCOMPLETE:
            self.close()
            raise LostError("no reply in time", timed_out=True)
        return reply

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
        self._connection.disconnect()


class _Place:
    """
    The place of a thread in the line for a connection.

    Attributes:
        served: Set when the thread may go on.
        link: The connection that it gets; None for the leave to open one.
    """

    __slots__ = ("link", "served")

    def __init__(self) -> None:
        self.served = threading.Event()
        self.link: Link | None = None


class Node:
    """
    The connections to one server.

    Attributes:
        address: Where it is.
        breaker: Counts calls to it that failed.
    """

    def __init__(self, dialer: Dialer, address: Address, *, is_replica: bool = False) -> None:
        self.address, self.breaker = address, dialer.new_breaker()
        self._dialer, self._is_replica = dialer, is_replica
        self._generation, self._is_closed = 0, False
        self._idle: deque[Link] = deque()
        self._open_count = 0
        self._line: deque[_Place] = deque()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Node {format_address(self.address)}>"

    @property
    def is_connected(self) -> bool:
        """Whether a connection stands, as far as is known without asking."""
        return any(not link.is_stale() for link in list(self._idle)) or self._open_count > len(self._idle)

    @property
    def connection_count(self) -> int:
        """Connections that are open now."""
        return self._open_count

    @property
    def is_exhausted(self) -> bool:
        """Whether all connections that there may be are in use."""
        return not self._idle and self._open_count >= self._dialer.policy.max_connections

    def ask(self, data: bytes, deadline: float) -> Any:
        """Send one command and return its reply."""
        link = self.borrow(deadline)
        try:
            link.send(data, deadline)
            reply = link.receive(deadline)
        except BaseException:  # Ctrl-C may come between the two
            link.close()
            self.give_back(link)
            raise
        self.give_back(link)
        return reply

    def borrow(self, deadline: float) -> Link:
        """Return a connection for this thread alone; `give_back` must follow. NotSentError says why there is none."""
        while True:
            try:
                link = self._idle.pop()
            except IndexError:
                found = self._open_or_wait(deadline)
                if found is None:
                    return self._open(deadline)
                link = found
            if not link.is_stale():
                return link
            link.close()
            self.give_back(link)

    def _open_or_wait(self, deadline: float) -> Link | None:
        """Return a connection that was given back, or None for the leave to open one."""
        with self._lock:
            if self._is_closed:
                raise NotSentError(ClosedError(CLOSED))
            place = _Place()
            self._line.append(place)  # before the look at the idle ones: who gives one back from now on sees the line
            self._serve()
            if not place.served.is_set():
                self._dialer.counters.waits += 1
        try:
            place.served.wait(max(deadline - time.monotonic(), 0))
        except BaseException:
            self._leave(place)
            raise
        with self._lock:
            if place.served.is_set():
                return place.link
            self._line.remove(place)
        busy = f"all {self._open_count} connections were busy; max_connections of the policy allows no more"
        raise NotSentError(PoolTimeoutError(format_address(self.address), busy))

    def _serve(self) -> None:
        """Give those in the line, the first one first, what there is for them; the lock is held."""
        while self._line:
            link = None
            try:
                link = self._idle.pop()
            except IndexError:
                if self._open_count >= self._dialer.policy.max_connections:
                    return
                self._open_count += 1
            place = self._line.popleft()
            place.link = link
            place.served.set()

    def _leave(self, place: _Place) -> None:
        """Give up a place in the line, and what came with it meanwhile."""
        with self._lock:
            if not place.served.is_set():
                self._line.remove(place)
                return
        if place.link is None:
            self._not_opened()
        else:
            self.give_back(place.link)

    def _open(self, deadline: float) -> Link:
        try:
            if self._is_closed:  # while this thread stood in the line
                raise NotSentError(ClosedError(CLOSED))
            link = Link.open(self._dialer, self.address, deadline, self._generation)
            if self._is_replica:
                link.exchange(READONLY, 1, deadline)
        except BaseException:
            self._not_opened()
            raise
        return link

    def _not_opened(self) -> None:
        with self._lock:
            self._open_count -= 1
            self._serve()

    def give_back(self, link: Link) -> None:
        """Take a borrowed connection back: for the next in the line, or for later; a closed one makes room for a new one."""
        if link.generation != self._generation and not link.is_closed:
            link.close()
        if not link.is_closed:
            self._idle.append(link)
            if not self._line:  # what is seldom needs the lock
                return
        with self._lock:
            if link.is_closed:
                self._open_count -= 1
            self._serve()

    def drop(self) -> None:
        """Use no present connection again; those in use are closed when they are given back."""
        self._generation += 1
        with contextlib.suppress(IndexError):
            while True:
                link = self._idle.pop()
                link.close()
                self.give_back(link)

    def close(self) -> None:
        """Close all connections for good; those in use when they are given back."""
        self._is_closed = True
        self.drop()

    @property
    def is_busy(self) -> bool:
        """Whether a call is on its way."""
        return self._open_count > len(self._idle)


class Engines(Generic[T]):
    """
    Keeps the engine of a client: threads share it, a forked process gets its own.

    Args:
        make: Makes an engine.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make, self._is_open = make, True
        self._engine: T | None = None
        self._making = threading.Lock()
        _holders.add(self)

    def current(self) -> T:
        """Return the engine for the caller; ClosedError after `close`."""
        return self._engine or self._first()

    def _first(self) -> T:
        with self._making:
            if not self._is_open:
                raise ClosedError(CLOSED)
            if self._engine is None:
                self._engine = self._make()
            return self._engine

    @property
    def is_open(self) -> bool:
        """Whether it serves, as it does until `close`."""
        return self._is_open

    def reopen(self) -> None:
        """Serve again after `close`."""
        self._is_open = True

    def close(self) -> list[T]:
        """Serve no longer; return the engines, which the caller closes."""
        with self._making:
            self._is_open = False
            engine, self._engine = self._engine, None
            return [] if engine is None else [engine]

    def all(self) -> list[T]:
        """Return the engines that exist."""
        return [] if self._engine is None else [self._engine]

    def forget(self) -> None:
        """Start without an engine in a forked process: connections and locks are the parent's."""
        self._engine, self._making = None, threading.Lock()


_holders: weakref.WeakSet[Engines[Any]] = weakref.WeakSet()


def _forget_in_child() -> None:
    for holder in _holders:
        holder.forget()


os.register_at_fork(after_in_child=_forget_in_child)


def exchange_all(requests: Sequence[Request]) -> list[list[Any] | Failure]:
    """
    Send every request, then read all replies: servers work side by side.

    Returns:
        The replies, or the failure, of each request, in their order.
    """
    results: list[list[Any] | Failure] = [LostError("not sent")] * len(requests)
    sent: list[tuple[int, Link]] = []
    try:
        # In one order everywhere, so that no two threads wait for each other's connections.
        for index in sorted(range(len(requests)), key=lambda index: format_address(requests[index].node.address)):
            request = requests[index]
            try:
                link = request.node.borrow(request.connect_deadline)
                sent.append((index, link))
                link.send(request.data, request.deadline, request.reply_count)
            except (NotSentError, LostError) as failure:
                results[index] = failure
        for index, link in sent:
            if not link.is_closed:
                results[index] = _replies(link, requests[index])
    except BaseException:
        for _unused, link in sent:
            link.close()
        raise
    finally:
        for index, link in sent:
            requests[index].node.give_back(link)
    return results


def _replies(link: Link, request: Request) -> list[Any] | Failure:
    replies: list[Any] = []
    try:
        while len(replies) < request.reply_count:
            replies.append(link.receive(request.deadline))
    except LostError as failure:
        failure.replies = replies
        return failure
    return replies
