#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_health
short_description: Report the health of a Redis or Valkey deployment, and wait until it is well
version_added: 0.1.0
author:
  - keyfleet maintainers (@keyfleet)
description:
  - Asks the server, or every primary of a cluster, and returns one verdict with its reasons and one result for each check.
  - C(CONFIG) is not needed, and no field of C(INFO) is. After a failed snapshot, and where C(min-replicas-to-write) is set, C(CONFIG GET)
    is asked what the server does then; where it is denied, what cannot be known counts as the server's default.
  - A command that the server does not offer to the user makes its check V(skipped) with the reason, so the module works on managed
    services as well.
  - A server that cannot be reached, or refuses the password, has the verdict V(failed) with that reason.
  - Nothing is changed. O(write_probe) writes a key of its own and deletes it again.
extends_documentation_fragment:
  - keyfleet.redis.connection
  - keyfleet.redis.connection.credentials
attributes:
  check_mode:
    support: full
    description: Does the same as a run, except that O(write_probe) writes nothing; the check RV(checks) C(round_trip) is then V(skipped).
  diff_mode:
    support: none
    description: The module changes nothing.
  idempotent:
    support: full
    description: The module changes nothing.
options:
  thresholds:
    type: dict
    description:
      - Where a value stops being good. A check beyond its threshold is V(degraded). The defaults are quiet on a fresh, idle server.
    suboptions:
      latency_ms:
        type: float
        default: 100
        description: Best of three C(PING), in milliseconds.
      memory_percent:
        type: float
        default: 90
        description:
          - Used memory of C(maxmemory), in percent. Not applied with a C(maxmemory-policy) of V(allkeys-*), since such a cache is meant to
            be full. Full memory with V(noeviction) is V(failed) whatever the threshold, since the server then refuses writes.
      fragmentation_ratio:
        type: float
        default: 1.5
        description: Resident to used memory. Judged only together with O(thresholds.fragmentation_bytes).
      fragmentation_bytes:
        type: int
        default: 104857600
        description: Memory that is resident and not used, in bytes; small servers stay below it, however high their ratio.
      save_age_seconds:
        type: int
        description:
          - Age of the last snapshot, in seconds, judged only while there are unsaved changes.
          - Without it the age is not judged, because only C(CONFIG) shows whether snapshots are configured.
      replica_lag_seconds:
        type: int
        default: 30
        description: Time since a replica and its primary heard of each other, in seconds. An idle primary speaks every 10 s.
      replica_lag_bytes:
        type: int
        default: 10485760
        description: What a replica has not received or not applied yet, in bytes.
      clients_percent:
        type: float
        default: 90
        description: Open connections of C(maxclients), in percent. Not judged where the server does not report the limit.
      evicted_keys:
        type: int
        description: Keys evicted since the server started. Not judged without it, because caches evict.
      rejected_connections:
        type: int
        default: 0
        description: Connections rejected since the server started because there were C(maxclients) already.
      certificate_days:
        type: int
        default: 14
        description: Days for which the server's certificate is still valid. An expired one is V(failed).
  expect:
    type: dict
    description:
      - What each server asked should be. A mismatch is V(failed), and the reason names the value found and the one expected.
      - So is an expectation that cannot be verified, because the server denies C(INFO) or leaves out the field.
    suboptions:
      role:
        type: str
        choices: [primary, replica]
        description: Role of the server. On a cluster only primaries are asked.
      engine:
        type: str
        choices: [redis, valkey]
        description: Engine, also where Valkey says that it is Redis 7.2.4 to please clients.
      version:
        type: str
        description: Version of the engine or its first parts. V(7.0) holds for 7.0.15.
      replicas:
        type: int
        description: Exact number of replicas that are connected to each server and in sync.
  write_probe:
    type: bool
    default: false
    description:
      - Whether to write a key C(keyfleet:probe:) with a random end, read it back, compare and delete it, on each primary.
        E(REDIS_KEY_PREFIX) stands before it if the connection comes from the environment. It expires after 10 s, should deleting fail.
      - A replica is skipped. A denied write is V(failed), since the probe was asked for as a proof.
  wait_timeout_seconds:
    type: float
    default: 0
    description:
      - How long to repeat the checks, in seconds, until the verdict is not as bad as O(fail_on) says; also while the server cannot be
        reached or loads its data. With O(fail_on=never) it waits as with O(fail_on=failed). V(0) checks once.
      - Refused credentials end the wait immediately. The last check may end a second late.
  fail_on:
    type: str
    choices: [failed, degraded, never]
    default: failed
    description:
      - The mildest verdict that makes the task fail; verdict, reasons and checks are returned either way.
notes:
  - Replicas are asked one by one, for instance with a loop over O(login_host).
seealso:
  - module: keyfleet.redis.redis_key
"""

EXAMPLES = r"""
- name: Report the health of the server on this host
  keyfleet.redis.redis_health:
  register: health

