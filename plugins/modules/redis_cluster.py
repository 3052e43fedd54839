#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_cluster
short_description: Create, heal, grow and shrink a Redis or Valkey Cluster
version_added: 0.1.0
author:
  - keyfleet maintainers (@keyfleet)
description:
  - Reads every node, computes the steps from what the cluster is to what it should be, and takes them while clients work. The nodes must
    run with C(cluster-enabled yes); the module starts and stops none. Run it once for a cluster, on a host that reaches all nodes.
  - Creates a cluster, and completes one that is half created. Heals slots that are open, slots without owner, a node that came back empty
    or with another id, a failed primary, a shard that lacks a replica, entries of nodes that are gone.
  - Keeps what the running cluster decided. After a failover or a reshard by hand a run changes nothing. New shards get their share of the
    slots; others are spread anew only with O(rebalance).
  - Nodes are identified by their id, which each is asked for at the address given; others may reach it at the address that it announces.
  - Slots move with CLUSTER MIGRATESLOTS where both servers know it, else with MIGRATE, some keys of one slot per call.
  - A run that is killed is continued by the next one.
extends_documentation_fragment:
  - keyfleet.redis.connection.credentials
attributes:
  check_mode:
    support: full
    description: Says which steps a run would take, and refuses what a run would refuse. It cannot foresee that a node fails meanwhile.
  diff_mode:
    support: full
    description: Shows role and slots of every node, before and after.
  idempotent:
    support: full
    description: A second run changes nothing.
options:
  nodes:
    type: list
    elements: dict
    required: true
    description:
      - All nodes that shall be members. Which of them are primaries is chosen when a shard is new, and asked of the cluster ever after.
      - A node that the cluster knows and that is neither here nor in O(retired) is kept as it is, and named in a warning.
    suboptions:
      address:
        type: str
        required: true
        description:
          - Where this host reaches the node, as V(host:port), an IPv6 address in brackets.
      host:
        type: str
        description:
          - What fails together with the node. The host part of O(nodes[].address) if not given.
          - Members of one shard are placed on different hosts wherever that is possible.
      zone:
        type: str
        description:
          - What fails together on a larger scale, a rack or an availability zone; used like O(nodes[].host) as far as hosts allow it.
      weight:
        type: float
        default: 1.0
        description:
          - Share of the slots in relation to other nodes, more than 0. A shard weighs what the lightest of its members does.
  retired:
    type: list
    elements: str
    default: []
    description:
      - Addresses of nodes that shall leave. Their slots move to others, or a replica takes over from them. Then all members forget them,
        and they are reset to empty nodes, which may be stopped. One that the cluster calls failed need not answer.
  announced:
    type: dict
    default: {}
    description:
      - Where the cluster knows nodes of O(retired) that announce another address or name than the one given there, as V(host:port) by the
        address given. Needed for those that do not answer.
  replicas:
    type: int
    default: 1
    description:
      - Least number of replicas of each shard, 0 or more. Nodes that are left over become further replicas.
  shards:
    type: int
    description:
      - Number of shards, 3 or more. As many as the nodes allow with O(replicas) if not given.
  rebalance:
    type: bool
    default: false
    description:
      - Whether every shard shall have its share of the slots. Otherwise only new shards get slots and only retired ones lose all.
  assign_lost_slots:
    type: bool
    default: false
    description:
      - Whether to give slots whose primary is gone without a replica, empty, to other nodes. Otherwise this is refused, as the data may
        come back with its node.
  batch_keys:
    type: int
    default: 100
    description:
      - Most keys in one MIGRATE, 1 or more. Fewer are sent if a call takes more than 10 ms, in which the source serves no client.
  batch_slots:
    type: int
    default: 16
    description:
      - Number of slots that are open at a time when keys move by MIGRATE, 1 or more.
  wait_seconds:
    type: float
    default: 60
    description:
      - Longest wait for nodes to agree, for a replica to be in sync and for a failover, each, in seconds.
  expected_nodes:
    type: list
    elements: str
    default: []
    description:
      - In check mode, addresses of O(nodes) that do not run yet, since another task starts them. They count as empty nodes and are not
        asked. Which of them become primaries may be decided otherwise when they run and have an id.
  proof:
    type: str
    choices: [none, after, only]
    default: none
    description:
      - V(after) proves at the end that the cluster works, V(only) does nothing else, and V(none) leaves it out.
      - Every primary is asked for its health, as M(keyfleet.redis.redis_health) does, a value is written to each and read back, and all
        nodes must agree. In check mode V(after) proves nothing, and V(only) writes no value.
      - The task fails if the verdict is V(failed).
  engine:
    type: str
    choices: [redis, valkey]
    description:
      - The engine that O(proof) expects. Any if not given.
  secure_links:
    type: bool
    description:
      - Whether the nodes reach each other with TLS (C(tls-cluster) and C(tls-replication)). All of them change at the same moment. They
        need a port with TLS for that.
      - It stays as it is if not given.
  progress_file:
    type: path
    description:
      - File that each step and the progress of long moves are appended to, a line each; made if missing. The system log gets the same.
notes:
  - E(REDIS_PASSWORD) and the other variables of the environment are not read, since O(nodes) names the servers.
  - The server's own C(redis-cli --cluster) is not used. It is not on every host, takes the password on its command line or in the
    environment, and does not continue what it was killed in.
  - CLUSTER, INFO, DBSIZE, MIGRATE, ASKING and DEL must be allowed to the user.
seealso:
  - module: keyfleet.redis.redis_health
