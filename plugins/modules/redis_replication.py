#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_replication
short_description: Attach replicas to a primary, and hand over from it
version_added: 0.1.0
author:
  - keyfleet maintainers (@keyfleet)
description:
  - Reads every server, computes the steps from what the replication is to what it should be, and takes them while clients work. The module
    starts and stops no server. Run it once for a replication, on a host that reaches all of its servers.
  - Keeps what the running servers decided. The primary is asked of Sentinel, or of the servers where there is none; after a failover a run
    changes nothing. Only where no server has any key, the first one of O(members) becomes the primary.
  - No server loses data that another one does not have. Several primaries with data of their own are refused, unless one holds all writes
    of the others, or Sentinels name one, or O(primary) does.
  - Each server writes its role into its own file (CONFIG REWRITE), so that it has it after a restart.
  - A run that is killed is continued by the next one.
extends_documentation_fragment:
  - keyfleet.redis.connection.credentials
attributes:
  check_mode:
    support: full
    description: Says which steps a run would take, and refuses what a run would refuse. It cannot foresee that a server fails meanwhile.
  diff_mode:
    support: full
    description: Shows the role of every server, before and after.
  idempotent:
    support: partial
    description: A second run changes nothing, unless O(hand_over) asks for it.
options:
  members:
    type: list
    elements: str
    required: true
    description:
      - Addresses of all servers that shall be members, as V(host:port), an IPv6 address in brackets. All of them must run.
      - Replicas connect to the primary at the address given here.
  retired:
    type: list
    elements: str
    default: []
    description:
      - Addresses of servers that shall leave. If one is the primary, a replica takes over. They stay replicas until they are stopped.
        They need not answer.
  sentinels:
    type: list
    elements: str
    default: []
    description:
      - Addresses of the Sentinels that watch these servers. A majority must answer. They are asked who is the primary, and lead a handover.
      - Sentinels that do not know O(service) are passed over.
  service:
    type: str
    default: ""
    description:
      - Name of the replication for Sentinels; needed with O(sentinels).
  sentinel_user:
    type: str
    description:
      - User of the Sentinels.
  sentinel_password:
    type: str
    description:
      - Password of the Sentinels.
  primary:
    type: str
    description:
      - Address of the primary whose data stays, where several have data of their own. The others lose theirs.
      - It decides nothing else. A running primary is kept.
  hand_over:
    type: bool
    default: false
    description:
      - Whether a replica shall take over from the primary. No acknowledged write is lost.
      - Sentinels choose the replica, where there are any, else it is the first one of O(members).
  force:
    type: bool
    default: false
    description:
      - Whether to promote the replica that has most although its primary is gone, and may have had writes that no replica has.
  min_replicas_to_write:
    type: int
    description:
      - Number of connected replicas without which the primary refuses writes, on every listed server (C(min-replicas-to-write)), so that a
        primary that is cut off takes none that would be lost. It is set after all replicas are attached, and written into their files.
      - It stays as it is if not given.
  expected_members:
    type: list
    elements: str
    default: []
    description:
      - In check mode, addresses of O(members) that do not run yet, since another task starts them. They count as empty and are not asked.
  proof:
    type: str
    choices: [none, after, only]
    default: none
    description:
      - V(after) proves at the end that the replication works, V(only) does nothing else, and V(none) leaves it out.
      - All servers must agree on the primary, which is asked for its health, as M(keyfleet.redis.redis_health) does. A value is written and
        read back. In check mode V(after) proves nothing, and V(only) writes no value.
      - The task fails if the verdict is V(failed).
  engine:
    type: str
    choices: [redis, valkey]
    description:
      - The engine that O(proof) expects. Any if not given.
  wait_seconds:
    type: float
    default: 60
    description:
      - Longest wait for a replica to have all data, for Sentinels to agree, and for a handover, each, in seconds.
  secure_links:
    type: bool
    description:
      - Whether replicas reach their primary with TLS (C(tls-replication)), through the ports of O(members). They move one after the other,
        and continue where they were.
      - It stays as it is if not given.
notes:
  - E(REDIS_PASSWORD) and the other variables of the environment are not read, since O(members) names the servers.
  - INFO, REPLICAOF, CONFIG REWRITE, FAILOVER and CLIENT PAUSE must be allowed to the user.
  - How replicas log in to the primary (C(masteruser), C(masterauth)) is a matter of their configuration.
seealso:
  - module: keyfleet.redis.redis_cluster
  - module: keyfleet.redis.redis_health
"""

EXAMPLES = r"""
- name: Make the second and the third server replicas, or keep what a failover made of them
  keyfleet.redis.redis_replication:
    login_password: "{{ vault_redis_password }}"
    members: ["10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"]

