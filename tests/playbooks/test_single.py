"""site.yml on one node: deploy, prove, run again, change, restart, remove."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from typing import Any

from support.playbooks import Deployment, Run, free_port, unprivileged

EXECS_OF_A_RERUN = 3


def pid_of(deployment: Deployment, port: int, **options: Any) -> int:
    """Return the server's process."""
    with deployment.client(port, **options) as client:
        return int(client.info("server")["process_id"])


def instance(port: int, **options: Any) -> dict[str, Any]:
    """Return extra variables for the one instance."""
    return {"redis_server_instances": [{"name": "default", "port": port, **options}]}


def test_deploy_then_rerun_changes_nothing(deployment: Deployment, port: int) -> None:
    """The first run ends with a healthy server, a proof and a profile; the second changes nothing and needs few round trips."""
    first = deployment.run().ok()
    assert "a value was written and read back" in first.output
    health = first.result("redis_instances")["health"][0]
    assert "ok" == health["verdict"]
    assert {"round_trip": "ok"} == {check["name"]: check["status"] for check in health["checks"] if check["name"] == "round_trip"}

    before = deployment.tree()
    second = deployment.run().ok()
    assert [] == second.changed
    assert before == deployment.tree()
    assert len(second.execs) <= EXECS_OF_A_RERUN, second.execs


def test_a_first_run_is_foreseen(deployment: Deployment, port: int) -> None:
    """In check mode a host that has nothing yet is no failure, and gets nothing."""
    assert deployment.run("--check", "--diff").ok().changed
    assert {} == deployment.tree()


def test_live_directive_keeps_the_process(deployed: Deployment, port: int) -> None:
    """What CONFIG SET can change is changed in the running process, survives its restart, and is not changed again."""
    pid = pid_of(deployed, port)
    desired = instance(port, directives={"maxmemory": "64mb", "maxmemory-policy": "allkeys-lru", "notify-keyspace-events": "KEA"})
    run = deployed.run(**desired).ok()
    assert {"maxmemory", "maxmemory-policy", "notify-keyspace-events"} == set(run.result("redis_instances")["instances"][0]["live"])
    assert pid == pid_of(deployed, port)
    with deployed.client(port) as client:
        assert str(64 * 1024 * 1024) == client.config_get("maxmemory")["maxmemory"]
    assert [] == deployed.run(**desired).ok().changed


def test_startup_directive_restarts_after_saving(deployed: Deployment, port: int) -> None:
    """What only a start applies is announced with its reason, restarted once with the data kept, and the gap is reported."""
    pid = pid_of(deployed, port)
    with deployed.client(port) as client:
        client.mset({f"key:{number}": number for number in range(1000)})
    run = deployed.run(**instance(port, directives={"databases": 4})).ok()
    assert "databases is '16' and shall be '4'" in run.output
    restarted = run.result("redis_restart")["instances"][0]
    assert (1000, 1000) == (restarted["keys_before"], restarted["keys"])
    assert restarted["gap_seconds"] > 0
    assert pid != pid_of(deployed, port)
    with deployed.client(port) as client:
        assert 1000 == client.dbsize()
        assert "4" == client.config_get("databases")["databases"]
    assert [] == deployed.run(**instance(port, directives={"databases": 4})).ok().changed


def test_report_policy_restarts_nothing(deployed: Deployment, port: int) -> None:
    """With restart_policy report the run says what must restart and leaves the process alone, each time."""
    pid = pid_of(deployed, port)
    desired = {**instance(port, directives={"databases": 4}), "redis_server_restart_policy": "report"}
    for _unused in range(2):
        run = deployed.run(**desired).ok()
        assert "must be restarted (redis_server_restart_policy is report" in run.output
        assert pid == pid_of(deployed, port)


def test_cache_without_persistence_keeps_its_data_over_a_restart(deployment: Deployment, port: int) -> None:
    """A server that saves nothing keeps its keys over our restart, and no dump stays behind to come back later."""
    deployment.run(**instance(port, directives={"save": ""})).ok()
    with deployment.client(port) as client:
        client.set("kept", "yes")
    run = deployment.run(**instance(port, directives={"save": "", "databases": 4})).ok()
    assert "rdb for the restart only" == run.result("redis_restart")["instances"][0]["saved"]
    with deployment.client(port) as client:
        assert "yes" == client.get("kept")
    assert [] == list(deployment.root().rglob("*.rdb"))


