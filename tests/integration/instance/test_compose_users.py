# SPDX-License-Identifier: MIT
"""The start script of a Compose service, run by a shell here: the server has the users of the deployment, with the developer's password."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from keyfleet.core.directives.throwaway import engine_version
from keyfleet.core.instance.compose import CONFIG_FILE, SECRET_FILE, USERS_FILE, compose_files, public_users
from keyfleet.core.instance.model import from_options
from keyfleet.testing._binaries import find_binary
from keyfleet.testing._server import free_port, wait_until

WRONG_PASSWORD = (redis.AuthenticationError, redis.ResponseError)  # the second is redis-py 4.3's
ON_EVERY_SERVER = True
PASSWORD = 'with "quotes", \\ and $HOME `id`'
USERS: list[dict[str, Any]] = [
    {
        "name": "app",
        "passwords": ["of-the-deployment"],
        "commands": ["get", "set", "ping"],
        "keys": ["app:*", 'a"$HOME`id`\\b'],
        "selectors": [{"commands": ["get"], "keys": ["other:*"]}],
    },
    {"name": "open", "nopass": True, "commands": ["ping"]},
]
OFF = {"name": "default", "enabled": False}


class Service:
    """The server of a service, and its health check."""

    def __init__(self, folder: Path, server: str, users: list[dict[str, Any]]) -> None:
        binary = Path(find_binary(server))
        engine, self.port = engine_version(str(binary))[0], free_port("127.0.0.1")
        instance = {
            "name": "default",
            "port": 6379,
            "directives": {},
            "users": public_users(from_options({"name": "default", "users": users})),
        }
        (compose, config, *listed) = compose_files("redis", engine, "", "", [instance], "# test")
        self.folder = folder
        self._write("server.conf", config.content.replace("port 6379", f"port {self.port}").replace("dir /data", f"dir {folder}"))
        self._write("users", listed[0].content if listed else "")
        self._write("password", f"{PASSWORD}\n")
        text = re.search(r"- \|\n((?: {8}.*\n)+)", compose.content)
        check = re.search(r'CMD-SHELL, "(.*)"\]', compose.content)
        assert text
        assert check
        self.script = self._here(re.sub("(?m)^ {8}", "", text[1]))
        self.check = self._here(check[1]).replace(f"{engine}-cli ", f"redis-cli -p {self.port} ")
        self.environ = {**os.environ, "PATH": f"{binary.parent}:{os.environ['PATH']}"}

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def _here(self, text: str) -> str:
        for place, name in ((CONFIG_FILE, "server.conf"), (USERS_FILE, "users"), (SECRET_FILE, "password")):
            text = text.replace(place, str(self.folder / name))
        return text.replace("$$", "$")

    def is_healthy(self) -> bool:
        """Run the health check."""
        return subprocess.run(["sh", "-c", self.check], env=self.environ, capture_output=True, check=False).returncode == 0

    def client(self, username: str | None, password: str | None = PASSWORD) -> redis.Redis:
        """Return a client of a user."""
        return redis.Redis(port=self.port, username=username, password=password, decode_responses=True)


@pytest.fixture(params=[USERS, [*USERS, OFF], []], ids=["users", "default-off", "no-users"])
def service(request: pytest.FixtureRequest, tmp_path: Path, redis_engine: str) -> Iterator[Service]:
    """A service that is healthy."""
    found = Service(tmp_path, redis_engine, request.param)
    with subprocess.Popen(["sh", "-ec", found.script], env=found.environ, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(found.is_healthy, "the health check to pass")
            assert PASSWORD.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
            yield found
        finally:
            process.kill()


def test_users_are_those_of_the_deployment(service: Service, request: pytest.FixtureRequest) -> None:
    """With their rights, keys of any signs and selectors; ``default`` as the inventory says."""
    kind = request.node.callspec.params["service"]
    default = service.client(None)
    if OFF in kind:
        with pytest.raises(WRONG_PASSWORD, match="invalid username-password"):
            default.ping()
    else:
        assert default.set("other:1", "1")
    if not kind:
        return
    app = service.client("app")
    assert (True, True) == (app.set("app:1", "1"), app.set('a"$HOME`id`b', "1"))
    app.get("other:1")
    with pytest.raises(redis.exceptions.NoPermissionError):
        app.set("other:1", "2")
    with pytest.raises(WRONG_PASSWORD, match="invalid username-password"):
        service.client("app", "of-the-deployment").ping()
    assert service.client("open", "any").ping()
