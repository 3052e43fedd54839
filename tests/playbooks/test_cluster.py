"""A cluster by site.yml on loopback: created, grown, shrunk and restarted under load, killed in the midst of that, and kept as it is."""

from __future__ import annotations

import random
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from keyfleet import Client
from keyfleet.core.connect.node import KILL_VARIABLE
from keyfleet.testing._server import wait_until
from support.clusters import (
    addresses,
    client_settings,
    describe_cluster,
    pids,
    port_of,
    run_on,
    shape,
    wait_until_whole,
)
from support.load import Load
from support.playbooks import Deployment, deployments
from support.prepared import Prepared

PACE_SECONDS = 0.005
KEYS = {f"key:{number}": str(number) for number in range(500)}
# Steps before which a run is killed, in the order in which a run takes them; a number is how many slots were moved.
STEPS = ("start", "assign", "meet", "replicate", "reserve", "move", "150", "forget", "leave", "stop")
SIX, EIGHT = ([f"node{number}" for number in range(1, count + 1)] for count in (6, 8))


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    """Yield the inventory of a cluster of six hosts, not deployed yet."""
    for found in deployments(Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))):
        describe_cluster(found)
        yield found


@pytest.fixture(scope="module")
def prepared_cluster() -> Iterator[Prepared]:
    """The module's cluster of six hosts; tests use `cluster`."""
    found = Prepared(describe_cluster)
    yield found
    found.stop()


@pytest.fixture
def cluster(prepared_cluster: Prepared) -> Deployment:
    """Return a cluster of six hosts, three shards with a replica each, as site.yml made it."""
    found = prepared_cluster.fresh()
    wait_until_whole(found)
    return found


def fill(deployment: Deployment) -> None:
    """Write KEYS."""
    with Client.from_settings(client_settings(deployment)) as client:
        for key, value in KEYS.items():
            client.set(key, value)


def holds(deployment: Deployment) -> bool:
    """Whether the cluster has KEYS and no others, each once."""
    primaries = shape(deployment)
    with Client.from_settings(client_settings(deployment)) as client:
        found = {key: client.get(key) for key in KEYS}
    return found == KEYS and len(KEYS) == sum(run_on(deployment, primary, "DBSIZE") for primary in primaries)


def killed(deployment: Deployment, monkeypatch: pytest.MonkeyPatch, steps: list[str]) -> None:
    """
    Run site.yml once for each of *steps*, the name of one or the number of a change.

    The module is killed before it, and ansible-playbook with it, before another task runs.
    """
    for step in steps:
        monkeypatch.setenv(KILL_VARIABLE, step)
        run = deployment.finish(deployment.start(kill_after="failed:1"))
        assert -signal.SIGKILL == run.rc, f"the run did not get to {step}: {run.output[-3000:]}"
        assert run.records[-1]["result"]["rc"] in (-signal.SIGKILL, 128 + signal.SIGKILL), f"before {step}: {run.failures}"
    monkeypatch.delenv(KILL_VARIABLE)


def test_created_proven_and_kept(deployment: Deployment) -> None:
    """Check mode shows the plan; the run carries it out; the next one asks each host once and the cluster once, and changes nothing."""
    foreseen = deployment.run("--check", "--diff").ok().result("redis_cluster")
    created = deployment.run().ok()
    assert foreseen["steps"] == created.result("redis_cluster")["steps"] != []
    assert "ok" == created.result("redis_cluster")["health"]["verdict"]
    assert [1, 1, 1] == [replicas for _slots, replicas in shape(deployment).values()]
    port = port_of(deployment)
    profile = deployment.inventory / "redis@node2.env"
    assert f"REDIS_CLUSTER_NODES=127.0.0.2:{port},127.0.0.1:{port}," in profile.read_text(encoding="utf-8")
    again = deployment.run().ok()
    assert ([], 7) == (again.changed, len(again.execs))
    verified = deployment.run("--tags", "verify").ok()
    assert (1, "ok") == (len(verified.execs), verified.result("redis_cluster")["health"]["verdict"])
    published = profile.read_text(encoding="utf-8")
    limited = deployment.run("--limit", "node2", "--tags", "verify").ok()
    assert ("ok", published) == (limited.result("redis_cluster")["health"]["verdict"], profile.read_text(encoding="utf-8"))