def test_directive_that_leaves_the_inventory_returns_to_its_default(deployment: Deployment, port: int) -> None:
    """A directive taken out of the inventory gets its default again; what an operator set by hand and we never named stays."""
    deployment.run(**instance(port, directives={"maxmemory": "64mb", "hz": 20})).ok()
    with deployment.client(port) as client:
        client.config_set("slowlog-max-len", 99)
        client.config_rewrite()
    deployment.run(**instance(port, directives={"hz": 20})).ok()
    with deployment.client(port) as client:
        assert "0" == client.config_get("maxmemory")["maxmemory"]
        assert "99" == client.config_get("slowlog-max-len")["slowlog-max-len"]
        assert "20" == client.config_get("hz")["hz"]


def test_directive_that_leaves_stays_gone_after_rewrite_and_restart(deployment: Deployment, port: int) -> None:
    """What CONFIG REWRITE wrote of directives that left the inventory since does not come back with a restart."""
    deployment.run(**instance(port, directives={"maxmemory": "64mb", "databases": 4})).ok()
    with deployment.client(port) as client:
        client.config_rewrite()
    deployment.run().ok()
    with deployment.client(port) as client:
        assert ["0", "16"] == [client.config_get(name)[name] for name in ("maxmemory", "databases")]
    deployment.run(**instance(port, directives={"rdbcompression": False, "io-threads": 2})).ok()
    with deployment.client(port) as client:
        assert ["0", "16", "2"] == [client.config_get(name)[name] for name in ("maxmemory", "databases", "io-threads")]
    assert [] == deployment.run(**instance(port, directives={"rdbcompression": False, "io-threads": 2})).ok().changed


def test_drift_of_a_named_directive_is_corrected(deployment: Deployment, port: int) -> None:
    """A named directive that someone changed by hand is what the inventory says again after the next run."""
    deployment.run(**instance(port, directives={"maxmemory": "64mb"})).ok()
    with deployment.client(port) as client:
        client.config_set("maxmemory", "32mb")
    run = deployment.run(**instance(port, directives={"maxmemory": "64mb"})).ok()
    assert {"maxmemory": {"active": str(32 << 20), "desired": str(64 << 20)}} == run.result("redis_instances")["instances"][0]["live"]


def test_rewrite_then_change_then_restart_ours_holds(deployment: Deployment, port: int) -> None:
    """After CONFIG REWRITE our later change still wins over what the server wrote, modes stay, and no password moves."""
    deployment.run(**instance(port, directives={"maxmemory": "64mb"})).ok()
    with deployment.client(port) as client:
        client.config_rewrite()
    deployment.run(**instance(port, directives={"maxmemory": "96mb", "databases": 4})).ok()
    with deployment.client(port) as client:
        assert str(96 << 20) == client.config_get("maxmemory")["maxmemory"]
        client.config_rewrite()
    folder = deployment.root() / "etc/keyfleet/default"
    assert {"0o640"} == {oct(stat.S_IMODE((folder / name).stat().st_mode)) for name in ("keyfleet.conf", "users.acl")}
    server_file = deployment.root() / "var/lib/keyfleet/default/server.conf"
    assert 0o600 == stat.S_IMODE(server_file.stat().st_mode)
    written = server_file.read_text(encoding="utf-8")
    assert "maxmemory" in written
    assert [] == [word for word in ("requirepass", "user default", deployment.password()) if word in written]


def test_absent_instance_leaves_the_other_alone(deployment: Deployment, port: int) -> None:
    """state absent stops one instance and keeps its data; the other keeps its process. Listed again, the data is back."""
    other = free_port()
    both = [{"name": "default", "port": port}, {"name": "extra", "port": other}]
    deployment.run(redis_server_instances=both).ok()
    pid = pid_of(deployment, port)
    with deployment.client(other) as client:
        client.set("kept", "yes")
    gone = [both[0], {**both[1], "state": "absent"}]
    run = deployment.run(redis_server_instances=gone).ok()
    assert "removed" == run.result("redis_instances")["instances"][1]["action"]
    assert pid == pid_of(deployment, port)
    assert not (deployment.root() / "etc/keyfleet/extra").exists()
    assert (deployment.root() / "var/lib/keyfleet/extra/dump.rdb").exists()
    assert [] == deployment.run(redis_server_instances=gone).ok().changed
    deployment.run(redis_server_instances=both).ok()
    with deployment.client(other) as client:
        assert "yes" == client.get("kept")


def test_unlisted_instance_is_reported_and_kept(deployment: Deployment, port: int) -> None:
    """An instance that the inventory does not list any more keeps running, and the run says so."""
    other = free_port()
    deployment.run(redis_server_instances=[{"name": "default", "port": port}, {"name": "extra", "port": other}]).ok()
    pid = pid_of(deployment, other)
    run = deployment.run(**instance(port)).ok()
    assert "kept as they are: extra" in run.output
    assert [] == run.changed
    assert pid == pid_of(deployment, other)


