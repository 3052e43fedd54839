"""Install method archive: the distribution's own source, really built; an upgrade is a switch, the way back needs no build."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from support.archives import QUICK_FLAGS, Archive, another_version, distribution_archive, quick_archive
from support.playbooks import Deployment

BUILD_SECONDS = 120


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Archive, Archive]:
    """Return a quick archive, and the distribution's source, which says that it is the version after that."""
    folder = tmp_path_factory.mktemp("archives")
    quick = quick_archive(folder)
    return quick, another_version(distribution_archive(), folder)


@pytest.fixture
def archived(deployment: Deployment) -> Deployment:
    """Return a deployment of the method archive."""
    deployment.variables |= {"redis_server_install_method": "archive", "redis_server_archive_make_flags": QUICK_FLAGS}
    return deployment


def source(archive: Archive, **more: Any) -> dict[str, Any]:
    """Return extra variables that name an archive."""
    given = {"version": archive.version, "archive_source": str(archive.path), "archive_sha256": archive.sha256}
    return {**{f"redis_server_{name}": value for name, value in given.items()}, **more}


def releases(deployment: Deployment) -> Path:
    """Return the folder with the releases of the host."""
    return deployment.root() / "opt/keyfleet/redis"


def linked(deployment: Deployment, link: str = "current") -> str:
    """Return the release that a link leads to."""
    return (releases(deployment) / link).readlink().name


def server(deployment: Deployment, port: int) -> tuple[int, str, str]:
    """Return process, version and program of the running server."""
    with deployment.client(port) as client:
        info = client.info("server")
    return info["process_id"], info["redis_version"], str(Path(f"/proc/{info['process_id']}/exe").readlink())


def test_deploy_upgrade_interrupt_and_go_back(archived: Deployment, port: int, archives: tuple[Archive, Archive]) -> None:
    """All releases of one host: a release is built once, only a complete one is ever in use, data stays, the way back is a switch."""
    old, new = archives

    predicted = archived.run("--check", **source(old)).ok()
    assert ["build", "switch"] == predicted.result("redis_release")["actions"]
    assert 1 == len([task for task in predicted.changed if "Release | " in task])
    assert not releases(archived).exists()

    archived.run(**source(old)).ok()
    first = linked(archived)
    pid, version, program = server(archived, port)
    assert (old.version, str(releases(archived) / "releases" / first / "bin/redis-server")) == (version, program)
    with archived.client(port) as client:
        client.mset({f"key:{number}": number for number in range(100)})
    before = archived.tree()
    assert [] == archived.run(**source(old)).ok().changed
    assert before == archived.tree()

    _killed_while_it_builds(archived, source(new))
    assert first == linked(archived)
    assert [first] == sorted(path.name for path in (releases(archived) / "releases").glob("[!.]*"))
    assert (pid, old.version) == server(archived, port)[:2]

    upgraded = archived.run(**source(new)).ok()
    assert f"version {new.version} is installed and {old.version} runs" in upgraded.output
    assert (new.version, first) == (server(archived, port)[1], linked(archived, "previous"))
    with archived.client(port) as client:
        assert "0" == client.config_get("tls-port")["tls-port"]
    assert [] == list((releases(archived) / "releases").glob(".build-*"))

    back = archived.run(**source(old, redis_server_archive_source="/nonexistent/needs-no-archive.tar.gz")).ok()
    assert ["switch"] == back.result("redis_release")["actions"]
    assert (old.version, first) == (server(archived, port)[1], linked(archived))
    with archived.client(port) as client:
        assert 100 == client.dbsize()

    flags = {"redis_server_archive_make_flags": [*QUICK_FLAGS, "REDIS_CFLAGS=-DOF_NO_MEANING"]}
    same_version = archived.run(**source(old, **flags)).ok()
    assert "binary changed: " in same_version.output
    assert (old.version, True) == (server(archived, port)[1], first != linked(archived))


def _killed_while_it_builds(deployment: Deployment, given: dict[str, Any]) -> None:
    """Start a run and kill it, and the module with it, when objects are being compiled."""
    run = deployment.start("-e", json.dumps(given))
    deadline = time.monotonic() + BUILD_SECONDS
    while not list(releases(deployment).glob("releases/.build-*/source/src/*.o")):
        assert time.monotonic() < deadline, "nothing is built"
        assert run.poll() is None, "the run ended before the build began"
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"redis_server_archive_sha256": "0" * 64}, ["redis_server_archive_sha256", "0" * 64, "nothing of it was used"]),
        ({"redis_server_archive_source": "/nonexistent/redis.tar.gz"}, ["redis_server_archive_source", "/nonexistent/redis.tar.gz"]),
    ],
)
def test_an_archive_that_is_not_the_requested_one_is_refused(
    archived: Deployment, archives: tuple[Archive, Archive], change: dict[str, Any], words: list[str]
) -> None:
    """Before anything is copied or unpacked."""
    archived.write()
    before = archived.tree()
    run = archived.run(**source(archives[0], **change))
    assert 2 == run.rc
    assert [] == [word for word in words if word not in run.failures], run.failures
    assert before == archived.tree()
