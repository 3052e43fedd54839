#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: redis_kernel
short_description: Make the kernel ready for Redis or Valkey, now and after a reboot
description:
  - Sets kernel settings and transparent huge pages, and keeps them in a file of C(sysctl.d) and in a systemd unit, in one round trip.
  - What a host does not allow, as in most containers, is not applied and named in RV(not_applied). It is no failure.
  - A user who is not root changes nothing, which is one entry of RV(not_applied).
author:
  - keyfleet maintainers (@keyfleet)
options:
  sysctl:
    description: Settings and their values, such as C(vm.overcommit_memory). One that is not listed any more leaves O(sysctl_file); its
      active value stays.
    type: dict
    default: {}
  sysctl_minimum:
    description: Settings and the least value they should have, such as C(net.core.somaxconn). They are raised and never lowered, and kept
      in O(sysctl_file) only if they had to be raised.
    type: dict
    default: {}
  transparent_hugepage:
    description: Value for C(/sys/kernel/mm/transparent_hugepage/enabled). If not given, it is kept and O(thp_unit) is removed.
    type: str
    choices: [madvise, never]
  service_manager:
    description: What runs the host. Only with V(systemd) a unit is written; with V(auto) the module detects it.
    type: str
    choices: [auto, systemd, process]
    default: auto
  sysctl_file:
    description: Where the settings are kept. Removed when there are none.
    type: path
    default: /etc/sysctl.d/90-keyfleet.conf
  thp_unit:
    description: The unit that sets transparent huge pages at boot. It is enabled by a link in C(basic.target.wants) beside it.
    type: path
    default: /etc/systemd/system/keyfleet-thp.service
  proc_sys:
    description: Where the kernel shows its settings.
    type: path
    default: /proc/sys
  thp_path:
    description: Where the kernel shows transparent huge pages.
    type: path
    default: /sys/kernel/mm/transparent_hugepage/enabled
attributes:
  check_mode:
    description: Predicts the real run, except for a setting that the kernel opens for writing and then refuses.
    support: full
  diff_mode:
    description: Shows each setting and file before and after.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Make the kernel ready for Redis
  keyfleet.redis.redis_kernel:
    sysctl:
      vm.overcommit_memory: 1
    sysctl_minimum:
      net.core.somaxconn: 1024
    transparent_hugepage: madvise
  register: kernel

- name: Say what the host does not allow
  ansible.builtin.debug:
    msg: "{{ kernel.not_applied | map(attribute='reason') | unique }}"
"""

RETURN = r"""
applied:
  description: Settings that were changed, or would be.
  returned: always
  type: list
  elements: dict
  sample: [{name: vm.overcommit_memory, before: "0", after: "1"}]
changed_paths:
  description: Files that were changed, or would be.
  returned: always
  type: list
  elements: str
  sample: [/etc/sysctl.d/90-keyfleet.conf]
not_applied:
  description: What was left as it is, and why.
  returned: always
  type: list
  elements: dict
  sample: [{name: vm.overcommit_memory, reason: "the host does not allow it: Read-only file system"}]
units_changed:
  description: Whether systemd must read its units again.
  returned: always
  type: bool
"""
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.kernel_options import kept_as_they_are, kernel_argument_spec, kernel_settings
from ..module_utils.keyfleet.errors import FilesError, RefusedError
from ..module_utils.keyfleet.host.kernel import KernelPlan, plan_kernel


def report(found: KernelPlan) -> dict[str, Any]:
    """Return findings as the module's result."""
    return {
        "changed": found.changed,
        "applied": [{"name": setting.name, "before": setting.before, "after": setting.after} for setting in found.settings],
        "changed_paths": found.files.changed_paths,
        "not_applied": kept_as_they_are(found),
        "units_changed": any(path.endswith(".service") for path in found.files.changed_paths),
    }


def main() -> None:
    """Observe, change, report."""
    module = AnsibleModule(argument_spec=kernel_argument_spec(), supports_check_mode=True)
    try:
        found = plan_kernel(kernel_settings(module.params))
        diffs = list(found.diffs())
        if not module.check_mode:
            found.apply()
    except (FilesError, RefusedError) as error:
        module.fail_json(msg=str(error), changed=bool(getattr(error, "changed_paths", ())))
    module.exit_json(**report(found), **({"diff": diffs} if module._diff else {}))


if __name__ == "__main__":
    main()
