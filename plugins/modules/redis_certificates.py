#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_certificates
short_description: Make, renew and check the TLS certificates of all hosts of a play
version_added: "0.1.0"
description:
  - Runs on the controller and contacts no host; one task serves all hosts (C(run_once)).
  - Each deployment has a folder with its CA and a certificate for each host, mode V(0600). A host that is added gets its certificate, and
    neither the CA nor the certificate of another host is issued again.
  - The result holds private keys; give the task C(no_log).
requirements:
  - cryptography >= 42 on the controller
options:
  hosts:
    description:
      - By name of the host, a dictionary; an empty one is for a host without TLS.
      - C(folder) is where its deployment keeps certificates, C(source) is V(own), V(ca) or V(files), C(names) are the host names and
        addresses that its certificate shall be valid for, and C(announced) those that the profiles of clients have.
      - C(days) is how long a new certificate is valid, C(renew_days) how many days one must be valid still.
      - C(ca_file) and C(ca_key_file) are the CA of the source V(ca); C(ca_file), C(certificate_file) and C(key_file) are those of V(files).
    type: dict
    required: true
  state:
    description: V(present) issues what is missing, and renews what expires. V(renewed) issues a certificate for every host again.
      V(changing) makes the next CA of each deployment whose source is V(own), which is trusted beside the present one; V(changed) lets it
      sign, with the CA of before still trusted; V(dropped) ends that. V(absent) removes the folder's files.
    type: str
    choices: [present, renewed, changing, changed, dropped, absent]
    default: present
author:
  - keyfleet maintainers (@keyfleet)
attributes:
  check_mode:
    support: full
    description: Writes nothing; certificates that a run would make are made in memory.
  diff_mode:
    support: none
    description: A key is not shown.
"""

EXAMPLES = r"""
- name: Make the certificates of all hosts
  keyfleet.redis.redis_certificates:
    hosts:
      cache1:
        folder: "{{ inventory_dir }}/.keyfleet/redis/tls"
        source: own
        names: [cache1, cache1.example.org, 192.0.2.11]
  run_once: true
  no_log: true
"""

RETURN = r"""
hosts:
  description: By host, C(pem) (key, certificate and chain in one text), C(ca) (the certificates that clients trust), C(fingerprint)
    (SHA-256 of the certificate), and C(issued) (why it was issued now; empty if it was not).
  returned: success
  type: dict
changes:
  description: What was made, a phrase each.
  returned: success
  type: list
  elements: str
problems:
  description: Why certificates cannot be used or made, a sentence each. The task does not fail, since C(no_log) would hide the reason.
  returned: success
  type: list
  elements: str
state:
  description: O(state).
  returned: success
  type: str
phases:
  description: By host, where a change of the CA is, V(next) or V(previous), or empty if none is under way.
  returned: success
  type: dict
"""
