# SPDX-License-Identifier: MIT - made from _async/subscription.py by scripts/generate_sync.py; change that one
"""Publish and subscribe: messages that are gone for whoever does not listen, and subscriptions that come back."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from .._commands import Value
from .._pubsub import Message, Reconnected, SubscribeOptions, Topic, check_seconds, publish, topics
from .._transport.common import Dialer
from .._transport.threads import Lock
from ..core.errors import ClosedError, DecodeError
from .base import ClientBase, logger
from .engine import Engine
from .subscriber import Subscriber

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")

PING_SECONDS = 5.0


class Subscription(Generic[T]):
    """
    Channels and patterns that are subscribed, and the messages that come; made by the client's `subscribe`.

        with client.subscribe("news", patterns=["user.*"]) as subscription:
            for event in subscription:
                ...

    Entering the block connects and returns when the server has confirmed everything; leaving it closes the connections. A connection
    that is lost is made again and its channels are subscribed again; then a `Reconnected` comes in the place of what was missed.

    What was received and not taken yet waits in the server's and in this process's memory. Whoever takes too slowly for the server's
    ``client-output-buffer-limit`` for ``pubsub`` is disconnected by it, and gets a `Reconnected`.

    `add`, `remove` and `close` may be called while others wait for a message; each message goes to one of them.
    A forked process cannot use it.
    """

    def __init__(self, engine: Engine, dialer: Dialer, wanted: Sequence[Topic], options: SubscribeOptions, budget_seconds: float) -> None:
        self._engine, self._dialer, self._budget_seconds = engine, dialer, budget_seconds
        self._first, self._options = wanted, options
        self._subscriber = Subscriber(engine, dialer, options)
        self._process_id, self._is_closed = os.getpid(), False
        self._turn, self._gate = Lock(), Lock()  # who uses the connections; who changes something and goes before those who wait
        self._is_awaited = False  # whether somebody waits to change something

    def __enter__(self) -> Self:
        try:
            with self._turn:
                self._begin()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message[T] | Reconnected:
        event = None
        while event is None:
            try:
                event = self.next()
            except ClosedError:
                raise StopIteration from None
        return event

    def next(self, timeout_seconds: float | None = None) -> Message[T] | Reconnected | None:
        """
        Wait for the next message, or the news that a connection was lost and came back.

        Args:
            timeout_seconds: Longest wait, 0 to take only what is there; None for ever. While a connection is made again, one attempt
                may take up to the client's ``timeout_seconds`` longer. Where several wait, one does so after the other.
        Returns:
            None when the time is over.
        Raises:
            UnreachableError: if it was tried to come back for as long as *give_up_seconds* of `subscribe`; calling again tries again.
            CredentialsError, DeniedError, ServerError: if the server lets nobody come back; calling again tries again.
            DecodeError: if the message is no UTF-8; calling again returns the one after it.
            ClosedError: after `close` of the subscription or the client; ``for`` ends then.
        """
        check_seconds("timeout_seconds", timeout_seconds, may_be_zero=True)
        deadline = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
        self._check_process()
        while True:
            with self._gate:
                pass
            with self._turn:
                if self._is_awaited:
                    continue
                self._begin()
                event = self._taken()
                if event is not None:
                    return event
                has_more = self._subscriber.advance(deadline)
                if not has_more and not self._subscriber.events and time.monotonic() >= deadline:
                    return None

    def add(self, *channels: str, patterns: Sequence[str] = ()) -> None:
        """
        Subscribe more and return when the server has confirmed it.

        Args:
            channels, patterns: As for the client's `subscribe`; sharded channels if that was asked for there.
        Raises:
            UnreachableError: if that takes longer than a call of the client may; nothing was added.
            DeniedError: if the server does not allow it to this user; nothing was added.
        """
        wanted = topics(channels, patterns, self._options.is_sharded)
        self._check_process()
        with self._changing():
            self._begin()
            self._subscriber.add(wanted, self._deadline())

    def remove(self, *channels: str, patterns: Sequence[str] = ()) -> None:
        """
        End the subscription of channels and patterns and return when the server has confirmed it; no message of theirs is returned then.

        What is not subscribed is ignored. Where nothing is left, iteration waits for what `add` brings.

        Raises:
            UnreachableError: if the server does not answer in time; they are removed all the same.
        """
        unwanted = topics(channels, patterns, self._options.is_sharded)
        self._check_process()
        with self._changing():
            self._begin()
            self._subscriber.remove(unwanted, self._deadline())

    def close(self) -> None:
        """End all subscriptions and close the connections; whoever iterates comes to the end."""
        self._is_closed = True
        if os.getpid() != self._process_id:
            return  # connections and locks are the parent's
        with self._changing():
            self._end()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Have the turn next: whoever waits for a message gives it up meanwhile."""
        with self._gate:
            self._is_awaited = True
            try:
                self._subscriber.wake()
                with self._turn:
                    yield
            finally:
                self._is_awaited = False

    def _check_process(self) -> None:
        if os.getpid() != self._process_id:
            raise ClosedError("the subscription belongs to the process that made it; this one is its fork")

    def _begin(self) -> None:
        """Make the first subscription if that was not done; ClosedError after `close`."""
        if self._is_closed:
            self._end()
            raise ClosedError("the subscription was closed")
        if self._first:
            self._engine.subscriptions.add(self)
            self._subscriber.add(self._first, self._deadline())
            self._first = ()

    def _end(self) -> None:
        self._subscriber.close()
        self._engine.subscriptions.discard(self)

    def _deadline(self) -> float:
        return time.monotonic() + self._budget_seconds

    def _taken(self) -> Message[T] | Reconnected | None:
        """Return the first thing that waits to be taken."""
        events = self._subscriber.events
        while events:
            event = events.popleft()
            if isinstance(event, Reconnected):
                return event
            if self._options.as_bytes:
                return event  # type: ignore[return-value]
            try:
                return Message(event.channel, event.data.decode(), event.pattern)  # type: ignore[arg-type]
            except UnicodeDecodeError as error:
                trouble = DecodeError(event.channel, "UTF-8 text", "channel")
                if self._options.undecodable == "raise":
                    raise trouble from error
            self._dialer.counters.undecodable += 1
            logger.warning("%s; the message is left out", trouble)
        return None


