#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_key
short_description: Create, change and delete keys of a Redis or Valkey server
version_added: 0.1.0
author:
  - keyfleet maintainers (@keyfleet)
description:
  - Makes keys what they should be, one with O(key) or many thousand with O(entries), and reports for each what was done.
  - Reads first, and writes only what differs. Numbers and booleans given in YAML are compared as the text that the server stores,
    JSON by its meaning, hashes, sets and sorted sets without regard to order.
  - Many entries travel in pipelines of up to 500 keys, also on a cluster.
  - Every key is written in one step. A client that reads it meanwhile gets the old value or the new one, never a part. Collections are
    written by a script on the server (C(EVAL)); texts, JSON, TTLs and deletions need C(SET), C(PEXPIRE), C(PERSIST), C(UNLINK) alone.
  - If another client creates, deletes or changes the type of a key between reading and writing, the key is read again, up to three
    times. A value that is changed in that moment is overwritten.
extends_documentation_fragment:
  - keyfleet.redis.connection
  - keyfleet.redis.connection.credentials
attributes:
  check_mode:
    support: full
    description: Predicts what a run would do, failures of single keys included. It cannot foresee that the server denies a write.
  diff_mode:
    support: full
    description:
      - Shows type, TTL and value of the first hundred keys that change, before and after, except as O(hide_values) says.
      - A value of more than 16 KiB is shown by its size and checksum, bytes that are not UTF-8 as V(b'\\xff'). Of a stream whose
        entries have ids, it shows what lies between the first and the last desired id.
  idempotent:
    support: full
    description: A second run changes nothing, except that TTLs are renewed as O(ttl_tolerance_seconds) says.
options:
  key:
    type: str
    description:
      - Name of the key, without O(prefix).
  entries:
    type: list
    elements: dict
    description:
      - Keys to manage, each with the options of a single key. No key may be named twice.
      - What an entry does not give is taken from the option of the task with the same name. An entry that gives O(entries[].ttl_seconds) or
        O(entries[].persist) takes neither from the task.
      - All entries are checked before the first key is touched. An entry that fails later, for instance because the key holds another
        type, does not keep the others from being done; the task then fails and names it.
    suboptions:
      key:
        type: str
        required: true
        description: See O(key).
      value:
        type: raw
        description: See O(value).
      type:
        type: str
        choices: [string, json, hash, list, set, zset, stream]
        description: See O(type).
      state:
        type: str
        choices: [present, absent]
        description: See O(state).
      ttl_seconds:
        type: int
        description: See O(ttl_seconds).
      ttl_tolerance_seconds:
        type: int
        description: See O(ttl_tolerance_seconds).
      persist:
        type: bool
        description: See O(persist).
      only_if:
        type: str
        choices: [missing, exists]
        description: See O(only_if).
      prefix:
        type: str
        description: See O(prefix).
      replace_type:
        type: bool
        description: See O(replace_type).
  value:
    type: raw
    description:
      - What the key should hold. Its form depends on O(type). Empty collections are refused, as the server keeps none.
      - V(string) takes a text, number or boolean. Numbers are stored as C(1) or C(1.5), booleans as C(true) or C(false).
      - V(json) takes any structure, stored as compact JSON text. A text must itself be JSON.
      - V(hash) takes a mapping of field to value. Other fields are removed.
      - V(list) takes a list, in order. V(set) takes a list whose order does not matter. Other items are removed.
      - V(zset) takes a mapping of member to score, a number, C(inf) or C(-inf). Other members are removed.
      - V(stream) takes a list of entries, mappings with C(fields) and perhaps C(id), such as C(1700000000000-0). They are added to what
        the stream holds, nothing is removed. Either all entries have an id or none. With ids, an entry is in place if its id holds the
        same fields; other fields, or an id below the highest that the stream has reached, are a failure. Without ids, an entry is in place
        if the stream holds the same fields anywhere, n times if it is given n times. An entry that the stream has trimmed is added again.
      - Without O(value), only the TTL of an existing key of any type is managed.
  type:
    type: str
    choices: [string, json, hash, list, set, zset, stream]
    default: string
    description:
      - Type of the value. V(json) is stored as a string.
  state:
    type: str
    choices: [present, absent]
    default: present
    description:
      - V(present) makes the key hold O(value) and have the TTL that O(ttl_seconds) or O(persist) says.
      - V(absent) deletes it, whatever its type. All other options of the key but O(prefix) are then without effect.
  ttl_seconds:
    type: int
    description:
      - Time after which the server deletes the key, in seconds, 1 to 3153600000.
      - Without this and O(persist) the TTL stays as it is; a new key has none.
  ttl_tolerance_seconds:
    type: int
    description:
      - How far the remaining time may have run down, in seconds, 0 or more. Half of O(ttl_seconds) if not given.
      - A key is kept as it is while its remaining time is between O(ttl_seconds) minus this and O(ttl_seconds); below, the TTL is renewed,
        above, it is shortened. So a second run is unchanged as long as it comes within the tolerance, and a key that is managed more often
        than that never expires. With V(0) the TTL is renewed by every run.
      - Whenever the value is written, the TTL starts anew.
  persist:
    type: bool
    description:
      - Whether the key shall have no TTL; V(true) removes the one it has.
  only_if:
    type: str
    choices: [missing, exists]
    description:
      - V(missing) leaves a key that exists alone, whatever it holds. V(exists) leaves a key that does not exist alone.
      - The server itself makes sure that this holds when the key is written.
  prefix:
    type: str
    description:
      - Put before O(key). Without it, E(REDIS_KEY_PREFIX) if the connection comes from the environment, else nothing.
  replace_type:
    type: bool
    description:
      - Whether a key that holds another type may be replaced; its TTL goes with it. Otherwise such a key is a failure.
  hide_values:
    type: bool
    default: false
    description:
      - Whether to keep values out of the diff and of what is shown at C(-vvv). They are never in the results or in the system log.
