# SPDX-License-Identifier: MIT
"""
Connections for threads: bounded pools for each server, one thread at a time on a connection.

An exception may come between any two steps: a signal handler raises it, as Ctrl-C does, or a timeout of gevent. So nothing here counts
up and down. A connection that is in use belongs to its caller alone, and its seat in the pool is free when the caller has closed
it or has lost it.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from .._protocol.identity import Identity
from .._protocol.resp import INCOMPLETE
from ..core.errors import ClosedError, PoolTimeoutError, UnreachableError
from .dialer import Address, Dialer, Request, WatchParts, format_address, make_watch
from .failures import CLOSED, MOVED_ON, Failure, LostError, NotSentError, StrangerError
from .thread_link import Link
from .thread_waits import DeadlineLock

RECHECK_SECONDS = 0.25  # how often those in line check for seats that were lost without notice


def end(nodes: Iterable[Node]) -> None:
    """Do nothing: *nodes* that were closed hold no socket any more."""


class _Seat:
    """The right to have a connection; taken until `leave`, or until nothing refers to it."""

    __slots__ = ("__weakref__", "is_taken")

    def __init__(self) -> None:
        self.is_taken = True


class _Place:
    """
    The place of a thread in the line for a connection.

    Attributes:
        served: Set when the thread may proceed.
        link, seat: What it gets: a connection, or the right to open one.
        is_sent_away: Whether it gets neither, since another server may serve now.
    """

    __slots__ = ("is_sent_away", "link", "seat", "served")

    def __init__(self) -> None:
        self.served = threading.Event()
        self.link: Link | None = None
        self.seat: _Seat | None = None
        self.is_sent_away = False

    @property
    def is_settled(self) -> bool:
        """Whether waiting is over."""
        return self.link is not None or self.seat is not None or self.is_sent_away


class _Pool:
    """
    Connections to one server that one thread at a time uses.

    Args:
        limit: Most that there may be.
        name: What the policy calls the limit.
        node: Opens them.
    """

    def __init__(self, limit: int, name: str, node: Node) -> None:
        self._limit, self._name, self._node = limit, name, node
        self._idle: deque[Link] = deque()
        self._seats: list[weakref.ref[_Seat]] = []
        self._line: deque[_Place] = deque()
        self._lock = threading.RLock()  # a signal handler may make a call of its own while its thread is in here

    @property
    def idle(self) -> list[Link]:
        """Idle connections."""
        return list(self._idle)

    @property
    def taken_count(self) -> int:
        """Connections that there are, or that are being opened."""
        return sum(seat is not None and seat.is_taken for seat in [reference() for reference in self._seats])

    @property
    def is_exhausted(self) -> bool:
        """Whether the next caller has to wait."""
        return not self._idle and self.taken_count >= self._limit

    @property
    def in_use_count(self) -> int:
        """Connections that callers use."""
        return self.taken_count - len(self._idle)

    def borrow(self, deadline: float, line_deadline: float = 0.0) -> Link:
        """
        Return a connection for this thread alone; `give_back` must follow.

        Args:
            deadline: Until when a new connection has to be there.
            line_deadline: Until when to wait for a free one, if that is later.
        Raises:
            NotSentError: saying why there is none.
        """
        while True:
            link: Link | None
            try:
                link = self._idle.pop()
            except IndexError:  # nothing more in here: what interrupts a handler may keep alive what the handler refers to
                link = None
            if link is None:
                place = self._wait(max(deadline, line_deadline))
                link = place.link
                if link is None:
                    return self._open(place, deadline)
            if not link.is_stale():
                return link
            link.close()
            self.give_back(link)

    def give_back(self, link: Link) -> None:
        """Take a borrowed connection back: for the next in line, or for later; a closed one makes room for a new one."""
        if link.generation != self._node.generation and not link.is_closed:
            link.close()
        if link.is_closed:
            self._leave(link.seat)
            return
        self._idle.append(link)
        if self._line:  # what is seldom needs the lock
            with self._lock:
                self._serve()

    def _wait(self, deadline: float) -> _Place:
        """Return a settled place in line."""
        place = _Place()
        try:
            with self._lock:
                if self._node.is_closed:
                    raise NotSentError(ClosedError(CLOSED))
                self._line.append(place)  # before the idle connections are checked: a caller who returns one from now on sees the line
                self._serve()
            if not place.is_settled:
                self._node.count_wait()
            while not place.is_settled:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                place.served.wait(min(left, RECHECK_SECONDS))
                with self._lock:
                    self._serve()
        except BaseException:
            self._give_up(place)
            raise
        if not place.is_settled:
            self._give_up(place)
            busy = f"all {self.taken_count} connections were busy; {self._name} of the policy allows no more"
            raise NotSentError(PoolTimeoutError(format_address(self._node.address), busy))
        if place.is_sent_away:
            raise NotSentError(UnreachableError(format_address(self._node.address), MOVED_ON))
        return place

    def _serve(self) -> None:
        """
        Give those in line, the first one first, what there is for them; the lock is held.

        Each step leaves a state from which the next call continues, since an exception may come between any two.
        """
        while self._line:
            place = self._line[0]
            if not place.is_settled:
                with contextlib.suppress(IndexError):
                    place.link = self._idle.pop()
                if place.link is None:
                    if self.taken_count >= self._limit:
                        return
                    place.seat = self._new_seat()
            place.served.set()
            if self._line and self._line[0] is place:
                self._line.popleft()

    def _new_seat(self) -> _Seat:
        seat = _Seat()
        self._seats = [reference for reference in self._seats if (known := reference()) is not None and known.is_taken]
        self._seats.append(weakref.ref(seat))
        return seat

    def _give_up(self, place: _Place) -> None:
        """Give up a place in line, and what came with it meanwhile."""
        with self._lock:
            if place in self._line:
                self._line.remove(place)
        if place.link is not None:
            self.give_back(place.link)
        self._leave(place.seat)

    def _leave(self, seat: object) -> None:
        """Free a seat for the next in line."""
        if isinstance(seat, _Seat):
            seat.is_taken = False
            with self._lock:
                self._serve()

    def _open(self, place: _Place, deadline: float) -> Link:
        try:
            link = self._node.open(deadline)
            link.seat = place.seat
        except BaseException:
            self._leave(place.seat)
            raise
        return link

    def close_idle(self) -> None:
        """Close idle connections."""
        with contextlib.suppress(IndexError):
            while True:
                link = self._idle.pop()
                link.close()
                self._leave(link.seat)

    def drop(self) -> None:
        """Close idle connections, and let callers who wait for one discover the server again."""
        self.close_idle()
        with self._lock:
            for place in self._line:
                place.is_sent_away = not place.is_settled
                place.served.set()
            self._line.clear()


class Node:
    """
    The connections to one server.

    Attributes:
        address: Where it is.
        breaker: Counts calls to it that failed.
        identity: Who must answer there; the router says it.
        generation: Grows with each `drop`; connections of an older one are not used again.
        is_closed: Whether no connection is opened any more.
    """

    def __init__(self, dialer: Dialer, address: Address, *, is_replica: bool = False) -> None:
        self.address, self.breaker = address, dialer.new_breaker()
        self._dialer, self._is_replica, self.identity = dialer, is_replica, Identity()
        self.generation, self.is_closed = 0, False
        self._trouble = ""
        self._probing, self._probed_at, self._answers = DeadlineLock(), -math.inf, False
        self._calls = _Pool(dialer.policy.max_connections, "max_connections", self)
        self._blocking = _Pool(dialer.policy.max_blocking_connections, "max_blocking_connections", self)

    def __repr__(self) -> str:
        return f"<Node {format_address(self.address)}>"

    @property
    def is_connected(self) -> bool:
        """Whether a connection stands, as far as is known without asking."""
        pools = (self._calls, self._blocking)
        return any(link.seems_alive for pool in pools for link in pool.idle) or any(pool.in_use_count > 0 for pool in pools)

    @property
    def connection_count(self) -> int:
        """Connections that are open now."""
        return self._calls.taken_count + self._blocking.taken_count

    @property
    def is_busy(self) -> bool:
        """Whether a call is on its way."""
        return self._calls.in_use_count > 0 or self._blocking.in_use_count > 0

    @property
    def is_exhausted(self) -> bool:
        """Whether all connections for calls, or all for blocking calls, are in use."""
        return self._calls.is_exhausted or self._blocking.is_exhausted

    def count_wait(self) -> None:
        """Count a call that waits for a connection."""
        self._dialer.counters.waits += 1

    def ask(self, data: bytes, deadline: float, check_at: float = math.inf, watch: WatchParts | None = None) -> Any:
        """Send one command and return its reply; *check_at* and *watch* as for Request."""
        pool, until = self._calls, deadline if watch is None else check_at
        link = pool.borrow(until, deadline)
        try:
            link.send(data, deadline)
            reply = link.poll(until)
            if reply is INCOMPLETE:
                reply = link.receive(deadline, None if watch is None else make_watch(watch))
        except BaseException:  # Ctrl-C may come between the two
            link.close()
            pool.give_back(link)
            raise
        pool.give_back(link)
        return reply

    def answers_beside(self, since: float, deadline: float) -> bool:
        """
        Say whether the server answers on a new connection; callers who want to know it together share one attempt.

        Args:
            since: What an attempt that began later has found out is good enough.
            deadline: Longest wait.
        """
        held = self._probing.take(deadline)
        if held is None:
            return False
        try:
            if self._probed_at <= since:
                self._probed_at = time.monotonic()
                self._answers = self._answer_comes(deadline)
            return self._answers
        finally:
            held.release()

    def _answer_comes(self, deadline: float) -> bool:
        try:
            self.open(deadline).close()
        except NotSentError:
            return False
        return True

    def distrust(self, link: Link) -> None:
        """Use no connection again that was made before *link*, which is dead, was found to be so."""
        if link.generation == self.generation:
            self.generation += 1
            for pool in (self._calls, self._blocking):
                pool.close_idle()

    def pool_for(self, request: Request) -> _Pool:
        """Return the connections that *request* may use."""
        return self._blocking if request.is_blocking else self._calls

    def open(self, deadline: float) -> Link:
        """Open a connection; NotSentError says why there is none, and its first cause if the time is over."""
        if self.is_closed:
            raise NotSentError(ClosedError(CLOSED))
        try:
            link = Link.open(self._dialer, self.address, deadline, self.generation, self._trouble)
            self._introduce(link, deadline)
        except NotSentError as failure:
            self._trouble = getattr(failure.cause, "reason", "")
            raise
        self._trouble = ""
        return link

    def _introduce(self, link: Link, deadline: float) -> None:
        """Make sure that the server is the one that is meant; NotSentError leaves *link* closed."""
        data, reply_count = self.identity.introduction(self._is_replica)
        if not reply_count:
            return
        try:
            trouble = self.identity.mismatch(link.exchange(data, reply_count, deadline))
        except LostError as failure:
            link.close()
            raise NotSentError(UnreachableError(format_address(self.address), str(failure))) from failure
        except BaseException:
            link.close()
            raise
        if trouble is not None:
            link.close()
            raise StrangerError(UnreachableError(format_address(self.address), trouble))

    def drop(self) -> None:
        """
        Use no present connection again: those in use are closed when they are given back.

        Callers who wait for a connection discover the server again.
        """
        self.generation += 1
        for pool in (self._calls, self._blocking):
            pool.drop()

    def close(self) -> None:
        """Close all connections for good; those in use when they are given back."""
        self.is_closed = True
        self.drop()


def exchange_all(requests: Sequence[Request]) -> list[list[Any] | Failure]:
    """
    Send every request, then read all replies: servers work side by side.

    Returns:
        The replies, or the failure, of each request, in their order.
    """
    results: list[list[Any] | Failure] = [LostError("not sent")] * len(requests)
    sent: list[tuple[int, Link, _Pool]] = []
    try:
        # In one order everywhere, so that no two threads wait for each other's connections.
        for index in sorted(range(len(requests)), key=lambda index: format_address(requests[index].node.address)):
            request = requests[index]
            try:
                pool = request.node.pool_for(request)
                link = pool.borrow(request.connect_deadline)
                sent.append((index, link, pool))
                link.send(request.data, request.deadline, request.reply_count)
            except (NotSentError, LostError) as failure:
                results[index] = failure
        for index, link, _pool in sent:
            if not link.is_closed:
                results[index] = _replies(link, requests[index])
    except BaseException:
        for _index, link, _pool in sent:
            link.close()
        raise
    finally:
        for _index, link, pool in sent:
            pool.give_back(link)
    return results


def _replies(link: Link, request: Request) -> list[Any] | Failure:
    replies: list[Any] = []
    try:
        link.receive_all(request.reply_count, request.deadline, replies, request.check_at, request.watch)
    except LostError as failure:
        failure.replies = replies
        return failure
    return replies
