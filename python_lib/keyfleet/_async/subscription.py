# SPDX-License-Identifier: MIT
"""Publish and subscribe: messages that are gone for whoever does not listen, and subscriptions that come back."""

from __future__ import annotations

import math
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar

from .._protocol.pubsub import Message, Reconnected, SubscribeOptions, Topic, check_seconds, topics
from .._transport.asyncio_waits import Lock
from .._transport.dialer import Dialer
from ..core.errors import ClosedError, DecodeError
from .executor import Engine
from .lifecycle import logger
from .subscriber import Subscriber

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")


class AsyncSubscription(Generic[T]):
    """
    Channels and patterns that are subscribed, and the messages that come; made by the client's `subscribe`.

        async with client.subscribe("articles", patterns=["user.*"]) as subscription:
            async for event in subscription:
                ...

    Entering the block connects and returns when the server has confirmed everything; leaving it closes the connections. A connection
    that is lost is made again and its channels are subscribed again; then a `Reconnected` comes in the place of what was missed.

    What was received and not taken yet waits in the server's and in this process's memory. Whoever takes too slowly for the server's
    ``client-output-buffer-limit`` for ``pubsub`` is disconnected by it, and gets a `Reconnected`.

    `add`, `remove` and `close` may be called while others wait for a message; each message goes to one of them.
    A forked process cannot use it, nor, with asyncio, another event loop.
    """

    def __init__(self, engine: Engine, dialer: Dialer, wanted: Sequence[Topic], options: SubscribeOptions, budget_seconds: float) -> None:
        self._engine, self._dialer, self._budget_seconds = engine, dialer, budget_seconds
        self._first, self._options = wanted, options
        self._subscriber = Subscriber(engine, dialer, options)
        self._process_id, self._is_closed = os.getpid(), False
        self._turn, self._gate = Lock(), Lock()  # who uses the connections; who changes something and goes before those who wait
        self._is_awaited = False  # whether a caller waits to change the subscription

    async def __aenter__(self) -> Self:
        try:
            async with self._turn:
                await self._begin()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message[T] | Reconnected:
        event = None
        while event is None:
            try:
                event = await self.next()
            except ClosedError:
                raise StopAsyncIteration from None
        return event

    async def next(self, timeout_seconds: float | None = None) -> Message[T] | Reconnected | None:
        """
        Wait for the next message, or the report that a connection was lost and came back.

        Args:
            timeout_seconds: Longest wait, 0 to take only what has arrived, None for no limit. While a connection is made again, one attempt
                may take up to the client's ``timeout_seconds`` longer. Where several wait, one does so after the other.
        Returns:
            None when the time is over.
        Raises:
            UnreachableError: if it was tried to come back for as long as *give_up_seconds* of `subscribe`; calling again tries again.
            CredentialsError, DeniedError, ServerError: if the server refuses the new connection. Calling again tries again.
            DecodeError: if the message is no UTF-8; calling again returns the one after it.
            ClosedError: after `close` of the subscription or the client; ``for`` ends then.
        """
        check_seconds("timeout_seconds", timeout_seconds, may_be_zero=True)
        deadline = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
        self._check_process()
        while True:
            async with self._gate:
                pass
            async with self._turn:
                if self._is_awaited:
                    continue
                await self._begin()
                event = self._taken()
                if event is not None:
                    return event
                has_more = await self._subscriber.advance(deadline)
                if not has_more and not self._subscriber.events and time.monotonic() >= deadline:
                    return None

    async def add(self, *channels: str, patterns: Sequence[str] = ()) -> None:
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
        async with self._changing():
            await self._begin()
            await self._subscriber.add(wanted, self._deadline())

    async def remove(self, *channels: str, patterns: Sequence[str] = ()) -> None:
        """
        End the subscription of channels and patterns and return when the server has confirmed it; no message of theirs is returned then.

        What is not subscribed is ignored. Where nothing is left, iteration waits for what `add` brings.

        Raises:
            UnreachableError: if the server does not answer in time; they are removed all the same.
        """
        unwanted = topics(channels, patterns, self._options.is_sharded)
        self._check_process()
        async with self._changing():
            await self._begin()
            await self._subscriber.remove(unwanted, self._deadline())

    async def close(self) -> None:
        """End all subscriptions and close the connections; whoever iterates comes to the end."""
        self._is_closed = True
        if os.getpid() != self._process_id:
            return  # connections and locks are the parent's
        async with self._changing():
            self._end()

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[None]:
        """Have the turn next: whoever waits for a message gives it up meanwhile."""
        async with self._gate:
            self._is_awaited = True
            try:
                self._subscriber.wake()
                async with self._turn:
                    yield
            finally:
                self._is_awaited = False

    def _check_process(self) -> None:
        if os.getpid() != self._process_id:
            raise ClosedError("the subscription belongs to the process that made it; this one is its fork")

    async def _begin(self) -> None:
        """Make the first subscription if that was not done; ClosedError after `close`."""
        if self._is_closed:
            self._end()
            raise ClosedError("the subscription was closed")
        if self._first:
            self._engine.subscriptions.add(self)
            await self._subscriber.add(self._first, self._deadline())
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
