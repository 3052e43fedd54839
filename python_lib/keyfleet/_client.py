# SPDX-License-Identifier: MIT
"""The synchronous client."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Union

from . import _json
from .core.connection import FOREIGN_ERRORS, AnyClient, close, connect, translate
from .core.errors import DecodeError, WrongTypeError
from .core.health import Report, check_health
from .core.settings import Settings
from .core.topology import primaries

if TYPE_CHECKING:
    from redis import Redis
    from redis.cluster import RedisCluster

Value = Union[str, bytes, int, float]


class Client:
    """
    Keys, JSON values and hashes on a server, a cluster or the primary that Sentinel names.

    Make one with `from_env`, `from_url` or `from_settings`, share it between threads, and close it, best as a context manager.
    Keys are given and returned without the prefix of the settings. Values are texts, stored as UTF-8; `raw` gives bytes and all
    other commands.

    Every method may raise UnreachableError (no connection or no reply in time; a reply that does not come means that a write may
    have happened), CredentialsError, DeniedError, or ServerError for any other error of the server; WrongTypeError where the key
    holds another type.
    """

    def __init__(self, settings: Settings, raw: AnyClient) -> None:
        self._settings, self._raw = settings, raw

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Client:
        """
        Connect as the REDIS_ variables say.

        Args:
            environ: Variables to read instead of the process's environment.
        Raises:
            SettingsError: naming each variable that is missing, wrong or contradicts another.
        """
        return cls.from_settings(Settings.from_env(environ))

    @classmethod
    def from_url(cls, url: str, **overrides: Any) -> Client:
        """
        Connect to ``redis://``, ``rediss://`` (TLS) or ``unix://``.

        Args:
            url: As in ``redis://user:password@host:6379/0``, parts percent-encoded.
            overrides: Further fields of Settings.
        Raises:
            SettingsError: if the URL or a field is wrong.
        """
        return cls.from_settings(Settings.from_url(url, **overrides))

    @classmethod
    def from_settings(cls, settings: Settings) -> Client:
        """Connect as *settings* say: a single server when the first command is sent, a cluster and Sentinel now."""
        return cls(settings, connect(settings))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self._settings.address}>"

    @property
    def settings(self) -> Settings:
        """What this client was made from."""
        return self._settings

    @property
    def raw(self) -> Redis | RedisCluster:
        """The redis-py client underneath: replies are bytes, keys carry the prefix, errors are redis-py's."""
        client: Redis | RedisCluster = self._raw
        return client

    def close(self) -> None:
        """Close all connections; a later call connects again."""
        close(self._raw)

    def ping(self) -> bool:
        """Return True when the server, or each primary of a cluster, has answered."""
        with self._asking():
            return all(node.client.ping() for node in primaries(self._raw))

    def info(self, section: str = "default") -> dict[str, dict[str, Any]]:
        """
        Return what INFO says, by address of the server: one entry, or one for each primary of a cluster.

        Args:
            section: Part of INFO, as ``memory``.
        """
        with self._asking():
            return {node.address: node.client.info(section) for node in primaries(self._raw)}

    def health(self, *, write_probe: bool = False) -> Report:
        """
        Return verdict, reasons and one result per check; a server that does not answer is a verdict too, not an exception.

        Args:
            write_probe: Whether to write a key, read it back and delete it.
        """
        return check_health(self._raw, self._settings, write_probe=write_probe)

    def get(self, key: str) -> str | None:
        """Return the value of *key*, None if it does not exist; DecodeError if the value is not UTF-8."""
        with self._asking(key, "string"):
            return _text(key, self._raw.get(self._name(key)))

    def set(self, key: str, value: Value, *, ttl_seconds: float | None = None, nx: bool = False, xx: bool = False) -> bool:
        """
        Store *value*, whatever type *key* held before.

        Args:
            key, value: Name without prefix; numbers are stored as their text.
            ttl_seconds: Life of the key; without it the key stays, and loses a life it had.
            nx, xx: Store only if the key does not exist, or only if it does.
        Returns:
            True if the value was stored, False if *nx* or *xx* forbade it.
        Raises:
            ValueError: if *ttl_seconds* is not above 0 or both *nx* and *xx* are given.
        """
        if nx and xx:
            raise ValueError("nx and xx exclude each other")
        life = None if ttl_seconds is None else _milliseconds(ttl_seconds)
        with self._asking():
            return bool(self._raw.set(self._name(key), value, px=life, nx=nx, xx=xx))

    def delete(self, *keys: str) -> int:
        """Delete *keys* of any type and return how many existed; on a cluster this is not one step."""
        with self._asking():
            return int(self._raw.delete(*map(self._name, keys))) if keys else 0

    def exists(self, *keys: str) -> int:
        """Return how many of *keys* exist; a key named twice counts twice."""
        with self._asking():
            return int(self._raw.exists(*map(self._name, keys))) if keys else 0

    def expire(self, key: str, ttl_seconds: float) -> bool:
        """
        Let *key* live *ttl_seconds* from now and return whether it exists.

        Raises:
            ValueError: if *ttl_seconds* is not above 0; use `delete`.
        """
        life = _milliseconds(ttl_seconds)
        with self._asking():
            return bool(self._raw.pexpire(self._name(key), life))

    def ttl(self, key: str) -> float | None:
        """Return the seconds that *key* has to live: ``math.inf`` if it stays for ever, None if it does not exist."""
        with self._asking():
            left = int(self._raw.pttl(self._name(key)))
        if left < 0:
            return math.inf if left == -1 else None
        return left / 1000

    def incr(self, key: str, amount: int = 1) -> int:
        """Add *amount*, which may be negative, to the whole number in *key*, 0 if it does not exist, and return the sum."""
        with self._asking(key, "string"):
            return int(self._raw.incrby(self._name(key), amount))

    def get_json(self, key: str, default: Any = None) -> Any:
        """Return what the JSON in *key* means, *default* if the key does not exist; DecodeError if it is not JSON."""
        with self._asking(key, "string"):
            data = self._raw.get(self._name(key))
        if data is None:
            return default
        try:
            return _json.loads(data)
        except ValueError as error:
            raise DecodeError(key, "JSON") from error

    def set_json(self, key: str, value: Any, *, ttl_seconds: float | None = None, nx: bool = False, xx: bool = False) -> bool:
        """
        Store *value* as JSON; arguments and result as for `set`.

        Raises:
            TypeError, ValueError: if *value* is not made of dict with text keys, list, str, int, float, bool and None.
        """
        return self.set(key, _json.dumps(value), ttl_seconds=ttl_seconds, nx=nx, xx=xx)

    def hset(self, key: str, fields: Mapping[str, Value]) -> int:
        """Store *fields* in the hash *key*, others stay; return how many are new."""
        with self._asking(key, "hash"):
            return int(self._raw.hset(self._name(key), mapping=dict(fields))) if fields else 0

    def hget(self, key: str, field: str) -> str | None:
        """Return one field of the hash *key*, None if there is no such field or key; DecodeError if it is not UTF-8."""
        with self._asking(key, "hash"):
            return _text(key, self._raw.hget(self._name(key), field))

    def hgetall(self, key: str) -> dict[str, str]:
        """Return all fields of the hash *key*, none if it does not exist; DecodeError if one is not UTF-8."""
        with self._asking(key, "hash"):
            found = self._raw.hgetall(self._name(key))
        return {str(_text(key, name)): str(_text(key, value)) for name, value in found.items()}

    def hdel(self, key: str, *fields: str) -> int:
        """Delete *fields* of the hash *key* and return how many existed; the last field takes the key with it."""
        with self._asking(key, "hash"):
            return int(self._raw.hdel(self._name(key), *fields)) if fields else 0

    def scan(self, pattern: str = "*", *, count: int = 1000) -> Iterator[str]:
        """
        Yield the names of keys that match *pattern*, on every primary, by SCAN.

        Args:
            pattern: Glob of the name without prefix: ``*``, ``?``, ``[abc]``, a backslash before a literal one.
            count: Keys that the server looks at for each step; it answers nobody else meanwhile.
        Yields:
            Names without prefix. A key that lives during the whole scan is yielded at least once, rarely twice.
        """
        match = re.sub(r"([*?\[\]\\])", r"\\\1", self._settings.key_prefix) + pattern
        with self._asking():
            for node in primaries(self._raw):
                for name in node.client.scan_iter(match=match, count=count):
                    text = str(_text("a key name found by scan", name))
                    yield text[len(self._settings.key_prefix) :]

    def _name(self, key: str) -> str:
        return self._settings.key_prefix + key

    @contextmanager
    def _asking(self, key: str | None = None, wanted: str = "") -> Iterator[None]:
        """Translate redis-py's errors; *key* and *wanted* say what a wrong type would be about."""
        try:
            yield
        except FOREIGN_ERRORS as error:
            if key is not None and str(error).startswith("WRONGTYPE"):
                raise WrongTypeError(key, wanted, self._type_of(key)) from error
            raise translate(error, self._settings) from error

    def _type_of(self, key: str) -> str:
        try:
            return str(self._raw.type(self._name(key)).decode())
        except FOREIGN_ERRORS:  # only an addition to an error that is raised anyway
            return "value of another type"


def _text(key: str, value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise DecodeError(key, "UTF-8 text") from error


def _milliseconds(seconds: float) -> int:
    """Return whole milliseconds, at least 1: Redis refuses 0, and rounding down would end a life too early."""
    if not 0 < seconds < math.inf:
        raise ValueError(f"ttl_seconds is {seconds}; it must be above 0 and finite")
    return math.ceil(seconds * 1000)
