#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_validate
short_description: Validate the variables of the role that the task is part of
version_added: "0.1.0"
description:
  - Compares the variables with the role's argument spec, as Ansible's own step does, and fails with what is wrong. The spec is no part of
    the result.
  - Runs on the controller; no host is asked.
options:
  entry_point:
    description: Whose options of the argument spec are compared.
    type: str
    default: main
  problems:
    description: Name of a variable that lists what else is wrong. It is read when the spec is met.
    type: str
  values:
    description: Name of a variable, a dictionary that the result gets when nothing is wrong, for tasks that compare the results of several
      hosts. It is read only then.
    type: str
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
- name: Refuse wrong variables
  keyfleet.redis.redis_validate:
    problems: __my_role_problems
"""

RETURN = r"""
problems:
  description: What is wrong, a sentence each.
  returned: failure
  type: list
  elements: str
"""
