# SPDX-License-Identifier: MIT
"""What each server says when a user may not use a command, a key or a channel, directly and in a script."""

from __future__ import annotations

from pathlib import Path

import pytest
from keyfleet.core.connect.client import close, connect
from keyfleet.core.connect.redis_py import translated
from keyfleet.core.errors import DeniedError
from keyfleet.testing.servers import start_server

ON_EVERY_SERVER = True

SCRIPT = "return redis.call(unpack(ARGV))"
DENIED = {
    ("CONFIG", "GET", "port"): ("command", "config get"),
    ("SET", "k", "v"): ("key", ""),
    ("MSET", "app:k", "v", "k", "v"): ("key", ""),
    ("PUBLISH", "elsewhere", "m"): ("channel", ""),
    ("EVAL", SCRIPT, 0, "SET", "k", "v"): ("key", ""),
    ("NOSUCH", "x"): ("command", "nosuch"),
}


def test_commands_keys_and_channels_are_told_apart(tmp_path: Path, redis_engine: str) -> None:
    """The text never speaks of a command where a key or channel is denied, nor the other way round."""
    user = "app on >battery-staple ~app:* &app:* +@all -config"
    with start_server(tmp_path, engine=redis_engine, directives={"user": [user]}) as server:
        settings = server.settings(username="app", password="battery-staple")
        client = connect(settings)
        for words, expected in DENIED.items():
            with pytest.raises(DeniedError) as caught, translated(settings):
                client.execute_command(*words)
            assert (words, expected) == (words, (caught.value.kind, caught.value.command))
            assert f"{expected[0]} " in str(caught.value).partition(":")[0]
        close(client)
