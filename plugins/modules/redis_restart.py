#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_restart
short_description: Restart instances one after the other, after saving, and measure the gap
version_added: "0.1.0"
description:
  - For each instance in turn, saves the data, pauses writes, counts the keys, restarts the server, and opens its port when as many keys
    are there again; keys with a TTL may have expired in between.
  - Data files whose names change get their new names while the server is stopped; those of before are moved aside.
  - If the data cannot be saved, or the next start could not read it, the server is not stopped and the module fails.
  - If keys are missing, or the server does not start, the module starts it again as it was before, and fails.
  - A server that persists nothing keeps its data over this restart all the same.
  - The module restarts what it is given; M(keyfleet.redis.redis_instances) says which instances need it.
extends_documentation_fragment:
  - keyfleet.redis.server
author:
  - keyfleet maintainers (@keyfleet)
attributes:
  check_mode:
    support: full
    description: Restarts nothing, refuses what a run would refuse, and reports a change for every instance given.
  diff_mode:
    support: none
    description: A restart has no lines to show.
"""

EXAMPLES = r"""
- name: Restart the instances that need it
  keyfleet.redis.redis_restart:
    engine: redis
    binary: /usr/bin/redis-server
    service_manager: systemd
    instances: "{{ __plan | selectattr('name', 'in', __needs_restart) }}"
  throttle: 1
"""

RETURN = r"""
instances:
  description: What was done for each instance.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the instance.
      type: str
      returned: always
    saved:
      description: How the data was kept, V(aof), V(rdb) or V(rdb for the restart only).
      type: str
      returned: always
    gap_seconds:
      description: From the stop until the server answered with its data loaded, in seconds.
      type: float
      returned: always
    keys_before:
      description: Keys in all databases before the stop.
      type: int
      returned: always
    keys:
      description: Keys after loading; some may have expired in between.
      type: int
      returned: always
    steps:
      description: What was done after the stop, a phrase each.
      type: list
      elements: str
      returned: always
    kept:
      description: Folders with data files that were moved aside; the next run that finds nothing to do removes them.
      type: list
      elements: str
      returned: always
    pid_before:
      description: The server's process before.
      type: int
      returned: always
    pid:
      description: The server's process now.
      type: int
      returned: always
"""

from dataclasses import asdict

from ..module_utils.keyfleet.errors import KeyfleetError, describe
from ..module_utils.keyfleet.instance.restart import foresee_restart, restart
from ..module_utils.quiet_module import QuietModule
from ..module_utils.server_options import completed_from, host_from, server_argument_spec


def main() -> None:
    """Run the module."""
    module = QuietModule(argument_spec=server_argument_spec(), supports_check_mode=True)
    host, done = host_from(module.params), []
    wanted, _unused = completed_from(module.params, host)
    for instance in wanted:
        try:
            if module.check_mode:
                foresee_restart(host, instance)
                done.append({"name": instance.name})
            else:
                done.append({"name": instance.name, **asdict(restart(host, instance))})
        except (KeyfleetError, OSError) as error:
            reason = f"instance {instance.name}: {describe(error)}"
            module.fail_json(msg=reason, error=type(error).__name__, changed=bool(done), instances=done)
    module.exit_json(changed=bool(done), instances=done)


if __name__ == "__main__":
    main()
