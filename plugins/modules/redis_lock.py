#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_lock
short_description: Refuse a second run on the same deployment
version_added: "0.1.0"
description:
  - Takes a lock file on the controller for the C(ansible-playbook) process that runs the task.
  - The lock ends with that process, however it ends; there is nothing to release and nothing to clean up after a kill.
  - If another process that still runs holds it, the task fails and names that process, its user and its host.
  - A lock taken on another host (a shared folder) is taken as held; remove the file if that host is gone.
options:
  path:
    description: The lock file. Its folder is made with mode V(0700) if it is missing.
    type: path
    required: true
  former_path:
    description: Lock file of an earlier version. The task fails if a run holds it, and removes it otherwise.
    type: path
author:
  - keyfleet maintainers (@keyfleet)
attributes:
  check_mode:
    support: full
    description: Refuses as in a run, and takes nothing.
  diff_mode:
    support: none
    description: There is no state of the host to show.
"""

EXAMPLES = r"""
- name: Refuse a second run at the same time
  keyfleet.redis.redis_lock:
    path: "{{ inventory_dir }}/.keyfleet/redis/run.lock"
  run_once: true
"""

RETURN = r""" # """
