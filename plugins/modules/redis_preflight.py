#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_preflight
short_description: Find what a host and its servers would refuse, and what differs, before anything is touched
version_added: "0.1.0"
description:
  - Reads only. Inspects the system, the program, the user of the servers and what it may enter and run, who holds the ports, the
    addresses of the host, the passwords of running instances, and asks a throw-away server of the installed version about every
    directive, as that user and within the limits that the servers will have.
  - Fails with all problems in one message.
  - Compares the host with what it shall be, area by area, with the code of the steps that carry the areas out. An area that is equal need
    not be carried out; one that cannot be judged yet counts as different.
  - Where nothing differs and O(prove=true), asks every instance for its health, writes a value and reads it back.
options:
  systems:
    description: What each system calls things, as dictionaries of C(package_manager), C(version_separator), C(python_redis),
      C(build_packages), C(packagings) and C(lacks). The table C(base) holds for all; those named after the system's family, family and
      release, distribution, distribution and release replace its values.
    type: dict
    required: true
  install:
    description: How the program comes to the host.
    type: dict
    default: {}
    suboptions:
      method:
        description: As the variable C(redis_server_install_method). With V(none), program and user must be there already.
        type: str
        choices: [distro, repo, archive, none]
        default: none
      version:
        description: Exact version of the packages; empty for whatever is there.
        type: str
        default: ""
      repository:
        description: Of the method V(repo), as M(keyfleet.redis.redis_repo) takes it.
        type: dict
        suboptions:
          uri:
            description: Address of the repository.
            type: str
            required: true
          suite:
            description: Its suite.
            type: str
            required: true
          components:
            description: Components of the suite.
            type: list
            elements: str
            default: []
          key:
            description: The public key that signs it, ASCII-armored.
            type: str
            required: true
      release:
        description: Of the method V(archive), as M(keyfleet.redis.redis_release) takes it.
        type: dict
        suboptions:
          sha256:
            description: Of the archive with the source.
            type: str
            required: true
          folder:
            description: Where the releases are.
            type: path
            required: true
          make_flags:
            description: More flags of make.
            type: list
            elements: str
            default: []
          keep:
            description: Number of releases to keep.
            type: int
            default: 3
  kernel:
    description: What M(keyfleet.redis.redis_kernel) is asked for; without it, the kernel is not compared.
    type: dict
    suboptions:
      sysctl:
        description: Settings and their values.
        type: dict
        default: {}
      sysctl_minimum:
        description: Settings that are raised and never lowered.
        type: dict
        default: {}
      transparent_hugepage:
        description: Value for transparent huge pages.
        type: str
        choices: [madvise, never]
      service_manager:
        description: What runs the host.
        type: str
        choices: [auto, systemd, process]
        default: auto
      sysctl_file:
        description: Where the settings are kept for the next boot.
        type: path
        default: /etc/sysctl.d/90-keyfleet.conf
      thp_unit:
        description: The unit that sets transparent huge pages at boot.
        type: path
        default: /etc/systemd/system/keyfleet-thp.service
      proc_sys:
        description: Where the kernel shows its settings.
        type: path
        default: /proc/sys
      thp_path:
        description: Where the kernel shows the setting for transparent huge pages.
        type: path
        default: /sys/kernel/mm/transparent_hugepage/enabled
  made_accounts:
    description: Users and groups that the run makes where the host lacks them.
    type: list
    elements: str
    default: []
  password_file:
    description: Where the controller keeps the generated password; for messages.
    type: str
    required: true
  log_keep_days:
    description: How many old logs logrotate keeps; V(0) for no rotation.
    type: int
    default: 0
  prove:
    description: Whether to prove the instances where nothing differs. In check mode no value is written.
    type: bool
    default: false
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
- name: Refuse what the host or its server would refuse, and say what differs
  keyfleet.redis.redis_preflight:
    engine: redis
    binary: /usr/bin/redis-server
    user: redis
    group: redis
    password_file: "{{ inventory_dir }}/.keyfleet/redis/redis_server_password"
    systems: "{{ my_systems }}"
    install:
      method: distro
    instances:
      - name: cache
        port: 6380
        directives:
          maxmemory: 1gb
  register: preflight

- name: Install the packages
  ansible.builtin.apt:
    name: "{{ preflight.packages }}"
  when: preflight.areas.packages
