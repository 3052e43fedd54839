# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of every module that talks to a server; connection_options.py has the same as an argument spec."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the connection options: DOCUMENTATION says which server, CREDENTIALS how to talk to it."""

    DOCUMENTATION = r"""
options:
  url:
    type: str
    description:
      - Address of the server as a URL with the scheme V(redis), V(rediss) (TLS) or V(unix), for example
        V(rediss://user@cache.example.com:6379/0). V(valkey) and V(valkeys) mean V(redis) and V(rediss).
      - A cluster is V(redis+cluster://host1:7000,host2:7000), the primary that Sentinels know is
        V(redis+sentinel://host1:26379,host2:26379/service/0).
      - It may hold a password and is therefore never printed; O(login_password) keeps the two apart.
  login_host:
    type: str
    description:
      - Host name or address of the server. V(127.0.0.1) if neither an option nor the environment names a server.
  login_port:
    type: int
    description:
      - TCP port of the server, 1 to 65535. V(6379) if neither an option nor the environment names one.
  login_unix_socket:
    type: path
    description:
      - Path of the server's unix socket, in place of host and port.
  db:
    type: int
    description:
      - Number of the logical database, 0 or more; V(0) if nothing says otherwise. A cluster has only V(0).
  startup_nodes:
    type: list
    elements: str
    description:
      - Nodes of a Redis Cluster as V(host:port), an IPv6 address in brackets. One that answers is enough.
  sentinels:
    type: list
    elements: str
    description:
      - Sentinels as V(host:port), port V(26379) if left out; they are asked which server is the primary of O(service_name).
  service_name:
    type: str
    description:
      - Name under which the Sentinels watch the primary.
  sentinel_user:
    type: str
    description:
      - ACL user of the Sentinels. Their V(default) user if only O(sentinel_password) is given.
  sentinel_password:
    type: str
    description:
      - Password of the user on the Sentinels, which are asked without one if it is not given.
notes:
  - The connection options fall back to the environment of the module's process, that of the managed host, with the variables of the
    keyfleet library, E(REDIS_URL), E(REDIS_HOST), E(REDIS_PORT), E(REDIS_USERNAME), E(REDIS_PASSWORD), E(REDIS_PASSWORD_FILE),
    E(REDIS_DB), E(REDIS_CLUSTER_NODES), E(REDIS_SENTINELS), E(REDIS_TLS_ENABLED), E(REDIS_TLS_CA_FILE), E(REDIS_TIMEOUT_SECONDS),
    E(REDIS_KEY_PREFIX) and the others that its documentation lists.
  - An option that names a server (O(url), O(login_host), O(login_port), O(login_unix_socket), O(startup_nodes), O(sentinels)) sets
    the whole environment aside, so that a password meant for one server is never sent to another. Without one, each other option
    replaces its variable.
  - If neither names a server, it is 127.0.0.1, port 6379.
"""

    CREDENTIALS = r"""
options:
  login_user:
    type: str
    description:
      - ACL user to log in as. The server's V(default) user if only O(login_password) is given.
  login_password:
    type: str
    description:
      - Password of the user on the server; it is never sent to Sentinels.
  tls:
    type: bool
    description:
      - Whether to talk TLS. V(false) if nothing says otherwise.
      - Where an option gives a URL, its scheme decides, and this option must not contradict it.
  ca_certs:
    type: path
    description:
      - PEM file with the authorities that may have signed the server's certificate; those of the system if not given.
  validate_certs:
    type: bool
    description:
      - Whether to verify the server's certificate and that it names the host. V(true) if nothing says otherwise.
  tls_server_name:
    type: str
    description:
      - Name that the server's certificate must have, where it is reached under another one, as through a tunnel or a load balancer. The
        host that is connected to if not given.
  client_cert_file:
    type: path
    description:
      - PEM file with the client's certificate, for servers that ask for one.
  client_key_file:
    type: path
    description:
      - PEM file with the key of O(client_cert_file).
  timeout_seconds:
    type: float
    description:
      - Longest wait for a connection and for each reply, in seconds, more than 0. V(5) if nothing says otherwise.
requirements:
  - redis-py 4.3 or later (C(python3-redis) of the distribution will do) on the host that runs the module
"""