seealso:
  - module: keyfleet.redis.redis_invalidate
notes:
  - On ElastiCache Serverless a request has at most 3,999 arguments, so a collection can change some 2,000 fields or members in one run.
"""

EXAMPLES = r"""
- name: Set a feature switch
  keyfleet.redis.redis_key:
    key: feature:checkout
    value: true

- name: Keep a hash, with a TTL that every run within 12 hours keeps
  keyfleet.redis.redis_key:
    login_host: cache.example.com
    login_password: "{{ vault_redis_password }}"
    key: limits
    type: hash
    value:
      requests: 100
      window_seconds: 60
    ttl_seconds: 86400

- name: Create a counter unless the application has
  keyfleet.redis.redis_key:
    key: orders:last
    value: 0
    only_if: missing

- name: Load ten thousand keys of a cluster
  keyfleet.redis.redis_key:
    startup_nodes: [10.0.0.1:6379, 10.0.0.2:6379]
    prefix: "price:"
    type: json
    entries: "{{ prices | dict2items(key_name='key', value_name='value') }}"

- name: Delete two keys of whatever type
  keyfleet.redis.redis_key:
    url: redis://127.0.0.1:6379/2
    state: absent
    entries:
      - key: old:index
      - key: old:queue
"""

RETURN = r"""
counts:
  description: Number of keys by action, complete however many there are.
  returned: when the server was asked
  type: dict
  sample: {created: 2, updated: 0, ttl: 0, deleted: 0, unchanged: 9998, failed: 0, unknown: 0}
entries:
  description: What was done to each key, in the order given, the first hundred.
  returned: when the server was asked
  type: list
  elements: dict
  contains:
    key:
      description: Name of the key with its prefix.
      type: str
    state:
      description: State asked for.
      type: str
    action:
      description:
        - V(created), V(updated), V(ttl) (only the TTL was changed), V(deleted), V(unchanged) or V(failed).
        - V(unknown) if the connection broke after the write was sent. It counts as changed.
      type: str
