"""Changes that are easy to get wrong: where a server is reached, what leaves while it is down, renamed commands, files of the user."""

from __future__ import annotations

import json
import os
import shutil
import signal
from typing import Any

import redis
from support.playbooks import Deployment, free_port


def instance(port: int, **options: Any) -> dict[str, Any]:
    """Return extra variables for the one instance."""
    return {"redis_server_instances": [{"name": "default", "port": port, **options}]}


def settings(client: redis.Redis, *names: str) -> list[str]:
    """Return active values."""
    return [client.config_get(name)[name] for name in names]


def test_from_port_to_socket_and_back(deployed: Deployment, port: int) -> None:
    """What waits for the restart does not cut the way to the server before it; data stays on both ways."""
    with deployed.client(port) as client:
        client.set("kept", "yes")
    place = str(deployed.root() / "run/keyfleet/default/server.sock")
    assert [] != deployed.run(**instance(0, unix_socket=True)).ok().changed
    with deployed.client(0, unix_socket_path=place) as client:
        assert "yes" == client.get("kept")
    assert [] == deployed.run(**instance(0, unix_socket=True)).ok().changed
    deployed.run().ok()
    with deployed.client(port) as client:
        assert "yes" == client.get("kept")
    assert [] == deployed.run().ok().changed


def test_renamed_and_removed_config_command(deployment: Deployment, port: int) -> None:
    """CONFIG under another name is used by it; without CONFIG every change waits for a restart, also of the port."""
    renamed = {"rename-command": ["CONFIG keyfleet-config"], "maxmemory": "64mb"}
    deployment.run(**instance(port, directives=renamed)).ok()
    assert [] == deployment.run(**instance(port, directives=renamed)).ok().changed
    run = deployment.run(**instance(port, directives={**renamed, "maxmemory": "96mb", "databases": 4})).ok()
    assert ["maxmemory"] == list(run.result("redis_instances")["instances"][0]["live"])
    removed = {"rename-command": ['CONFIG ""'], "maxmemory": "96mb"}
    deployment.run(**instance(port, directives=removed)).ok()
    other = free_port()
    with deployment.client(port) as client:
        client.set("kept", "yes")
    deployment.run(**instance(other, directives={**removed, "maxmemory": "32mb"})).ok()
    with deployment.client(other) as client:
        assert ("yes", 32 << 20) == (client.get("kept"), client.info("memory")["maxmemory"])
    assert [] == deployment.run(**instance(other, directives={**removed, "maxmemory": "32mb"})).ok().changed
    deployment.run(**instance(other)).ok()
    with deployment.client(other) as client:
        assert ["0"] == settings(client, "maxmemory")


def test_append_only_file_switched_on_with_a_restart(deployed: Deployment, port: int) -> None:
    """The restart waits for the first rewrite of the append-only file, during which the server would not stop."""
    with deployed.client(port) as client:
        client.mset({f"key:{number}": "x" * 100 for number in range(2000)})
    run = deployed.run(**instance(port, directives={"appendonly": True, "databases": 4})).ok()
    restarted = run.result("redis_restart")["instances"][0]
    assert ("aof", 2000, 2000) == (restarted["saved"], restarted["keys_before"], restarted["keys"])


def test_module_that_does_not_load_is_refused_first(deployed: Deployment, port: int) -> None:
    """A healthy server is not stopped for a module that would keep it from starting."""
    before = deployed.tree()
    run = deployed.run(**instance(port, directives={"loadmodule": "/etc/passwd"}))
    assert 2 == run.rc
    assert "loadmodule" in run.failures
    assert before == deployed.tree()
    with deployed.client(port) as client:
        assert client.ping()


def test_module_lines_that_a_rewrite_copied_do_not_count(deployed: Deployment, port: int) -> None:
    """What CONFIG REWRITE copies of modules would load them twice; the server comes back all the same, also after a crash."""
    own = deployed.root() / "var/lib/keyfleet/default/server.conf"
    own.write_text("loadmodule /nonexistent/module.so\nslowlog-max-len 99\n", encoding="utf-8")
    with deployed.client(port) as client:
        os.kill(int(client.info("server")["process_id"]), signal.SIGKILL)
    deployed.run().ok()
    with deployed.client(port) as client:
        assert ["99"] == settings(client, "slowlog-max-len")
    assert "loadmodule" not in own.read_text(encoding="utf-8")