class MessageCalls(ClientBase):
    """Messages between whoever is connected."""

    def publish(self, channel: str, data: Value, *, sharded: bool = False) -> int:
        """
        Send *data* to everyone who is subscribed to *channel* now, and return how many that were.

        Args:
            channel: Name of the channel, as it is: the key prefix is for keys.
            data: A text, sent as UTF-8, or bytes; numbers are sent as their text.
            sharded: Publish to a sharded channel, which those hear who subscribed it as one (Redis 7.0, Valkey).
        Returns:
            Subscribers on the server that took it: on a cluster those at other servers get a channel that is not sharded, too, and are
            not counted.
        Raises:
            OutcomeUnknown: if the reply was lost; it is not published a second time.
        """
        return self._run(publish(channel, data, sharded))

    @overload
    def subscribe(
        self,
        *channels: str,
        patterns: Sequence[str] = (),
        sharded: bool = False,
        as_bytes: Literal[False] = False,
        undecodable: Literal["raise", "miss"] = "raise",
        ping_seconds: float = PING_SECONDS,
        give_up_seconds: float | None = None,
    ) -> Subscription[str]: ...

    @overload
    def subscribe(
        self,
        *channels: str,
        patterns: Sequence[str] = (),
        sharded: bool = False,
        as_bytes: Literal[True],
        undecodable: Literal["raise", "miss"] = "raise",
        ping_seconds: float = PING_SECONDS,
        give_up_seconds: float | None = None,
    ) -> Subscription[bytes]: ...

    def subscribe(
        self,
        *channels: str,
        patterns: Sequence[str] = (),
        sharded: bool = False,
        as_bytes: bool = False,
        undecodable: Literal["raise", "miss"] = "raise",
        ping_seconds: float = PING_SECONDS,
        give_up_seconds: float | None = None,
    ) -> Subscription[Any]:
        """
        Return a subscription, to be used as a context manager; nothing is connected yet.

        It has connections of its own beyond the pool: one, on a cluster one to each server that has a sharded channel of it, or tells
        of its keys. docs/client/pubsub.md says what happens when one is lost.

        Args:
            channels: Names of channels, as they are: the key prefix is for keys.
            patterns: Globs of names of channels, as ``user.*``.
            sharded: *channels* are sharded ones, which a cluster spreads over its servers like keys; there are no patterns for them.
            as_bytes: Return messages as bytes instead of texts.
            undecodable: Whether a message that is no UTF-8 raises DecodeError, or is logged, counted and left out.
            ping_seconds: Silence after which the server is asked for a sign of life. If none comes within ``timeout_seconds`` of the
                settings the connection counts as lost.
            give_up_seconds: How long to try to come back before that is an UnreachableError; None for ever.
        Raises:
            ValueError, TypeError: if there is nothing to subscribe, or an argument is not what it must be.
            ClosedError: after `close` of the client.
        """
        options = SubscribeOptions(sharded, as_bytes, undecodable, ping_seconds, give_up_seconds)
        wanted = topics(channels, patterns, sharded)
        budget = self._settings.timeout_seconds if self._budget is None else self._budget
        return Subscription(self._engines.current(), self._dialer, wanted, options, budget)
