#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_preflight
short_description: Find what a host and its servers would refuse, before anything is touched
version_added: "0.1.0"
description:
  - Reads only. Looks at the program, at the user of the servers and what it may enter and run, at who holds the ports, at the addresses of
    the host, at the passwords of running instances, and asks a throw-away server of the installed version about every directive, as that
    user and within the limits that the servers will have.
  - Fails with all problems at once.
options:
  binary_required:
    description: Whether the program must be there already, and the user with it.
    type: bool
    default: false
  made_accounts:
    description: Users and groups that the run makes where the host lacks them.
    type: list
    elements: str
    default: []
  password_file:
    description: Where the controller keeps the generated password; for messages.
    type: str
    required: true
  memory_percent:
    description: Share of the host's memory that all instances together may be given as C(maxmemory), in percent. New instances that name
      none get an equal part of what is left, and leave one over; with V(0) they get none.
    type: int
    default: 0
  package_manager:
    description: What installs packages on the host.
    type: str
    choices: [apt, dnf, apk]
    default: apt
  package:
    description: Name of the distribution's package.
    type: str
    required: true
  package_unit:
    description: The package's own systemd unit.
    type: str
    required: true
  package_config:
    description: The package's own configuration file.
    type: path
    required: true
extends_documentation_fragment:
  - keyfleet.redis.server
author:
  - keyfleet maintainers (@keyfleet)
attributes:
  check_mode:
    support: full
    description: Reads only.
  diff_mode:
    support: none
    description: Changes nothing.
"""

EXAMPLES = r"""
- name: Refuse what the host or its server would refuse
  keyfleet.redis.redis_preflight:
    engine: redis
    binary: /usr/bin/redis-server
    service_manager: systemd
    user: redis
    group: redis
    password_file: "{{ inventory_dir }}/.keyfleet/redis/redis_server_password"
    package: redis-server
    package_unit: redis-server.service
    package_config: /etc/redis/redis.conf
    instances:
      - name: cache
        port: 6380
        directives:
          maxmemory: 1gb
"""

RETURN = r"""
problems:
  description: Why the run must not go on, each with the value found and what to do.
  returned: always
  type: list
  elements: str
binary_present:
  description: Whether the program is there.
  returned: always
  type: bool
engine_version:
  description: Its version, null if it is not there.
  returned: always
  type: str
package_version:
  description: Installed version of the package, empty if it is not installed.
  returned: always
  type: str
package_unit:
  description: "State of the package's own unit: C(in_the_way) if it would take a port of ours, or is not there yet and comes
    with the package that the run installs."
  returned: always
  type: dict
running:
  description: Each deployed instance, and whether it runs.
  returned: always
  type: dict
memory:
  description: The memory that the servers have, C(total_bytes), and whether a control group limits it, C(limited). C(default_maxmemory) in
    bytes, by name of the instances that name none; C(new) are those that had none before.
  returned: always
  type: dict
unlisted:
  description: Deployed instances that the list does not have.
  returned: always
  type: list
  elements: str
redis_py:
  description: Whether the host has redis-py.
  returned: always
  type: bool
user_known:
  description: Whether the host knows the user.
  returned: always
  type: bool
repository:
  description: Whether M(keyfleet.redis.redis_repo) has set up a repository for the engine.
  returned: always
  type: bool
place:
  description: Equal for two hosts of an inventory that are one machine and one root; empty if it cannot be read.
  returned: always
  type: str
network:
  description: Equal for two hosts of an inventory that share the ports of one machine; empty if it cannot be read.
  returned: always
  type: str
listens:
  description: C(name), C(port) and C(bind) of each present instance.
  returned: always
  type: list
  elements: dict
"""


from ..module_utils.keyfleet.errors import KeyfleetError, describe
from ..module_utils.keyfleet.install.package import PACKAGE_MANAGERS, Package
from ..module_utils.keyfleet.instance.maxmemory import inspect_memory
from ..module_utils.keyfleet.instance.preflight import inspect_host
from ..module_utils.quiet_module import QuietModule
from ..module_utils.server_options import host_from, instances_from, server_argument_spec


def main() -> None:
    """Run the module."""
    spec = {
        "binary_required": {"type": "bool", "default": False},
        "made_accounts": {"type": "list", "elements": "str", "default": []},
        "password_file": {"type": "str", "required": True, "no_log": False},
        "memory_percent": {"type": "int", "default": 0},
        "package_manager": {"type": "str", "choices": list(PACKAGE_MANAGERS), "default": "apt"},
        "package": {"type": "str", "required": True},
        "package_unit": {"type": "str", "required": True},
        "package_config": {"type": "path", "required": True},
    }
    module = QuietModule(argument_spec={**server_argument_spec(), **spec}, supports_check_mode=True)
    params = module.params
    try:
        findings = inspect_host(
            host_from(params),
            instances_from(params),
            Package(params["package_unit"], params["package_config"], params["package"], params["package_manager"]),
            made=params["made_accounts"],
            password_file=params["password_file"],
            binary_required=params["binary_required"],
        )
        memory = inspect_memory(host_from(params), instances_from(params), params["memory_percent"])
    except (KeyfleetError, OSError) as error:
        module.fail_json(msg=describe(error), error=type(error).__name__)
    findings.problems += memory.problems
    if findings.problems:
        module.fail_json(msg="; ".join(findings.problems), memory=memory.as_dict(), **findings.as_dict())
    module.exit_json(changed=False, memory=memory.as_dict(), **findings.as_dict())


if __name__ == "__main__":
    main()
