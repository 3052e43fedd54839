# SPDX-License-Identifier: MIT
"""
Connections for asyncio: tasks share one to each server; whoever needs one alone (blocking commands, transactions) borrows another.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from .._policy import attempt_seconds
from .._protocol.identity import Identity
from ..core.errors import ClosedError, PoolTimeoutError, UnreachableError
from .asyncio_link import Link
from .asyncio_waits import DeadlineLock, Seats
from .dialer import Address, Dialer, Request, WatchParts, format_address
from .failures import CLOSED, MOVED_ON, Failure, LostError, NotSentError, StrangerError


async def end(nodes: Iterable[Node]) -> None:
    """Wait until closed *nodes* hold no socket any more."""
    await asyncio.gather(*(task for node in nodes for task in node.given_up), return_exceptions=True)
    await asyncio.sleep(0)  # the loop closes sockets in its next turn


class _Pool:
    """
    Connections to one server that one task at a time uses.

    Args:
        limit: Most that may be borrowed at a time.
        name: What the policy calls the limit.
        node: Opens them.
    """

    def __init__(self, limit: int, name: str, node: Node) -> None:
        self._name, self._node = name, node
        self._idle: list[Link] = []
        self.borrowed: set[Link] = set()
        self._seats = Seats(limit)

    @property
    def links(self) -> list[Link]:
        """All connections."""
        return [*self._idle, *self.borrowed]

    @property
    def is_exhausted(self) -> bool:
        """Whether the next caller has to wait."""
        return self._seats.are_taken

    async def use(self, deadline: float, work: Callable[[Link], Awaitable[list[Any]]]) -> list[Any]:
        """
        Return what *work* returns with a connection for this task alone.

        Args:
            deadline: Until when the connection has to be there.
            work: Uses it; if it ends early, replies are still to come, and the connection is closed.
        Raises:
            NotSentError: if there is no connection.
        """
        node = self._node
        if self.is_exhausted:
            node.count_wait()
        if not await self._seats.take(deadline):
            if time.monotonic() < deadline:
                raise NotSentError(UnreachableError(format_address(node.address), MOVED_ON))
            busy = f"all {len(self.borrowed)} were busy; {self._name} of the policy allows no more"
            raise NotSentError(PoolTimeoutError(format_address(node.address), busy))
        link = None
        try:
            link = self._pop() or await node.open(deadline)
            self.borrowed.add(link)
            return await work(link)
        except BaseException:
            if link is not None:
                link.close()
            raise
        finally:
            self._seats.leave()
            if link is not None:
                self._put_back(link)

    def _pop(self) -> Link | None:
        while self._idle:
            link = self._idle.pop()
            if not link.is_closed and not link.is_suspect:
                return link
            link.close()
        return None

    def _put_back(self, link: Link) -> None:
        self.borrowed.discard(link)
        if link.generation != self._node.generation or link.is_busy:
            link.close()
        if not link.is_closed:
            self._idle.append(link)

    def close_idle(self) -> None:
        """Close idle connections."""
        while self._idle:
            self._idle.pop().close()

    def drop(self) -> None:
        """Close idle connections, and let callers who wait for one discover the server again."""
        self.close_idle()
        self._seats.send_away()


class Node:
    """
    The connections to one server, within one event loop.

    Attributes:
        address: Where it is.
        breaker: Counts calls to it that failed.
        identity: Who must answer there; the router says it.
        generation: Grows with each `drop`; connections of an older one are not used again.
        given_up: Attempts to connect that were cancelled, and have not ended yet.
    """

    def __init__(self, dialer: Dialer, address: Address, *, is_replica: bool = False) -> None:
        self.address, self.breaker = address, dialer.new_breaker()
        self._dialer, self._is_replica, self.identity = dialer, is_replica, Identity()
        self.generation, self._is_closed = 0, False
        self._shared: Link | None = None
        self._opening: asyncio.Task[Link] | None = None
        self._trouble = ""
        self._probing, self._probed_at, self._answers = DeadlineLock(), -math.inf, False
        self.given_up: set[asyncio.Task[Link]] = set()
        self._retired: set[Link] = set()
        # One of the allowed connections is the shared one.
        self._alone = _Pool(max(dialer.policy.max_connections - 1, 1), "max_connections", self)
        self._blocking = _Pool(dialer.policy.max_blocking_connections, "max_blocking_connections", self)

    def __repr__(self) -> str:
        return f"<Node {format_address(self.address)}>"

    @property
    def _links(self) -> list[Link]:
        shared = [] if self._shared is None else [self._shared]
        return [*shared, *self._retired, *self._alone.links, *self._blocking.links]

    @property
    def is_connected(self) -> bool:
        """Whether a connection stands, as far as is known without asking."""
        return any(not link.is_closed and not link.is_suspect for link in self._links)

    @property
    def connection_count(self) -> int:
        """Connections that are open now."""
        return sum(not link.is_closed for link in self._links)

    @property
    def is_busy(self) -> bool:
        """Whether a call is on its way."""
        return self._opening is not None or any(link.is_awaited for link in self._links)

    @property
    def is_exhausted(self) -> bool:
        """Whether all connections that tasks may borrow for themselves, or all for blocking calls, are in use."""
        return self._alone.is_exhausted or self._blocking.is_exhausted

    def count_wait(self) -> None:
        """Count a call that waits for a connection."""
        self._dialer.counters.waits += 1

    def ask(self, data: bytes, deadline: float, check_at: float = math.inf, watch: WatchParts | None = None) -> Awaitable[Any]:
        """
        Send one command and return its reply; *check_at* and *watch* as for Request.

        A fast path: where a connection stands, what is awaited is the reply itself, which saves a coroutine.
        """
        link, until = self._shared, deadline if watch is None else check_at
        if link is None or link.is_closed or link.is_suspect:
            return self._ask_anew(data, until, watch)
        return link.submit(data, until, watch)

    async def _ask_anew(self, data: bytes, until: float, watch: WatchParts | None) -> Any:
        link = await self._connect(until)
        return await link.submit(data, until, watch)

    async def exchange(self, request: Request) -> list[Any]:
        """Send the commands of *request* and return their replies."""
        if not request.is_alone:
            link = await self._connect(request.connect_deadline)
            return await _exchanged(link, request)
        pool = self._blocking if request.is_blocking else self._alone
        return await pool.use(request.connect_deadline, lambda link: _exchanged(link, request))

    async def answers_beside(self, since: float, deadline: float) -> bool:
        """
        Say whether the server answers on a new connection; callers who want to know it together share one attempt.

        Args:
            since: What an attempt that began later has found out is good enough.
            deadline: Longest wait.
        """
        held = await self._probing.take(deadline)
        if held is None:
            return False
        try:
            if self._probed_at <= since:
                self._probed_at = time.monotonic()
                self._answers = await self._answer_comes(deadline)
            return self._answers
        finally:
            held.release()

    async def _answer_comes(self, deadline: float) -> bool:
        try:
            (await self.open(deadline)).close()
        except NotSentError:
            return False
        return True

    async def distrust(self, link: Link) -> None:
        """Use no connection again that was made before *link*, which is dead, was found to be so."""
        if link.generation == self.generation:
            self.generation += 1
            self._retire_shared()
            for pool in (self._alone, self._blocking):
                pool.close_idle()

    async def _connect(self, deadline: float) -> Link:
        """Return the shared connection; all callers wait for one attempt to open it."""
        link = self._shared
        if link is not None and not link.is_closed and not link.is_suspect:
            return link
        if self._is_closed:
            raise NotSentError(ClosedError(CLOSED))
        self._retire_shared()
        if self._opening is None:
            limit = time.monotonic() + attempt_seconds(self._dialer.settings.timeout_seconds)  # an unresponsive server gets no more
            self._opening = asyncio.create_task(self.open(max(deadline, limit)))
            self._opening.add_done_callback(self._opened)
        opening = self._opening
        left = deadline - time.monotonic()
        await asyncio.wait([opening], timeout=max(left, 0))
        if not opening.done():
            raise self._dialer.too_late(self.address, self._trouble)
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

    async def open(self, deadline: float) -> Link:
        """Open a connection; NotSentError says why there is none, and its first cause if the time is over."""
        if self._is_closed:
            raise NotSentError(ClosedError(CLOSED))
        link = None
        try:
            link = await Link.open(self._dialer, self.address, deadline, self.generation, self._trouble)
            await self._introduce(link, deadline)
        except BaseException as error:
            if isinstance(error, NotSentError):
                self._trouble = getattr(error.cause, "reason", "")
            if link is not None:
                link.close()
            raise
        self._trouble = ""
        return link

    async def _introduce(self, link: Link, deadline: float) -> None:
        """Make sure that the server is the one that is meant; NotSentError leaves *link* closed."""
        data, reply_count = self.identity.introduction(self._is_replica)
        if not reply_count:
            return
        try:
            trouble = self.identity.mismatch(await link.exchange(data, reply_count, deadline))
        except LostError as failure:
            link.close()
            raise NotSentError(UnreachableError(format_address(self.address), str(failure))) from failure
        except BaseException:
            link.close()
            raise
        if trouble is not None:
            link.close()
            raise StrangerError(UnreachableError(format_address(self.address), trouble))

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

    def drop(self) -> None:
        """
        Use no present connection again: those in use are closed when they are given back, or have answered.

        Callers who wait for a connection discover the server again.
        """
        self.generation += 1
        if self._opening is not None:
            self._opening.cancel()
            self.given_up.add(self._opening)
            self._opening.add_done_callback(self.given_up.discard)
            self._opening = None
        self._retire_shared()
        for pool in (self._alone, self._blocking):
            pool.drop()

    def close(self) -> None:
        """Close all connections for good."""
        self._is_closed = True
        self.drop()
        for link in self._links:
            link.close()


async def exchange_all(requests: Sequence[Request]) -> list[list[Any] | Failure]:
    """
    Send every request and wait for all replies: servers work side by side.

    Returns:
        The replies, or the failure, of each request, in their order.
    """
    if len(requests) == 1:
        return [await _outcome(requests[0])]
    return await asyncio.gather(*(_outcome(request) for request in requests))


async def _exchanged(link: Link, request: Request) -> list[Any]:
    return await link.submit_many(request.data, request.reply_count, min(request.deadline, request.check_at), request.watch)


async def _outcome(request: Request) -> list[Any] | Failure:
    try:
        return await request.node.exchange(request)  # type: ignore[no-any-return]
    except (NotSentError, LostError) as failure:
        return failure
