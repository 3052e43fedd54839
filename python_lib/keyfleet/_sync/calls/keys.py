# SPDX-License-Identifier: MIT - made from _async/calls/keys.py by scripts/generate_sync.py; change that one
"""The calls for keys and their lives, one or many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, overload

from ..._protocol.builder import Value
from ..lifecycle import ClientBase

SCAN_COUNT = 1000


class KeyCalls(ClientBase):
    """Keys that hold a text, a number or JSON."""

    def get(self, key: str) -> str | None:
        """Return the value of *key*, None if it does not exist; DecodeError if the value is not UTF-8."""
        return self._run(self._commands.get(key))

    @overload
    def set(
        self,
        key: str,
        value: Value,
        *,
        ttl_seconds: float | None = None,
        nx: bool = False,
        xx: bool = False,
        keepttl: bool = False,
        get: Literal[False] = False,
    ) -> bool: ...

    @overload
    def set(
        self,
        key: str,
        value: Value,
        *,
        ttl_seconds: float | None = None,
        nx: bool = False,
        xx: bool = False,
        keepttl: bool = False,
        get: Literal[True],
    ) -> str | None: ...

    def set(
        self,
        key: str,
        value: Value,
        *,
        ttl_seconds: float | None = None,
        nx: bool = False,
        xx: bool = False,
        keepttl: bool = False,
        get: bool = False,
    ) -> bool | str | None:
        """
        Store *value*, whatever type *key* held before.

        Args:
            key, value: Name without prefix; numbers are stored as their text.
            ttl_seconds: Life of the key; without it the key stays, and loses a life it had.
            nx, xx: Store only if the key does not exist, or only if it does; a lost reply raises OutcomeUnknown then.
            keepttl: Keep the life that the key has.
            get: Return the value that the key had, None if it did not exist, instead of whether it was stored.
        Returns:
            True if the value was stored, False if *nx* or *xx* forbade it; with *get* the former value.
        Raises:
            ValueError: if *ttl_seconds* is not above 0, or options exclude each other.
        """
        answer: bool | str | None = self._run(
            self._commands.set(key, value, ttl_seconds=ttl_seconds, nx=nx, xx=xx, keepttl=keepttl, get=get)
        )
        return answer

    def get_json(self, key: str, default: Any = None, *, undecodable: Literal["raise", "miss"] = "raise") -> Any:
        """
        Return what the JSON in *key* means.

        Args:
            default: What to return if the key does not exist.
            undecodable: Whether a value that is not JSON raises DecodeError, or is logged, counted and taken for missing.
        """
        return self._run(self._commands.get_json(key, default, undecodable=undecodable))

    def set_json(self, key: str, value: Any, *, ttl_seconds: float | None = None, nx: bool = False, xx: bool = False) -> bool:
        """
        Store *value* as JSON; arguments and result as for `set`.

        Raises:
            TypeError, ValueError: if *value* is not made of dict with text keys, list, str, int, float, bool and None.
        """
        return self._run(self._commands.set_json(key, value, ttl_seconds=ttl_seconds, nx=nx, xx=xx))

    def get_many(self, keys: Sequence[str]) -> dict[str, str | None]:
        """Return the value of each of *keys*, None where there is none; on a cluster this is not one step."""
        return self._run(self._commands.get_many(keys))

    def get_many_json(self, keys: Sequence[str], *, undecodable: Literal["raise", "miss"] = "raise") -> dict[str, Any]:
        """Return what the JSON in each of *keys* means, None where there is none; *undecodable* as for `get_json`."""
        return self._run(self._commands.get_many_json(keys, undecodable=undecodable))

    def set_many(self, values: Mapping[str, Value], *, ttl_seconds: float | None = None) -> bool:
        """
        Store every value under its key; one step on a single server without *ttl_seconds* and up to 1000 keys, else not.

        Args:
            values: Key to value.
            ttl_seconds: Life of each key; without it the keys stay, and lose a life they had.
        Returns:
            True; False if the policy falls back.
        """
        return self._run(self._commands.set_many(values, ttl_seconds=ttl_seconds))

    def set_many_json(self, values: Mapping[str, Any], *, ttl_seconds: float | None = None) -> bool:
        """Store every value as JSON; otherwise like `set_many`."""
        return self._run(self._commands.set_many_json(values, ttl_seconds=ttl_seconds))

    def delete(self, *keys: str) -> int:
        """
        Delete *keys* of any type and return how many existed; on a cluster this is not one step.

        A key that was deleted by an attempt whose reply was lost is not counted.
        """
        return self._run(self._commands.delete(*keys))

    def unlink(self, *keys: str) -> int:
        """Like `delete`; the server frees the memory of large values afterwards, in the background."""
        return self._run(self._commands.unlink(*keys))

    def exists(self, *keys: str) -> int:
        """Return how many of *keys* exist; a key named twice counts twice."""
        return self._run(self._commands.exists(*keys))

    def expire(self, key: str, ttl_seconds: float) -> bool:
        """
        Let *key* live *ttl_seconds* from now and return whether it exists.

        Raises:
            ValueError: if *ttl_seconds* is not above 0; use `delete`.
        """
        return self._run(self._commands.expire(key, ttl_seconds))

    def persist(self, key: str) -> bool:
        """Let *key* stay for ever and return whether it had a life before."""
        return self._run(self._commands.persist(key))

    def ttl(self, key: str) -> float | None:
        """Return the seconds that *key* has to live: ``math.inf`` if it stays for ever, None if it does not exist."""
        return self._run(self._commands.ttl(key))

    def incr(self, key: str, amount: int = 1, *, ttl_seconds: float | None = None) -> int:
        """
        Add *amount*, which may be negative, to the whole number in *key*, 0 if it does not exist, and return the sum.

        Args:
            ttl_seconds: Life that the key gets when this call creates it, in the same step; one that exists keeps its own.
        Raises:
            OutcomeUnknown: if the reply was lost; it is not counted a second time.
        """
        return self._run(self._commands.incr(key, amount, ttl_seconds=ttl_seconds))

    def decr(self, key: str, amount: int = 1, *, ttl_seconds: float | None = None) -> int:
        """Subtract *amount*; otherwise like `incr`."""
        return self._run(self._commands.decr(key, amount, ttl_seconds=ttl_seconds))

    def scan(self, pattern: str = "*", *, type: str | None = None, count: int = SCAN_COUNT) -> Iterator[str]:
        """
        Yield the names of keys that match *pattern*, on every primary, by SCAN.

        Args:
            pattern: Glob of the name without prefix: ``*``, ``?``, ``[abc]``, a backslash before a literal one.
            type: Only keys of this type, as ``string`` or ``hash``.
            count: Keys that the server looks at for each step; it answers nobody else meanwhile.
        Yields:
            Names without prefix. A key that lives during the whole scan is yielded at least once, rarely twice.
        Raises:
            UnreachableError: if a server that is being scanned goes away; what was yielded until then is not all.
        """
        engine = self._engines.current()
        with self._counted():
            for node, _answer in engine.run_on_primaries(self._commands.ping(), self._budget):
                cursor = 0
                while True:
                    cursor, names = engine.run_on(node, self._commands.scan(cursor, pattern, type, count), self._budget)
                    for name in names:  # noqa: UP028 - the asynchronous form has no "yield from"
                        yield name
                    if cursor == 0:
                        break
