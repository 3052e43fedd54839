#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_profiles
short_description: Write the connection profiles of one host on the controller
version_added: "0.1.0"
description:
  - For the role redis_endpoint, which has the variables for users. Runs on the controller, without a connection to a host.
  - Writes an env file for each instance and user, and the further forms, and removes those that stand for nothing any more. Files that
    keyfleet did not write are neither replaced nor removed.
options:
  deployment:
    description: Name of the deployment.
    type: str
    required: true
  host:
    description: Name of the host, part of the names of the files. Empty for servers that no host of the inventory runs.
    type: str
    default: ""
  hosts:
    description: All hosts of the inventory that may have profiles. Profiles of others are named in RV(notes).
    type: list
    elements: str
    default: []
  path:
    description: Folder, base and ending of the names of the env files, such as C(/x/redis.env).
    type: str
    required: true
  forms_folder:
    description: Folder of the further forms.
    type: str
    required: true
  own_folders:
    description: Folders that are made if they are missing, mode V(0700).
    type: list
    elements: str
    default: []
  instances:
    description: Dictionaries with C(name), C(host), C(port), C(unix_socket), C(username), C(password) and C(users).
    type: list
    elements: dict
    default: []
  absent:
    description: Names of instances that are gone.
    type: list
    elements: str
    default: []
  kept:
    description: Names of instances that run and are not in O(instances). Their profiles stay as they are.
    type: list
    elements: str
    default: []
  knows_all:
    description: Whether O(instances), O(absent) and O(kept) are all that the host has. Profiles of other instances and users are removed
      then.
    type: bool
    default: false
  ca:
    description: Certificates that clients trust, in PEM form; written beside the env file if an instance has TLS.
    type: str
    default: ""
  ca_path:
    description: Where applications read them; empty for the file that is written.
    type: str
    default: ""
  tls_server_name:
    description: Name that the certificates must be valid for in the place of the address, such as behind a tunnel or a load balancer.
    type: str
    default: ""
  address:
    description: Host name in the place of the addresses of servers and Sentinels; empty for those.
    type: str
    default: ""
  key_prefix:
    description: Put before every key by the client library.
    type: str
    default: ""
  forms:
    description: Further forms, of V(dotenv), V(systemd), V(kubernetes), V(ecs) and V(compose).
    type: list
    elements: str
    default: []
  users:
    description: Dictionaries with C(name), C(password), C(instances) and C(ecs_secret_arn) of users who get profiles of their own.
    type: list
    elements: dict
    default: []
  ecs_secret_arns:
    description: ARN of the password of the user C(default), by name of the instance.
    type: dict
    default: {}
  only_validate:
    description: Fail as a run would, and write nothing; the passwords may be missing.
    type: bool
    default: false
author:
  - keyfleet maintainers (@keyfleet)
attributes:
  check_mode:
    support: full
    description: Reports what a run would write, and writes nothing.
  diff_mode:
    support: partial
    description: Shows that a file with a password changes, and not what it holds.
"""

EXAMPLES = r"""
- name: Write the profile of one server
  keyfleet.redis.redis_profiles:
    deployment: shop
    path: "{{ inventory_dir }}/shop.env"
    forms_folder: "{{ inventory_dir }}/.keyfleet/profiles"
    instances:
      - {name: default, host: 192.0.2.11, port: 6379, password: "{{ vault_redis_password }}"}
"""

RETURN = r"""
changed_paths:
  description: Files that differed.
  returned: success
  type: list
  elements: str
  sample: [/home/ada/inventory/redis@node1.env]
notes:
  description: Sentences about files that are kept and that the operator should know of.
  returned: success
  type: list
  elements: str
  sample: []
"""
