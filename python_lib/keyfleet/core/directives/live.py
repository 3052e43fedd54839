# SPDX-License-Identifier: MIT
"""Directives of a running server: read them all, and set what changes live."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import DeniedError, RefusedError
from .values import HIDDEN, SECRET_DIRECTIVES, is_file_only

if TYPE_CHECKING:
    import redis

try:
    from redis.exceptions import NoPermissionError, ResponseError
except ImportError:  # connecting reports that redis-py is missing
    NoPermissionError = ResponseError = RefusedError  # type: ignore[assignment,misc]


def read_active(client: redis.Redis, names: Iterable[str] = (), *, command: str = "CONFIG") -> dict[str, str]:
    """
    Return every directive of a running server as CONFIG GET returns it.

    Args:
        client: Connected, speaking RESP2.
        names: Directives to ask for by name too, since the server lists some only then.
        command: What CONFIG is called on this server (``directives.config_command_in`` its started lines).
    Raises:
        DeniedError: if the server offers no CONFIG under this name to this user.
    """
    values: dict[str, str] = {}
    for pattern in ("*", *names):
        if pattern not in values and not is_file_only(pattern):
            flat = [_text(item) for item in _config(client, command, "GET", pattern)]
            values.update(zip(flat[::2], flat[1::2]))
    return values


def apply_live(client: redis.Redis, live: Mapping[str, str], *, command: str = "CONFIG") -> None:
    """
    Set directives of a running server, all or nothing; servers before 7.0 take one at a time.

    Args:
        live: ``{name: value}``.
        command: What CONFIG is called on this server.
    Raises:
        RefusedError: if the server refuses a value, with its own words; secrets are left out.
        DeniedError: if the server offers no CONFIG under this name to this user.
    """
    if not live:
        return
    try:
        _config(client, command, "SET", *(word for pair in live.items() for word in pair))
    except ResponseError as error:
        if len(live) > 1 and "wrong number of arguments" in str(error).lower():
            for name, value in live.items():
                apply_live(client, {name: value}, command=command)
            return
        text = str(error)
        for name in SECRET_DIRECTIVES & live.keys():
            text = text.replace(live[name], HIDDEN) if live[name] else text
        raise RefusedError(f"the server refused {_blamed(text, live)}: {text}") from error


def _config(client: redis.Redis, command: str, *words: str) -> Any:
    try:
        return client.execute_command(command, *words)  # type: ignore[no-untyped-call,unused-ignore]
    except NoPermissionError as error:
        raise DeniedError("CONFIG", str(error)) from error
    except ResponseError as error:
        if "unknown command" in str(error).lower():
            raise DeniedError("CONFIG", "it was renamed or removed") from error
        raise


def _blamed(text: str, live: Mapping[str, str]) -> str:
    named = re.search(r"related to argument '([^']+)'", text)
    name = named.group(1) if named and named.group(1) in live else ""
    return f"{name} {HIDDEN if name in SECRET_DIRECTIVES else repr(live[name])}" if name else ", ".join(sorted(live))


def _text(item: object) -> str:
    return item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else str(item)
