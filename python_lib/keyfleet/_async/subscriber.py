# SPDX-License-Identifier: MIT
"""Keeps channels subscribed: which server has which, on connections beyond the pools; lost ones come back."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterable

from .._attempts import PASSING, REDIRECTIONS_AT_ONCE
from .._policy import attempt_seconds, backoff_seconds
from .._protocol.identity import read_redirection
from .._protocol.pubsub import PING, Arrival, Message, Reconnected, SubscribeOptions, Topic, read
from .._protocol.resp import ErrorReply
from .._topics import Session, Topics
from .._transport.asyncio_inbox import Inbox
from .._transport.asyncio_link import Link
from .._transport.asyncio_pool import Node
from .._transport.dialer import Dialer, format_address
from .._transport.failures import LostError, NotSentError
from ..core.errors import KeyfleetError, UnreachableError
from .executor import Engine

TOPOLOGY_CHECK_SECONDS = 1.0  # interval between checks for a changed topology
LEAVE_SECONDS = 0.1  # for taking what a server had sent before it is left
STEADY_SECONDS = 2.0  # a connection that was lost sooner than this after it was made counts as a failed attempt


class _Connection(Session):
    """One connection of a subscription: *link* to the server *node*."""

    def __init__(self, node: Node, link: Link) -> None:
        super().__init__(time.monotonic())
        self.node, self.link = node, link


class Subscriber:
    """
    Keeps topics subscribed and collects what comes; used by one caller at a time, only `wake` is for any.

    Args:
        engine, dialer: Know the servers, and how to connect to them.
        options: When to send a silent server a heartbeat, and when to stop reconnecting.
    """

    def __init__(self, engine: Engine, dialer: Dialer, options: SubscribeOptions) -> None:
        self._engine, self._dialer = engine, dialer
        self._ping_seconds, self._give_up_seconds = options.ping_seconds, options.give_up_seconds
        self._timeout_seconds = dialer.settings.timeout_seconds
        self._topics = Topics(self._is_everywhere)
        self._connections: dict[Node, _Connection] = {}
        self._inbox: Inbox[_Connection] = Inbox()
        self._home: Node | None = None
        self._unusable: set[Node] = set()
        self._is_settled = self._is_incomplete = self._goes_on_at_once = self._needs_rediscovery = False
        self._trouble: KeyfleetError
        self._failures, self._retry_at, self._check_at = 0, 0.0, 0.0
        self._unsettled_at = self._verified_at = time.monotonic()

    @property
    def events(self) -> deque[Message[bytes] | Reconnected]:
        """What came and was not taken yet."""
        return self._topics.events

    async def add(self, topics: Iterable[Topic], deadline: float) -> None:
        """Subscribe *topics*; whatever keeps the servers from confirming all of them before *deadline* is raised, and none is added."""
        new = self._topics.desire(topics)
        try:
            await self._settle(deadline)
        except BaseException as error:
            self._forget(new)
            if isinstance(error, KeyfleetError) and not isinstance(error, UnreachableError):
                with contextlib.suppress(KeyfleetError):  # one was refused, the others have begun
                    await self._settle(deadline)
            raise

    async def remove(self, topics: Iterable[Topic], deadline: float) -> None:
        """End the subscription of *topics*; UnreachableError if the servers do not confirm that, they are removed in any case."""
        self._forget(topics)
        await self._settle(deadline)

    def _forget(self, topics: Iterable[Topic]) -> None:
        self._topics.forget(topics)
        self._unsettle()

    async def advance(self, deadline: float) -> bool:
        """
        Take one step: try to come back if that is due, else wait for one reply, until *deadline* at most.

        An attempt to come back may take longer, as long as one call of the client.

        Returns:
            Whether something happened.
        Raises:
            CredentialsError, DeniedError, ServerError: if a server refuses; the next step tries again.
            UnreachableError: if it was tried for as long as *give_up_seconds*; the next step begins anew.
        """
        now = time.monotonic()
        if self._is_settled:
            return await self._receive(deadline)
        if now < self._retry_at:
            return await self._receive(min(deadline, self._retry_at))
        await self._reconnect(now + self._timeout_seconds)
        if not self._is_settled and self._give_up_seconds is not None and time.monotonic() >= self._unsettled_at + self._give_up_seconds:
            self._unsettled_at = time.monotonic()
            raise self._trouble
        return self._is_settled

    def wake(self) -> None:
        """Let `advance` return immediately, now or the next time."""
        self._inbox.wake()

    def close(self) -> None:
        """Close all connections."""
        self._inbox.close()
        self._connections.clear()
        self._topics.events.clear()

    # From what is wanted to what is subscribed

    async def _settle(self, deadline: float) -> None:
        """Try until what is wanted is what is subscribed; whatever is in the way when *deadline* comes is raised."""
        self._unsettle()
        self._retry_at = 0.0
        while not self._is_settled:
            now = time.monotonic()
            if now >= self._retry_at:
                await self._reconnect(min(deadline, now + self._timeout_seconds))
                is_enough = self._dialer.policy.while_disconnected == "fail" or self._retry_at >= deadline
                if is_enough and not self._is_settled:
                    raise self._trouble
            else:
                await self._receive(self._retry_at)

    def _unsettle(self) -> None:
        if self._is_settled:
            self._is_settled, self._unsettled_at = False, time.monotonic()

    async def _reconnect(self, deadline: float) -> None:
        """Make one attempt. Further ones follow immediately if a server named its successor, or if another server may serve."""
        self._unusable.clear()
        for _unused in range(REDIRECTIONS_AT_ONCE):
            self._goes_on_at_once = False
            try:
                await self._attempt(deadline)
            except NotSentError as failure:
                self._note_trouble(failure.cause)
            except KeyfleetError as error:
                self._note_trouble(error)
            if self._is_settled:
                self._failures, self._check_at = min(self._failures, 1), 0.0
                return
            if not self._goes_on_at_once or not isinstance(self._trouble, UnreachableError):
                break
        self._failures += 1
        self._wait_a_while()
        if not isinstance(self._trouble, UnreachableError):
            raise self._trouble

    def _wait_a_while(self) -> None:
        first_seconds = self._dialer.settings.retry_delay_ms / 1000
        self._retry_at = time.monotonic() + backoff_seconds(self._failures, first_seconds, self._engine.longest_delay_seconds)

    def _note_trouble(self, trouble: KeyfleetError, *, needs_rediscovery: bool = True) -> None:
        """Note why not everything is subscribed; *needs_rediscovery* means that other servers may serve now."""
        self._trouble, self._is_incomplete = trouble, True
        self._needs_rediscovery = self._needs_rediscovery or needs_rediscovery
        self._unsettle()

    async def _attempt(self, deadline: float) -> None:
        """Connect and subscribe what is missing, end what is too much, and wait for the answers."""
        self._trouble = UnreachableError(self._dialer.settings.address, "not everything that is wanted was confirmed")
        if self._topics.desired and (self._needs_rediscovery or not self._engine.router.primaries()):
            await self._engine.relearn(deadline)
            self._needs_rediscovery = False
        plan = self._plan()
        # Servers are left before others are asked: with both, messages of an ordinary channel would come twice. What is missed in between
        # is reported as a gap.
        if self._connections.keys() - plan.keys():
            await self._take_arrived(time.monotonic() + LEAVE_SECONDS)
        for node, connection in list(self._connections.items()):
            if node not in plan:
                is_cut_off = self._engine.router.is_cut_off(node)
                self._lose(connection, "the cluster has declared the node failed" if is_cut_off else "another server serves it now")
        self._is_incomplete = False
        for node, topics in plan.items():
            try:
                await self._align(node, topics, deadline)
            except NotSentError as failure:
                self._unusable.add(node)
                if node is self._home and not self._unusable.issuperset(self._engine.router.primaries()):
                    self._goes_on_at_once = True
                self._note_trouble(failure.cause)
        await self._hear_out(deadline)
        pairs = ((self._connections[node], topics) for node, topics in plan.items())
        self._is_settled = not self._is_incomplete and self._topics.is_confirmed(pairs)
        if self._is_settled:
            self._topics.note_all_confirmed()

    def _plan(self) -> dict[Node, set[Topic]]:
        """Return which server is to have which topics. NotSentError if one of them has no known server."""
        plan: dict[Node, set[Topic]] = {}
        for topic in self._topics.desired:
            for node in self._servers_of(topic):
                plan.setdefault(node, set()).add(topic)
        return plan

    def _servers_of(self, topic: Topic) -> list[Node]:
        router = self._engine.router
        primaries = router.primaries()
        if topic.letter == "S":
            owner = router.find(topic.name, reads=False)
            if owner is None:
                raise router.trouble
            return [owner]
        if not primaries:
            raise router.trouble
        return primaries if self._is_everywhere(topic) else [self._home_among(primaries)]

    def _is_everywhere(self, topic: Topic) -> bool:
        """Say whether every primary is asked for *topic*."""
        return topic.is_notification and bool(self._dialer.settings.cluster_nodes)

    def _home_among(self, primaries: list[Node]) -> Node:
        """Return the server for what is not sharded: any of a cluster, and there the same one as long as its connection is open."""
        home = self._home
        if (
            home in self._connections
            and (home in primaries or self._dialer.settings.cluster_nodes)
            and not self._engine.router.is_cut_off(home)
        ):
            return home
        first = self._engine.router.find(next(iter(self._topics.desired)).name, reads=False)  # spreads channels over the nodes
        candidates = [node for node in [first, *primaries] if node is not None]
        self._home = next((node for node in candidates if node not in self._unusable), candidates[0])
        return self._home

    async def _align(self, node: Node, topics: set[Topic], deadline: float) -> None:
        """Let the connection to *node* ask for *topics* and nothing else; NotSentError if there is none."""
        connection = self._connections.get(node)
        if connection is None:
            now = time.monotonic()
            link = await node.open(now + attempt_seconds(deadline - now))
            connection = self._connections[node] = _Connection(node, link)
            self._inbox.add(link, connection)
        changes = connection.align(topics)
        if not changes:
            return
        try:
            data = b"".join([change.topic.packed(change.is_subscribed) for change in changes])
            await connection.link.send(data, deadline, len(changes))
        except (NotSentError, LostError) as failure:
            self._lose(connection, str(failure))

    async def _hear_out(self, deadline: float) -> None:
        """Wait until every command is answered; a connection whose server does not answer in time is lost."""
        while waiting := [connection for connection in self._connections.values() if connection.unanswered]:
            arrival = await self._inbox.next(deadline)
            if arrival is not None:
                self._take(*arrival)
            elif time.monotonic() >= deadline:
                for connection in waiting:
                    self._lose(connection, "no reply in time")

    async def _take_arrived(self, deadline: float) -> None:
        """Take what has arrived, so that no message is thrown away with its connection."""
        while time.monotonic() < deadline and (arrival := await self._inbox.next(0.0)) is not None:
            self._take(*arrival)

    # From what is received to what happened

    async def _receive(self, until: float) -> bool:
        """Take one reply, or check the connections if none comes. Return whether one came."""
        arrival = await self._inbox.next(min(until, self._check_at))
        if arrival is not None:
            self._take(*arrival)
        now = time.monotonic()
        if now >= self._check_at:
            await self._check(now, is_idle=arrival is None)
        return arrival is not None

    async def _check(self, now: float, is_idle: bool) -> None:
        """
        Send heartbeats to silent servers, close connections whose heartbeat was not answered, and detect a changed topology.

        Args:
            now: By the monotonic clock.
            is_idle: Whether everything that arrived was taken, so that silence is silence.
        """
        for connection in list(self._connections.values()):
            if now < connection.alarm_at(self._ping_seconds, self._timeout_seconds):
                continue
            if connection.pinged_at is None:
                await self._ping(connection, now)
            elif is_idle:
                self._lose(connection, f"the server was silent for {connection.silent_seconds(now):.1f} s")
        await self._verify(now)
        if self._is_settled and not self._is_as_planned():
            self._unsettle()
            self._retry_at = 0.0
        alarms = [connection.alarm_at(self._ping_seconds, self._timeout_seconds) for connection in self._connections.values()]
        self._check_at = min([now + min(self._ping_seconds, TOPOLOGY_CHECK_SECONDS), *(max(alarm, now + 0.001) for alarm in alarms)])

    async def _verify(self, now: float) -> None:
        """
        Compare the topology with what another source says.

        A heartbeat alone would miss three cases. A server that is cut off from the others answers PING, and no message reaches it.
        To a primary that was replaced, clients publish no more. A server that joins is unknown to this client.
        """
        router = self._engine.router
        if not (router.has_changes() or now >= self._verified_at + self._ping_seconds):
            return
        self._verified_at = now
        with contextlib.suppress(NotSentError):
            await router.learn(now + self._timeout_seconds, router.version, is_suspect=False)

    async def _ping(self, connection: _Connection, now: float) -> None:
        connection.pinged_at = now
        try:
            await connection.link.send(PING, now + self._timeout_seconds)
        except (NotSentError, LostError) as failure:
            self._lose(connection, str(failure))

    def _is_as_planned(self) -> bool:
        try:
            return self._plan() == {node: connection.asked for node, connection in self._connections.items()}
        except NotSentError:  # it is served as long as no other server is known
            return True

    def _take(self, connection: _Connection, reply: object, received_at: float) -> None:
        if self._connections.get(connection.node) is not connection:
            return  # it was closed meanwhile, and its topics count as lost
        if isinstance(reply, LostError):
            self._lose(connection, str(reply))
            return
        connection.heard(received_at)
        if isinstance(reply, ErrorReply):
            self._note_error(connection, reply)
            return
        event = read(reply)
        if isinstance(event, Arrival):
            self._topics.note_message(connection, event)
        elif event is not None and self._topics.note_answer(connection, event):
            self._unsettle()
            self._retry_at = 0.0

    def _note_error(self, connection: _Connection, error: ErrorReply) -> None:
        refused = self._topics.note_refusal(connection)
        if refused is None or not refused.is_subscribed:
            return
        if error.code == "MOVED" and self._dialer.settings.cluster_nodes:
            self._engine.router.moved(*read_redirection(str(error), str(connection.node.address[0])))
            self._goes_on_at_once = True
            self._note_trouble(UnreachableError(format_address(connection.node.address), str(error)), needs_rediscovery=False)
        elif error.code in PASSING:
            self._note_trouble(UnreachableError(format_address(connection.node.address), str(error)))
        else:
            self._note_trouble(self._dialer.translate(error))

    def _lose(self, connection: _Connection, reason: str) -> None:
        """Close a connection, and note which topics are without one now."""
        del self._connections[connection.node]
        self._inbox.close_link(connection.link)
        if not self._topics.note_end(connection, reason):
            return
        was_settled = self._is_settled
        self._note_trouble(UnreachableError(format_address(connection.node.address), reason))
        if was_settled:
            is_steady = time.monotonic() >= connection.opened_at + STEADY_SECONDS
            self._failures = 0 if is_steady else self._failures + 1
            self._retry_at = 0.0
            if self._failures > 1:  # it comes and goes
                self._wait_a_while()
