# SPDX-License-Identifier: MIT
"""Hosts of a deployment agree on its topology, and none of a replication or cluster is left out of a run."""

from __future__ import annotations

from ansible_collections.keyfleet.redis.plugins.filter.topology import topology_problems as of_all
from hypothesis import given
from hypothesis import strategies as st
from keyfleet.core.topology.validation import SINGLE, TOPOLOGIES, mixed_tls, topology_problems

HOSTS = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.fixed_dictionaries({"topology": st.sampled_from(TOPOLOGIES)}), min_size=1)


@given(HOSTS)
def test_hosts_that_differ_are_all_named(hosts: dict[str, dict[str, str]]) -> None:
    """With what each says; hosts that agree are no problem."""
    found = topology_problems("orders", hosts)
    assert (len({host["topology"] for host in hosts.values()}) > 1) == bool(found)
    assert all(name in problem and host["topology"] in problem for problem in found for name, host in hosts.items())


@given(HOSTS, st.lists(st.sampled_from(["x", "y"]), unique=True))
def test_no_member_is_left_out(hosts: dict[str, dict[str, str]], left_out: list[str]) -> None:
    """Single nodes need no others."""
    limited = [problem for problem in topology_problems("orders", hosts, left_out) if "--limit" in problem]
    assert bool(left_out and {host["topology"] for host in hosts.values()} != {SINGLE}) == bool(limited)
    assert all(name in problem for problem in limited for name in left_out)


def test_deployments_are_judged_each_alone() -> None:
    """Two of different topology fit in one inventory."""
    hosts = {
        "a": {"deployment": "cache", "topology": "single"},
        "b": {"deployment": "orders", "topology": "replication"},
        "c": {"deployment": "orders", "topology": "replication"},
    }
    assert [] == of_all(hosts, {"d": "cache", "e": "other"})
    (problem,) = of_all(hosts, {"d": "cache", "e": "orders"})
    assert problem.startswith("--limit leaves out e of the deployment orders")


def test_all_servers_of_a_topology_speak_tls_or_none() -> None:
    """Each is named with what it says."""
    hosts = {name: {"instances": [{"name": "default", "tls": tls}]} for name, tls in (("a", "off"), ("b", "only"))}
    (problem,) = mixed_tls("orders", hosts)
    assert "'off' on a/default, 'only' on b/default" in problem
    assert [] == list(mixed_tls("orders", {"a": hosts["a"]}))
