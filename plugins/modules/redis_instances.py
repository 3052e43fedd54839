#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_instances
short_description: Bring the instances of a host to the desired state, without restarting any
version_added: "0.1.0"
description:
  - Starts an instance that does not run, stops one that shall be absent, and changes what differs on a running one with C(CONFIG SET) and
    C(ACL SETUSER), as far as the server allows it.
  - The desired values are compared as the server itself writes them, by asking a throw-away server.
  - What only a restart can apply is named in RV(instances[].restart_needed); M(keyfleet.redis.redis_restart) does it.
  - Writes the configuration and the users of each instance, at the step where a crash with them loses nothing. A directive that decides
    which file holds the data keeps its old value in the configuration until the data is there.
  - Every instance is observed, planned and judged before the first one is touched.
  - Folders, unit or runner, and rotation of the logs are written first, as M(keyfleet.redis.redis_files) writes files.
options:
  log_keep_days:
    description: How many old logs logrotate keeps; V(0) for no rotation.
    type: int
    default: 0
  prove:
    description: Whether to prove the instances afterwards, where none must restart. Nothing is proven in check mode.
    type: bool
    default: false
extends_documentation_fragment:
  - keyfleet.redis.server
author:
  - keyfleet maintainers (@keyfleet)
attributes:
  check_mode:
    support: full
    description: Says what a run would change, for running and for new instances.
  diff_mode:
    support: full
    description: The configuration file, the active and the desired value of every directive that is changed live, and the steps; secret
      values are hidden.
"""

EXAMPLES = r"""
- name: Start, stop and adjust the instances
  keyfleet.redis.redis_instances:
    engine: redis
    binary: /usr/bin/redis-server
    service_manager: systemd
    instances:
      - name: cache
        port: 6380
        password: "{{ cache_password }}"
        directives:
          maxmemory: 1gb
  register: __instances
"""

RETURN = r"""
changed_paths:
  description: Folders and files around the instances that were changed, or would be.
  returned: always
  type: list
  elements: str
unknown:
  description: Those of them whose outcome cannot be predicted, since user, group or folder do not exist yet.
  returned: always
  type: list
  elements: str
health:
  description: C(name), C(verdict), C(reasons) and C(checks) of each instance; null if one failed or must restart, or with O(prove=false).
  returned: always
  type: list
  elements: dict
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
    action:
      description: V(started), V(adopted) (its supervisor or run folder was gone, and is back), V(adjusted), V(removed) or V(unchanged).
      type: str
      returned: always
    live:
      description: Directives that were changed on the running server, each with its former and its new value.
      type: dict
      returned: always
    restart_needed:
      description: Why the instance must be restarted; empty if it need not.
      type: list
      elements: str
      returned: always
    steps:
      description: What was done in order, a phrase each; in check mode, what would be. Bookkeeping is left out.
      type: list
      elements: str
      returned: always
    kept:
      description: Folders with data files that were moved aside; the next run that finds nothing to do removes them.
      type: list
      elements: str
      returned: always
    moves:
      description: Whether clients reach it in another way after this task and the restart, since address, users or passwords change; true
        for one that is started.
      type: bool
      returned: always
    undeclared_users:
      description: Users that were made by hand; with O(undeclared_users=remove) they are gone now.
      type: list
      elements: str
      returned: always
    old_passwords:
      description: Users whose passwords of before are still valid, with O(keep_passwords).
      type: list
      elements: str
      returned: always
    waits_for_links:
      description: Whether a port stays open that the inventory closes, until the servers of the topology reach each other through the
        other one.
      type: bool
      returned: always
    pid:
      description: The server's process.
      type: int
      returned: always
deployed:
  description: Names of all instances that are deployed below the root now, listed or not.
  returned: when the task did not fail
  type: list
  elements: str
"""


from typing import Any, Optional

from ..module_utils.keyfleet.errors import KeyfleetError, describe
from ..module_utils.keyfleet.host.files import FilePlan
from ..module_utils.keyfleet.instance.converge import Converged, carry_out, prepare
from ..module_utils.keyfleet.instance.host_files import plan_files
from ..module_utils.keyfleet.instance.proof import failures, prove
from ..module_utils.quiet_module import QuietModule
from ..module_utils.server_options import completed_from, host_from, server_argument_spec


class Run:
    """
    What the module does, and what it has done when it ends early.

    Attributes:
        name: The instance at hand.
    """

    def __init__(self, module: QuietModule) -> None:
        self.check, self.host = module.check_mode, host_from(module.params)
        self.instances, _unused = completed_from(module.params, self.host)
        self.keep_days = module.params["log_keep_days"]
        self.files = FilePlan((), ())
        self.outcomes: dict[str, Converged] = {}
        self.health: Optional[list[dict[str, Any]]] = None
        self.name = ""

    def carry_out(self) -> None:
        """Write the files, then plan every instance before the first is touched."""
        files = plan_files(self.host, self.instances, self.keep_days, check=self.check)
        if not self.check:
            files.apply()
        self.files = files
        for prepared in prepare(self.host, self.instances):
            self.name = prepared.instance.name
            self.outcomes[self.name] = carry_out(self.host, prepared, check=self.check)

    def prove(self) -> None:
        """Prove the instances, unless check mode started none or one must restart; a failure is for the task that waits and says it."""
        self.name = ""
        if not self.check and not any(outcome.restart_needed for outcome in self.outcomes.values()):
            health = prove(self.host, self.instances, write_probe=True)
            self.health = None if failures(health) else health

    def result(self) -> dict[str, Any]:
        """Return the result of the module."""
        done = [self.outcomes[instance.name] for instance in self.instances if instance.name in self.outcomes]
        return {
            "changed": bool(self.files.changes) or any(outcome.changed for outcome in done),
            "changed_paths": self.files.changed_paths,
            "unknown": list(self.files.unknown),
            "instances": [outcome.as_dict() for outcome in done],
            "deployed": self.host.deployed_names(),
            "health": self.health,
            "diff": [
                *(diff for change in self.files.changes for diff in change.diffs()),
                *(diff for outcome in done if outcome.changed for diff in outcome.diffs()),
            ],
        }


def main() -> None:
    """Run the module."""
    own = {"log_keep_days": {"type": "int", "default": 0}, "prove": {"type": "bool", "default": False}}
    spec = {**server_argument_spec(), **own}
    module = QuietModule(argument_spec=spec, supports_check_mode=True)
    run = Run(module)
    try:
        run.carry_out()
        if module.params["prove"]:
            run.prove()
    except (KeyfleetError, OSError) as error:
        where = run.name or getattr(error, "instance", "")
        module.fail_json(
            msg=f"instance {where}: {describe(error)}" if where else describe(error), error=type(error).__name__, **run.result()
        )
    module.exit_json(**run.result())


if __name__ == "__main__":
    main()
