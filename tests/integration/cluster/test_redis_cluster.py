# SPDX-License-Identifier: MIT
"""The module as Ansible runs it: check mode, diff, refusals, secrets, the distribution's redis-py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from keyfleet.core.errors import KeyfleetError
from keyfleet.testing._server import wait_until
from keyfleet.testing.plugin import RedisFactory
from support.formations import PASSWORD, Formation, Start, address
from support.modules import DEBIAN_PYTHON, Result, assert_check_predicts, run_module


def options(formation: Formation, **more: Any) -> dict[str, Any]:
    """Return options that name all nodes."""
    return {"nodes": [{"address": address(node)} for node in formation.nodes], "login_password": PASSWORD, **more}


def run(formation: Formation, *, check: bool = False, **more: Any) -> Result:
    """Run the module, and assert that it shows no password."""
    result = run_module("redis_cluster", options(formation, **more), check=check, diff=True)
    assert PASSWORD not in result.stdout + result.stderr
    return result


def test_create_repeat_and_check(start_nodes: Start, tmp_path: Path) -> None:
    """Check mode says what the run does, step by step; the second run changes nothing. With the distribution's Python."""
    formation = start_nodes()
    predicted = run(formation, check=True)
    assert predicted.changed
    assert "127.0.0.1:" in predicted["diff"]["before"]
    assert [] == [line for line in predicted["diff"]["before"].splitlines() if not line.endswith(("not a member", "0-16383"))]
    log = tmp_path / "progress"
    done = run_module("redis_cluster", options(formation, progress_file=str(log)), diff=True, python=DEBIAN_PYTHON)
    assert done.changed, done.data
    assert predicted["steps"] == done["steps"] == log.read_text().splitlines()
    assert sorted(predicted["diff"]["after"].splitlines()) == sorted(done["diff"]["after"].splitlines())
    assert not assert_check_predicts("redis_cluster", options(formation)).changed


def test_what_is_refused(start_nodes: Start, redis_factory: RedisFactory) -> None:
    """Before any change, each with its reason, and in check mode too."""
    formation = start_nodes(4, directives={"cluster-require-full-coverage": "no"})
    three, other = [address(node) for node in formation.nodes[:3]], formation.nodes[3]
    plain = address(redis_factory.server(password=PASSWORD))
    without_password = address(redis_factory.server(directives={"cluster-enabled": "yes"}))
    formation.run_on(other, "CLUSTER", "ADDSLOTS", 5)
    wait_until(lambda: b"cluster_state:ok" in formation.run_on(other, "CLUSTER", "INFO"), "a node without others to serve its slot")
    formation.run_on(other, "SET", key_in_slot_5(), "x")
    formation.run_on(formation.nodes[0], "CLUSTER", "ADDSLOTS", *range(6, 100))
    before = [formation.run_on(node, "CLUSTER", "SLOTS") for node in formation.nodes]
    cases = [
        (three, 1, "3 nodes are too few: 3 shards with 1 replicas each need 6"),
        ([*three, f"127.0.0.9:{formation.port}"], 0, f"cannot reach 127.0.0.9:{formation.port}"),
        ([*three, plain], 0, f"{plain} does not run in cluster mode"),
        ([*three, without_password], 0, f"{without_password} refuse the credentials that the other nodes accept"),
        ([*three, three[0].replace("127.0.0.1", "localhost")], 0, "are the same node"),
        ([*three, address(other)], 0, f"{address(other)} holds 1 keys and is not a member of the cluster of {three[0]}; to meet it would"),
    ]
    for addresses, replicas, reason in cases:
        for check in (True, False):
            with pytest.raises(KeyfleetError, match=re.escape(reason)):
                formation.form_nodes([{"address": place} for place in addresses], check=check, replicas=replicas)
    assert before == [formation.run_on(node, "CLUSTER", "SLOTS") for node in formation.nodes]
    result = run(formation, nodes=[{"address": place} for place in three])
    assert ("RefusedError", True) == (result["error"], result.failed)


def key_in_slot_5() -> str:
    """Return a key of slot 5."""
    return "q3351"
