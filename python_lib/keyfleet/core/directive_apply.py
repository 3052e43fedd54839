# SPDX-License-Identifier: MIT
"""Directives of a running server: read them all, and set what changes live."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from .directive_values import HIDDEN, SECRET_DIRECTIVES
from .errors import RefusedError

if TYPE_CHECKING:
    from redis import Redis

try:
    from redis.exceptions import ResponseError
except ImportError:  # the connection tells the user what is missing
    ResponseError = RefusedError  # type: ignore[assignment,misc]


def read_active(client: Redis, names: Iterable[str] = (), *, command: str = "CONFIG") -> dict[str, str]:
    """
    Return every directive of a running server as CONFIG GET tells it.

    Args:
        names: Directives to ask for by name too, since the server lists some only then.
        command: What CONFIG is called on this server (``directives.config_command``).
    """
    values: dict[str, str] = {}
    for pattern in ("*", *names):
        if pattern not in values:
            flat = [_text(item) for item in client.execute_command(command, "GET", pattern)]  # type: ignore[no-untyped-call,unused-ignore]
            values.update(zip(flat[::2], flat[1::2]))
    return values


def apply_live(client: Redis, live: Mapping[str, str], *, command: str = "CONFIG") -> None:
    """
    Set directives of a running server, all or nothing; servers before 7.0 take one at a time.

    Args:
        live: ``{name: value}``.
        command: What CONFIG is called on this server.
    Raises:
        RefusedError: if the server refuses a value, with its own words; secrets are left out.
    """
    if not live:
        return
    words = [word for pair in live.items() for word in pair]
    try:
        client.execute_command(command, "SET", *words)  # type: ignore[no-untyped-call,unused-ignore]
    except ResponseError as error:
        if len(live) > 1 and "wrong number of arguments" in str(error):
            for name, value in live.items():
                apply_live(client, {name: value}, command=command)
            return
        text = str(error)
        if not re.search(r"CONFIG SET|Unsupported CONFIG|Unknown option", text):  # CONFIG itself is denied or renamed: not about a value
            raise
        for name in SECRET_DIRECTIVES & live.keys():
            text = text.replace(live[name], HIDDEN) if live[name] else text
        raise RefusedError(f"the server refused {', '.join(sorted(live))}: {text}") from error


def _text(item: object) -> str:
    return item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else str(item)
