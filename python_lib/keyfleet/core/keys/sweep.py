# SPDX-License-Identifier: MIT
"""
Go through the keys of one server in pages, and remove what is found.

Each page of SCAN is removed by an UNLINK that travels with the next SCAN, so that a page costs one round trip. A scan ends with the
page that comes with cursor 0, after that page was handled.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from ..connect.redis_py import translate
from ..errors import DeniedError, ServerError

try:
    from redis.cluster import RedisCluster
    from redis.crc import key_slot
    from redis.exceptions import AskError, MovedError, RedisError, TryAgainError
except ImportError:
    pass

if TYPE_CHECKING:
    from ..connect.primaries import Primary
    from ..connect.redis_py import AnyClient
    from ..connect.settings import Settings

Command = Sequence[Any]
Ask = Callable[[Sequence[Command]], list[Any]]

TYPES = ("string", "hash", "list", "set", "zset", "stream")
PAGE = 2000
"""Keys asked for in one SCAN, which answers with a few more; other clients wait some 4 ms for that."""
MOST = 3900
"""Keys removed by one command; serverless caches take 3,999 arguments at most."""
CHUNKS_PER_SECOND = 10


@dataclass(frozen=True)
class Selection:
    """
    The keys that are meant: those named, and those that match a pattern, each only if it has one of the types.

    Attributes:
        patterns: Glob patterns as the server understands them.
        keys: Names.
        types: Of ``TYPES``, what the command TYPE answers; empty is any.
    """

    patterns: tuple[bytes, ...] = ()
    keys: tuple[bytes, ...] = ()
    types: tuple[str, ...] = ()


@dataclass
class Tally:
    """
    What happened on one node.

    Attributes:
        node: Its address.
        matched: Keys found; while keys are removed, one that is created again meanwhile may count twice.
        deleted: Keys that the server said it removed.
        unconfirmed: Keys whose removal was sent and whose reply never came.
    """

    node: str
    matched: int = 0
    deleted: int = 0
    unconfirmed: int = 0


def pages(ask: Ask, selection: Selection, keys: Sequence[bytes]) -> Iterator[list[bytes]]:
    """
    Yield the selected keys of one node, page by page; no key twice in a page.

    Args:
        ask: Sends commands in one round trip and returns their replies.
        keys: Those of the selection's names that the node holds.
    """
    for start in range(0, len(keys), PAGE):
        yield _present(ask, keys[start : start + PAGE], selection.types)
    for pattern in selection.patterns:
        for kind in selection.types or (None,):
            cursor = 0
            while True:
                only = ("TYPE", kind) if kind else ()
                cursor, page = ask([("SCAN", cursor, "MATCH", pattern, "COUNT", PAGE, *only)])[0]
                yield list(dict.fromkeys(page))
                if cursor == 0:
                    break


def _present(ask: Ask, keys: Sequence[bytes], types: Sequence[str]) -> list[bytes]:
    """Return those of the named keys that exist and have one of the types."""
    if not types:
        return [key for key, count in zip(keys, ask([("EXISTS", key) for key in keys])) if count]
    kinds = ask([("TYPE", key) for key in keys])
    return [key for key, kind in zip(keys, kinds) if kind.decode() in types]


def asker(node: Primary) -> Ask:
    """Return a function that only asks; an error among the replies is raised."""
    return lambda commands: _checked(_send(node, commands))


def _send(node: Primary, commands: Sequence[Command]) -> list[Any]:
    """Send all commands in one round trip; a reply may be an exception."""
    with node.client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        return list(pipe.execute(raise_on_error=False))


def _checked(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


class Distinct:
    """
    Count distinct keys in 8 bytes each: 64-bit hashes in buckets, made unique one bucket at a time.

    Attributes:
        upper_bound: Keys noted since the last count, some perhaps twice.
    """

    def __init__(self) -> None:
        self._buckets = [array("Q") for _bucket in range(256)]
        self.upper_bound = 0

    def add(self, keys: Sequence[bytes]) -> None:
        """Note the keys."""
        for key in keys:
            digest = hash(key) & 0xFFFFFFFFFFFFFFFF
            self._buckets[digest & 0xFF].append(digest)
        self.upper_bound += len(keys)

    def count(self) -> int:
        """Forget what was noted twice and return how many are left."""
        for number, bucket in enumerate(self._buckets):
            self._buckets[number] = array("Q", set(bucket))
        self.upper_bound = sum(len(bucket) for bucket in self._buckets)
        return self.upper_bound


class Pace:
    """
    Decides how many keys one command removes, and when it is sent.

    Args:
        rate: Keys per second, None for no bound; time that passes without removing anything is not saved up.
        limit: Keys in total, None for no bound.
        clock, sleep: Of the module time.
    Attributes:
        chunk: Keys that one command removes.
    """

    def __init__(self, rate: Optional[float], limit: Optional[int], clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._rate, self._limit, self._clock, self._sleep = rate, limit, clock, sleep
        self._sent, self._next = 0, clock()
        self.chunk = MOST if rate is None else min(MOST, max(1, int(rate / CHUNKS_PER_SECOND)))

    def admit(self, count: int) -> None:
        """
        Wait until *count* further keys may go.

        Raises:
            ServerError: if that would be more than the limit.
        """
        if self._limit is not None and self._sent + count > self._limit:
            raise ServerError(f"keys were added meanwhile, and more than {self._limit} match now, which is max_keys")
        self._sent += count
        if self._rate is not None:
            early = self._next - self._clock()
            if early > 0:
                self._sleep(early)
            self._next = max(self._next, self._clock()) + count / self._rate


def sweep(remover: Remover, selection: Selection, keys: Sequence[bytes], pace: Pace, seen: Callable[[list[bytes]], None]) -> None:
    """
    Remove the selected keys of one node.

    Args:
        keys: Those of the selection's names that the node holds.
        seen: Called with each page before it is removed.
    """
    for page in pages(remover.ask, selection, keys):
        remover.tally.matched += len(page)
        seen(page)
        for start in range(0, len(page), pace.chunk):
            remover.ask([])  # what is pending of this page; its last part goes with the next question
            part = page[start : start + pace.chunk]
            pace.admit(len(part))
            remover.pending = part
    remover.ask([])


class Remover:
    """
    Talks to one node; what is pending is removed in the same round trip as the next question, before it.

    Attributes:
        tally: Where the counts go; always true, also when a call raises.
        pending: Keys to remove.
    """

    def __init__(self, client: AnyClient, node: Primary, tally: Tally, settings: Settings) -> None:
        self._client, self._node, self._settings = client, node, settings
        self.tally = tally
        self.pending: list[bytes] = []
        self._verb = "UNLINK"

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Remove what is pending, then ask; return the replies to *commands*."""
        removals, keys = self._removals(), self.pending
        if not removals and not commands:
            return []
        self.pending = []
        try:
            replies = _send(self._node, [*removals, *commands])
        except (RedisError, OSError):
            self.tally.unconfirmed += len(keys)
            raise
        self._settle(removals, replies[: len(removals)])
        return _checked(replies[len(removals) :])

    def _removals(self) -> list[Command]:
        """Return the commands that remove what is pending; in a cluster one command takes the keys of one slot only."""
        groups: dict[int, list[bytes]] = {}
        for key in self.pending:
            groups.setdefault(key_slot(key) if isinstance(self._client, RedisCluster) else 0, []).append(key)
        return [(self._verb, *group) for group in groups.values()]

    def _settle(self, removals: Sequence[Command], replies: Sequence[Any]) -> None:
        """Count what was removed; remove with DEL what UNLINK was denied for, and elsewhere what is moving to another node."""
        denied: list[bytes] = []
        moving: list[bytes] = []
        failures: list[Exception] = []
        for (_verb, *keys), reply in zip(removals, replies):
            if isinstance(reply, int):
                self.tally.deleted += reply
            elif isinstance(reply, (MovedError, AskError, TryAgainError)) and isinstance(self._client, RedisCluster):
                moving += keys
            elif self._verb == "UNLINK" and isinstance(translate(reply, self._settings), DeniedError):
                denied += keys
            else:
                failures.append(reply)
        if failures:
            raise failures[0]
        for key in moving:
            self.tally.deleted += self._client.execute_command(self._verb, key)
        if denied:
            self._verb, self.pending = "DEL", denied
            self.ask([])