def test_directive_that_leaves_while_the_server_is_down_is_gone(deployment: Deployment, port: int) -> None:
    """Neither a start nor a deployment after destroy brings back what CONFIG REWRITE kept of a directive that has left."""
    deployment.run(**instance(port, directives={"maxmemory": "64mb"})).ok()
    with deployment.client(port) as client:
        client.config_rewrite()
    status = json.loads((deployment.root() / "run/keyfleet/default/status.json").read_text(encoding="utf-8"))
    for kind in ("runner_pid", "server_pid"):
        os.kill(status[kind], signal.SIGKILL)
    deployment.run().ok()
    with deployment.client(port) as client:
        assert ["0"] == settings(client, "maxmemory")
    deployment.run(**instance(port, directives={"maxmemory": "64mb"})).ok()
    with deployment.client(port) as client:
        client.config_rewrite()
    deployment.run(playbook="playbooks/destroy.yml").ok()
    deployment.run().ok()
    with deployment.client(port) as client:
        assert ["0"] == settings(client, "maxmemory")


def test_orphan_is_adopted_and_adjusted(deployment: Deployment, port: int) -> None:
    """A server whose supervisor was killed is taken up in the same run that changes it, without an interruption."""
    deployment.run(**instance(port, directives={"maxmemory": "64mb", "hz": 20})).ok()
    status = json.loads((deployment.root() / "run/keyfleet/default/status.json").read_text(encoding="utf-8"))
    os.kill(status["runner_pid"], signal.SIGKILL)
    run = deployment.run(**instance(port, directives={"maxmemory": "96mb"})).ok()
    assert "adopted" == run.result("redis_instances")["instances"][0]["action"]
    with deployment.client(port) as client:
        assert status["server_pid"] == client.info("server")["process_id"]
        assert [str(96 << 20), "10"] == settings(client, "maxmemory", "hz")


def test_dump_of_the_user_is_kept(deployment: Deployment, port: int) -> None:
    """With persistence off, a dump that the user made by hand is kept."""
    deployment.run(**instance(port, directives={"save": ""})).ok()
    with deployment.client(port) as client:
        client.set("kept", "yes")
        client.save()
    deployment.run(**instance(port, directives={"save": "", "databases": 4})).ok()
    assert (deployment.root() / "var/lib/keyfleet/default/dump.rdb").exists()


def test_renamed_instance_takes_the_port(deployed: Deployment, port: int) -> None:
    """One instance goes and another takes its port in the same run."""
    run = deployed.run(redis_server_instances=[{"name": "default", "state": "absent"}, {"name": "other", "port": port}]).ok()
    assert {"default": "removed", "other": "started"} == {one["name"]: one["action"] for one in run.result("redis_instances")["instances"]}


def test_secret_of_the_past_is_not_kept(deployment: Deployment, port: int) -> None:
    """A secret directive that changes is changed in the server's own file too."""
    deployment.run(**instance(port, directives={"masterauth": "the-former-secret"})).ok()
    with deployment.client(port) as client:
        client.config_rewrite()
    deployment.run(**instance(port, directives={"masterauth": "the-later-secret"})).ok()
    found = [str(path) for path in deployment.root().rglob("*") if path.is_file() and b"the-former-secret" in path.read_bytes()]
    assert [str(deployment.root() / "run/keyfleet/default/started.conf")] == found


def test_server_that_lost_its_files_is_recognised(deployed: Deployment, port: int) -> None:
    """Its folders of configuration and state are removed while it runs: the run knows it, writes them again, and no key is missing."""
    with deployed.client(port) as client:
        client.mset({f"key:{number}": number for number in range(100)})
    for folder in ("etc", "run"):
        shutil.rmtree(deployed.root() / folder / "keyfleet/default")
    run = deployed.run().ok()
    assert "adopted" == run.result("redis_instances")["instances"][0]["action"]
    assert "what it was started with is not known, since its started.conf is gone" in run.output
    with deployed.client(port) as client:
        assert 100 == client.dbsize()
    assert [] == deployed.run().ok().changed