"""

RETURN = r"""
problems:
  description: Why the run must end, each with the value found and what to do.
  returned: always
  type: list
  elements: str
areas:
  description: For each area why it must be carried out, a phrase each; empty for one that is as it shall be.
  returned: always
  type: dict
  sample: {packages: [], kernel: [vm.overcommit_memory], files: [], instances: []}
differing:
  description: Names of the areas that differ.
  returned: always
  type: list
  elements: str
packages:
  description: What the package manager is to install, if that area differs.
  returned: always
  type: list
  elements: str
system:
  description: C(name) of the system, its C(package_manager) and C(build_packages), and C(packages) and C(unit) of the engine.
  returned: always
  type: dict
service_manager:
  description: V(systemd) or V(process), as chosen for this host.
  returned: always
  type: str
unprivileged:
  description: Whether the user of the task is not root.
  returned: always
  type: bool
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
  description: "State of the package's own unit: C(in_the_way) if it would take a port of an instance, or is not there yet and comes
    with the package that the run installs."
  returned: always
  type: dict
repository:
  description: For the method V(repo), C(changed_paths), and the version to C(install), empty where what is installed stays.
  returned: always
  type: dict
release:
  description: For the method V(archive), the C(actions) that are to be done, and what building needs and the host lacks, C(missing).
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
sentinel:
  description: Whether a Sentinel was deployed below the root.
  returned: always
  type: bool
redis_py:
  description: Whether the host has redis-py.
  returned: always
  type: bool
user_known:
  description: Whether the host knows the user.
  returned: always
  type: bool
kept:
  description: Settings of the kernel that are kept as they are, C(name) and C(reason).
  returned: always
  type: list
  elements: dict
instances:
  description: What M(keyfleet.redis.redis_instances) would do for each instance; empty if that is not known yet.
  returned: always
  type: list
  elements: dict
health:
  description: C(name), C(verdict), C(reasons) and C(checks) of each instance; null where something differs, an instance failed, or
    O(prove=false).
  returned: always
  type: list
  elements: dict
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

import os
import pwd
from typing import Any, Optional

from ansible.module_utils.distro import LinuxDistribution

from ..module_utils.kernel_options import kept_as_they_are, kernel_argument_spec, kernel_settings
from ..module_utils.keyfleet.errors import KeyfleetError, describe
from ..module_utils.keyfleet.install.releases import Release
from ..module_utils.keyfleet.install.repository import Repository
from ..module_utils.keyfleet.install.systems import System, SystemValues, system_problems
from ..module_utils.keyfleet.instance.areas import Comparison, DesiredHost, compare
from ..module_utils.keyfleet.instance.model import Host
from ..module_utils.keyfleet.instance.preflight import HostReport, inspect_host
from ..module_utils.keyfleet.instance.proof import failures, prove
from ..module_utils.quiet_module import QuietModule
from ..module_utils.server_options import completed_from, host_from, instances_from, server_argument_spec


def argument_spec() -> dict[str, Any]:
    """Return the options of the module."""
    repository = {
        "uri": {"type": "str", "required": True},
        "suite": {"type": "str", "required": True},
        "components": {"type": "list", "elements": "str", "default": []},
        "key": {"type": "str", "required": True, "no_log": False},
    }
    release = {
        "sha256": {"type": "str", "required": True},
        "folder": {"type": "path", "required": True},
        "make_flags": {"type": "list", "elements": "str", "default": []},
        "keep": {"type": "int", "default": 3},
    }
    install = {
        "method": {"type": "str", "choices": ["distro", "repo", "archive", "none"], "default": "none"},
        "version": {"type": "str", "default": ""},
        "repository": {"type": "dict", "options": repository},
        "release": {"type": "dict", "options": release},
    }
    return {
        **server_argument_spec(),
        "systems": {"type": "dict", "required": True},
        "install": {"type": "dict", "options": install, "default": {}, "apply_defaults": True},
        "kernel": {"type": "dict", "options": kernel_argument_spec()},
        "made_accounts": {"type": "list", "elements": "str", "default": []},
        "password_file": {"type": "str", "required": True, "no_log": False},
        "log_keep_days": {"type": "int", "default": 0},
        "prove": {"type": "bool", "default": False},
    }


