#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_invalidate
short_description: Delete keys of a Redis or Valkey deployment by pattern, prefix or name, or invalidate tags of its cache
version_added: 0.1.0
author:
  - keyfleet maintainers (@keyfleet)
description:
  - Deletes keys on the server, or on every primary of a cluster, and counts exactly what was deleted.
  - Goes through the keys with C(SCAN) in pages of 2,000 and deletes each page with C(UNLINK) in the same round trip as the next C(SCAN), so
    that other clients do not wait. Each pattern costs one pass over all keys, for each of O(types) if given.
  - O(tags) are those of entries that the Python client caches. Each is one C(INCR), whatever number of entries it has.
  - Where C(UNLINK) is missing or denied, C(DEL) is used.
  - A replica is refused, and so is a cluster of which only one node is named with O(login_host).
extends_documentation_fragment:
  - keyfleet.redis.connection
  - keyfleet.redis.connection.credentials
attributes:
  check_mode:
    support: full
    description: Counts each key that would be deleted once, also where patterns overlap. It cannot foresee that the server denies deleting.
  diff_mode:
    support: full
    description: Shows the number of keys before and after, and the first ten names.
  idempotent:
    support: full
    description: A second run changes nothing unless keys were created meanwhile.
options:
  patterns:
    type: list
    elements: str
    description:
      - Glob patterns as the server understands them, with V(*), V(?), V([abc]), V([^a]), V([a-z]) and V(\\) as the escape.
      - A pattern that matches every key, such as V(*), is refused without O(all_keys).
  keys:
    type: list
    elements: str
    description:
      - Names of keys. Glob characters in them have no meaning.
  prefix:
    type: str
    description:
      - Literal text before each of O(patterns) and O(keys). Alone it selects every key that begins with it.
      - Without it, E(REDIS_KEY_PREFIX) if the connection comes from the environment, else nothing.
  types:
    type: list
    elements: str
    choices: [string, hash, list, set, zset, stream]
    description:
      - Only keys of these types. Needs Redis 6.0 for O(patterns) and O(prefix).
  all_keys:
    type: bool
    default: false
    description:
      - Whether every key may be selected. Without O(patterns), O(keys) and O(prefix) it selects every key of O(db).
  tags:
    type: list
    elements: str
    description:
      - Tags of cached entries, after the keys are deleted; entries that have one are not served any more. The entries themselves expire.
      - The name of each counter begins with O(prefix), which selects no keys then unless O(patterns), O(keys) or O(all_keys) are given.
  max_keys:
    type: int
    description:
      - Count first, and delete nothing and fail if more keys than this match. Never more than this many are deleted, also when keys are
        created meanwhile.
  keys_per_second:
    type: int
    description:
      - Largest number of keys to delete per second, in steps of a tenth of a second. Without it, as fast as it goes.
notes:
  - While the slots of a cluster move between nodes, keys in them can escape; run again afterwards.
  - If a run fails part way, the failure returns RV(deleted) and the other counts, and C(changed) is true if anything was deleted.
seealso:
  - module: keyfleet.redis.redis_key
"""

EXAMPLES = r"""
- name: Forget the rendered pages of the shop, at most 50,000
  keyfleet.redis.redis_invalidate:
    patterns:
      - page:shop:*
      - fragment:shop:*
    max_keys: 50000

- name: Let no cached page be served that shows one of these products
  keyfleet.redis.redis_invalidate:
    tags:
      - product:17
      - product:18

- name: Delete what one tenant has, whatever characters its name holds
  keyfleet.redis.redis_invalidate:
    prefix: "tenant[{{ tenant }}]:"

- name: Empty the whole cache slowly
  keyfleet.redis.redis_invalidate:
    startup_nodes: [10.0.0.1:6379, 10.0.0.2:6379]
    all_keys: true
    keys_per_second: 5000
"""

RETURN = r"""
matched:
  description:
    - Number of keys found. Exact in check mode, up to what other clients do meanwhile. In a run, a key that another client creates again
      after it was deleted may count twice.
  returned: when keys were searched
  type: int
  sample: 20000
