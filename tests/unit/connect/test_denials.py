# SPDX-License-Identifier: MIT
"""What servers of all versions say when they deny something, read without one."""

from __future__ import annotations

import pytest
from keyfleet.core.connect.redis_py import translate
from keyfleet.core.connect.settings import Settings
from keyfleet.core.errors import DeniedError, ServerError
from redis.exceptions import NoPermissionError, ResponseError

DENIALS = [
    ("NOPERM this user has no permissions to run the 'config|get' command", ("command", "config get", "")),
    ("NOPERM this user has no permissions to run the 'get' command or its subcommand", ("command", "get", "")),
    ("NOPERM User app has no permissions to run the 'get' command", ("command", "get", "")),
    ("ERR unknown command 'nosuch', with args beginning with: ", ("command", "nosuch", "")),
    ("ERR unknown subcommand 'nosuch'. Try CONFIG HELP.", ("command", "nosuch", "")),
    ("NOPERM this user has no permissions to access one of the keys used as arguments", ("key", "", "")),
    ("NOPERM No permissions to access a key", ("key", "", "")),
    ("NOPERM User app has no permissions to access the 'my key' key", ("key", "", "my key")),
    ("NOPERM this user has no permissions to access one of the channels used as arguments", ("channel", "", "")),
    ("NOPERM No permissions to access a channel", ("channel", "", "")),
    ("NOPERM User app has no permissions to access the 'news' channel", ("channel", "", "news")),
    ("ERR The user executing the script can't access at least one of the keys mentioned in the command arguments", ("key", "", "")),
    ("ERR The user executing the script can't run this command or subcommand", ("command", "", "")),
    ("ERR ACL failure in script: No permissions to access a key script: b201, on @user_script:1.", ("key", "", "")),
    ("ERR ACL failure in script: User app has no permissions to run the 'set' command", ("command", "set", "")),
    ("NOPERM something new", ("command", "", "")),
]


@pytest.mark.parametrize(("text", "expected"), DENIALS, ids=[text for text, _unused in DENIALS])
def test_what_is_denied_is_classified(text: str, expected: tuple[str, str, str]) -> None:
    """Command, key or channel, with the name where the server says it; never one in the place of another."""
    kind = NoPermissionError if text.startswith("NOPERM") else ResponseError
    for error in (ResponseError(text), kind(text.removeprefix("NOPERM ").removeprefix("ERR "))):
        denied = translate(error, Settings())
        assert isinstance(denied, DeniedError)
        assert expected == (denied.kind, denied.command, denied.name)
        assert ("" if "unknown" in text else "app" if "User app" in text else "default") == denied.user
        assert (denied.user == "") == ("user '" not in str(denied).partition(":")[0])
    other = translate(ResponseError(text), Settings(username="ops"))
    assert isinstance(other, DeniedError)
    assert ("" if "unknown" in text else "app" if "User app" in text else "ops") == other.user


@pytest.mark.parametrize(
    "text", ["OOM command not allowed when used memory > 'maxmemory'.", "MISCONF Errors writing to the AOF file", "WRONGTYPE x"]
)
def test_other_errors_are_no_denials(text: str) -> None:
    """They are the server's words beside its address."""
    error = translate(ResponseError(text), Settings())
    assert (ServerError, text, f"127.0.0.1:6379: {text}") == (type(error), getattr(error, "reason", None), str(error))