def test_grown_shrunk_and_restarted_under_load(cluster: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """No call of the client fails and every acknowledged write is there, while each node restarts once and shards come and go."""
    started = pids(cluster)
    with Client.from_settings(client_settings(cluster)) as client:
        last = [0]

        def write(number: int) -> None:
            time.sleep(PACE_SECONDS)
            client.set(f"a:{number}", str(number))
            last[0] = number

        def count(_number: int) -> int:
            time.sleep(PACE_SECONDS)
            return client.incr("counter")

        def read(_number: int) -> None:
            time.sleep(PACE_SECONDS)
            wanted = random.randint(0, last[0])  # noqa: S311 - any key will do
            assert client.get(f"a:{wanted}") == str(wanted)

        write(0)  # for the reader
        with Load([write, count, read]) as load:
            for variables in cluster.host_variables.values():
                variables["redis_server_instances"][0]["directives"]["io-threads"] = 2  # read when a server starts
            rolled = cluster.run().ok()
            results = [record["result"] for record in rolled.records if record["action"] == "keyfleet.redis.redis_turn"]
            turns = [result["turn"] for result in results if "turn" in result]
            assert SIX == sorted(turn["host"] for turn in turns)
            assert [""] * 3 == [turn["successor"] for turn in turns[:3]]  # replicas first
            assert 3 == len({turn["successor"] for turn in turns[3:]} - {""})
            assert [] == [host for host, pid in pids(cluster).items() if pid == started[host]]
            cluster.hosts = EIGHT
            cluster.run().ok()
            assert [(4096, 1)] * 4 == list(shape(cluster).values())
            cluster.retired = EIGHT[6:]
            cluster.run().ok()
            assert set(SIX) == pids(cluster).keys()
        assert [] == load.errors
        writer, counter, reader = load.workers
        with capsys.disabled():
            print(f"\n{len(writer.done)} writes, {len(counter.done)} increments, {len(reader.done)} reads, and none failed")
        assert [] == [number for number in writer.done if client.get(f"a:{number}") != str(number)]
        assert len(counter.done) == int(client.get("counter") or 0)
    assert [] == cluster.run().ok().changed  # the retired hosts are still listed
    assert not list(cluster.inventory.glob("redis@node7*"))
    cluster.hosts, cluster.retired = SIX, ()
    assert ([], [1, 1, 1]) == (cluster.run().ok().changed, [replicas for _slots, replicas in shape(cluster).values()])


def chosen(request: pytest.FixtureRequest, steps: str, more: str = "") -> list[str]:
    """Return the steps before which a run is killed, with ``--full`` also *more* of them, in the order of STEPS."""
    return sorted([*steps.split(), *(more.split() if request.config.getoption("full") else [])], key=STEPS.index)


@pytest.mark.timeout(3600)  # 12 runs of six hosts and more, 18 with --full
def test_killed_between_steps(deployment: Deployment, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """
    While it is created, grown and shrunk, a run is killed before a step, and the next run is killed one step further.

    With ``--full`` before each kind of step, which are ten. The run after that finishes it: keys and slots are all there. Changes of a
    number are in the midst of moving slots.
    """
    killed(deployment, monkeypatch, chosen(request, "assign meet", more="start replicate"))
    deployment.run().ok()
    assert [1, 1, 1] == [replicas for _slots, replicas in shape(deployment).values()]
    fill(deployment)
    deployment.hosts = EIGHT
    killed(deployment, monkeypatch, chosen(request, "reserve 150", more="meet move"))
    assert holds(deployment)
    deployment.run().ok()
    assert ([(4096, 1)] * 4, True) == (list(shape(deployment).values()), holds(deployment))
    deployment.retired = EIGHT[6:]
    killed(deployment, monkeypatch, chosen(request, "150 forget", more="move"))
    assert holds(deployment)
    killed(deployment, monkeypatch, chosen(request, "stop", more="leave"))
    deployment.run().ok()
    deployment.hosts, deployment.retired = SIX, ()
    assert ([], True) == (deployment.run().ok().changed, holds(deployment))
    found = shape(deployment).values()
    assert (16384, [1, 1, 1]) == (sum(slots for slots, _replicas in found), [replicas for _slots, replicas in found])


def test_what_was_done_by_hand_stays(cluster: Deployment) -> None:
    """A failover and a slot that was given to another shard: the next run changes nothing."""
    fill(cluster)
    before = shape(cluster)
    replica = next(address for address in addresses(cluster) if address not in before)
    run_on(cluster, replica, "CLUSTER", "FAILOVER", "FORCE")
    wait_until(lambda: replica in shape(cluster), "the replica to take over", 30)
    primaries = list(shape(cluster))
    counts = {slot: [run_on(cluster, address, "CLUSTER", "COUNTKEYSINSLOT", slot) for address in primaries] for slot in range(40)}
    empty = next(slot for slot, found in counts.items() if not any(found))
    owner = _owner(cluster, empty)
    other = next(address for address in primaries if address != owner)
    for address in (other, owner):
        run_on(cluster, address, "CLUSTER", "SETSLOT", empty, "NODE", run_on(cluster, other, "CLUSTER", "MYID").decode())
    wait_until_whole(cluster)
    by_hand = shape(cluster)
    assert ([], by_hand, True) == (cluster.run().ok().changed, shape(cluster), holds(cluster))
    assert _owner(cluster, empty) == other


def _owner(deployment: Deployment, slot: int) -> str:
    """Return the address of the primary that has a slot."""
    rows = run_on(deployment, addresses(deployment)[0], "CLUSTER", "SLOTS")
    return next(f"{row[2][0].decode()}:{row[2][1]}" for row in rows if row[0] <= slot <= row[1])


def test_handed_over_by_hand_and_taken_away(cluster: Deployment) -> None:
    """Each shard has another primary after failover.yml; destroy.yml stops all nodes, and the next run starts the same cluster again."""
    fill(cluster)
    before = set(shape(cluster))
    handed = cluster.run(playbook="playbooks/failover.yml").ok()
    assert before == handed.result("redis_turn")["handovers"].keys()
    after = shape(cluster)
    assert ({16384}, set()) == ({sum(slots for slots, _replicas in after.values())}, before & set(after))
    assert "ok" == cluster.run(playbook="playbooks/verify.yml").ok().result("redis_cluster")["health"]["verdict"]
    cluster.run(playbook="playbooks/destroy.yml").ok()
    assert {} == pids(cluster)
    again = cluster.run().ok()
    assert ([], True) == (again.result("redis_cluster")["steps"], holds(cluster))
    assert set(shape(cluster)) == set(after)
