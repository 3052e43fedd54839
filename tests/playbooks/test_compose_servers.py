# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/compose.yml writes what Docker Compose starts: the server of a deployment on a developer's machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from keyfleet.core.acl.model import digest
from support.playbooks import Deployment, free_port

BASE = "keyfleet-test:debian12"  # what molecule makes; no image can be had where there is no registry
IMAGE = "keyfleet-test:compose"
# As the engines' own images have it: root gives the data away and becomes the server's user.
ENTRY = r"""#!/bin/sh
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    chown -R redis:redis .
    exec setpriv --reuid redis --regid redis --clear-groups "$0" "$@"
fi
exec "$@"
"""
DOCKERFILE = f"""
FROM {BASE}
RUN apt-get update -q && apt-get install -qy --no-install-recommends redis-server
COPY docker-entrypoint.sh /usr/local/bin/
RUN mkdir /data
WORKDIR /data
ENTRYPOINT ["docker-entrypoint.sh"]
"""


def folder_of(deployment: Deployment) -> Path:
    """Return where the files are."""
    return deployment.inventory / ".keyfleet/compose/node1"


def test_files_are_written_once_and_no_host_is_contacted(deployment: Deployment, port: int) -> None:
    """In check mode none; the password stays, and only its owner can read it."""
    deployment.variables["redis_server_instances"] = [{"name": "default", "port": port, "directives": {"maxmemory": "64mb"}}]
    deployment.run("--check", playbook="playbooks/compose.yml").ok()
    assert not folder_of(deployment).exists()
    first = deployment.run(playbook="playbooks/compose.yml").ok()
    assert f"docker compose up -d redis. REDIS_EXPOSED_PORT chooses its port; the password is in {folder_of(deployment)}" in first.output
    password = (folder_of(deployment) / "password").read_text(encoding="utf-8")
    assert password not in first.output + (folder_of(deployment) / "compose.yml").read_text(encoding="utf-8")
    assert {"compose.yml": 0o644, "redis.conf": 0o644, "password": 0o600} == {
        path.name: path.stat().st_mode & 0o777 for path in folder_of(deployment).iterdir()
    }
    assert ([], [], {}) == (deployment.run(playbook="playbooks/compose.yml").ok().changed, first.execs, deployment.tree())
    assert password == (folder_of(deployment) / "password").read_text(encoding="utf-8")


def test_users_of_the_inventory_are_there_without_their_passwords(deployment: Deployment) -> None:
    """With their rights, as the playbook hands them on."""
    user = {"name": "app", "passwords": ["kf-secret-of-app"], "commands": ["get"], "keys": ["app:*"]}
    run = deployment.run("--diff", playbook="playbooks/compose.yml", redis_server_users=[user]).ok()
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder_of(deployment).iterdir()}
    assert 'user app on ~app:* resetchannels -@all +get ">' in texts["redis.users"].splitlines()
    assert [] == [
        name for name, text in [*texts.items(), ("output", run.output)] if "kf-secret" in text or digest("kf-secret-of-app") in text
    ]


def test_hosts_do_not_share_a_folder(deployment: Deployment) -> None:
    """By default each has its own; one for two is refused."""
    deployment.hosts = ("node1", "node2")
    run = deployment.run(playbook="playbooks/compose.yml", redis_compose_folder=str(deployment.folder / "dev"))
    assert (2, True) == (run.rc, "the same for node1 and node2: take one host (--limit)" in run.failures)
    assert not (deployment.folder / "dev").exists()


@pytest.fixture
def image(deployment: Deployment) -> Iterator[str]:
    """An image with a server, made here from molecule's; skips where there is no engine or no such image."""
    inspect = ["docker", "image", "inspect", BASE]
    has_base = shutil.which("docker") and subprocess.run(inspect, capture_output=True, check=False).returncode == 0
    if not has_base:
        pytest.skip(f"no Docker engine that has the image {BASE}: make molecule makes it")
    context = deployment.folder / "image"
    context.mkdir()
    (context / "docker-entrypoint.sh").write_text(ENTRY, encoding="utf-8")
    (context / "docker-entrypoint.sh").chmod(0o755)
    (context / "Dockerfile").write_text(DOCKERFILE, encoding="utf-8")
    subprocess.run(["docker", "build", "--quiet", "--tag", IMAGE, str(context)], check=True, capture_output=True)
    yield IMAGE
    subprocess.run(["docker", "rmi", IMAGE], check=False, capture_output=True)


@pytest.mark.slow
def test_compose_starts_the_server(deployment: Deployment, image: str) -> None:
    """Healthy, with the deployment's directives and the password of the file, not as root; what was written stays after down and up."""
    desired = [{"name": "default", "port": 6379, "directives": {"maxmemory": "64mb", "appendonly": True, "save": ["60 1"]}}]
    deployment.variables["redis_server_instances"] = desired
    deployment.run(playbook="playbooks/compose.yml").ok()
    folder, port = folder_of(deployment), free_port()
    (folder / "password").write_text('with "quotes" and \\ $HOME\n', encoding="utf-8")
    compose = Compose(folder, deployment.folder.name, image, port)
    try:
        compose.run("up", "-d", "redis")
        with compose.client() as client:
            assert (str(64 << 20), "yes", "60 1") == tuple(client.config_get(name)[name] for name in ("maxmemory", "appendonly", "save"))
            client.set("kept", "yes")
            top = compose.run("top")
            assert ("redis-server" in top, "\nroot" in top) == (True, False)
            with pytest.raises(redis.AuthenticationError):
                redis.Redis(port=port).ping()
        compose.run("down")
        compose.run("up", "-d", "redis")
        with compose.client() as client:
            assert "yes" == client.get("kept")
    finally:
        compose.run("down", "--volumes")


class Compose:
    """Docker Compose in a folder."""

    def __init__(self, folder: Path, project: str, image: str, port: int) -> None:
        self.folder, self.port = folder, port
        self.words = ["docker-compose", "--project-name", project]
        self.environ = {**os.environ, "REDIS_IMAGE": image, "REDIS_EXPOSED_PORT": str(port)}

    def run(self, *words: str) -> str:
        """Run a command, and return what it printed."""
        done = subprocess.run([*self.words, *words], cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False)
        assert 0 == done.returncode, done.stderr
        return done.stdout

    def client(self) -> redis.Redis:
        """Return a client once the health check says that the server is healthy."""
        container = self.run("ps", "-q", "redis").strip()
        command = ["docker", "events", "--since", "0", "--filter", f"container={container}", "--filter", "event=health_status: healthy"]
        with subprocess.Popen([*command, "--format", "{{.Status}}"], stdout=subprocess.PIPE, text=True) as events:
            assert events.stdout is not None
            assert "healthy" in events.stdout.readline()
            events.terminate()
        password = (self.folder / "password").read_text(encoding="utf-8").rstrip("\n")
        return redis.Redis(port=self.port, password=password, decode_responses=True)
