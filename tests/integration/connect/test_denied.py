# SPDX-License-Identifier: MIT
"""What each server says when a user may not use a command, a key or a channel, directly and in a script."""

from __future__ import annotations

from pathlib import Path

import pytest
from keyfleet import Client
from keyfleet.core.connect.client import close, connect
from keyfleet.core.connect.redis_py import translated
from keyfleet.core.errors import DeniedError
from keyfleet.testing.servers import start_server
from support.modules import run_module

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


def test_denied_commands_keys_and_channels_are_named(tmp_path: Path, redis_engine: str) -> None:
    """The text never speaks of a command where a key or channel is denied, nor the other way round."""
    user = "app on >battery-staple ~app:* &app:* +@all -config"
    with start_server(tmp_path, engine=redis_engine, directives={"user": [user]}) as server:
        settings = server.settings(username="app", password="battery-staple")
        client = connect(settings)
        for words, expected in DENIED.items():
            with pytest.raises(DeniedError) as caught, translated(settings):
                client.execute_command(*words)
            assert (words, expected) == (words, (caught.value.kind, caught.value.command))
            message = str(caught.value).partition(":")[0]
            assert (f"{expected[0]} " in message, "user 'app'" in message) == (True, expected[1] != "nosuch")
        close(client)


def test_a_module_and_the_client_say_to_whom_it_is_denied(tmp_path: Path, redis_engine: str) -> None:
    """By the name that they logged in as, also where the server does not say it."""
    users = ["probe on >battery-staple ~* +ping", "default on nopass ~* &* +@all -info"]
    with start_server(tmp_path, engine=redis_engine, directives={"user": users}) as server:
        for username, password in (("probe", "battery-staple"), (None, None)):
            login = {"login_user": username, "login_password": password} if username else {}
            result = run_module("redis_health", {"login_host": server.settings().host, "login_port": server.settings().port, **login})
            (reason,) = (check["reason"] for check in result["checks"] if check["name"] == "memory")
            assert reason.startswith(f"command 'info' is not available to user '{username or 'default'}': ")


@pytest.mark.client
def test_the_client_says_to_whom_it_is_denied(tmp_path: Path, redis_engine: str) -> None:
    """Also where a provider names the user, and where its password is in a file."""
    (tmp_path / "secret").write_text("battery-staple")
    with start_server(tmp_path, engine=redis_engine, directives={"user": ["probe on >battery-staple ~app:* +@all -info"]}) as server:
        in_file = server.settings(username="probe", password_file=str(tmp_path / "secret"))
        ways = [(in_file, None), (server.settings(), lambda: ("probe", "battery-staple"))]
        for settings, provider in ways:
            with Client.from_settings(settings, credentials=provider) as client:
                with pytest.raises(DeniedError, match="command 'info' is not available to user 'probe'") as caught:
                    client.info()
                assert "probe" == caught.value.user
                with pytest.raises(DeniedError, match="is denied to user 'probe'"):
                    client.set("other", "v")
