#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: redis_files
short_description: Write all files of a host in one step
description:
  - Makes many files, directories and links what they should be, in one round trip, where one task for each costs several.
  - Reads every path first. If one cannot become what it should be, nothing is written and the message names them all.
  - A file is written beside the old one, with its final owner and mode, and renamed over it, so that no process reads half of it, or
    reads it with wider permissions. The last component of a path is never followed if it is a symbolic link.
  - Never makes missing parent directories; list them, above what they hold.
  - Extended attributes and access control lists of a replaced file are not kept.
author:
  - keyfleet maintainers (@keyfleet)
options:
  files:
    description: What should be there, in the order in which it is made.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path, without C(..) and without a final slash. Each path may be listed once.
        type: str
        required: true
      state:
        description:
          - V(file) has exactly the given content, owner, group and mode.
          - V(seed) is a file that is written if it is missing and kept as it is if it is there, since another program owns it then.
          - V(directory) exists with the given owner, group and mode; what it holds is kept.
          - V(link) is a symbolic link to O(files[].target).
          - V(absent) is not there; a directory must be empty, or O(files[].recurse) be true.
        type: str
        choices: [file, seed, directory, link, absent]
        default: file
      content:
        description: Text of a V(file) or V(seed). It is not part of the result, but of a diff. Use O(files[].secret_content) for secrets.
        type: str
      secret_content:
        description: As O(files[].content), and never shown by a diff, an error or a log. Ansible masks the text wherever it occurs in the
          result, so one of a few letters would be masked in paths too.
        type: str
      target:
        description: Where a V(link) points, absolute or relative to its own folder. It need not exist.
        type: str
      owner:
        description: User name or number. If not given, what is there keeps its owner, and what is new belongs to the user of the task.
        type: str
      group:
        description: Group name or number, as O(files[].owner).
        type: str
      mode:
        description: Permissions as quoted octal digits with a leading zero, such as V("0640"). V(file), V(seed) and V(directory) need it.
        type: str
      recurse:
        description: Let V(absent) remove a directory with all it holds. Refused for C(/) and for directories directly below it.
        type: bool
        default: false
      hide_diff:
        description: Do not show the content of this file in a diff; owner and mode are shown.
        type: bool
        default: false
      hide_lines:
        description: Regular expression for the beginning of lines that hold secrets. A diff shows of such a line, old or new, no more than
          what the expression matches.
        type: str
  hide_diff:
    description: Do not show the content of any file in a diff.
    type: bool
    default: false
attributes:
  check_mode:
    description: Predicts the real run. An owner, group or directory that does not exist yet, since a package of the same run brings it, is
      listed in RV(unknown) and counted as a change; a real run refuses it.
    support: full
  diff_mode:
    description: Shows content, owner, group and mode before and after, for each path.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Write every file of this host
  keyfleet.redis.redis_files:
    files:
      - path: /etc/keyfleet/cache
        state: directory
        owner: root
        group: redis
        mode: "0750"
      - path: /etc/keyfleet/cache/keyfleet.conf
        content: "{{ lookup('ansible.builtin.template', 'keyfleet.conf.j2') }}"
        owner: root
        group: redis
        mode: "0640"
      - path: /etc/keyfleet/cache/users.acl
        secret_content: "{{ cache_users }}"
        owner: root
        group: redis
        mode: "0640"
      - path: /var/lib/keyfleet/cache/server.conf
        state: seed
        content: ""
        owner: redis
        group: redis
        mode: "0600"

- name: Remove a deployment's data
  keyfleet.redis.redis_files:
    files:
      - path: /var/lib/keyfleet/cache
        state: absent
        recurse: true
"""

RETURN = r"""
changed_paths:
  description: The paths that were changed, or would be; when the module fails, those that were changed before the failure.
  returned: always
  type: list
  elements: str
  sample: [/etc/keyfleet/cache/keyfleet.conf]
unknown:
  description: Paths whose outcome cannot be predicted, since their owner, group or directory does not exist yet. Part of RV(changed_paths).
  returned: always
  type: list
  elements: str
  sample: []
"""


from ..module_utils.keyfleet.errors import FilesError, RefusedError
from ..module_utils.keyfleet.host.file_entries import STATES, parse
from ..module_utils.keyfleet.host.files import plan
from ..module_utils.quiet_module import QuietModule

CONTENTS = ("content", "secret_content")


def main() -> None:
    """Observe, plan, write, report."""
    entry = {
        "path": {"type": "str", "required": True},
        "state": {"type": "str", "choices": list(STATES), "default": "file"},
        "content": {"type": "str"},
        "secret_content": {"type": "str", "no_log": True},
        "target": {"type": "str"},
        "owner": {"type": "str"},
        "group": {"type": "str"},
        "mode": {"type": "str"},
        "recurse": {"type": "bool", "default": False},
        "hide_diff": {"type": "bool", "default": False},
        "hide_lines": {"type": "str"},
    }
    module = QuietModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "required": True, "options": entry},
            "hide_diff": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    files = [
        {name: "(hidden)" if name in CONTENTS and value is not None else value for name, value in file.items()}
        for file in module.params["files"]
    ]
    result = {"changed": False, "changed_paths": [], "unknown": [], "invocation": {"module_args": {**module.params, "files": files}}}
    try:
        planned = plan(parse(module.params["files"], hide_diff=module.params["hide_diff"]), check=module.check_mode)
        if not module.check_mode:
            planned.apply()
    except FilesError as error:
        result.update(changed=bool(error.changed_paths), changed_paths=list(error.changed_paths))
        module.fail_json(msg=str(error), **result)
    except RefusedError as error:
        module.fail_json(msg=str(error), **result)
    result.update(changed=bool(planned.changes), changed_paths=planned.changed_paths, unknown=list(planned.unknown))
    if module._diff:
        result["diff"] = [diff for change in planned.changes for diff in change.diffs()]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
