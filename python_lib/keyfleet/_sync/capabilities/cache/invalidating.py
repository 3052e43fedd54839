# SPDX-License-Identifier: MIT - made from _async/capabilities/cache/invalidating.py by scripts/generate_sync.py; change that one
"""Invalidating: by key, by tag, and by pattern or prefix on every primary."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis.crc import key_slot

from ...._capabilities.cache.commands import DEL, UNLINK, remove, scan
from ...._capabilities.failures import is_full
from ...._protocol.command import Kind, Operation
from ...._transport.dialer import format_address
from ...._transport.thread_pool import Node
from ...._transport.thread_waits import sleep
from ....core.errors import DeniedError, InvalidationError, KeyfleetError, OutcomeUnknown, RefusedError, ServerError
from ....core.keys.invalidate import Invalidated, escape
from ....core.keys.sweep import PAGE, Pace, Tally
from ...call import Call
from .reading import Reading, tags_of

ATTEMPTS = 5  # to remove a page whose replies were lost


class Invalidating(Reading):
    """Removes entries, or makes them invalid, so that they are never served again."""

    def invalidate(self, *keys: str) -> int:
        """
        Delete *keys* and return how many existed; one that is being loaded counts, and what is loaded is not stored.

        Raises:
            UnreachableError, OutcomeUnknown: if the server does not answer; then they may still be served.
        """
        with self._unshared([self._name(key) for key in keys]):
            return self._client._run(self._client._commands.unlink(*keys))

    def invalidate_tags(self, *tags: str) -> int:
        """
        Make every entry with one of *tags* invalid, however many there are, by one INCR for each tag: one round trip to each server.

        Returns:
            How many of the tags may have had entries.
        Raises:
            UnreachableError, OutcomeUnknown: if a server does not answer; then entries may still be served.
        """
        wanted = tags_of(tags)
        if not wanted:
            return 0
        with self._unshared([self._commands.counter(tag) for tag in wanted]):
            try:
                versions = self._client._run(Operation([self._commands.raise_tag(tag) for tag in wanted], list))
            except ServerError as error:
                if not is_full(error):
                    raise
                # Without a counter no entry is valid, and deleting one needs no memory.
                return sum(self._client._run(Operation([self._commands.delete_tag(tag) for tag in wanted], list)))
            idle = [tag for tag, version in zip(wanted, versions, strict=True) if not self._commands.has_entries(version)]
            if idle:
                self._client._run(Operation([self._commands.let_idle_tag_expire(tag) for tag in idle], list))
        return len(wanted) - len(idle)

    def invalidate_pattern(self, pattern: str, *, keys_per_second: float | None = None) -> Invalidated:
        """
        Delete all keys that match *pattern*, on every primary, by SCAN and UNLINK in pages of some 2,000 keys.

        Args:
            pattern: Glob of the name without prefix: ``*``, ``?``, ``[abc]``, a backslash before a literal one.
            keys_per_second: Bound on the rate of deletion; None is as fast as it goes.
        Returns:
            Exact counts: ``matched``, ``deleted``, and ``unconfirmed`` for keys whose reply was lost; ``nodes`` has them for each primary.
        Raises:
            RefusedError: if the pattern matches every key.
            InvalidationError: if it ended early, as in a failover; it says what was deleted. Run it again then.
        """
        if re.fullmatch(r"[*?]*\*[*?]*", pattern):
            raise RefusedError(f"the pattern {pattern!r} matches every key of the application, its sessions and locks, too")
        return self._sweep(escape(self._client.settings.key_prefix.encode()) + pattern.encode(), keys_per_second)

    def invalidate_prefix(self, prefix: str, *, keys_per_second: float | None = None) -> Invalidated:
        """
        Delete all keys that begin with *prefix*, whose characters have no special meaning; otherwise like `invalidate_pattern`.

        Raises:
            RefusedError: if *prefix* is empty.
            InvalidationError: if it ended early.
        """
        if not prefix:
            raise RefusedError("the prefix is empty, which is that of every key of the application, its sessions and locks, too")
        return self._sweep(escape((self._client.settings.key_prefix + prefix).encode()) + b"*", keys_per_second)

    @contextmanager
    def _unshared(self, names: Sequence[str] | None) -> Iterator[None]:
        """Let no caller share a load without lease that began before the end of the block, or get one of the keys from a local tier."""
        try:
            yield
        finally:
            self._forget_local(names)
            for flights in self._kept.flights.all():
                flights.leave_unleased()

    def _sweep(self, glob: bytes, keys_per_second: float | None) -> Invalidated:
        if keys_per_second is not None and keys_per_second <= 0:
            raise RefusedError(f"keys_per_second is {keys_per_second}; allowed are numbers above 0")
        engine = self._client._engines.current()
        nodes = engine.primaries(engine.deadline(self._client._budget))
        outcome = Invalidated(tuple(Tally(format_address(node.address)) for node in nodes))
        pauses: list[float] = []
        pace = Pace(keys_per_second, None, time.monotonic, pauses.append)
        with self._unshared(None):
            try:
                for node, tally in zip(nodes, outcome.nodes, strict=True):
                    _Sweep(self, node, tally).run(glob, pace, pauses, outcome)
            except KeyfleetError as error:
                raise InvalidationError(error, outcome.as_dict()["nodes"], outcome.sample) from error
        return outcome


class _Sweep:
    """
    Removes the keys of one server that match; a page is removed in the same round trip as the next one is read.

    Args:
        owner: Whose client is used.
        node: The server.
        tally: Where the counts go.
    """

    def __init__(self, owner: Reading, node: Node, tally: Tally) -> None:
        client = owner._client
        self._engine, self._budget, self._is_cluster = client._engines.current(), client._budget, bool(client.settings.cluster_nodes)
        self._node, self._tally = node, tally
        self._kind = UNLINK
        self._unsure: set[bytes] = set()  # keys whose removal was sent and not answered

    def run(self, glob: bytes, pace: Pace, pauses: list[float], outcome: Invalidated) -> None:
        """Go through all keys of the server once."""
        cursor: Any = 0
        pending: Sequence[bytes] = ()
        while True:
            cursor, names = self._ask(pending, (cursor, glob))
            page, pending = list(dict.fromkeys(names)), ()
            self._tally.matched += len(page)
            outcome.remember(page)
            for start in range(0, len(page), pace.chunk):
                if pending:
                    self._ask(pending, None)
                pending = page[start : start + pace.chunk]
                pace.admit(len(pending))
                while pauses:
                    sleep(pauses.pop())
            if int(cursor) == 0:
                self._ask(pending, None)
                return

    def _ask(self, names: Sequence[bytes], page: tuple[Any, bytes] | None) -> Any:
        """Remove *names* and, in the same write, read the next *page*."""
        reading = None if page is None else Call(scan(page[0], page[1], PAGE), self._node)
        again = self._remove(names, [] if reading is None else [reading])
        for _attempt in range(ATTEMPTS):
            again = self._remove(again, []) if again else []
        if again:
            self._tally.unconfirmed += len(again)
            raise OutcomeUnknown(self._tally.node, f"the replies to {ATTEMPTS + 1} {self._kind.name} were lost")
        return None if reading is None else self._engine.decoded(reading)

    def _remove(self, names: Sequence[bytes], others: Sequence[Call]) -> list[bytes]:
        """Send what removes *names*, with *others*; return what has to be removed again."""
        removals = self._removals(names)
        calls = [*(call for call, _names in removals), *others]
        if calls:
            self._engine.run_all(calls, self._engine.deadline(self._budget))
        return self._settle(removals)

    def _removals(self, names: Sequence[bytes]) -> list[tuple[Call, list[bytes]]]:
        """Return the calls that remove *names*; in a cluster one command takes the keys of one slot only."""
        groups: dict[int, list[bytes]] = {}
        for name in names:
            groups.setdefault(key_slot(name) if self._is_cluster else 0, []).append(name)
        return [(self._removal(self._kind, group), group) for group in groups.values()]

    def _removal(self, kind: Kind, names: list[bytes]) -> Call:
        command = remove(kind, names)
        try:
            command.name = names[0].decode()  # by which a slot that moves is followed
        except UnicodeDecodeError:
            return Call(command, self._node)
        return Call(command, None if self._is_cluster else self._node)

    def _settle(self, removals: Sequence[tuple[Call, list[bytes]]]) -> list[bytes]:
        """Count what was removed; return the keys whose reply was lost, or for which the user may not send UNLINK."""
        again: list[bytes] = []
        failure: KeyfleetError | None = None
        for call, names in removals:
            try:
                count = self._engine.decoded(call)
            except OutcomeUnknown:
                self._unsure.update(names)
                again += names
            except DeniedError as error:
                failure = error if call.command.kind is DEL else failure
                again += names
                self._kind = DEL
            except KeyfleetError as error:
                failure = error
            else:
                self._tally.deleted += count
                if names[0] in self._unsure:  # those that an attempt without a reply has removed
                    self._tally.unconfirmed += len(names) - count
                    self._unsure.difference_update(names)
        if failure is not None:
            self._tally.unconfirmed += len(self._unsure)
            raise failure
        return again
