# SPDX-License-Identifier: MIT
"""
Connections for asyncio: tasks share one connection to each server, and what they send in one turn of the loop is one write.

A call puts its bytes into the outbox of the link and waits for a future; replies come in the order of the commands. A caller that
is cancelled leaves its place in that order, so that no other one gets its reply. Whoever needs a connection alone (blocking
commands, transactions, subscriptions) borrows another one.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, ParamSpec, TypeVar

from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection

from .._policy import SHORTEST_ATTEMPT_SECONDS, attempt_seconds
from .._protocol.resp import INCOMPLETE, make_reader
from ..core.connect.redis_py import FOREIGN_ERRORS
from ..core.connect.settings import Settings
from ..core.errors import ClosedError, PoolTimeoutError, UnreachableError
from .dialer import READONLY, Address, Dialer, Request, format_address
from .failures import CLOSED, Failure, LostError, NotSentError

P = ParamSpec("P")
T = TypeVar("T")

Lock = asyncio.Lock
sleep = asyncio.sleep


async def acquire(lock: asyncio.Lock, deadline: float) -> bool:
    """Take *lock* before *deadline*; say whether it was taken."""
    try:
        return await asyncio.wait_for(lock.acquire(), max(deadline - time.monotonic(), 0))
    except asyncio.TimeoutError:
        return False


async def end(nodes: Iterable[Node]) -> None:
    """Wait until closed *nodes* hold no socket any more."""
    await asyncio.gather(*(task for node in nodes for task in node.given_up), return_exceptions=True)
    await asyncio.sleep(0)  # the loop closes sockets in its next turn


async def run_blocking(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do *work*, which waits for a server by itself, in a thread."""
    return await asyncio.to_thread(work, *args, **kwargs)


def open_raw(settings: Settings) -> Any:
    """Return a redis-py client for asyncio; replies are bytes, and it connects when it is first used."""
    from .asyncio_raw import connect_asyncio

    return connect_asyncio(settings)


async def close_raw(client: Any) -> None:
    """Close a redis-py client for asyncio, and the connections over which it asks Sentinels, which redis-py leaves open."""
    await client.aclose()
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    for sentinel in manager.sentinels if manager is not None else ():
        await sentinel.aclose()


async def _abandon(connection: Any) -> None:
    """Close a connection of redis-py that was not made in time, without waiting for the server's consent, as TLS would."""
    if connection._writer is not None:
        connection._writer.transport.abort()
    await connection.disconnect(nowait=True)


class _Replies:
    """Stands in the line of waiting futures once for each reply of several commands; its own future gets the list."""

    __slots__ = ("_count", "future", "replies")

    def __init__(self, future: asyncio.Future[list[Any]], count: int) -> None:
        self.future, self._count = future, count
        self.replies: list[Any] = []

    def done(self) -> bool:
        return self.future.done()

    def set_result(self, reply: Any) -> None:
        self.replies.append(reply)
        if len(self.replies) == self._count:
            self.future.set_result(self.replies)

    def set_exception(self, error: Exception) -> None:
        if isinstance(error, LostError):
            error.replies = self.replies
        self.future.set_exception(error)


# What waits for a reply, and the deadline of the call.
_Waiting = tuple["asyncio.Future[Any] | _Replies", float]


