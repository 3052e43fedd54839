# SPDX-License-Identifier: MIT - made from _async/calls/pubsub.py by scripts/generate_sync.py; change that one
"""The calls for messages; what subscriptions need is loaded with the first one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from ..._protocol.arguments import Value
from ..lifecycle import ClientBase

if TYPE_CHECKING:
    from ..subscription import Subscription

PING_SECONDS = 5.0


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
        from ..._protocol.pubsub import publish

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

        It has connections of its own beyond the pool: one, and on a cluster one to each server that has a sharded channel of it or
        sends notifications of its keys. docs/client/pubsub.md says what happens when one is lost.

        Args:
            channels: Names of channels, as they are: the key prefix is for keys.
            patterns: Globs of names of channels, as ``user.*``.
            sharded: *channels* are sharded ones, which a cluster spreads over its servers like keys; there are no patterns for them.
            as_bytes: Return messages as bytes instead of texts.
            undecodable: Whether a message that is no UTF-8 raises DecodeError, or is logged, counted and left out.
            ping_seconds: Silence after which the server is sent a heartbeat (PING). If it is not answered within ``timeout_seconds`` of the
                settings the connection counts as lost.
            give_up_seconds: How long to reconnect before that is an UnreachableError; None to retry forever.
        Raises:
            ValueError, TypeError: if there is nothing to subscribe, or an argument is not what it must be.
            ClosedError: after `close` of the client.
        """
        from ..._protocol.pubsub import SubscribeOptions, topics
        from ..subscription import Subscription

        options = SubscribeOptions(sharded, as_bytes, undecodable, ping_seconds, give_up_seconds)
        wanted = topics(channels, patterns, sharded)
        budget = self._settings.timeout_seconds if self._budget is None else self._budget
        return Subscription(self._engines.current(), self._dialer, wanted, options, budget)