def repository_from(params: dict[str, Any], host: Host, values: SystemValues) -> Optional[Repository]:
    """Return the desired repository, if one is asked for."""
    install, given = params["install"], params["install"]["repository"]
    if install["method"] != "repo" or given is None:
        return None
    return Repository(
        host.engine,
        packages=tuple(values.packagings[host.engine]["packages"]),
        uri=given["uri"],
        suite=given["suite"],
        components=tuple(given["components"]),
        key=given["key"],
        version=install["version"],
    )


def release_from(params: dict[str, Any], host: Host) -> Optional[Release]:
    """Return the desired release, if one is asked for."""
    install, given = params["install"], params["install"]["release"]
    if install["method"] != "archive" or given is None:
        return None
    systemd = host.service_manager == "systemd"
    flags = tuple(given["make_flags"])
    return Release(host.engine, install["version"], given["sha256"], given["folder"], flags, systemd=systemd, keep=given["keep"])


class Preflight:
    """
    What is asked for, and what was found.

    Attributes:
        problems: Why the run must end.
    """

    def __init__(self, module: QuietModule) -> None:
        self.params, self.check = module.params, module.check_mode
        self.host = host_from(self.params)
        self.system = this_system()
        self.values = SystemValues.of(self.system, self.params["systems"])
        self.instances, self.memory = completed_from(self.params, self.host)
        self.report, self.found = HostReport(), Comparison()
        self.health: Optional[list[dict[str, Any]]] = None
        self.problems: list[str] = []

    def run(self) -> None:
        """Find the problems, then what differs, then prove what does not."""
        params, method = self.params, self.params["install"]["method"]
        user = "" if os.geteuid() == 0 else user_name()
        self.problems += system_problems(self.system, self.values, self.host.engine, method, user)
        self.report = inspect_host(
            self.host,
            instances_from(params),
            self.values.package(self.host.engine),
            made=params["made_accounts"],
            password_file=params["password_file"],
            binary_required=method == "none",
        )
        self.problems += self.report.problems + self.memory.problems
        if self.problems:
            return
        self.found = compare(self.desired(), self.report)
        self.problems += self.found.problems
        if params["prove"] and self.found.settled and not self.problems:
            health = prove(self.host, self.instances, write_probe=not self.check)
            self.health = None if failures(health) else health

    def desired(self) -> DesiredHost:
        """Return what the host shall be."""
        params = self.params
        return DesiredHost(
            self.host,
            self.instances,
            self.values,
            method=params["install"]["method"],
            version=params["install"]["version"],
            repository=repository_from(params, self.host, self.values),
            release=release_from(params, self.host),
            kernel=kernel_settings(params["kernel"]) if params["kernel"] else None,
            keep_days=params["log_keep_days"],
        )

    def result(self) -> dict[str, Any]:
        """Return the result of the module."""
        found, release, repository, kernel = self.found, self.found.release, self.found.repository, self.found.kernel
        packaging = self.values.packagings[self.host.engine]
        return {
            **self.report.as_dict(),
            "problems": self.problems,
            "areas": found.areas,
            "differing": found.differing,
            "packages": found.packages,
            "system": {
                "name": self.system.name,
                "package_manager": self.values.package_manager,
                "build_packages": self.values.build_packages,
                "packages": packaging["packages"],
                "unit": packaging["unit"],
            },
            "service_manager": self.host.service_manager,
            "unprivileged": os.geteuid() != 0,
            "memory": self.memory.as_dict(),
            "repository": {"changed_paths": repository.files.changed_paths, "install": repository.install} if repository else {},
            "release": {"actions": release.actions, "missing": list(release.missing)} if release else {},
            "kept": kept_as_they_are(kernel) if kernel else [],
            "instances": [outcome.as_dict() for outcome in found.outcomes],
            "health": self.health,
        }


def this_system() -> System:
    """Return the system that the host is."""
    found = LinuxDistribution(include_lsb=False, include_uname=False)
    return System.of(found.id(), found.like().split(), found.major_version())


def user_name() -> str:
    """Return the name of the user who runs the module, or its number."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def main() -> None:
    """Run the module."""
    module = QuietModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        preflight = Preflight(module)
        preflight.run()
    except (KeyfleetError, OSError) as error:
        module.fail_json(msg=describe(error), error=type(error).__name__)
    if preflight.problems:
        module.fail_json(msg="; ".join(preflight.problems), **preflight.result())
    module.exit_json(changed=False, **preflight.result())


if __name__ == "__main__":
    main()