def test_socket_only_and_ipv6(deployment: Deployment, port: int) -> None:
    """An instance may listen on a unix socket alone, another on IPv6 alone."""
    desired = [{"name": "socket", "port": 0, "unix_socket": True}, {"name": "six", "port": port, "bind": ["::1"]}]
    deployment.run(redis_server_instances=desired).ok()
    socket_path = deployment.root() / "run/keyfleet/socket/server.sock"
    with deployment.client(0, unix_socket_path=str(socket_path)) as client:
        assert client.ping()
    with deployment.client(port, host="::1") as client:
        assert client.ping()
    assert f"REDIS_URL=unix://{socket_path}" in (deployment.inventory / "redis-socket@node1.env").read_text(encoding="utf-8")
    assert [] == deployment.run(redis_server_instances=desired).ok().changed


def test_port_moves_live(deployed: Deployment, port: int) -> None:
    """A new port is taken by the running process; the profile follows."""
    pid, other = pid_of(deployed, port), free_port()
    deployed.run(**instance(other)).ok()
    assert pid == pid_of(deployed, other)
    assert f"REDIS_PORT={other}" in (deployed.inventory / "redis@node1.env").read_text(encoding="utf-8")


def shown(run: Run) -> list[tuple[str, Any]]:
    """Return what each task shows as its difference."""
    return [(record["task"], record["result"]["diff"]) for record in run.records if record["result"].get("diff")]


def test_check_mode_on_a_bare_and_on_a_running_host(deployment: Deployment, port: int) -> None:
    """--check --diff changes nothing anywhere, says what would be, and shows line by line what the run then changes."""
    foreseen = deployment.run("--check", "--diff").ok()
    assert {} == deployment.tree()
    assert not (deployment.inventory / ".keyfleet").exists()
    real = deployment.run("--diff").ok()
    assert foreseen.changed == real.changed
    assert shown(foreseen) == shown(real)

    desired = {
        **instance(free_port(), unix_socket=True, directives={"maxmemory": "64mb", "databases": 4}),
        "redis_server_password": "another-one-for-tests",
        "redis_server_previous_password": deployment.password(),
    }
    before, pid = deployment.tree(), pid_of(deployment, port)
    foreseen = deployment.run("--check", "--diff", **desired).ok()
    assert "would restart, after saving: databases is '16' and shall be '4'" in foreseen.output
    assert "would use maxmemory, user default as desired, without a restart" in foreseen.output
    assert "would drop the passwords of before of default" in foreseen.output
    assert [] == re.findall(r"\b(?:restarts|now)\b", " ".join(foreseen.messages))
    assert (before, pid) == (deployment.tree(), pid_of(deployment, port))
    real = deployment.run("--diff", **desired).ok()
    # The second phase of a run, which check mode says in a task of its own.
    said, dropped = ([task for task in run.changed if "Drop all | " in task] for run in (foreseen, real))
    assert ([task for task in foreseen.changed if task not in said], 1) == (
        [task for task in real.changed if task not in dropped],
        len(said),
    )
    assert shown(foreseen) == shown(real)[: -len(dropped)]


def test_tags_and_limit_are_safe_alone(deployment: Deployment, port: int) -> None:
    """Each documented tag, and --limit to one host of several, works on a bare and on a running deployment."""
    deployment.hosts = ("node1", "node2")
    first, second = port, free_port()
    deployment.variables["redis_server_instances"] = [{"name": "default", "port": "{{ ports[inventory_hostname] }}"}]
    deployment.variables["ports"] = {"node1": first, "node2": second}
    deployment.run("--limit", "node2").ok()
    assert ["redis@node2.env"] == [path.name for path in deployment.inventory.glob("*.env")]
    assert f"REDIS_PORT={second}" in (deployment.inventory / "redis@node2.env").read_text(encoding="utf-8")
    pid = pid_of(deployment, second)
    deployment.run().ok()
    for tag in ("redis_host", "redis_server", "verify"):
        assert [] == deployment.run("--tags", tag).ok().changed
    assert pid == pid_of(deployment, second)


def test_playbook_runs_without_root() -> None:
    """These tests prove what they say only if the runs have no privileges."""
    program = "import os; print(os.geteuid() != 0, *(line.split()[1] for line in open('/proc/self/status') if line.startswith('CapEff')))"
    done = subprocess.run([*unprivileged(), sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ["True", "0000000000000000"] == done.stdout.split()
