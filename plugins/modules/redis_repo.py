#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_repo
short_description: Set up an apt repository for the packages of Redis or Valkey, and for no others
version_added: "0.1.0"
description:
  - Writes the source, its key and a pin with which apt takes O(packages) from the repository and nothing else, in one round trip.
  - A new repository is tried first, by apt itself in a temporary folder. If it cannot be reached, has another signature, or lacks
    the packages or the version, nothing is touched. Where all is set up and the version is installed, no repository is asked.
  - Installs nothing; it says in RV(install) what is to be installed.
options:
  engine:
    description: Part of the names of the files, C(keyfleet-ENGINE.sources), C(.asc) and C(.pref).
    type: str
    required: true
    choices: [redis, valkey]
  state:
    description: V(absent) removes the files; the packages that came from the repository stay.
    type: str
    choices: [present, absent]
    default: present
  packages:
    description: Packages that may come from the repository. The first one has the version that counts.
    type: list
    elements: str
  uri:
    description: Address of the repository.
    type: str
  suite:
    description: Suite of the repository. One that ends with C(/) is a flat repository, which has no components.
    type: str
  components:
    description: Components of the suite.
    type: list
    elements: str
    default: []
  key:
    description: Public keys that sign the repository, ASCII-armored.
    type: str
  version:
    description: Exact version; empty for what is installed, or else the newest.
    type: str
    default: ""
  apt_dir:
    description: Folder of apt's configuration.
    type: path
    default: /etc/apt
author:
  - keyfleet maintainers (@keyfleet)
attributes:
  check_mode:
    support: full
    description: Tries the repository as a real run does, and writes nothing.
  diff_mode:
    support: full
    description: Shows each file before and after.
  idempotent:
    support: full
    description: A second run changes nothing.
"""

EXAMPLES = r"""
- name: Take Redis from the company's mirror
  keyfleet.redis.redis_repo:
    engine: redis
    packages: [redis-server, redis-tools]
    uri: https://mirror.example.org/redis
    suite: bookworm
    components: [main]
    key: "{{ lookup('ansible.builtin.file', 'mirror.asc') }}"
  register: repository

- name: Install what it offers
  ansible.builtin.apt:
    name: "redis-server={{ repository.install }}"
    update_cache: true
  when: repository.install
"""

RETURN = r"""
changed_paths:
  description: Files that were changed, or would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/apt/sources.list.d/keyfleet-redis.sources]
install:
  description: Version to install; empty where what is installed stays.
  returned: success
  type: str
  sample: 6:7.4.2-1
offered:
  description: Versions that the repository offers, the newest first; empty where it did not have to be asked.
  returned: success
  type: list
  elements: str
"""

import subprocess
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.keyfleet.errors import FilesError, RefusedError, describe
from ..module_utils.keyfleet.install.repository import APT_DIR, Repository, RepositoryPlan, absent, plan_repository


def findings_of(params: dict[str, Any]) -> RepositoryPlan:
    """Observe, as the module's parameters say."""
    if params["state"] == "absent":
        return RepositoryPlan(absent(params["engine"], params["apt_dir"]))
    names = ("engine", "uri", "suite", "key", "version", "apt_dir")
    packages, components = tuple(params["packages"]), tuple(params["components"])
    return plan_repository(Repository(**{name: params[name] for name in names}, packages=packages, components=components))


def main() -> None:
    """Observe, write, report."""
    module = AnsibleModule(
        argument_spec={
            "engine": {"type": "str", "required": True, "choices": ["redis", "valkey"]},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "packages": {"type": "list", "elements": "str"},
            "uri": {"type": "str"},
            "suite": {"type": "str"},
            "components": {"type": "list", "elements": "str", "default": []},
            "key": {"type": "str", "no_log": False},
            "version": {"type": "str", "default": ""},
            "apt_dir": {"type": "path", "default": APT_DIR},
        },
        required_if=[("state", "present", ["packages", "uri", "suite", "key"])],
        supports_check_mode=True,
    )
    try:
        found = findings_of(module.params)
        diffs = [diff for change in found.files.changes for diff in change.diffs()]
        if not module.check_mode:
            found.files.apply()
    except (FilesError, RefusedError) as error:
        module.fail_json(msg=str(error), changed=bool(getattr(error, "changed_paths", ())))
    except (OSError, subprocess.TimeoutExpired) as error:
        module.fail_json(msg=f"apt cannot be asked: {describe(error)}")
    module.exit_json(
        changed=bool(found.files.changes),
        changed_paths=found.files.changed_paths,
        install=found.install,
        offered=list(found.offered),
        **({"diff": diffs} if module._diff else {}),
    )


if __name__ == "__main__":
    main()
