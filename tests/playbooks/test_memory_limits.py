"""maxmemory of new instances: computed from the memory there is, announced, enforced by the server, and never changed by a later run."""

from __future__ import annotations

from keyfleet.core.host.memory import MIB, limits, physical_bytes
from support.playbooks import Deployment, free_port


def available() -> int:
    """Return the memory of this machine, or of the control group that limits it."""
    return min([physical_bytes(), *limits("process", "/proc", "/sys/fs/cgroup")])


def maxmemory(deployment: Deployment, port: int) -> int:
    """Return the limit that the server reports."""
    with deployment.client(port) as client:
        return int(client.config_get("maxmemory")["maxmemory"])


def test_new_instances_share_what_there_is_and_keep_it(deployment: Deployment, port: int) -> None:
    """Announced before; a second run, another share and a new neighbour change nothing; the neighbour gets of what is left."""
    both = [{"name": "default", "port": port}, {"name": "second", "port": free_port()}]
    each = available() * 40 // 100 // 3 // MIB * MIB
    foreseen = deployment.run("--check", redis_server_instances=both, redis_server_memory_percent=40).ok()
    first = deployment.run(redis_server_instances=both, redis_server_memory_percent=40).ok()
    for run, verb in ((foreseen, "would get"), (first, "get")):
        assert f"default, second name no maxmemory and {verb} {each // MIB}mb each" in " ".join(run.output.split())
    assert [each, each] == [maxmemory(deployment, one["port"]) for one in both]
    for percent in (40, 20, 0):
        again = deployment.run(redis_server_instances=both, redis_server_memory_percent=percent).ok()
        assert [] == again.changed
        assert "name no maxmemory" not in again.output

    third = {"name": "third", "port": free_port()}
    deployment.run(redis_server_instances=[*both, third], redis_server_memory_percent=40).ok()
    rest = (available() * 40 // 100 - 2 * each) // 2 // MIB * MIB
    assert [each, each, rest] == [maxmemory(deployment, one["port"]) for one in (*both, third)]


def test_deployment_without_a_limit_keeps_none_and_is_warned(deployment: Deployment, port: int) -> None:
    """As one of an earlier version: the first run with this one changes nothing, and its summary says what to do."""
    deployment.run(redis_server_memory_percent=0).ok()
    run = deployment.run().ok()
    assert ([], 0) == (run.changed, maxmemory(deployment, port))
    assert "Memory: instance default has no maxmemory" in run.output


def test_summary_compares_the_policy_with_the_use(deployment: Deployment, port: int) -> None:
    """What is stated is compared with what the server does; nothing is set by it."""
    run = deployment.run(redis_server_use="cache").ok()
    assert "instance default is used as cache and its maxmemory-policy is noeviction" in run.output
    with deployment.client(port) as client:
        assert "noeviction" == client.config_get("maxmemory-policy")["maxmemory-policy"]
    run = deployment.run(redis_server_use="cache", redis_server_directives={"maxmemory-policy": "allkeys-lru"}).ok()
    assert "is used as cache" not in run.output