class Link(asyncio.Protocol):
    """
    One connection: redis-py connects and authenticates, then its transport delivers here.

    Attributes:
        receiver: Takes replies that no call waits for, and the LostError that ends the connection; without one such a reply ends it.
    """

    def __init__(self, writer: asyncio.StreamWriter, address: Address, generation: int, patience_seconds: float) -> None:
        self.address, self.generation, self.is_closed = address, generation, False
        self.is_suspect = False
        self._writer, self._transport = writer, writer.transport
        self._loop = asyncio.get_running_loop()
        self._reader = make_reader()
        self._patience = max(patience_seconds / 2, SHORTEST_ATTEMPT_SECONDS)
        self._line: deque[_Waiting] = deque()
        self._outbox: list[tuple[bytes, int, _Waiting]] = []
        self._is_paused = False
        self._quiet_since = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self.receiver: Callable[[Any], None] | None = None
        self._end: LostError | None = None
        self._transport.set_protocol(self)

    @classmethod
    async def open(cls, dialer: Dialer, address: Address, deadline: float, generation: int = 0) -> Link:
        """Connect; NotSentError says why not."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise dialer.too_late(address)
        kind: type = UnixDomainSocketConnection if isinstance(address, str) else SSLConnection if dialer.settings.tls else Connection
        connection = kind(**dialer.options(address, left))
        try:
            await asyncio.wait_for(connection.connect(), left)
        except asyncio.TimeoutError as error:
            await _abandon(connection)
            raise dialer.too_late(address) from error
        except FOREIGN_ERRORS as error:
            raise dialer.not_connected(error, address) from error
        except BaseException:
            await _abandon(connection)
            raise
        dialer.counters.connections_opened += 1
        writer, connection._reader, connection._writer = connection._writer, None, None
        return cls(writer, address, generation, dialer.settings.timeout_seconds)

    def submit(self, data: bytes, deadline: float) -> asyncio.Future[Any]:
        """Put one command into the outbox; the future gets its reply, NotSentError or LostError."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._enqueue(data, 1, (future, deadline))
        return future

    def submit_many(self, data: bytes, reply_count: int, deadline: float) -> asyncio.Future[list[Any]]:
        """Put several commands into the outbox; the future gets the list of their replies, NotSentError or LostError."""
        replies = _Replies(self._loop.create_future(), reply_count)
        self._enqueue(data, reply_count, (replies, deadline))
        return replies.future

    def _enqueue(self, data: bytes, reply_count: int, waiting: _Waiting) -> None:
        if self.is_closed:
            waiting[0].set_exception(NotSentError(UnreachableError(format_address(self.address), "the connection was closed")))
            return
        if not self._outbox and not self._is_paused:
            self._loop.call_soon(self._flush)
        self._outbox.append((data, reply_count, waiting))
        if waiting[1] < self._timer_at:
            self._arm(waiting[1])

    def _flush(self) -> None:
        if self._is_paused or self.is_closed:
            return
        if not self._line:
            self._quiet_since = time.monotonic()
        outbox, self._outbox = self._outbox, []
        chunks = []
        for data, count, waiting in outbox:
            if not waiting[0].done():  # nothing is sent for a caller who left
                chunks.append(data)
                self._line.extend([waiting] * count)
        if chunks:
            self._transport.write(b"".join(chunks))

    def _arm(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        """Fail what is overdue. A connection that is silent meanwhile gets no more commands; those in the line may still be answered."""
        self._timer, self._timer_at = None, math.inf
        now = time.monotonic()
        soonest = math.inf
        for waiting, deadline in self._line:
            if waiting.done():
                continue
            if deadline <= now:
                waiting.set_exception(LostError("no reply in time", timed_out=True))
                self.is_suspect = self.is_suspect or now - self._quiet_since >= self._patience
            else:
                soonest = min(soonest, deadline)
        for _data, _count, (waiting, deadline) in self._outbox:
            if waiting.done():
                continue
            if deadline <= now:
                waiting.set_exception(NotSentError(UnreachableError(format_address(self.address), "the server takes no more data")))
                self.is_suspect = True
            else:
                soonest = min(soonest, deadline)
        if soonest < math.inf:
            self._arm(soonest)
        elif self.is_suspect:
            self.close()

    def data_received(self, data: bytes) -> None:
        """Hand out replies (called by the loop)."""
        try:
            self._reader.feed(data)
            gets, line = self._reader.gets, self._line
            reply = gets()
            if reply is not INCOMPLETE:  # bytes that dribble in keep no connection alive
                self._quiet_since = time.monotonic()
            while reply is not INCOMPLETE:
                if line:
                    waiting = line.popleft()[0]
                    if not waiting.done():
                        waiting.set_result(reply)
                elif self.receiver is not None:
                    self.receiver(reply)
                else:
                    raise ConnectionError("the server sent what nobody asked for")
                reply = gets()
            if self.is_suspect and not line:
                self.close()
        except FOREIGN_ERRORS as error:  # not RESP
            self._fail(LostError(str(error)))

    def pause_writing(self) -> None:
        """Keep commands in the outbox (called by the loop when the server does not take them)."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """Send again (called by the loop)."""
        self._is_paused = False
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail all who wait (called by the loop)."""
        self._fail(LostError(str(exc) if exc else "the server closed the connection"))

    def _fail(self, failure: LostError) -> None:
        if self._end is not None:
            return
        self._end, self.is_closed = failure, True
        if self._timer is not None:
            self._timer.cancel()
        self._transport.abort()
        for waiting, _deadline in self._line:
            if not waiting.done():
                waiting.set_exception(LostError(str(failure)))
        for _data, _count, (waiting, _deadline) in self._outbox:
            if not waiting.done():
                waiting.set_exception(NotSentError(UnreachableError(format_address(self.address), str(failure))))
        self._line.clear()
        self._outbox.clear()
        if self.receiver is not None:
            self.receiver(failure)

    def certificate(self) -> bytes | None:
        """Return the certificate that the server showed, in DER; None without TLS."""
        session = self._transport.get_extra_info("ssl_object")
        return session.getpeercert(binary_form=True) if session is not None else None

    def close(self) -> None:
        """Close the connection; who still waits gets LostError."""
        self._fail(LostError("the connection was closed"))

    def close_when_idle(self) -> None:
        """Close the connection once everyone in the line has an answer or has given up."""
        self.is_suspect = True

    @property
    def is_busy(self) -> bool:
        """Whether replies are still to come."""
        return bool(self._line or self._outbox)

    @property
    def is_awaited(self) -> bool:
        """Whether a call waits for a reply; who was cancelled or ran out of time does not."""
        waiting = [*self._line, *(item[2] for item in self._outbox)]
        return any(not place.done() for place, _deadline in waiting)

    async def send(self, data: bytes, deadline: float, reply_count: int = 0) -> None:
        """Send commands whose replies the receiver gets."""
        del deadline, reply_count  # the loop buffers what the server does not take
        if self.is_closed:
            raise NotSentError(UnreachableError(format_address(self.address), "the connection was closed"))
        self._transport.write(data)

    def hold(self, is_held: bool) -> None:
        """Read no more, so that the server has to keep what it sends; or read again."""
        if not self.is_closed:
            (self._transport.pause_reading if is_held else self._transport.resume_reading)()  # type: ignore[attr-defined]

    async def exchange(self, data: bytes, reply_count: int, deadline: float) -> list[Any]:
        """Send commands and return their replies."""
        return await self.submit_many(data, reply_count, deadline)


class Node:
    """
    The connections to one server, within one event loop.

    Attributes:
        address: Where it is.
        breaker: Counts calls to it that failed.
        given_up: Attempts to connect that were cancelled, and have not ended yet.
    """

    def __init__(self, dialer: Dialer, address: Address, *, is_replica: bool = False) -> None:
        self.address, self.breaker = address, dialer.new_breaker()
        self._dialer, self._is_replica = dialer, is_replica
        self._generation, self._is_closed = 0, False
        self._shared: Link | None = None
        self._opening: asyncio.Task[Link] | None = None
        self.given_up: set[asyncio.Task[Link]] = set()
        self._retired: set[Link] = set()
        self._idle: list[Link] = []
        self._borrowed: set[Link] = set()
        # One of the allowed connections is the shared one.
        self._allowed = asyncio.Semaphore(max(dialer.policy.max_connections - 1, 1))

    def __repr__(self) -> str:
        return f"<Node {format_address(self.address)}>"

    @property
    def is_connected(self) -> bool:
        """Whether a connection stands, as far as is known without asking."""
        return self._is_usable(self._shared) or any(not link.is_closed for link in [*self._idle, *self._borrowed])

    @property
    def connection_count(self) -> int:
        """Connections that are open now."""
        links = [self._shared, *self._retired, *self._idle, *self._borrowed]
        return sum(link is not None and not link.is_closed for link in links)

    @property
    def is_busy(self) -> bool:
        """Whether a call is on its way."""
        links = (self._shared, *self._retired, *self._borrowed)
        return self._opening is not None or any(link is not None and link.is_awaited for link in links)

    @property
    def is_exhausted(self) -> bool:
        """Whether all connections that one task may borrow for itself are in use."""
        return self._allowed.locked()

    @staticmethod
    def _is_usable(link: Link | None) -> bool:
        return link is not None and not link.is_closed and not link.is_suspect

    async def ask(self, data: bytes, deadline: float) -> Any:
        """Send one command and return its reply."""
        link = self._shared
        if link is None or link.is_closed or link.is_suspect:
            link = await self._connect(deadline)
        return await link.submit(data, deadline)

    async def exchange(self, request: Request) -> list[Any]:
        """Send the commands of *request* and return their replies."""
        if not request.is_alone:
            link = await self._connect(request.connect_deadline)
            return await link.submit_many(request.data, request.reply_count, request.deadline)
        link = await self.borrow(request.connect_deadline)
        try:
            return await link.submit_many(request.data, request.reply_count, request.deadline)
        except BaseException:  # what was sent goes on; nobody may meet it
            link.close()
            raise
        finally:
            self.give_back(link)

    async def _connect(self, deadline: float) -> Link:
        """Return the shared connection; all callers wait for one attempt to open it."""
        link = self._shared
        if link is not None and self._is_usable(link):
            return link
        if self._is_closed:
            raise NotSentError(ClosedError(CLOSED))
        self._retire_shared()
        if self._opening is None:
            limit = time.monotonic() + attempt_seconds(self._dialer.settings.timeout_seconds)  # a mute server gets no more
            self._opening = asyncio.create_task(self._open(max(deadline, limit)))
            self._opening.add_done_callback(self._opened)
        opening = self._opening
        left = deadline - time.monotonic()
        await asyncio.wait([opening], timeout=max(left, 0))
        if not opening.done():
            raise self._dialer.too_late(self.address)
        if opening.cancelled():
            raise NotSentError(UnreachableError(format_address(self.address), "the attempt to connect was given up"))
        return opening.result()

    def _opened(self, task: asyncio.Task[Link]) -> None:
        is_wanted = self._opening is task
        if is_wanted:
            self._opening = None
        if task.cancelled() or task.exception() is not None:
            return
        if is_wanted:
            self._shared = task.result()
        else:  # it was given up, and ended well in the same turn of the loop
            task.result().close()

    async def _open(self, deadline: float) -> Link:
        link = await Link.open(self._dialer, self.address, deadline, self._generation)
        if self._is_replica:
            await link.exchange(READONLY, 1, deadline)
        return link

    def _retire_shared(self) -> None:
        """Let the shared connection answer what it was asked, and close it then."""
        link, self._shared = self._shared, None
        self._retired = {old for old in self._retired if not old.is_closed}
        if link is None or link.is_closed:
            return
        if link.is_busy:
            link.close_when_idle()
            self._retired.add(link)
        else:
            link.close()

    async def borrow(self, deadline: float) -> Link:
        """Return a connection for this task alone; `give_back` must follow. NotSentError says why there is none."""
        if self._is_closed:
            raise NotSentError(ClosedError(CLOSED))
        if self._allowed.locked():
            self._dialer.counters.waits += 1
        try:
            await asyncio.wait_for(self._allowed.acquire(), max(deadline - time.monotonic(), 0))
        except asyncio.TimeoutError as error:
            busy = f"all {len(self._borrowed)} were busy; max_connections of the policy allows no more"
            raise NotSentError(PoolTimeoutError(format_address(self.address), busy)) from error
        try:
            while self._idle:
                link = self._idle.pop()
                if not link.is_closed:
                    break
            else:
                link = await self._open(deadline)
        except BaseException:
            self._allowed.release()
            raise
        self._borrowed.add(link)
        return link

    def give_back(self, link: Link) -> None:
        """Take a borrowed connection back; a closed one makes room for a new one."""
        self._borrowed.discard(link)
        self._allowed.release()
        if link.generation != self._generation or link.is_busy:
            link.close()
        if not link.is_closed:
            self._idle.append(link)

    def drop(self) -> None:
        """Use no present connection again; those in use are closed when they are given back, or have answered."""
        self._generation += 1
        if self._opening is not None:
            self._opening.cancel()
            self.given_up.add(self._opening)
            self._opening.add_done_callback(self.given_up.discard)
            self._opening = None
        self._retire_shared()
        while self._idle:
            self._idle.pop().close()

    def close(self) -> None:
        """Close all connections for good."""
        self._is_closed = True
        self.drop()
        for link in [*self._retired, *self._borrowed]:
            link.close()


class Engines(Generic[T]):
    """
    Keeps the engines of a client: one for each event loop and process, since connections belong to a loop.

    Args:
        make: Makes an engine.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make, self._is_open = make, True
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engine: T | None = None
        self._engines: dict[asyncio.AbstractEventLoop, T] = {}
        _holders.add(self)

    def current(self) -> T:
        """Return the engine of the running loop; ClosedError after `close`."""
        loop = asyncio.get_running_loop()
        engine = self._engine
        return engine if engine is not None and loop is self._loop else self._of(loop)

    def _of(self, loop: asyncio.AbstractEventLoop) -> T:
        if not self._is_open:
            raise ClosedError(CLOSED)
        for old in [old for old in self._engines if old.is_closed()]:
            del self._engines[old]
        engine = self._engines.get(loop)
        if engine is None:
            engine = self._engines[loop] = self._make()
        self._loop, self._engine = loop, engine
        return engine

    @property
    def is_open(self) -> bool:
        """Whether it serves, as it does until `close`."""
        return self._is_open

    def reopen(self) -> None:
        """Serve again after `close`."""
        self._is_open = True

    def close(self) -> list[T]:
        """Serve no longer; return the engine of the running loop, which the caller closes. Connections end with their loop."""
        self._is_open = False
        engine = self._engines.get(asyncio.get_running_loop())
        self.forget()
        return [] if engine is None else [engine]

    def all(self) -> list[T]:
        """Return the engines that exist."""
        return list(self._engines.values())

    def forget(self) -> None:
        """Start without engines, as a forked process must."""
        self._loop = self._engine = None
        self._engines = {}


_holders: weakref.WeakSet[Engines[Any]] = weakref.WeakSet()


def _forget_in_child() -> None:
    for holder in _holders:
        holder.forget()


os.register_at_fork(after_in_child=_forget_in_child)


async def exchange_all(requests: Sequence[Request]) -> list[list[Any] | Failure]:
    """
    Send every request and wait for all replies: servers work side by side.

    Returns:
        The replies, or the failure, of each request, in their order.
    """
    if len(requests) == 1:
        return [await _outcome(requests[0])]
    return await asyncio.gather(*(_outcome(request) for request in requests))


async def _outcome(request: Request) -> list[Any] | Failure:
    try:
        return await request.node.exchange(request)  # type: ignore[no-any-return]
    except (NotSentError, LostError) as failure:
        return failure
