# SPDX-License-Identifier: MIT
"""The fixtures that applications' tests stand on: whatever a test does, the next one finds what it was promised."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest
from keyfleet.core.connect.client import close
from keyfleet.testing._kept import Kept
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.servers import Cluster, SentinelGroup, Server, ServerStartError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


def run_pytest(folder: Path, source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on *source* in a process of its own, as in an application that has keyfleet installed."""
    (folder / "test_mine.py").write_text(textwrap.dedent(source), encoding="utf-8")
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "python_lib")}
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "keyfleet.testing.plugin", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environ, cwd=folder, timeout=120, check=False)


def dirty(running: Server | Cluster | SentinelGroup) -> None:
    """Leave a key, a script and a function."""
    client = running.client()
    client.set("k", "v")
    client.script_load("return 1")
    client.function_load("#!lua name=mine\nredis.register_function('f', function() return 1 end)")
    close(client)


def left(servers: list[Server]) -> list[tuple[int, bool, int]]:
    """Return for each server how many keys, whether the script, and how many functions are there."""
    found = []
    for server in servers:
        with closing(server.client()) as client:
            known = client.script_exists("e0e1f9fabfc9d4800c877a703b823ac0578ff8db")[0]
            found.append((client.dbsize(), bool(known), len(client.function_list())))
    return found


def test_a_server_is_the_same_and_empty(redis_server: Server, redis_kept_server: Kept[Server]) -> None:
    """Keys, scripts and functions are gone, the process is not."""
    dirty(redis_server)
    assert [(1, True, 1)] == left([redis_server])
    assert redis_kept_server.fresh() is redis_server
    assert [(0, False, 0)] == left([redis_server])


def test_a_server_that_was_changed_is_replaced(redis_kept_server: Kept[Server]) -> None:
    """Another configuration, another password, another user, a dead process."""
    with closing(redis_kept_server.fresh().client()) as client:
        client.config_set("maxmemory", "5mb")
    with closing(redis_kept_server.fresh().client()) as client:
        assert "0" == client.config_get("maxmemory")["maxmemory"]
        client.config_set("requirepass", "secret")
    with closing(redis_kept_server.fresh().client()) as client:
        client.execute_command("ACL", "SETUSER", "mallory", "on")
    with closing(redis_kept_server.fresh().client()) as client:
        assert [b"default"] == [user.encode() if isinstance(user, str) else user for user in client.acl_users()]
    redis_kept_server.fresh().kill()
    with closing(redis_kept_server.fresh().client()) as client:
        assert client.ping()


def test_a_frozen_server_goes_on(redis_server: Server, redis_kept_server: Kept[Server]) -> None:
    """It is the same."""
    redis_server.pause()
    assert redis_server.is_paused()
    assert redis_kept_server.fresh() is redis_server
    assert not redis_server.is_paused()


def test_a_cluster_is_empty_and_has_its_first_roles(redis_cluster: Cluster, redis_kept_cluster: Kept[Cluster]) -> None:
    """The same one as long as roles are; another one, with them, after a failover and after an open slot."""
    dirty(redis_cluster)
    redis_cluster.wait_until_in_sync()
    assert 2 == sum(count for count, _script, _functions in left(redis_cluster.nodes))
    assert redis_kept_cluster.fresh() is redis_cluster
    assert [(0, False, 0)] * 6 == left(redis_cluster.nodes)
    redis_cluster.failover("k")
    second = redis_kept_cluster.fresh()
    assert second.nodes[:3] == second.primaries()
    target = next(node for node in second.primaries() if node is not second.primary_of("k"))
    assert "open" == next(second.move_slots([second.slot_of("k")], target))
    third = redis_kept_cluster.fresh()
    assert 3 == len({redis_cluster, second, third})
    assert not any(node.is_running() for node in [*redis_cluster.nodes, *second.nodes])


def test_sentinel_is_empty_and_has_its_first_roles(redis_sentinel: SentinelGroup, redis_kept_sentinel: Kept[SentinelGroup]) -> None:
    """The same one as long as roles are; another one after a failover."""
    dirty(redis_sentinel)
    redis_sentinel.wait_until_in_sync()
    assert [1, 1] == [count for count, _script, _functions in left(redis_sentinel.servers)]
    assert redis_kept_sentinel.fresh() is redis_sentinel
    assert [(0, False, 0)] * 2 == left(redis_sentinel.servers)
    redis_sentinel.failover()
    second = redis_kept_sentinel.fresh()
    assert (True, second.servers[0]) == (second is not redis_sentinel, second.primary())


