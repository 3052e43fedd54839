#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_proof
short_description: Prove that the instances of a host work
version_added: "0.1.0"
description:
  - Asks each instance of the list for its health, as M(keyfleet.redis.redis_health) does, writes a value and reads it back.
  - Fails with the reasons of all instances whose verdict is V(failed), and with the names of those that were never deployed.
options:
  wait_timeout_seconds:
    description: How long to repeat the checks of each instance until its verdict is not V(failed), in seconds; V(0) checks once.
    type: float
    default: 0
extends_documentation_fragment:
  - keyfleet.redis.server
seealso:
  - module: keyfleet.redis.redis_health
author:
  - keyfleet maintainers (@keyfleet)
attributes:
  check_mode:
    support: full
    description: Writes no value.
  diff_mode:
    support: none
    description: Changes nothing.
"""

EXAMPLES = r"""
- name: Prove the instances of this host
  keyfleet.redis.redis_proof:
    engine: redis
    binary: /usr/bin/redis-server
    wait_timeout_seconds: 10
    instances:
      - name: cache
        port: 6380
        password: "{{ cache_password }}"
"""

RETURN = r"""
health:
  description: What was found of each instance that shall be present.
  returned: when all are deployed
  type: list
  elements: dict
  contains:
    name:
      description: Name of the instance.
      type: str
      returned: always
    verdict:
      description: The gravest status of the checks, V(ok), V(degraded) or V(failed).
      type: str
      returned: always
    reasons:
      description: A sentence for each check that is not ok.
      type: list
      elements: str
      returned: always
    checks:
      description: Each check, as M(keyfleet.redis.redis_health) returns it.
      type: list
      elements: dict
      returned: always
service_manager:
  description: V(systemd) or V(process), as chosen for this host.
  returned: always
  type: str
"""

from ansible.module_utils.basic import missing_required_lib

from ..module_utils.keyfleet.connect.redis_py import HAS_REDIS, REDIS_IMPORT_ERROR
from ..module_utils.keyfleet.instance.proof import failures, missing_deployments, prove
from ..module_utils.quiet_module import QuietModule
from ..module_utils.server_options import host_from, instances_from, server_argument_spec


def main() -> None:
    """Run the module."""
    spec = {**server_argument_spec(), "wait_timeout_seconds": {"type": "float", "default": 0}}
    module = QuietModule(argument_spec=spec, supports_check_mode=True)
    host, instances = host_from(module.params), instances_from(module.params)
    if not HAS_REDIS and instances:  # check mode on a bare host has none to ask
        module.fail_json(msg=missing_required_lib("redis >= 4.3"), exception=REDIS_IMPORT_ERROR)
    missing = missing_deployments(host, instances)
    if missing:
        module.fail_json(
            msg=f"Not deployed on this host: {', '.join(missing)}. Deploy first: run site.yml without tags (make deploy).",
            service_manager=host.service_manager,
        )
    health = prove(host, instances, write_probe=not module.check_mode, timeout_seconds=module.params["wait_timeout_seconds"])
    result = {"health": health, "service_manager": host.service_manager}
    bad = failures(health)
    if bad:
        module.fail_json(msg="; ".join(bad), **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
