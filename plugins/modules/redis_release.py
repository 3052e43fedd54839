#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_release
short_description: Build Redis or Valkey from source, and switch to what was built
version_added: "0.1.0"
description:
  - Keeps releases beside each other, each built once from one archive with one set of flags, always with TLS. The link C(current) leads
    to the one in use, C(previous) to the one before it.
  - A release gets its name when it is built, and has said its version and that it speaks TLS. A build that fails or is killed leaves
    C(current) as it was.
  - Going back to a release that is still there builds nothing, and needs no archive.
  - Restarts nothing.
options:
  engine:
    description: What the archive holds.
    type: str
    required: true
    choices: [redis, valkey]
  version:
    description: Version that the archive holds, such as V(7.0.15). Another one is refused before anything is built.
    type: str
    required: true
  archive:
    description: The source, a tar archive - an address (http, https) from which the host downloads it, or the path of a file on the
      controller.
    type: str
    required: true
  sha256:
    description: SHA-256 of the archive, 64 hexadecimal digits. Nothing is unpacked from one that has another.
    type: str
    required: true
  folder:
    description: Where the releases are.
    type: path
    required: true
  make_flags:
    description: More flags for make, each C(NAME=VALUE). Other flags make another release.
    type: list
    elements: str
    default: []
  systemd:
    description: Whether the server shall notify systemd when it is ready, which a unit of the type C(notify) needs.
    type: bool
    default: false
  keep:
    description: Number of releases to keep. What is in use, the one before it, and what a process still runs are never removed.
    type: int
    default: 3
  jobs:
    description: Compilers at a time.
    type: int
    default: 2
  copied_archive:
    description: Where the action plugin has put the archive on the host. Not for playbooks.
    type: path
author:
  - keyfleet maintainers (@keyfleet)
attributes:
  check_mode:
    support: full
    description: Foresees the build and the switch. Whether the build works is not foreseen, nor the checksum of what is downloaded.
  diff_mode:
    support: full
    description: Shows where C(current) leads before and after.
  idempotent:
    support: full
    description: A second run builds and changes nothing.
"""

EXAMPLES = r"""
- name: Build Redis and switch to it
  keyfleet.redis.redis_release:
    engine: redis
    version: 7.0.15
    archive: https://mirror.example.org/redis-7.0.15.tar.gz
    sha256: 4b1dc4ee6d622a09fff9c6777191209750fb5e5a725ef78ea012d6eef4c22982
    folder: /opt/keyfleet/redis
    make_flags: [MALLOC=jemalloc]
"""

RETURN = r"""
release:
  description: Name of the release.
  returned: success
  type: str
  sample: 7.0.15-1f2e3d4c
current:
  description: Release that was in use before; empty for none.
  returned: success
  type: str
actions:
  description: What was done, or would be - C(build), C(switch), C(prune).
  returned: success
  type: list
  elements: str
missing:
  description: What building needs and the host lacks; empty where nothing is to be built.
  returned: success
  type: list
  elements: str
pruned:
  description: Releases that were removed, or would be.
  returned: success
  type: list
  elements: str
archive_needed:
  description: Whether the archive must be copied to the host first, which the action plugin does.
  returned: success
  type: bool
"""

import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

from ..module_utils.keyfleet.errors import BuildError, KeyfleetError, describe
from ..module_utils.keyfleet.install.releases import Release, ReleasePlan, apply, plan_release

DOWNLOAD_SECONDS = 60


def fetch(archive: str, target: str) -> None:
    """Bring the archive to a path: download it, or take what was copied."""
    try:
        if "://" not in archive:
            shutil.copyfile(archive, target)
            return
        with open_url(archive, timeout=DOWNLOAD_SECONDS, http_agent="keyfleet") as source, Path(target).open("wb") as file:
            shutil.copyfileobj(source, file)
    except OSError as error:
        raise BuildError(f"the archive cannot be had from {archive}: {describe(error)}") from error


def report(found: ReleasePlan) -> dict[str, Any]:
    """Return what was found as the module's result."""
    release = found.release
    return {
        "changed": bool(found.actions),
        "release": release.name,
        "current": found.current,
        "actions": found.actions,
        "missing": list(found.missing),
        "pruned": list(found.pruned),
    }


def diff(found: ReleasePlan) -> dict[str, Any]:
    """Return the change in the form of Ansible's diff."""
    header = f"{found.release.folder}/current"
    before = f"{found.current}\n" if found.current else ""
    return {"before_header": header, "after_header": header, "before": before, "after": f"{found.release.name}\n"}


def main() -> None:
    """Observe, build, switch, report."""
    module = AnsibleModule(
        argument_spec={
            "engine": {"type": "str", "required": True, "choices": ["redis", "valkey"]},
            "version": {"type": "str", "required": True},
            "archive": {"type": "str", "required": True},
            "sha256": {"type": "str", "required": True},
            "folder": {"type": "path", "required": True},
            "make_flags": {"type": "list", "elements": "str", "default": []},
            "systemd": {"type": "bool", "default": False},
            "keep": {"type": "int", "default": 3},
            "jobs": {"type": "int", "default": 2},
            "copied_archive": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params = module.params
    names = ("engine", "version", "sha256", "folder", "systemd", "keep", "jobs")
    release = Release(**{name: params[name] for name in names}, make_flags=tuple(params["make_flags"]))
    archive = params["archive"] if "://" in params["archive"] else params["copied_archive"]
    try:
        found = plan_release(release)
        archive_needed = not found.built and archive is None
        if not module.check_mode and not archive_needed:
            apply(found, lambda target: fetch(archive, target))
    except KeyfleetError as error:
        module.fail_json(msg=str(error), error=type(error).__name__)
    except OSError as error:
        module.fail_json(msg=f"{release.folder}: {describe(error)}")
    module.exit_json(**report(found), archive_needed=archive_needed, **({"diff": diff(found)} if module._diff else {}))


if __name__ == "__main__":
    main()