- name: Wait until the server has restarted and replicates to two replicas
  keyfleet.redis.redis_health:
    login_host: 10.0.0.1
    login_password: "{{ vault_redis_password }}"
    expect:
      role: primary
      replicas: 2
    wait_timeout_seconds: 60

- name: Prove that the whole cluster takes writes, and accept no blemish
  keyfleet.redis.redis_health:
    startup_nodes: [10.0.0.1:6379, 10.0.0.2:6379]
    write_probe: true
    fail_on: degraded

- name: Show how long the certificate is still valid
  ansible.builtin.debug:
    msg: "{{ (health.checks | selectattr('name', 'eq', 'certificate') | first).found.left_days }} days"
"""

RETURN = r"""
verdict:
  description: The gravest status of the checks, V(ok), V(degraded) or V(failed); skipped checks do not count.
  returned: always, except for wrong options
  type: str
  sample: degraded
reasons:
  description: A sentence with the node's address for each check that is not ok, failed ones first.
  returned: always, except for wrong options
  type: list
  elements: str
  sample: ["10.0.0.1:6379: 93.1 % of maxmemory is used, more than 90.0 %"]
checks:
  description: Each check once for each node asked, in this order.
  returned: always, except for wrong options
  type: list
  elements: dict
  contains:
    name:
      description:
        - V(ping), V(engine), V(role), V(loading), V(pause), V(memory), V(fragmentation), V(persistence), V(replication), V(clients),
          V(evicted_keys), V(rejected_connections), V(cluster), V(certificate) and V(round_trip) of each node; then, of the deployment as a
          whole, V(members) (of a cluster) and V(sentinels).
        - Where a node does not answer, V(ping) is failed and the others are skipped.
      type: str
    node:
      description: Address of the node that was asked.
      type: str
    status:
      description: V(ok), V(degraded), V(failed) or V(skipped).
      type: str
    reason:
      description: Why it is not ok; empty when it is.
      type: str
    found:
      description: Values found. The end of a name is its unit, V(_ms), V(_bytes), V(_seconds), V(_percent) or V(_days).
      type: dict
"""

from dataclasses import fields
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ..module_utils.connection_options import CONNECTION_CONSTRAINTS, connection_argument_spec, fail, settings_from_params
from ..module_utils.keyfleet.connect.redis_py import HAS_REDIS, REDIS_IMPORT_ERROR
from ..module_utils.keyfleet.errors import KeyfleetError
from ..module_utils.keyfleet.health.model import Expect, Thresholds
from ..module_utils.keyfleet.health.report import HealthReport, wait_for_health


def threshold_options() -> dict[str, dict[str, Any]]:
    """Return one option for each field of Thresholds, with its default."""
    options: dict[str, dict[str, Any]] = {}
    for field in fields(Thresholds):
        options[field.name] = {"type": "float" if isinstance(field.default, float) else "int", "no_log": False}
        if field.default is not None:
            options[field.name]["default"] = field.default
    return options


def argument_spec() -> dict[str, dict[str, Any]]:
    """Return the options of the module."""
    return {
        **connection_argument_spec(),
        "thresholds": {"type": "dict", "options": threshold_options(), "apply_defaults": True},
        "expect": {
            "type": "dict",
            "options": {
                "role": {"type": "str", "choices": ["primary", "replica"]},
                "engine": {"type": "str", "choices": ["redis", "valkey"]},
                "version": {"type": "str"},
                "replicas": {"type": "int"},
            },
        },
        "write_probe": {"type": "bool", "default": False},
        "wait_timeout_seconds": {"type": "float", "default": 0},
        "fail_on": {"type": "str", "choices": ["failed", "degraded", "never"], "default": "failed"},
    }


def inspect(module: AnsibleModule) -> HealthReport:
    """Return the report on the server that the options name; the connection is opened anew for each attempt, so `run` does not fit."""
    if not HAS_REDIS:
        module.fail_json(msg=missing_required_lib("redis >= 4.3"), exception=REDIS_IMPORT_ERROR)
    params = module.params
    settings = settings_from_params(params)
    if settings.password:
        module.no_log_values.add(settings.password)
    return wait_for_health(
        settings,
        thresholds=Thresholds(**params["thresholds"]),
        expect=Expect(**(params["expect"] or {})),
        write_probe=params["write_probe"] and not module.check_mode,
        timeout_seconds=params["wait_timeout_seconds"],
        fail_on=params["fail_on"],
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True, **CONNECTION_CONSTRAINTS)
    try:
        report = inspect(module)
    except KeyfleetError as error:
        fail(module, error)
    if report.fails(module.params["fail_on"]):
        module.fail_json(msg=f"the verdict is {report.verdict}: {'; '.join(report.reasons)}", **report.as_dict())
    module.exit_json(changed=False, **report.as_dict())


if __name__ == "__main__":
    main()
