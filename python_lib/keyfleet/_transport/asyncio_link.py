# SPDX-License-Identifier: MIT
"""
One connection for asyncio, which tasks share: what they send in one turn of the loop is one write.

A call puts its bytes into the outbox and waits for a future; replies come in the order of the commands. A caller that is cancelled
leaves its place in that order, so that no other one gets its reply.
"""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, cast

from .._policy import SHORTEST_ATTEMPT_SECONDS
from .._protocol.resp import INCOMPLETE, make_reader, pack
from ..core.connect.redis_py import FOREIGN_ERRORS
from ..core.errors import CredentialsError, KeyfleetError, UnreachableError
from .dialer import Address, Dialer, WatchParts, format_address, make_watch
from .failures import LostError, NotSentError
from .login import Login, LoginSource

_Future = asyncio.Future  # of C, whatever the loop is; its create_future is one more call


class _Replies:
    """Takes one place in the line of waiting futures for each reply of several commands; its own future gets the list."""

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


# What waits for a reply, until when, and what decides then whether it waits on.
_Waiting = tuple["asyncio.Future[Any] | _Replies", float, WatchParts | None]


class Link(asyncio.Protocol):
    """
    One connection.

    Attributes:
        heard_at: When something came that may be a part of a reply.
        receiver: Takes replies that no call waits for, and the LostError that ends the connection; without one such a reply ends it.
    """

    def __init__(self, address: Address, generation: int, timeout_seconds: float) -> None:
        self.address, self.generation, self.is_closed = address, generation, False
        self.is_suspect = False
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._reader = make_reader()
        self._silence_limit = max(timeout_seconds / 2, SHORTEST_ATTEMPT_SECONDS)
        self._line: deque[_Waiting] = deque()
        self._outbox: list[tuple[bytes, int, _Waiting]] = []
        self._is_paused = False
        self._quiet_since = self.heard_at = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._retirement: asyncio.TimerHandle | None = None  # when a new connection, which logs in anew, replaces it
        self.receiver: Callable[[Any], None] | None = None
        self._end: LostError | None = None
        self._inspections: set[asyncio.Task[None]] = set()  # a loop keeps no tasks alive

    @classmethod
    async def open(cls, dialer: Dialer, address: Address, deadline: float, generation: int = 0, trouble: str = "") -> Link:
        """
        Connect; NotSentError says why not.

        Args:
            dialer: Knows how.
            address: Where to.
            deadline: Until when the connection has to be there.
            generation: Distinguishes the connections of one owner.
            trouble: Why the attempt before failed, which is what the caller hears if the time is over.
        """
        left = deadline - time.monotonic()
        if left <= 0:
            raise dialer.too_late(address, trouble)
        link = cls(address, generation, dialer.settings.timeout_seconds)
        # A task of its own, since asyncio.wait keeps a cancellation that comes together with the result, and wait_for before 3.12 does not.
        attempt = asyncio.create_task(link._begin(dialer, deadline))
        attempt.add_done_callback(_take_error)
        try:
            await asyncio.wait([attempt], timeout=left)
            if not attempt.done():
                raise dialer.too_late(address, trouble)
            attempt.result()
        except BaseException as error:
            link.close()
            if attempt.cancel() and not isinstance(error, GeneratorExit):
                await asyncio.wait([attempt])  # its socket is closed then
            raise
        dialer.counters.connections_opened += 1
        if dialer.login.connection_seconds < math.inf:
            link._retirement = link._loop.call_later(dialer.login.connection_seconds, link.close_when_idle)
        return link

    async def _begin(self, dialer: Dialer, deadline: float) -> None:
        try:
            await self._connect(dialer)
            await self._greet(dialer, deadline)
        except (NotSentError, asyncio.CancelledError):
            self.close()
            raise
        except LostError as error:
            self.close()
            raise dialer.not_connected(
                error.__cause__ or UnreachableError(format_address(self.address), str(error)), self.address
            ) from error
        except KeyfleetError as error:
            self.close()
            raise NotSentError(error) from error
        except (*FOREIGN_ERRORS, UnicodeError) as error:
            self.close()
            raise dialer.not_connected(error, self.address) from error

    async def _connect(self, dialer: Dialer) -> None:
        if isinstance(self.address, str):
            await self._loop.create_unix_connection(lambda: self, self.address)
            return
        host, port = self.address
        context = None if dialer.tls is None else dialer.tls.get()
        await self._loop.create_connection(lambda: self, host, port, ssl=context, server_hostname=dialer.server_name(host))

    async def _greet(self, dialer: Dialer, deadline: float) -> None:
        """Authenticate and choose the database; a password that is refused is asked for again, once."""
        login = dialer.login.to_try or await self._ask_login(dialer, None)
        trouble = await self._say_hello(dialer, login, deadline)
        if trouble is not None and isinstance(trouble.cause, CredentialsError) and dialer.login.is_renewable:
            renewed = await self._ask_login(dialer, login)
            if renewed != login:
                trouble = await self._say_hello(dialer, renewed, deadline)
        if trouble is not None:
            raise trouble

    async def _ask_login(self, dialer: Dialer, refused: Login | None) -> Login:
        source: LoginSource = dialer.login
        try:
            return await (source.ask_waiting(refused) if source.waits else asyncio.to_thread(source.ask, refused))
        except Exception as error:
            raise dialer.no_login(error, self.address) from error

    async def _say_hello(self, dialer: Dialer, login: Login, deadline: float) -> NotSentError | None:
        commands = dialer.greeting(login)
        replies = await self.submit_many(b"".join(map(pack, commands)), len(commands), deadline)
        return dialer.refusal(commands, replies, self.address)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin (called by the loop)."""
        self._transport = cast("asyncio.Transport", transport)
        if self.is_closed:
            self._transport.abort()
            return
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def submit(self, data: bytes, until: float, watch: WatchParts | None = None) -> asyncio.Future[Any]:
        """
        Put one command into the outbox; the future gets its reply, NotSentError or LostError.

        Args:
            data: The command.
            until: When waiting ends, or is watched.
            watch: Decides from then on how long to wait.
        """
        future: asyncio.Future[Any] = _Future(loop=self._loop)
        self._enqueue(data, 1, (future, until, watch))
        return future

    def submit_many(self, data: bytes, reply_count: int, until: float, watch: WatchParts | None = None) -> asyncio.Future[list[Any]]:
        """Put several commands into the outbox, as `submit` does one; the future gets the list of their replies."""
        replies = _Replies(self._loop.create_future(), reply_count)
        self._enqueue(data, reply_count, (replies, until, watch))
        return replies.future

    def _inspect(self, late: Iterable[tuple[asyncio.Future[Any] | _Replies, WatchParts]]) -> None:
        for waiting, watch in late:
            task = self._loop.create_task(self._wait_on(waiting, make_watch(watch)))
            self._inspections.add(task)
            task.add_done_callback(self._inspections.discard)

    async def _wait_on(self, waiting: asyncio.Future[Any] | _Replies, watch: Any) -> None:
        """End the wait for a reply that is late when its time is over, or *watch* finds that it is of no use."""
        future = waiting.future if isinstance(waiting, _Replies) else waiting
        try:
            while not future.done():
                now = time.monotonic()
                if now >= watch.deadline:
                    self.is_suspect = self.is_suspect or now - self._quiet_since >= self._silence_limit
                    raise LostError("no reply in time", timed_out=True)
                if now >= watch.check_at:
                    await watch.check(self)
                await asyncio.wait([future], timeout=max(min(watch.deadline, watch.check_at) - time.monotonic(), 0))
        except Exception as error:  # noqa: BLE001 - it is the caller's, whatever it is
            if not future.done():
                waiting.set_exception(error)
        finally:
            if not future.done():  # the loop ends
                waiting.set_exception(LostError("the wait for the reply was cancelled"))
            if self.is_suspect and not self.is_awaited:
                self.close()

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
        chunks, line = [], self._line
        for data, count, waiting in outbox:
            if waiting[0].done():  # nothing is sent for a caller who left
                continue
            chunks.append(data)
            if count == 1:
                line.append(waiting)
            else:
                line.extend([waiting] * count)
        if chunks and self._transport is not None:
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
        late: list[tuple[asyncio.Future[Any] | _Replies, WatchParts]] = []
        for position, (waiting, deadline, watch) in enumerate(self._line):
            if waiting.done():
                continue
            if deadline <= now and watch is not None:
                if not late or waiting is not late[-1][0]:  # several replies wait in the line one behind the other
                    late.append((waiting, watch))
                self._line[position] = waiting, math.inf, None
            elif deadline <= now:
                waiting.set_exception(LostError("no reply in time", timed_out=True))
                self.is_suspect = self.is_suspect or now - self._quiet_since >= self._silence_limit
            else:
                soonest = min(soonest, deadline)
        for _data, _count, (waiting, deadline, _watch) in self._outbox:
            if waiting.done():
                continue
            if deadline <= now:
                waiting.set_exception(NotSentError(UnreachableError(format_address(self.address), "the server takes no more data")))
                self.is_suspect = True
            else:
                soonest = min(soonest, deadline)
        if soonest < math.inf:
            self._arm(soonest)
        elif self.is_suspect and not self.is_awaited:
            self.close()
        self._inspect(late)

    def data_received(self, data: bytes) -> None:
        """Hand out replies (called by the loop)."""
        try:
            self.heard_at = time.monotonic()
            self._reader.feed(data)
            gets, line = self._reader.gets, self._line
            reply = gets()
            if reply is not INCOMPLETE:  # bytes that dribble in keep no connection alive
                self._quiet_since = self.heard_at
            while reply is not INCOMPLETE:
                if line:
                    waiting = line.popleft()[0]
                    if not waiting.done():
                        waiting.set_result(reply)
                elif self.receiver is not None:
                    self.receiver(reply)
                else:
                    raise ConnectionError("the server sent an unrequested reply")
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
        failure = LostError(str(exc) if exc else "the server closed the connection")
        failure.__cause__ = exc
        self._fail(failure)

    def _fail(self, failure: LostError) -> None:
        if self._end is not None:
            return
        self._end, self.is_closed = failure, True
        for timer in (self._timer, self._retirement):
            if timer is not None:
                timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        for waiting, _deadline, _watch in self._line:
            if not waiting.done():
                lost = LostError(str(failure))
                lost.__cause__ = failure.__cause__
                waiting.set_exception(lost)
        for _data, _count, (waiting, _deadline, _watch) in self._outbox:
            if not waiting.done():
                waiting.set_exception(NotSentError(UnreachableError(format_address(self.address), str(failure))))
        self._line.clear()
        self._outbox.clear()
        if self.receiver is not None:
            self.receiver(failure)

    def certificate(self) -> bytes | None:
        """Return the certificate that the server showed, in DER; None without TLS."""
        session = None if self._transport is None else self._transport.get_extra_info("ssl_object")
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
        return any(not place.done() for place, _deadline, _watch in waiting)

    async def send(self, data: bytes, deadline: float, reply_count: int = 1) -> None:
        """Send commands whose replies the receiver gets."""
        del deadline, reply_count  # the loop buffers what the server does not take
        if self.is_closed or self._transport is None:
            raise NotSentError(UnreachableError(format_address(self.address), "the connection was closed"))
        self.post(data)

    def post(self, data: bytes) -> None:
        """Send commands whose replies the receiver gets, unless the connection is closed."""
        if not self.is_closed and self._transport is not None:
            self._transport.write(data)

    def hold(self, is_held: bool) -> None:
        """Read no more, so that the server has to keep what it sends; or read again."""
        if not self.is_closed and self._transport is not None:
            (self._transport.pause_reading if is_held else self._transport.resume_reading)()

    async def exchange(self, data: bytes, reply_count: int, deadline: float) -> list[Any]:
        """Send commands and return their replies."""
        return await self.submit_many(data, reply_count, deadline)


def _take_error(attempt: asyncio.Task[None]) -> None:
    """Mark the error of an attempt to connect as seen, also where the caller has left."""
    if not attempt.cancelled():
        attempt.exception()
