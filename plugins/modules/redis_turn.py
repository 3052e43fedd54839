#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_turn
short_description: Choose which member of a topology restarts next, and hand over what it serves
version_added: 0.1.0
author:
  - keyfleet maintainers (@keyfleet)
description:
  - Waits until all members are well, then chooses one of those that must restart, replicas first. A primary is chosen when none of them is
    a replica, and a replica in sync takes over from it before the module ends.
  - It restarts nothing; M(keyfleet.redis.redis_restart) does.
extends_documentation_fragment:
  - keyfleet.redis.connection.credentials
attributes:
  check_mode:
    support: full
    description: Restarts nothing and hands nothing over, and names the first that waits.
  diff_mode:
    support: none
    description: A handover has no lines to show.
options:
  topology:
    type: str
    choices: [cluster, replication]
    required: true
    description:
      - What the members are together.
  members:
    type: list
    elements: str
    required: true
    description:
      - Addresses of all members, V(host:port).
  waiting:
    type: list
    elements: dict
    required: true
    description:
      - The members that must restart, at least one.
    suboptions:
      address:
        type: str
        required: true
        description:
          - One of O(members).
      host:
        type: str
        required: true
        description:
          - Host of the inventory.
      name:
        type: str
        required: true
        description:
          - Name of the instance on the host.
  each:
    type: bool
    default: false
    description:
      - Hand over from every one of O(waiting) that is a primary now, and choose none.
  sentinels:
    type: list
    elements: str
    default: []
    description:
      - Addresses of the Sentinels that watch a replication, which lead the handover.
  service:
    type: str
    default: ""
    description:
      - Name of the replication for O(sentinels).
  sentinel_password:
    type: str
    description:
      - Password of the Sentinels.
  wait_seconds:
    type: float
    default: 60
    description:
      - Longest wait for the members to be well, and for a handover, each, in seconds.
"""

EXAMPLES = r"""
- name: Choose who restarts next
  keyfleet.redis.redis_turn:
    topology: cluster
    login_password: "{{ vault_redis_password }}"
    members: ["10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.3:7000"]
    waiting:
      - {address: "10.0.0.2:7000", host: node2, name: default}
"""

RETURN = r"""
turn:
  description: C(host) and C(name) of who restarts next, and C(successor), the address of the replica that took over from it, empty if none
    did.
  returned: success, unless O(each)
  type: dict
handovers:
  description: With O(each), the address of each primary and of the replica that took over from it, empty for one without a replica. Empty
    in check mode.
  returned: success
  type: dict
error:
  description: Class of the error.
  returned: failure
  type: str
  sample: ServerError
"""

from dataclasses import replace
from typing import Any, Union

from ..module_utils.connection_options import CONNECTION_CONSTRAINTS, credentials_argument_spec, fail, read_settings
from ..module_utils.keyfleet.connect.redis_py import translated
from ..module_utils.keyfleet.connect.settings import Settings
from ..module_utils.keyfleet.errors import KeyfleetError
from ..module_utils.keyfleet.replication.validation import parse_desired
from ..module_utils.keyfleet.rolling.cluster import ClusterMembers
from ..module_utils.keyfleet.rolling.replication import ReplicationMembers
from ..module_utils.keyfleet.rolling.turn import Turn, Waiting, first, hand_over_each, take_turn
from ..module_utils.quiet_module import QuietModule

TOPOLOGIES = ("cluster", "replication")


def members_of(params: dict[str, Any], settings: Settings) -> Union[ClusterMembers, ReplicationMembers]:
    """Return the members of the topology."""
    if params["topology"] == "cluster":
        return ClusterMembers(settings, params["members"], params["wait_seconds"])
    watching = replace(settings, username=None, password=params["sentinel_password"])
    desired = parse_desired(params["members"], sentinels=params["sentinels"], service=params["service"])
    return ReplicationMembers(settings, watching, desired, params["wait_seconds"])


def main() -> None:
    """Run the module."""
    text = {"type": "str", "required": True}
    module = QuietModule(
        argument_spec={
            **credentials_argument_spec(),
            "topology": {"type": "str", "choices": list(TOPOLOGIES), "required": True},
            "members": {"type": "list", "elements": "str", "required": True},
            "waiting": {"type": "list", "elements": "dict", "required": True, "options": {"address": text, "host": text, "name": text}},
            "each": {"type": "bool", "default": False},
            "sentinels": {"type": "list", "elements": "str", "default": []},
            "service": {"type": "str", "default": ""},
            "sentinel_password": {"type": "str", "no_log": True},
            "wait_seconds": {"type": "float", "default": 60.0},
        },
        supports_check_mode=True,
        required_by=CONNECTION_CONSTRAINTS["required_by"],
    )
    params = module.params
    waiting = [Waiting(one["address"], one["host"], one["name"]) for one in params["waiting"]]
    try:
        if module.check_mode:
            turn = Turn(first(waiting, []))
        else:
            credentials = {name: params[name] for name in credentials_argument_spec()}
            settings = read_settings(module, {**credentials, "startup_nodes": params["members"]})
            with translated(settings), members_of(params, settings) as members:
                if params["each"]:
                    handovers = hand_over_each(members, [one.address for one in waiting])
                    module.exit_json(changed=any(handovers.values()), handovers=handovers)
                turn = take_turn(members, waiting)
    except KeyfleetError as error:
        fail(module, error)
    found = {"host": turn.waiting.host, "name": turn.waiting.name, "successor": turn.successor or ""}
    module.exit_json(changed=turn.successor is not None, turn=found, handovers={})


if __name__ == "__main__":
    main()