failures:
  description: Keys that failed or are unknown, the first hundred.
  returned: when the server was asked
  type: list
  elements: dict
  contains:
    index:
      description: Position of the entry in O(entries), from 0.
      type: int
    key:
      description: Name of the key with its prefix.
      type: str
    error:
      description: Class of the error.
      type: str
    msg:
      description: What went wrong.
      type: str
error:
  description: Class of the error, of the first one if several keys failed.
  returned: failure
  type: str
  sample: WrongTypeError
"""

from collections.abc import Mapping
from typing import Any

from ..module_utils.connection_options import CONNECTION_CONSTRAINTS, connection_argument_spec, fail, run
from ..module_utils.keyfleet.connect.settings import Settings
from ..module_utils.keyfleet.keys.apply import KeyReport, apply_entries
from ..module_utils.keyfleet.keys.plan import parse_entries
from ..module_utils.quiet_module import QuietModule

DEFAULTS = {"type": "string", "state": "present"}


class KeyModule(QuietModule):
    """A quiet module that keeps a long list of entries out of the result."""

    def exit_json(self, **kwargs: Any) -> None:
        """Print the result and end."""
        super().exit_json(**kwargs, invocation=shown_arguments(self.params))

    def fail_json(self, msg: str, **kwargs: Any) -> None:
        """Print the failure and end."""
        super().fail_json(msg, **kwargs, invocation=shown_arguments(self.params))


def shown_arguments(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to show at -vvv: entries only by their number, values only if they are not to be hidden."""
    shown = dict(params)
    if isinstance(params.get("entries"), list):
        shown["entries"] = f"{len(params['entries'])} entries"
    if params.get("hide_values") not in (None, False) and params.get("value") is not None:
        shown["value"] = "VALUE_HIDDEN"
    return {"module_args": shown}


def key_argument_spec() -> dict[str, dict[str, Any]]:
    """Return the options of one key, without defaults, as an entry takes from the task what it does not give."""
    return {
        "key": {"type": "str", "no_log": False},
        "value": {"type": "raw"},
        "type": {"type": "str", "choices": ["string", "json", "hash", "list", "set", "zset", "stream"]},
        "state": {"type": "str", "choices": ["present", "absent"]},
        "ttl_seconds": {"type": "int"},
        "ttl_tolerance_seconds": {"type": "int"},
        "persist": {"type": "bool"},
        "only_if": {"type": "str", "choices": ["missing", "exists"]},
        "prefix": {"type": "str"},
        "replace_type": {"type": "bool"},
    }


def argument_spec() -> dict[str, dict[str, Any]]:
    """Return the options of the module."""
    one = key_argument_spec()
    entry = {**key_argument_spec(), "key": {**one["key"], "required": True}}
    for name, value in DEFAULTS.items():
        one[name]["default"] = value
    return {
        **connection_argument_spec(),
        **one,
        "entries": {"type": "list", "elements": "dict", "options": entry, "mutually_exclusive": [("ttl_seconds", "persist")]},
        "hide_values": {"type": "bool", "default": False},
    }


def main() -> None:
    """Run the module."""
    module = KeyModule(
        argument_spec=argument_spec(),
        supports_check_mode=True,
        required_one_of=[("key", "entries")],
        required_together=CONNECTION_CONSTRAINTS["required_together"],
        required_by=CONNECTION_CONSTRAINTS["required_by"],
        mutually_exclusive=[
            *CONNECTION_CONSTRAINTS["mutually_exclusive"],
            ("key", "entries"),
            ("value", "entries"),
            ("ttl_seconds", "persist"),
        ],
    )
    params = module.params

    def work(client: Any, settings: Settings) -> KeyReport:
        task = {name: params[name] for name in key_argument_spec()}
        entries = parse_entries([task] if params["entries"] is None else params["entries"], task, settings.key_prefix)
        return apply_entries(client, settings, entries, check=module.check_mode, keep_plans=module._diff)

    report = run(module, work)
    result = report.as_result()
    if module._diff:
        result["diff"] = report.diff(hide_values=params["hide_values"])
    errors = [failure.error for failure in report.failures if failure.error is not None]
    if errors:
        fail(module, errors[0], **result, msg=report.message())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
