# SPDX-License-Identifier: MIT
"""A run asks each host once, carries out only what differs, and proves what it finds as it should be. Times are bench rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.playbooks import Deployment, Run, deployments, free_port

MOST_EXECUTIONS = 3
NAMES = ("default", "second", "third")
PACKAGE_MODULES = {f"ansible.builtin.{name}" for name in ("apt", "dnf", "package", "command", "setup", "gather_facts")}


@pytest.fixture(scope="module")
def deployed() -> Iterator[Deployment]:
    """One host with three instances, below a folder that has a kernel too; its first run went well."""
    for found in deployments(Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))):
        found.variables = {
            "redis_server_instances": [{"name": name, "port": free_port(), "directives": {"maxmemory": "64mb"}} for name in NAMES],
            "redis_host_root": str(found.root()),
            "redis_host_service_manager": "systemd",
        }
        found.write()
        for name, text in (
            ("proc/sys/vm/overcommit_memory", "0\n"),
            ("proc/sys/net/core/somaxconn", "1024\n"),
            ("sys/kernel/mm/transparent_hugepage/enabled", "[madvise]\n"),
        ):
            (found.root() / name).parent.mkdir(parents=True)
            (found.root() / name).write_text(text)
        found.run().ok()
        yield found


def differing(run: Run) -> list[str]:
    """Return the areas that differed when the host was first asked."""
    return next(record["result"]["differing"] for record in run.records if record["action"] == "keyfleet.redis.redis_preflight")


def port_of(deployment: Deployment, name: str) -> int:
    """Return the port of an instance."""
    return next(int(one["port"]) for one in deployment.variables["redis_server_instances"] if one["name"] == name)


def files_of(deployment: Deployment) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of everything that keyfleet keeps on the host."""
    paths = [path for top in ("etc", "usr", "proc") for path in (deployment.root() / top).rglob("*")]
    return {str(path): (path.stat().st_mode, path.read_bytes() if path.is_file() else b"") for path in paths}


@pytest.mark.parametrize("instances", [1, 3])
def test_a_rerun_asks_once_and_runs_no_package_module(deployed: Deployment, instances: int) -> None:
    """However many instances: the proof of all of them is part of what is asked."""
    listed = deployed.variables["redis_server_instances"][:instances]
    run = deployed.run(redis_server_instances=listed).ok()
    assert len(run.execs) <= MOST_EXECUTIONS, run.execs
    assert set() == PACKAGE_MODULES & {record["action"] for record in run.records}
    assert ([], []) == (run.changed, differing(run))
    assert instances == run.output.count("a value was written and read back")


def test_what_was_disturbed_is_seen_and_repaired_by_the_next_run(deployed: Deployment) -> None:
    """In three areas at a time and all instances; tests/integration/instance/test_areas.py disturbs each area alone, in every way."""
    before, root = files_of(deployed), deployed.root()
    (root / "proc/sys/vm/overcommit_memory").write_text("0\n")
    (root / "etc/logrotate.d/keyfleet-default").write_text("# by hand\n")
    (root / "etc/keyfleet/second").chmod(0o777)
    (root / "usr/local/libexec/keyfleet/runner.py").write_text("# by hand\n")
    (root / "etc/keyfleet/third/keyfleet.conf").write_text("# by hand\n")
    with deployed.client(port_of(deployed, "second")) as client:
        client.config_set("maxmemory", "32mb")
    check = deployed.run("--check", "--diff").ok()
    repaired = deployed.run("--diff").ok()
    assert ["kernel", "files", "instances"] == differing(check) == differing(repaired)
    assert check.changed == repaired.changed
    assert before == files_of(deployed)
    with deployed.client(port_of(deployed, "second")) as client:
        assert str(64 << 20) == client.config_get("maxmemory")["maxmemory"]
    assert [] == deployed.run().ok().changed
