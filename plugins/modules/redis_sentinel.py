#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_sentinel
short_description: Run the Sentinel of a host, and let it watch replications
version_added: 0.1.0
author:
  - keyfleet maintainers (@keyfleet)
description:
  - Writes the files of a Sentinel, starts it, and brings what it watches to the desired state with SENTINEL MONITOR, SET and REMOVE.
  - For the role redis_sentinel, and not for other playbooks.
  - Its file is written once and is then its own. What no command can change, such as the port, is edited while it is stopped. Let hosts
    take turns, so that the quorum is kept.
  - The primary that a Sentinel knows is kept; O(watches[].primary) is for one that does not watch it yet.
  - Servers and Sentinels that have left and are silent are forgotten with SENTINEL RESET, while the primary answers and no failover is in
    progress.
    The module waits until all others are found again.
attributes:
  check_mode:
    support: full
    description: Says what a run would do; of a Sentinel that does not run, what it would watch is not compared.
  diff_mode:
    support: none
    description: The steps are in the result.
  idempotent:
    support: full
    description: A second run changes nothing.
options:
  state:
    type: str
    choices: [present, absent]
    default: present
    description:
      - V(absent) stops the Sentinel and removes its files.
  binary:
    type: path
    required: true
    description:
      - Path of the server's program.
  service_manager:
    type: str
    choices: [auto, systemd, process]
    default: auto
    description:
      - Who runs it. V(auto) chooses V(systemd) where it runs, else V(process).
  root:
    type: path
    default: /
    description:
      - Folder that all paths derive from.
  user:
    type: str
    default: ""
    description:
      - User of the process, if root manages the host.
  group:
    type: str
    default: ""
    description:
      - Group of the process, if root manages the host.
  port:
    type: int
    default: 26379
    description:
      - Port that it listens on.
  bind:
    type: list
    elements: str
    default: ["127.0.0.1", "-::1"]
    description:
      - Addresses that it listens on.
  password:
    type: str
    default: ""
    description:
      - Password of clients and of other Sentinels; the same for all. Empty for none.
  announce_ip:
    type: str
    default: ""
    description:
      - Address at which others reach it. Empty lets them use the one that its connections come from.
  resolve_hostnames:
    type: bool
    default: false
    description:
      - Whether servers may be named by host names.
  announce_hostnames:
    type: bool
    default: false
    description:
      - Whether clients are given host names.
  sentinels:
    type: list
    elements: str
    default: []
    description:
      - Addresses of all Sentinels of the same replications, this one included. Others that it knows are forgotten when they do not answer.
      - Empty forgets none.
  wait_seconds:
    type: float
    default: 60
    description:
      - Longest wait for its start, and until it knows all others, each, in seconds.
  watches:
    type: list
    elements: dict
    default: []
    description:
      - The replications to watch. Others that this module let it watch are removed.
    suboptions:
      service:
        type: str
        required: true
        description:
          - Name of the replication for clients.
      primary:
        type: str
        required: true
        description:
          - Address of the primary, V(host:port).
      servers:
        type: list
        elements: str
        required: true
        description:
          - Addresses of all servers.
      username:
        type: str
        default: ""
        description:
          - User as whom Sentinels log in to the servers.
      password:
        type: str
        default: ""
        description:
          - Password of O(watches[].username).
      quorum:
        type: int
        required: true
        description:
          - Number of Sentinels that must agree that the primary fails.
      down_after_ms:
        type: int
        default: 5000
        description:
          - Silence after which the primary counts as failed, in milliseconds.
      failover_timeout_ms:
        type: int
        default: 60000
        description:
          - Time after which a failover is tried again, in milliseconds.
      parallel_syncs:
        type: int
        default: 1
        description:
          - Number of replicas that copy the new primary at the same time.
"""

EXAMPLES = r"""
- name: Watch a replication
  keyfleet.redis.redis_sentinel:
    binary: /usr/bin/redis-server
    user: redis
    group: redis
    bind: ["10.0.0.1"]
    password: "{{ sentinel_password }}"
    sentinels: ["10.0.0.1:26379", "10.0.0.2:26379", "10.0.0.3:26379"]
    watches:
      - service: orders
        primary: 10.0.0.1:6379
        servers: ["10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"]
        quorum: 2
"""

RETURN = r"""
steps:
  description: What was done in order, a phrase each; in check mode, what would be.
  returned: success
  type: list
  elements: str
  sample: ["start the Sentinel", "watch orders"]
watched:
  description: Names of the replications that it watches afterwards.
  returned: success
  type: list
  elements: str
  sample: ["orders"]
