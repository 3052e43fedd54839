# SPDX-License-Identifier: MIT
"""Servers for local development: what Compose itself reads, over instances and directives of every kind."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from keyfleet.core.directives.plan import render
from keyfleet.core.instance.compose import compose_files, config_text, default_image, memory_limit, public_users, service_of
from keyfleet.core.instance.model import from_options

DIRECTIVES = {"maxmemory": "128mb", "save": ["3600 1", "60 1000"], "notify-keyspace-events": "KEA", "rename-command": ['FLUSHALL ""']}


def instance(name: str = "default", port: int = 6379, **directives: Any) -> dict[str, Any]:
    """Return an instance as the role gets it."""
    return {"name": name, "port": port, "directives": {key.replace("_", "-"): value for key, value in directives.items()}}


def written(folder: Path, instances: list[dict[str, Any]], engine: str = "redis", deployment: str = "redis") -> None:
    """Write the files, and a password."""
    for file in compose_files(deployment, engine, "", "", instances, "# test"):
        (folder / file.name).write_text(file.content, encoding="utf-8")
    (folder / "password").write_text("secret-of-the-developer\n", encoding="utf-8")


def parsed(folder: Path, **environ: str) -> dict[str, Any]:
    """Return what Docker Compose's own parser makes of the file."""
    command = ["docker-compose", "--file", str(folder / "compose.yml"), "config"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"], **environ})
    assert (0, "") == (done.returncode, done.stderr)
    assert "secret-of-the-developer" not in done.stdout
    yaml = pytest.importorskip("yaml")
    return dict(yaml.safe_load(done.stdout))


@pytest.mark.parametrize("engine", ["redis", "valkey"])
def test_compose_reads_the_file(tmp_path: Path, engine: str) -> None:
    """Each instance is a service with the port, image and limits that the environment may change."""
    written(tmp_path, [instance(maxmemory="1gb"), instance("sessions", 6380)], engine)
    found = parsed(tmp_path, REDIS_EXPOSED_PORT="7000", REDIS_SESSIONS_IMAGE="mine:1", REDIS_CPUS="0.5", REDIS_PASSWORD_FILE="./other")
    assert {"redis", "redis-sessions"} == set(found["services"])
    redis, sessions = found["services"]["redis"], found["services"]["redis-sessions"]
    assert (["127.0.0.1:7000:6379/tcp"], ["127.0.0.1:6380:6379/tcp"]) == (redis["ports"], sessions["ports"])
    assert (default_image(engine, ""), "mine:1") == (redis["image"], sessions["image"])
    assert (0.5, 2.0) == (redis["cpus"], sessions["cpus"])
    assert (str((2 << 30) + (64 << 20)), str(256 << 20)) == (redis["mem_limit"], sessions["mem_limit"])
    assert [f"{tmp_path}/redis.conf:/etc/keyfleet/server.conf:ro", "redis-data:/data:rw"] == redis["volumes"]
    assert f"{tmp_path}/other" == found["secrets"]["redis_password"]["file"]
    assert f"{engine}-cli ping" in redis["healthcheck"]["test"][1]
    assert f" {engine}-server /etc/keyfleet/server.conf - <<EOF" in redis["command"][2]


def test_users_have_their_rights_and_no_password_of_the_deployment(tmp_path: Path) -> None:
    """Those of the directive too; a service with users asks for its health as a user of its own."""
    users = [
        {
            "name": "app",
            "passwords": ["of-the-deployment"],
            "categories": ["read"],
            "keys": ['a"b:*'],
            "selectors": [{"commands": ["get"]}],
        },
        {"name": "open", "nopass": True, "commands": ["ping"]},
        {"name": "default", "enabled": False},
    ]
    options = {"name": "default", "users": users, "directives": {"user": [f"old on #{'0' * 64} ~o:* +get"]}}
    found = public_users(from_options(options))
    assert ["old", "app", "open", "default"] == [user["name"] for user in found]
    assert [True, True, False, True] == [user["needs_password"] for user in found]
    written(tmp_path, [{**instance(), "users": found}, instance("sessions", 6380)])
    lines = (tmp_path / "redis.users").read_text(encoding="utf-8").splitlines()
    assert 'user old on ~o:* +get ">' == lines[1]
    assert r'user app on "~a\"b:*" resetchannels -@all +@read (resetchannels -@all +get) ">' == lines[2]
    assert "user open on nopass resetchannels -@all +ping" == lines[3]
    assert 'user keyfleet-health on -@all +ping ">' == lines[5]
    assert not (tmp_path / "redis-sessions.users").exists()
    services = parsed(tmp_path)["services"]
    assert f"{tmp_path}/redis.users:/etc/keyfleet/users:ro" in services["redis"]["volumes"]
    assert ["--user keyfleet-health" in one["healthcheck"]["test"][1] for one in services.values()] == [
        name == "redis" for name in services
    ]


def test_configuration_has_the_directives_of_the_deployment() -> None:
    """Apart from where it listens and keeps its data, and from what its hosts alone have, which is named."""
    text = config_text(instance(**DIRECTIVES, loadmodule="/usr/lib/m.so", oom_score_adj="yes", bio_cpulist="1"), "# test")
    left_out = "# Of the deployment's hosts, and left out: bio-cpulist, loadmodule, oom-score-adj"
    assert ["# test", left_out, "bind * -::*", "port 6379", "dir /data", *render(DIRECTIVES)] == text.splitlines()


@pytest.mark.parametrize(
    ("engine", "version", "image"),
    [
        ("redis", "", "redis:7"),
        ("redis", "5:7.0.15-1~deb12u1", "redis:7.0"),
        ("redis", "8.0.6", "redis:8.0"),
        ("valkey", "", "valkey/valkey:8"),
        ("valkey", "8.1.1+dfsg1-3", "valkey/valkey:8.1"),
        ("valkey", "latest", "valkey/valkey:8"),
    ],
)
def test_image_is_that_of_the_pinned_version(engine: str, version: str, image: str) -> None:
    """In the forms of packages and releases; else the engine's."""
    assert image == default_image(engine, version)


def test_names_and_limits() -> None:
    """The service of the instance default is the deployment; a server without maxmemory has a limit all the same."""
    assert ("redis", "orders-sessions") == (service_of("redis", "default"), service_of("orders", "sessions"))
    assert [256 << 20, 256 << 20, (2 << 30) + (64 << 20)] == [memory_limit({"maxmemory": size}) for size in ("0", "1mb", "1gb")]