deleted:
  description: Number of keys that the servers said they removed.
  returned: when keys were searched
  type: int
  sample: 20000
unconfirmed:
  description: Number of keys that may have been removed, because the connection broke after the command was sent.
  returned: when keys were searched
  type: int
  sample: 0
nodes:
  description: The same counts for each node.
  returned: when keys were searched
  type: list
  elements: dict
  contains:
    node:
      description: Address of the node.
      type: str
    matched:
      description: Number of keys found.
      type: int
    deleted:
      description: Number of keys removed.
      type: int
    unconfirmed:
      description: Number of keys that may have been removed.
      type: int
tags:
  description: For each of O(tags) whether entries may have had it; without any, nothing is changed.
  returned: when tags were given and the keys were deleted
  type: dict
  sample: {"product:17": true}
error:
  description: Class of the error.
  returned: failure
  type: str
  sample: RefusedError
"""

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.connection_options import CONNECTION_CONSTRAINTS, connection_argument_spec, fail, run
from ..module_utils.keyfleet.connect.settings import Settings
from ..module_utils.keyfleet.errors import InvalidationError, KeyfleetError
from ..module_utils.keyfleet.keys.invalidate import Invalidated, invalidate, select
from ..module_utils.keyfleet.keys.sweep import TYPES, Tally
from ..module_utils.keyfleet.keys.tags import invalidate_tags


def argument_spec() -> dict[str, dict[str, Any]]:
    """Return the options of the module."""
    return {
        **connection_argument_spec(),
        "patterns": {"type": "list", "elements": "str"},
        "keys": {"type": "list", "elements": "str", "no_log": False},
        "prefix": {"type": "str"},
        "types": {"type": "list", "elements": "str", "choices": list(TYPES)},
        "all_keys": {"type": "bool", "default": False, "no_log": False},
        "tags": {"type": "list", "elements": "str"},
        "max_keys": {"type": "int", "no_log": False},
        "keys_per_second": {"type": "int", "no_log": False},
    }


def result_of(outcome: Invalidated, module: AnsibleModule) -> dict[str, Any]:
    """Return what the module prints: counts, ``changed`` and the diff."""
    removed = outcome.matched if module.check_mode else outcome.deleted + outcome.unconfirmed
    result = {"changed": removed > 0, **outcome.as_dict()}
    if module._diff:
        gone = removed >= outcome.matched
        result["diff"] = {
            "before": {"matching_keys": outcome.matched, "first_names": outcome.sample},
            "after": {"matching_keys": max(0, outcome.matched - removed), "first_names": [] if gone else outcome.sample},
        }
    return result


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True, **CONNECTION_CONSTRAINTS)
    params = module.params
    stopped: Optional[KeyfleetError] = None

    tags: dict[str, bool] = {}

    def work(client: Any, settings: Settings) -> Invalidated:
        nonlocal stopped
        prefix = settings.key_prefix if params["prefix"] is None else params["prefix"]
        given = {name: params[name] or () for name in ("patterns", "keys", "types")}
        if params["tags"] and not (given["patterns"] or given["keys"] or params["all_keys"]):
            tags.update(invalidate_tags(client, settings, prefix, params["tags"], dry_run=module.check_mode))
            return Invalidated(())
        selection = select(prefix=prefix, all_keys=params["all_keys"], **given)
        limits = {"max_keys": params["max_keys"], "keys_per_second": params["keys_per_second"]}
        try:
            outcome = invalidate(client, settings, selection, dry_run=module.check_mode, **limits)
            tags.update(invalidate_tags(client, settings, prefix, params["tags"] or (), dry_run=module.check_mode))
            return outcome
        except InvalidationError as error:
            stopped = error
            nodes: Sequence[Mapping[str, Any]] = error.nodes
            return Invalidated(tuple(Tally(**counts) for counts in nodes), list(error.sample))

    result = result_of(run(module, work), module)
    if tags:
        result.update(tags=tags, changed=result["changed"] or any(tags.values()))
    if isinstance(stopped, InvalidationError):
        fail(module, stopped.cause, **result, msg=str(stopped))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