error:
  description: Class of the error.
  returned: failure
  type: str
  sample: ServerError
"""

import ipaddress
import socket

from ansible.module_utils.basic import missing_required_lib

from ..module_utils.keyfleet.connect.redis_py import HAS_REDIS, REDIS_IMPORT_ERROR
from ..module_utils.keyfleet.connect.values import split_address
from ..module_utils.keyfleet.errors import KeyfleetError
from ..module_utils.keyfleet.sentinel.converge import SentinelHost, SentinelOutcome, converge, remove
from ..module_utils.keyfleet.sentinel.model import SentinelOptions, Watch
from ..module_utils.keyfleet.service.choose import choose
from ..module_utils.quiet_module import QuietModule


def place_of(address: str, *, keeps_names: bool) -> tuple[str, int]:
    """Return host and port; a name as the address that it has, where Sentinels take no names."""
    host, port = split_address(address)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not keeps_names:
            return str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]), port
    return host, port


def watch_of(options: dict[str, object], *, keeps_names: bool) -> Watch:
    """Return what is watched as the option says it."""
    return Watch(
        service=str(options["service"]),
        primary=place_of(str(options["primary"]), keeps_names=keeps_names),
        servers=frozenset(place_of(address, keeps_names=keeps_names) for address in options["servers"]),  # type: ignore[attr-defined]
        settings={
            "quorum": str(options["quorum"]),
            "down-after-milliseconds": str(options["down_after_ms"]),
            "failover-timeout": str(options["failover_timeout_ms"]),
            "parallel-syncs": str(options["parallel_syncs"]),
        },
        username=str(options["username"]),
        password=str(options["password"]),
    )


def main() -> None:
    """Run the module."""
    watch = {
        "service": {"type": "str", "required": True},
        "primary": {"type": "str", "required": True},
        "servers": {"type": "list", "elements": "str", "required": True},
        "username": {"type": "str", "default": ""},
        "password": {"type": "str", "default": "", "no_log": True},
        "quorum": {"type": "int", "required": True},
        "down_after_ms": {"type": "int", "default": 5000},
        "failover_timeout_ms": {"type": "int", "default": 60000},
        "parallel_syncs": {"type": "int", "default": 1},
    }
    module = QuietModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "binary": {"type": "path", "required": True},
            "service_manager": {"type": "str", "choices": ["auto", "systemd", "process"], "default": "auto"},
            "root": {"type": "path", "default": "/"},
            "user": {"type": "str", "default": ""},
            "group": {"type": "str", "default": ""},
            "port": {"type": "int", "default": 26379},
            "bind": {"type": "list", "elements": "str", "default": ["127.0.0.1", "-::1"]},
            "password": {"type": "str", "default": "", "no_log": True},
            "announce_ip": {"type": "str", "default": ""},
            "resolve_hostnames": {"type": "bool", "default": False},
            "announce_hostnames": {"type": "bool", "default": False},
            "sentinels": {"type": "list", "elements": "str", "default": []},
            "wait_seconds": {"type": "float", "default": 60.0},
            "watches": {"type": "list", "elements": "dict", "default": [], "options": watch},
        },
        supports_check_mode=True,
    )
    params = module.params
    if not HAS_REDIS:
        module.fail_json(msg=missing_required_lib("redis >= 4.3"), exception=REDIS_IMPORT_ERROR)
    host = SentinelHost(
        binary=params["binary"],
        service_manager=choose(params["service_manager"]),
        root=params["root"],
        user=params["user"],
        group=params["group"],
        wait_seconds=params["wait_seconds"],
        sentinels=frozenset(place_of(address, keeps_names=params["resolve_hostnames"]) for address in params["sentinels"]),
    )
    options = SentinelOptions(
        port=params["port"],
        bind=tuple(params["bind"]),
        password=params["password"],
        announced=params["announce_ip"],
        resolves_hostnames=params["resolve_hostnames"],
        announces_hostnames=params["announce_hostnames"],
    )
    outcome = SentinelOutcome()
    try:
        if params["state"] == "absent":
            outcome.steps = ["stop the Sentinel and remove its files"] if remove(host, check=module.check_mode) else []
        else:
            watches = [watch_of(one, keeps_names=options.resolves_hostnames) for one in params["watches"]]
            outcome = converge(host, options, watches, check=module.check_mode)
    except (KeyfleetError, OSError) as error:
        module.fail_json(msg=str(error), error=type(error).__name__)
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(changed=bool(outcome.steps), steps=outcome.steps, watched=outcome.watched)


if __name__ == "__main__":
    main()