- name: Replace a host
  keyfleet.redis.redis_replication:
    members: ["10.0.0.2:6379", "10.0.0.3:6379", "10.0.0.4:6379"]
    retired: ["10.0.0.1:6379"]

- name: Let a replica take over before the primary's host is rebooted
  keyfleet.redis.redis_replication:
    members: ["10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"]
    sentinels: ["10.0.0.1:26379", "10.0.0.2:26379", "10.0.0.3:26379"]
    service: orders
    hand_over: true
"""

RETURN = r"""
primary:
  description: Address of the primary afterwards; in check mode, as it would be.
  returned: success
  type: str
  sample: 10.0.0.1:6379
replicas:
  description: Addresses of the other members.
  returned: success
  type: list
  elements: str
  sample: ["10.0.0.2:6379"]
steps:
  description: What was done in order, a phrase each; in check mode, what would be.
  returned: success
  type: list
  elements: str
  sample: ["make 10.0.0.2:6379 a replica of 10.0.0.1:6379"]
health:
  description: C(verdict), C(reasons) and C(checks) of O(proof), as M(keyfleet.redis.redis_health) returns them, and
    the check V(members) of what the servers say of each other.
  returned: when it was asked for
  type: dict
error:
  description: Class of the error.
  returned: failure
  type: str
  sample: RefusedError
"""

from dataclasses import replace

from ..module_utils.connection_options import CONNECTION_CONSTRAINTS, credentials_argument_spec, fail, read_settings
from ..module_utils.keyfleet.connect.redis_py import translated
from ..module_utils.keyfleet.errors import KeyfleetError
from ..module_utils.keyfleet.health.model import FAILED
from ..module_utils.keyfleet.replication.converge import ReplicationOutcome, converge
from ..module_utils.keyfleet.replication.proof import primary_of, prove_replication
from ..module_utils.keyfleet.replication.validation import parse_desired
from ..module_utils.quiet_module import QuietModule


def main() -> None:
    """Run the module."""
    module = QuietModule(
        argument_spec={
            **credentials_argument_spec(),
            "members": {"type": "list", "elements": "str", "required": True},
            "retired": {"type": "list", "elements": "str", "default": []},
            "sentinels": {"type": "list", "elements": "str", "default": []},
            "service": {"type": "str", "default": ""},
            "sentinel_user": {"type": "str"},
            "sentinel_password": {"type": "str", "no_log": True},
            "primary": {"type": "str"},
            "hand_over": {"type": "bool", "default": False},
            "force": {"type": "bool", "default": False},
            "min_replicas_to_write": {"type": "int"},
            "expected_members": {"type": "list", "elements": "str", "default": []},
            "proof": {"type": "str", "choices": ["none", "after", "only"], "default": "none"},
            "engine": {"type": "str", "choices": ["redis", "valkey"]},
            "wait_seconds": {"type": "float", "default": 60.0},
            "secure_links": {"type": "bool"},
        },
        supports_check_mode=True,
        required_by=CONNECTION_CONSTRAINTS["required_by"],
    )
    params = module.params
    try:
        desired = parse_desired(
            params["members"],
            params["retired"],
            params["sentinels"],
            service=params["service"],
            primary=params["primary"],
            is_forced=params["force"],
            hands_over=params["hand_over"],
            min_replicas_to_write=params["min_replicas_to_write"],
        )
        credentials = {name: params[name] for name in credentials_argument_spec()}
        settings = read_settings(module, {**credentials, "startup_nodes": list(desired.members)})
        watching = replace(settings, username=params["sentinel_user"], password=params["sentinel_password"])
        with translated(settings):
            outcome = ReplicationOutcome()
            if params["proof"] != "only":
                outcome = converge(
                    settings,
                    desired,
                    sentinel_settings=watching,
                    secure_links=params["secure_links"],
                    wait_seconds=params["wait_seconds"],
                    check=module.check_mode,
                    expected=params["expected_members"],
                    report=module.log,
                )
            proven = None
            if params["proof"] == "only" or (params["proof"] == "after" and not module.check_mode):
                proven = prove_replication(
                    settings,
                    desired,
                    sentinel_settings=watching,
                    engine=params["engine"],
                    write_probe=not module.check_mode,
                    timeout_seconds=params["wait_seconds"],
                )
    except KeyfleetError as error:
        fail(module, error)
    result = {
        "changed": outcome.changed,
        "primary": outcome.primary if proven is None else primary_of(proven),
        "replicas": list(outcome.replicas),
        "steps": outcome.steps,
        "diff": {"before": outcome.before, "after": outcome.after},
        **({"health": proven.as_dict()} if proven is not None else {}),
    }
    if proven is not None and proven.verdict == FAILED:
        module.fail_json(msg=f"the replication does not work: {'; '.join(proven.reasons)}", error="ServerError", **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