def test_a_factory_ends_what_it_started(tmp_path: Path) -> None:
    """With the test; each in a folder of its own."""
    factory = RedisFactory(tmp_path, "redis")
    servers = [factory.server(), factory.server(password="pw")]
    proxy = factory.proxy(servers[1])
    with closing(proxy.client()) as client:
        assert client.ping()
    factory.stop()
    assert [False, False] == [server.is_running() for server in servers]


def test_a_factory_takes_the_options_of_the_start_functions(redis_factory: RedisFactory) -> None:
    """Shards, Sentinels, directives."""
    cluster = redis_factory.cluster(shards=1, replicas=1, password="pw")
    assert (2, 1) == (len(cluster.nodes), len(cluster.primaries()))
    group = redis_factory.sentinel(replicas=0, sentinels=1)
    assert group.servers == [group.primary()]


def test_an_unknown_version_is_named(redis_factory: RedisFactory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error names where it searched, and what it found."""
    monkeypatch.setenv("KEYFLEET_SERVERS", str(tmp_path))
    with pytest.raises(
        ServerStartError, match=r"^redis-6\.2 is not here: redis-server on PATH is [\d.]+, and .*redis-6\.2/bin/redis-server"
    ):
        redis_factory.server(engine="redis-6.2")
    with pytest.raises(ServerStartError, match=r"^the engine is 'memcached'; allowed are redis and valkey, or with a version"):
        redis_factory.server(engine="memcached")
    monkeypatch.delenv("KEYFLEET_SERVERS")
    with pytest.raises(ServerStartError, match=r"KEYFLEET_SERVERS names no folder with other versions$"):
        redis_factory.server(engine="redis-6.2")


def test_a_version_comes_from_the_folder_or_from_path(
    redis_factory: RedisFactory, redis_server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """PATH's if it is of that version; one in the folder that is of another version is refused."""
    with closing(redis_server.client()) as client:
        version = client.info("server")["redis_version"]
    minor = version.rpartition(".")[0]
    with closing(redis_factory.server(engine=f"redis-{minor}").client()) as client:
        assert version == client.info("server")["redis_version"]
    program = tmp_path / "redis-99.1" / "bin" / "redis-server"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho 'Redis server v=99.2.0 sha=0'\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("KEYFLEET_SERVERS", str(tmp_path))
    with pytest.raises(ServerStartError, match=r"redis-99\.1/bin/redis-server is 99\.2\.0, not 99\.1$"):
        redis_factory.server(engine="redis-99.1")


def test_an_application_uses_the_fixtures(tmp_path: Path) -> None:
    """Without a conftest; each test finds an empty server, and none is left at the end."""
    source = """
        import pytest

        @pytest.mark.parametrize("number", range(3))
        def test_empty(redis_server, number):
            assert 1 == redis_server.client().incr("n")
            with open("pids", "a") as file:
                print(redis_server.pid, file=file)
    """
    done = run_pytest(tmp_path, source)
    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert "3 passed" in done.stdout
    pids = set((tmp_path / "pids").read_text().split())
    assert 1 == len(pids)
    assert not Path(f"/proc/{pids.pop()}").exists()


def test_an_application_chooses_its_engines(tmp_path: Path) -> None:
    """The override of one fixture runs the suite on each."""
    (tmp_path / "conftest.py").write_text(
        "import pytest\n@pytest.fixture(scope='session', params=['redis', 'redis-99.1'])\ndef redis_engine(request): return request.param\n"
    )
    done = run_pytest(tmp_path, "def test_mine(redis_server): assert redis_server.is_running()")
    assert "1 passed, 1 error" in done.stdout
    assert "redis-99.1 is not here: " in done.stdout


def test_an_unrelated_run_starts_nothing(tmp_path: Path) -> None:
    """No server, no test module of keyfleet, no option and no marker; the fixtures are listed."""
    source = """
        import sys

        def test_unrelated(request):
            assert "keyfleet.testing._server" not in sys.modules
    """
    assert 0 == run_pytest(tmp_path, source, "--strict-markers").returncode
    assert "redis_server" in run_pytest(tmp_path, source, "--fixtures").stdout


def test_importing_keyfleet_imports_no_pytest() -> None:
    """Applications run without it."""
    program = "import keyfleet, keyfleet.testing.servers, keyfleet.testing.proxy, sys; sys.exit('pytest' in sys.modules)"
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "python_lib")}
    assert 0 == subprocess.run([sys.executable, "-c", program], env=environ, timeout=60, check=False).returncode
