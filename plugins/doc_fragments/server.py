# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options in module_utils/server_options.py."""

from __future__ import annotations


class ModuleDocFragment:
    """Options that the modules for the instances of a host share."""

    DOCUMENTATION = r"""
options:
  engine:
    description: The server that the instances run.
    type: str
    required: true
    choices: [redis, valkey]
  binary:
    description: Path of the server program.
    type: path
    required: true
  service_manager:
    description: What starts the instances, V(systemd) or the runner that the role redis_server installs, V(process). V(auto) takes
      V(systemd) where it runs the host.
    type: str
    default: auto
    choices: [auto, systemd, process]
  root:
    description: Folder that all paths of the deployment derive from.
    type: path
    default: /
  start_timeout_seconds:
    description: Longest wait until a server has saved and stopped, and until a started one has loaded its data, in seconds.
    type: int
    default: 300
  memory_percent:
    description: Share of the host's memory that all instances together may be given as C(maxmemory), in percent. New instances that name
      none get an equal part of what is left, and leave one over; with V(0) they get none. What one was given stays.
    type: int
    default: 0
  previous_password:
    description: Password that running servers may still want; empty for none.
    type: str
  admin_passwords:
    description: Passwords of the administrative user C(keyfleet), which is made where it is missing. The first is to stay; the others are
      accepted as well while it changes. Without any, C(default) administers the servers.
    type: list
    elements: str
    default: []
  undeclared_users:
    description: What becomes of users that were made by hand, V(report) or V(remove).
    type: str
    choices: [report, remove]
    default: report
  keep_passwords:
    description: Whether passwords of before stay valid beside the declared ones, for clients that do not have the new ones yet.
    type: bool
    default: false
  user:
    description: Who runs the servers, if root manages the host; their files are given to this user while they are stopped.
    type: str
    default: ""
  group:
    description: Group of the servers' processes and files, if root manages the host.
    type: str
    default: ""
  instances:
    description: The instances as they should be.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Unique on the host; part of every path and of the unit's name.
        type: str
        required: true
      state:
        description: V(absent) stops the instance and removes its unit and configuration; its data stays.
        type: str
        choices: [present, absent]
        default: present
      purge:
        description: With O(instances[].state=absent), remove data and logs as well.
        type: bool
        default: false
      port:
        description: TCP port; V(0) disables TCP.
        type: int
        default: 6379
      bind:
        description: Addresses to listen on; a leading C(-) marks one that may be missing.
        type: list
        elements: str
        default: ["127.0.0.1", "-::1"]
      tls:
        description: Whether the instance listens with TLS; V(both) does with and without it, each on its port.
        type: str
        choices: ["off", both, only]
        default: "off"
      tls_port:
        description: TCP port of TLS. With V(0) and O(instances[].tls=only), O(instances[].port) is it.
        type: int
        default: 0
      tls_pem:
        description: Key, certificate and chain of the host in PEM form.
        type: str
        default: ""
      tls_ca:
        description: Certificates of the CAs that are trusted, in PEM form.
        type: str
        default: ""
      tls_directives:
        description: Directives that say what is asked of TLS clients.
        type: dict
        default: {}
      unix_socket:
        description: Listen on a unix socket in the run directory.
        type: bool
        default: false
      unix_socket_perm:
        description: Permissions of the socket, octal.
        type: str
        default: "770"
      password:
        description: Password of the user C(default); an empty text for none, left out if it is not known yet.
        type: str
      log:
        description: Where the server's log goes, V(file) of its own or what starts it, V(manager).
        type: str
        choices: [file, manager]
        default: file
      directives:
        description: Directives of the inventory that may be shown.
        type: dict
        default: {}
      topology:
        description: What the instances of the deployment are together.
        type: str
        choices: [single, replication, cluster]
        default: single
      peers:
        description: Of a member of a replication, C(service), C(own), C(others) and C(sentinels), which the program reads that is run
          before each start. Empty outside of a replication.
        type: dict
        default: {}
      secret_directives:
        description: Directives of the inventory whose values are secrets.
        type: dict
        default: {}
      user_rules:
        description: Users, each as its name and its rules in the words of C(ACL SETUSER), with hashes only. For C(default) without a
          password, which is O(instances[].password).
        type: list
        elements: str
        default: []
"""