"""

EXAMPLES = r"""
- name: Create or heal a cluster of three shards with a replica each
  keyfleet.redis.redis_cluster:
    login_password: "{{ vault_redis_password }}"
    nodes:
      - {address: "10.0.0.1:7000", zone: a}
      - {address: "10.0.0.1:7001", zone: a}
      - {address: "10.0.0.2:7000", zone: b}
      - {address: "10.0.0.2:7001", zone: b}
      - {address: "10.0.0.3:7000", zone: c}
      - {address: "10.0.0.3:7001", zone: c}

- name: Replace a host
  keyfleet.redis.redis_cluster:
    nodes:
      - {address: "10.0.0.1:6379"}
      - {address: "10.0.0.2:6379"}
      - {address: "10.0.0.4:6379"}
    replicas: 0
    retired: ["10.0.0.3:6379"]
    progress_file: /tmp/cluster.log

- name: Spread the slots by weight
  keyfleet.redis.redis_cluster:
    nodes:
      - {address: "10.0.0.1:6379", weight: 2}
      - {address: "10.0.0.2:6379"}
      - {address: "10.0.0.3:6379"}
    replicas: 0
    rebalance: true
"""

RETURN = r"""
steps:
  description: What was done in order, a phrase each; in check mode, what would be.
  returned: success
  type: list
  elements: str
  sample: ["make 10.0.0.4:6379 a replica of 10.0.0.1:6379"]
moved_slots:
  description: Slots that moved from one primary to another.
  returned: success
  type: int
moved_keys:
  description: Keys that moved with MIGRATE; those of atomic moves are not counted.
  returned: success
  type: int
health:
  description: C(verdict), C(reasons) and C(checks) of O(proof), as M(keyfleet.redis.redis_health) returns them, and
    the check V(inventory) of all nodes, and of what each of them says of the others.
  returned: when it was asked for
  type: dict
error:
  description: Class of the error.
  returned: failure
  type: str
  sample: RefusedError
"""

from pathlib import Path
from typing import Callable, Optional

from ..module_utils.connection_options import CONNECTION_CONSTRAINTS, credentials_argument_spec, fail, read_settings
from ..module_utils.keyfleet.cluster.converge import ClusterOutcome, converge
from ..module_utils.keyfleet.cluster.proof import prove_cluster
from ..module_utils.keyfleet.cluster.validation import parse_desired, parse_limits
from ..module_utils.keyfleet.connect.redis_py import translated
from ..module_utils.keyfleet.errors import KeyfleetError
from ..module_utils.keyfleet.health.model import FAILED
from ..module_utils.quiet_module import QuietModule


def reporter(module: QuietModule, path: Optional[str]) -> Callable[[str], None]:
    """Return a function that writes a line to the system log, and to the file if there is one."""

    def report(text: str) -> None:
        module.log(text)
        if path:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(f"{text}\n")

    return report


def main() -> None:
    """Run the module."""
    node = {
        "address": {"type": "str", "required": True},
        "host": {"type": "str"},
        "zone": {"type": "str"},
        "weight": {"type": "float", "default": 1.0},
    }
    module = QuietModule(
        argument_spec={
            **credentials_argument_spec(),
            "nodes": {"type": "list", "elements": "dict", "required": True, "options": node},
            "retired": {"type": "list", "elements": "str", "default": []},
            "announced": {"type": "dict", "default": {}},
            "replicas": {"type": "int", "default": 1},
            "shards": {"type": "int"},
            "rebalance": {"type": "bool", "default": False},
            "assign_lost_slots": {"type": "bool", "default": False},
            "batch_keys": {"type": "int", "default": 100, "no_log": False},
            "batch_slots": {"type": "int", "default": 16},
            "wait_seconds": {"type": "float", "default": 60.0},
            "secure_links": {"type": "bool"},
            "expected_nodes": {"type": "list", "elements": "str", "default": []},
            "proof": {"type": "str", "choices": ["none", "after", "only"], "default": "none"},
            "engine": {"type": "str", "choices": ["redis", "valkey"]},
            "progress_file": {"type": "path"},
        },
        supports_check_mode=True,
        required_by=CONNECTION_CONSTRAINTS["required_by"],
    )
    params = module.params
    try:
        desired = parse_desired(
            params["nodes"],
            params["retired"],
            replicas=params["replicas"],
            shards=params["shards"],
            rebalance=params["rebalance"],
            assign_lost_slots=params["assign_lost_slots"],
            announced=params["announced"],
        )
        limits = parse_limits(params["batch_keys"], params["batch_slots"], params["wait_seconds"])
        credentials = {name: params[name] for name in credentials_argument_spec()}
        settings = read_settings(module, {**credentials, "startup_nodes": [found.address for found in desired.nodes]})
        with translated(settings):
            outcome = ClusterOutcome()
            if params["proof"] != "only":
                outcome = converge(
                    settings,
                    desired,
                    limits,
                    secure_links=params["secure_links"],
                    check=module.check_mode,
                    expected=params["expected_nodes"],
                    report=reporter(module, params["progress_file"]),
                )
            proven = None
            if params["proof"] == "only" or (params["proof"] == "after" and not module.check_mode):
                proven = prove_cluster(
                    settings, desired, engine=params["engine"], write_probe=not module.check_mode, timeout_seconds=limits.wait_seconds
                )
    except KeyfleetError as error:
        fail(module, error)
    for warning in outcome.warnings:
        module.warn(warning)
    result = {
        "changed": outcome.changed,
        "steps": outcome.steps,
        "moved_slots": outcome.slots,
        "moved_keys": outcome.keys,
        "diff": {"before": outcome.before, "after": outcome.after},
        **({"health": proven.as_dict()} if proven is not None else {}),
    }
    if proven is not None and proven.verdict == FAILED:
        module.fail_json(msg=f"the cluster does not work: {'; '.join(proven.reasons)}", error="ServerError", **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
