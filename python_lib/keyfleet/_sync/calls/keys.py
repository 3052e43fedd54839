# SPDX-License-Identifier: MIT - made from _async/calls/keys.py by scripts/generate_sync.py; change that one
"""The calls for keys and their TTLs, one or many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from ..._protocol.arguments import Seconds, Value
from ..._protocol.building.base import Undecodable
from ..lifecycle import ClientBase

if TYPE_CHECKING:
    from ..._protocol.decoders import BytesDecoder

T = TypeVar("T")
D = TypeVar("D")

SCAN_COUNT = 1000


class KeyCalls(ClientBase):
    """Keys that hold a text, a number or JSON."""

    def get(self, key: str, *, undecodable: Undecodable = "raise") -> str | None:
        """
        Return the value of *key*, None if it does not exist.

        Args:
            undecodable: Whether a value that is not UTF-8 raises DecodeError, or is logged, counted and taken for missing.
        """
        return self._run(self._commands.get(key, undecodable=undecodable))

    def get_bytes(self, key: str) -> bytes | None:
        """Return the value of *key* as it is, None if it does not exist."""
        return self._run(self._commands.get_bytes(key))

    @overload
    def set(
        self,
        key: str,
        value: Value,
        *,
        ttl_seconds: Seconds | None = None,
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
        ttl_seconds: Seconds | None = None,
        nx: bool = False,
        xx: bool = False,
        keepttl: bool = False,
        get: Literal[True],
    ) -> str | None: ...

    @overload
    def set(
        self,
        key: str,
        value: Value,
        *,
        ttl_seconds: Seconds | None = None,
        nx: bool = False,
        xx: bool = False,
        keepttl: bool = False,
        get: bool,
    ) -> bool | str | None: ...

    def set(
        self,
        key: str,
        value: Value,
        *,
        ttl_seconds: Seconds | None = None,
        nx: bool = False,
        xx: bool = False,
        keepttl: bool = False,
        get: bool = False,
    ) -> bool | str | None:
        """
        Store *value*, whatever type *key* held before.

        Args:
            key, value: Name without prefix; numbers are stored as their text.
            ttl_seconds: Time after which the key expires, in seconds or as a timedelta; without it the key stays, and loses a TTL it had.
            nx, xx: Store only if the key does not exist, or only if it does; a lost reply raises OutcomeUnknown then.
            keepttl: Keep the TTL that the key has.
            get: Return the value that the key had, None if it did not exist, instead of whether it was stored.
        Returns:
            True if the value was stored, False if *nx* or *xx* forbade it; with *get* the former value.
        Raises:
            TypeError: if *value* is neither text, bytes nor number; a bool is none.
            ValueError: if *ttl_seconds* is not above 0 or too long, *value* has more than 512 MB, or options exclude each other.
        """
        answer: bool | str | None = self._run(
            self._commands.set(key, value, ttl_seconds=ttl_seconds, nx=nx, xx=xx, keepttl=keepttl, get=get)
        )
        return answer

    @overload
    def getdel(self, key: str, *, as_bytes: Literal[False] = False, undecodable: Undecodable = "raise") -> str | None: ...

    @overload
    def getdel(self, key: str, *, as_bytes: Literal[True], undecodable: Undecodable = "raise") -> bytes | None: ...

    def getdel(self, key: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> Any:
        """
        Return the value of *key* and delete it in one step, None if it does not exist.

        Args:
            as_bytes: Return the value as it is instead of as a text.
            undecodable: Whether a value that is not UTF-8 raises DecodeError, in whose ``data`` it is, or is logged, counted and taken
                for missing; the key is deleted in both cases.
        Raises:
            OutcomeUnknown: if the reply was lost; the value may be gone.
        """
        return self._run(self._commands.getdel(key, as_bytes=as_bytes, undecodable=undecodable))

    @overload
    def getex(
        self,
        key: str,
        *,
        ttl_seconds: Seconds | None = None,
        persist: bool = False,
        as_bytes: Literal[False] = False,
        undecodable: Undecodable = "raise",
    ) -> str | None: ...

    @overload
    def getex(
        self,
        key: str,
        *,
        ttl_seconds: Seconds | None = None,
        persist: bool = False,
        as_bytes: Literal[True],
        undecodable: Undecodable = "raise",
    ) -> bytes | None: ...

    def getex(
        self,
        key: str,
        *,
        ttl_seconds: Seconds | None = None,
        persist: bool = False,
        as_bytes: bool = False,
        undecodable: Undecodable = "raise",
    ) -> Any:
        """
        Return the value of *key* and change its TTL in one step; None if it does not exist.

        Args:
            ttl_seconds: The new TTL, in seconds or as a timedelta.
            persist: Remove the TTL instead.
            as_bytes: Return the value as it is instead of as a text.
            undecodable: As for `get`.
        Raises:
            ValueError: if neither *ttl_seconds* nor *persist* is given, or both.
        """
        command = self._commands.getex(key, ttl_seconds=ttl_seconds, persist=persist, as_bytes=as_bytes, undecodable=undecodable)
        return self._run(command)

    @overload
    def get_json(self, key: str, default: Any = None, *, undecodable: Undecodable = "raise", decoder: None = None) -> Any: ...

    @overload
    def get_json(
        self, key: str, default: D, *, undecodable: Undecodable = "raise", decoder: Callable[[Any], T] | BytesDecoder[T]
    ) -> T | D: ...

    @overload
    def get_json(self, key: str, *, undecodable: Undecodable = "raise", decoder: Callable[[Any], T] | BytesDecoder[T]) -> T | None: ...

    def get_json(self, key: str, default: Any = None, *, undecodable: Undecodable = "raise", decoder: Any = None) -> Any:
        """
        Return what the JSON in *key* means.

            user = client.get_json("user:7", decoder=User)

        Args:
            default: What to return if the key does not exist.
            undecodable: Whether a value that is not JSON raises DecodeError, or is logged, counted and taken for missing.
            decoder: Makes something of what the JSON means: a dataclass, of its fields; a pydantic model; a msgspec struct; or any
                function. An object with a method ``decode``, as ``msgspec.json.Decoder(list[User])``, gets the bytes instead. What it
                refuses, with ValueError, TypeError, LookupError or msgspec's errors, is as what is not JSON.
        """
        return self._run(self._commands.get_json(key, default, undecodable=undecodable, decoder=decoder))

    def set_json(self, key: str, value: Any, *, ttl_seconds: Seconds | None = None, nx: bool = False, xx: bool = False) -> bool:
        """
        Store *value* as JSON; arguments and result as for `set`.

        Raises:
            TypeError: if *value* is not made of dict, list, tuple, str, int, float, bool, None, Enum and UUID.
            ValueError: if it has NaN or infinity, or is nested too deeply.
        """
        return self._run(self._commands.set_json(key, value, ttl_seconds=ttl_seconds, nx=nx, xx=xx))

    @overload
    def get_many(
        self, keys: Iterable[str], *, as_bytes: Literal[False] = False, undecodable: Undecodable = "raise"
    ) -> dict[str, str | None]: ...

    @overload
    def get_many(self, keys: Iterable[str], *, as_bytes: Literal[True], undecodable: Undecodable = "raise") -> dict[str, bytes | None]: ...

    def get_many(self, keys: Iterable[str], *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> dict[str, Any]:
        """
        Return the value of each of *keys*, None where there is none; on a cluster this is not one step.

        Args:
            as_bytes: Return values as they are instead of as texts.
            undecodable: Whether a value that is not UTF-8 raises DecodeError, or is logged, counted and taken for missing.
        """
        return self._run(self._commands.get_many(keys, as_bytes=as_bytes, undecodable=undecodable))

    @overload
    def get_many_json(self, keys: Iterable[str], *, undecodable: Undecodable = "raise", decoder: None = None) -> dict[str, Any]: ...

    @overload
    def get_many_json(
        self, keys: Iterable[str], *, undecodable: Undecodable = "raise", decoder: Callable[[Any], T] | BytesDecoder[T]
    ) -> dict[str, T | None]: ...

    def get_many_json(self, keys: Iterable[str], *, undecodable: Undecodable = "raise", decoder: Any = None) -> dict[str, Any]:
        """Return what the JSON in each of *keys* means, None where there is none; *undecodable* and *decoder* as for `get_json`."""
        return self._run(self._commands.get_many_json(keys, undecodable=undecodable, decoder=decoder))

    def set_many(self, values: Mapping[str, Value], *, ttl_seconds: Seconds | None = None) -> bool:
        """
        Store every value under its key; one step on a single server without *ttl_seconds* and up to 1000 keys, else not.

        Args:
            values: Key to value.
            ttl_seconds: TTL of each key. Without it the keys do not expire, and lose a TTL that they had.
        Returns:
            True; False if the policy falls back.
        """
        return self._run(self._commands.set_many(values, ttl_seconds=ttl_seconds))

    def set_many_json(self, values: Mapping[str, Any], *, ttl_seconds: Seconds | None = None) -> bool:
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

    def expire(self, key: str, ttl_seconds: Seconds, *, nx: bool = False, xx: bool = False, gt: bool = False, lt: bool = False) -> bool:
        """
        Let *key* expire *ttl_seconds* from now and return whether that was set: not if it does not exist, or an option forbade it.

        Args:
            ttl_seconds: In seconds or as a timedelta.
            nx, xx: Only if the key has no TTL, or only if it has one; Redis 7.0 and newer, Valkey.
            gt, lt: Only if that is later, or only if it is earlier, than the key would expire; one without TTL never does.
        Raises:
            ValueError: if *ttl_seconds* is not above 0 (use `delete`) or too long, or options exclude each other.
            OutcomeUnknown: with an option, if the reply was lost.
        """
        return self._run(self._commands.expire(key, ttl_seconds, nx=nx, xx=xx, gt=gt, lt=lt))

    def expireat(self, key: str, when: datetime | float, *, nx: bool = False, xx: bool = False, gt: bool = False, lt: bool = False) -> bool:
        """
        Let *key* expire at the time *when*, by the clock of the server; a time that has passed deletes it. Otherwise like `expire`.

        Args:
            when: A datetime with a time zone, or seconds since the epoch.
        """
        return self._run(self._commands.expireat(key, when, nx=nx, xx=xx, gt=gt, lt=lt))

    def persist(self, key: str) -> bool:
        """Let *key* stay forever and return whether it had a TTL before."""
        return self._run(self._commands.persist(key))

    def ttl(self, key: str) -> float | None:
        """Return the seconds until *key* expires: ``math.inf`` if it has no TTL, None if it does not exist."""
        return self._run(self._commands.ttl(key))

    def incr(self, key: str, amount: int = 1, *, ttl_seconds: Seconds | None = None) -> int:
        """
        Add *amount*, which may be negative, to the whole number in *key*, 0 if it does not exist, and return the sum.

        Args:
            ttl_seconds: TTL of the key if this call creates it, set in the same step. A key that exists keeps its own.
        Raises:
            OutcomeUnknown: if the reply was lost; it is not counted a second time.
        """
        return self._run(self._commands.incr(key, amount, ttl_seconds=ttl_seconds))

    def decr(self, key: str, amount: int = 1, *, ttl_seconds: Seconds | None = None) -> int:
        """Subtract *amount*; otherwise like `incr`."""
        return self._run(self._commands.decr(key, amount, ttl_seconds=ttl_seconds))

    @overload
    def scan(
        self,
        pattern: str = "*",
        *,
        type: str | None = None,
        count: int = SCAN_COUNT,
        as_bytes: Literal[False] = False,
        undecodable: Undecodable = "raise",
    ) -> Iterator[str]: ...

    @overload
    def scan(
        self,
        pattern: str = "*",
        *,
        type: str | None = None,
        count: int = SCAN_COUNT,
        as_bytes: Literal[True],
        undecodable: Undecodable = "raise",
    ) -> Iterator[bytes]: ...

    def scan(
        self,
        pattern: str = "*",
        *,
        type: str | None = None,
        count: int = SCAN_COUNT,
        as_bytes: bool = False,
        undecodable: Undecodable = "raise",
    ) -> Iterator[Any]:
        """
        Yield the names of keys that match *pattern*, on every primary, by SCAN.

        Args:
            pattern: Glob of the name without prefix: ``*``, ``?``, ``[abc]``, a backslash before a literal one.
            type: Only keys of this type, as ``string`` or ``hash``.
            count: Keys that the server inspects for each step; it answers no other client meanwhile.
            as_bytes: Yield names as bytes instead of as texts.
            undecodable: Whether a name that is not UTF-8 raises DecodeError, or is logged, counted and left out.
        Yields:
            Names without prefix. A key that exists during the whole scan is yielded at least once, rarely twice.
        Raises:
            UnreachableError: if a server that is being scanned fails; what was yielded until then is not all.
        """
        engine = self._engines.current()
        with self._counted():
            for node, _answer in engine.run_on_primaries(self._commands.ping(), self._budget):
                cursor = 0
                while True:
                    step = self._commands.scan(cursor, pattern, type, count, as_bytes, undecodable)
                    cursor, names = engine.run_on(node, step, self._budget)
                    for name in names:
                        yield name
                    if cursor == 0:
                        break
