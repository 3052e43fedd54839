#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_secret
short_description: Read, make, change or remove a secret kept on the controller
version_added: "0.1.0"
description:
  - Reads the secret in a file of the controller. If the file is missing, makes a secret of 256 random bits and keeps it there,
    mode V(0600).
  - Refuses a file that is empty or that others can read.
  - The result holds the secret; give the task C(no_log).
options:
  path:
    description: The file. Its folder is made with mode V(0700) if it is missing.
    type: path
    required: true
  former_path:
    description: Where an earlier version kept it. A secret that is found only there is used, and moved to O(path) unless O(create) is
      V(false). One that differs from that in O(path) is named in a warning and not used.
    type: path
  create:
    description: Make the secret if the file is missing. With V(false), RV(secret) is null then.
    type: bool
    default: true
  state:
    description: V(absent) removes O(path) and O(former_path). V(changing) makes RV(next) beside the secret, unless a change is under way;
      V(changed) puts it in the place of the secret, once everything that uses the secret has it, and keeps the secret of before;
      V(dropped) removes that one, once no server accepts it any more.
    type: str
    choices: [present, absent, changing, changed, dropped]
    default: present
  together:
    description: Files of secrets that change together with this one. With O(state=changing), none is begun while one of them has its
      secret of before.
    type: list
    elements: path
    default: []
author:
  - keyfleet maintainers (@keyfleet)
attributes:
  check_mode:
    support: full
    description: Writes nothing; in the place of a secret that a run would make, another random one is used.
  diff_mode:
    support: none
    description: A secret is not shown.
"""

EXAMPLES = r"""
- name: Read the password of the deployment, or make it
  keyfleet.redis.redis_secret:
    path: "{{ inventory_dir }}/.keyfleet/redis/redis_server_password"
  no_log: true
  register: __secret
"""

RETURN = r"""
secret:
  description: The secret, without the line's end.
  returned: success
  type: str
  sample: "(43 characters)"
misplaced:
  description: Whether the secret is still in O(former_path).
  returned: if O(create=false)
  type: bool
next:
  description: The secret that is to replace it, kept in a file with C(.next) at the end of its name; null unless a change is under way.
  returned: success
  type: str
ending:
  description: Whether the secret of before is kept, in a file with C(.previous) at the end of its name, since servers may still accept it.
  returned: if O(create=false)
  type: bool
pending:
  description: Whether a change was under way already.
  returned: if O(state=changing)
  type: bool
"""
