# SPDX-License-Identifier: MIT
"""Operations on keys that hold a text, a number or JSON, and on the time that keys live."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from .. import json as _json
from .. import scripts as _scripts
from ..arguments import Seconds, Value, checked_key, epoch_milliseconds, exclusive, key_list, milliseconds, plain, whole
from ..command import Command, Operation
from ..kinds import (
    DEL,
    EXISTS,
    EXPIRE,
    EXPIRE_ONCE,
    EXPIREAT,
    EXPIREAT_ONCE,
    GET,
    GET_JSON,
    GETDEL,
    GETEX,
    INCR,
    MGET,
    MISSING,
    MSET,
    PERSIST,
    PING,
    SCAN,
    SET,
    SET_GET,
    SET_ONCE,
    TTL,
    TYPE,
    UNLINK,
)
from ..replies import MANY, Reader, json_or_none, same, seconds_left, text, truth, word
from ..resp import Argument
from .base import Arguments, BaseOperations, Undecodable


class KeyOperations(BaseOperations):
    """Operations on keys and the time that they live."""

    def ping(self) -> Command[bool]:
        return Command(PING, ("PING",), None, "", truth)

    def get(self, key: str, *, undecodable: Undecodable = "raise") -> Command[str | None]:
        name = self._name(key)
        return Command(GET, ("GET", name), name, key, text if undecodable == "raise" else self._text_reader(False, undecodable))

    def get_bytes(self, key: str) -> Command[bytes | None]:
        name = self._name(key)
        return Command(GET, ("GET", name), name, key, same)

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
    ) -> Command[Any]:
        name, stored = self._name(key), plain(key, value)
        if ttl_seconds is None and not (nx or xx or keepttl or get):
            return Command(SET, ("SET", name, stored), name, key, truth)
        if nx and xx:
            raise ValueError("nx and xx exclude each other")
        if keepttl and ttl_seconds is not None:
            raise ValueError("keepttl and ttl_seconds exclude each other")
        options: Arguments = () if ttl_seconds is None else ("PX", milliseconds(ttl_seconds))
        options += tuple(word for word, wanted in (("NX", nx), ("XX", xx), ("KEEPTTL", keepttl), ("GET", get)) if wanted)
        if get:
            return Command(SET_GET, ("SET", name, stored, *options), name, key, text)
        return Command(SET_ONCE if nx or xx else SET, ("SET", name, stored, *options), name, key, truth)

    def getdel(self, key: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> Command[Any]:
        name = self._name(key)
        return Command(GETDEL, ("GETDEL", name), name, key, self._text_reader(as_bytes, undecodable))

    def getex(
        self,
        key: str,
        *,
        ttl_seconds: Seconds | None = None,
        persist: bool = False,
        as_bytes: bool = False,
        undecodable: Undecodable = "raise",
    ) -> Command[Any]:
        name = self._name(key)
        if (ttl_seconds is None) != persist:
            raise ValueError("getex takes either ttl_seconds or persist=True")
        options: Arguments = ("PERSIST",) if ttl_seconds is None else ("PX", milliseconds(ttl_seconds))
        return Command(GETEX, ("GETEX", name, *options), name, key, self._text_reader(as_bytes, undecodable))

    def get_json(self, key: str, default: Any = None, *, undecodable: Undecodable = "raise", decoder: Any = None) -> Command[Any]:
        name = self._name(key)
        return Command(GET_JSON, ("GET", name), name, key, self._json_or(default, undecodable, decoder))

    def set_json(self, key: str, value: Any, *, ttl_seconds: Seconds | None = None, nx: bool = False, xx: bool = False) -> Command[bool]:
        return self.set(key, _json.dumps(value), ttl_seconds=ttl_seconds, nx=nx, xx=xx)

    def get_many(self, keys: Iterable[str], *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> Operation[dict[str, Any]]:
        return self._read_many(keys, self._text_reader(as_bytes, undecodable))

    def get_many_json(self, keys: Iterable[str], *, undecodable: Undecodable = "raise", decoder: Any = None) -> Operation[dict[str, Any]]:
        if decoder is None and undecodable == "raise":
            return self._read_many(keys, json_or_none)
        read = self._json_reader(undecodable, decoder)

        def decode(value: bytes | None, key: str) -> Any:
            return None if value is None or (found := read(value, key)) is MISSING else found

        return self._read_many(keys, decode)

    def _read_many(self, keys: Iterable[str], decode: Reader) -> Operation[dict[str, Any]]:
        asked, decode_all = key_list(keys), MANY.get(decode)

        def combine(answers: list[bytes | None]) -> dict[str, Any]:
            found = map(decode, answers, asked) if decode_all is None else decode_all(answers, asked)
            return dict(zip(asked, found, strict=True))

        if self.is_cluster:
            return Operation([self.get_bytes(key) for key in asked], combine)
        pages = self._pages(asked)

        def combine_pages(answers: list[list[bytes | None] | None]) -> dict[str, Any]:
            # a page is None where the policy fell back
            return combine([value for page, answer in zip(pages, answers, strict=True) for value in answer or [None] * len(page)])

        return Operation([self._mget(page) for page in pages], combine_pages)

    def _mget(self, keys: Sequence[str]) -> Command[list[bytes | None]]:
        names = self._names(keys)
        return Command(MGET, ("MGET", *names), names[0], keys[0], same)

    def set_many(self, values: Mapping[str, Value], *, ttl_seconds: Seconds | None = None) -> Operation[bool]:
        if ttl_seconds is not None or self.is_cluster:
            return Operation([self.set(key, value, ttl_seconds=ttl_seconds) for key, value in values.items()], all)
        pages = self._pages(list(values))
        return Operation([self._mset(page, [plain(key, values[key]) for key in page]) for page in pages], all)

    def _mset(self, keys: Sequence[str], values: Sequence[Argument]) -> Command[bool]:
        names = self._names(keys)
        return Command(MSET, ("MSET", *chain.from_iterable(zip(names, values, strict=True))), names[0], keys[0], truth)

    def set_many_json(self, values: Mapping[str, Any], *, ttl_seconds: Seconds | None = None) -> Operation[bool]:
        return self.set_many({key: _json.dumps(value) for key, value in values.items()}, ttl_seconds=ttl_seconds)

    def delete(self, *keys: str) -> Operation[int]:
        return self._count(DEL, keys)

    def unlink(self, *keys: str) -> Operation[int]:
        return self._count(UNLINK, keys)

    def exists(self, *keys: str) -> Operation[int]:
        return self._count(EXISTS, keys)

    def expire(
        self, key: str, ttl_seconds: Seconds, *, nx: bool = False, xx: bool = False, gt: bool = False, lt: bool = False
    ) -> Command[bool]:
        name, options = self._name(key), exclusive(nx=nx, xx=xx, gt=gt, lt=lt)
        kind = EXPIRE_ONCE if options else EXPIRE
        return Command(kind, ("PEXPIRE", name, milliseconds(ttl_seconds), *options), name, key, truth)

    def expireat(
        self, key: str, when: datetime | float, *, nx: bool = False, xx: bool = False, gt: bool = False, lt: bool = False
    ) -> Command[bool]:
        name, options = self._name(key), exclusive(nx=nx, xx=xx, gt=gt, lt=lt)
        kind = EXPIREAT_ONCE if options else EXPIREAT
        return Command(kind, ("PEXPIREAT", name, epoch_milliseconds(when), *options), name, key, truth)

    def persist(self, key: str) -> Command[bool]:
        name = self._name(key)
        return Command(PERSIST, ("PERSIST", name), name, key, truth)

    def ttl(self, key: str) -> Command[float | None]:
        name = self._name(key)
        return Command(TTL, ("PTTL", name), name, key, seconds_left)

    def incr(self, key: str, amount: int = 1, *, ttl_seconds: Seconds | None = None) -> Command[int]:
        name = self._name(key)
        if ttl_seconds is None:
            return Command(INCR, ("INCRBY", name, whole("amount", amount)), name, key, same)
        return _scripts.load("incr").command(INCR, (name,), (whole("amount", amount), milliseconds(ttl_seconds)), key, same)

    def decr(self, key: str, amount: int = 1, *, ttl_seconds: Seconds | None = None) -> Command[int]:
        return self.incr(key, -whole("amount", amount), ttl_seconds=ttl_seconds)

    def type(self, key: str) -> Command[str]:
        name = self._name(key)
        return Command(TYPE, ("TYPE", name), name, key, word)

    def scan(
        self, cursor: int, pattern: str, type: str | None, count: int, as_bytes: bool = False, undecodable: Undecodable = "raise"
    ) -> Command[tuple[int, list[Any]]]:
        """Decodes to the next cursor, and names without prefix."""
        arguments: Arguments = ("SCAN", cursor, "MATCH", _escaped(self.prefix) + checked_key(pattern), "COUNT", whole("count", count))
        if type is not None:
            arguments += ("TYPE", type)
        read, length = self._texts_reader(as_bytes, undecodable), len(self.prefix.encode())

        def page(reply: list[Any], key: str) -> tuple[int, list[Any]]:
            return int(reply[0]), read([name[length:] for name in reply[1]], key)

        return Command(SCAN, arguments, None, "a key name found by scan", page)


def _escaped(prefix: str) -> str:
    """Return a glob that matches *prefix* alone."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", prefix)
