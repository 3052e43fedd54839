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
  wait_seconds:
    type: float
    default: 60
    description:
      - Longest wait for a replica to have all data, for Sentinels to agree, and for a handover, each, in seconds.
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
from ..module_utils.keyfleet.replication.converge import converge
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
            "wait_seconds": {"type": "float", "default": 60.0},
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
        )
        credentials = {name: params[name] for name in credentials_argument_spec()}
        settings = read_settings(module, {**credentials, "startup_nodes": list(desired.members)})
        watching = replace(settings, username=params["sentinel_user"], password=params["sentinel_password"])
        with translated(settings):
            outcome = converge(
                settings,
                desired,
                sentinel_settings=watching,
                wait_seconds=params["wait_seconds"],
                check=module.check_mode,
                report=module.log,
            )
    except KeyfleetError as error:
        fail(module, error)
    module.exit_json(
        changed=outcome.changed,
        primary=outcome.primary,
        replicas=list(outcome.replicas),
        steps=outcome.steps,
        diff={"before": outcome.before, "after": outcome.after},
    )


if __name__ == "__main__":
    main()
