# SPDX-License-Identifier: MIT
"""
Delete keys by pattern, prefix or name on every primary, in bounded pages and with exact counts.

Each pattern is one scan of the keyspace (one for each type, where types are given), so that the server does the matching.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional, Union

from ..connect.primaries import Primary, primaries
from ..connect.redis_py import translate, translated
from ..errors import DeniedError, InvalidationError, KeyfleetError, RefusedError
from .sweep import TYPES, Distinct, Pace, Remover, Selection, Tally, asker, pages, sweep

try:
    from redis.cluster import RedisCluster
    from redis.exceptions import RedisClusterException, RedisError
except ImportError:
    pass

if TYPE_CHECKING:
    from ..connect.redis_py import AnyClient
    from ..connect.settings import Settings

Name = Union[str, bytes]
Shares = Mapping[str, list[bytes]]

SAMPLE = 10


def select(
    *,
    patterns: Iterable[Name] = (),
    keys: Iterable[Name] = (),
    prefix: Name = "",
    types: Iterable[str] = (),
    all_keys: bool = False,
) -> Selection:
    """
    Build a selection, and refuse one that would empty the database by accident.

    Args:
        patterns: Globs with ``*``, ``?``, ``[…]`` and ``\\`` as the escape.
        keys: Exact names.
        prefix: Literal text that every selected key begins with; it stands before each pattern and name, and alone it selects all
            keys that begin with it.
        types: Only keys of these types.
        all_keys: Whether a selection of every key is meant.
    Raises:
        RefusedError: if nothing is selected, a type is unknown, or every key would match without *all_keys*.
    """
    start, names = _bytes(prefix), tuple(dict.fromkeys(_bytes(prefix) + _bytes(key) for key in keys))
    globs = tuple(dict.fromkeys(escape(start) + _bytes(pattern) for pattern in patterns))
    if not globs and not names and (start or all_keys):
        globs = (escape(start) + b"*",)
    unknown = [name for name in types if name not in TYPES]
    if unknown:
        raise RefusedError(f"type {unknown[0]!r} is unknown; allowed are {', '.join(TYPES)}")
    if not globs and not names:
        raise RefusedError("nothing is selected; give patterns, keys or a prefix that is not empty, or all_keys to delete everything")
    every = [glob for glob in globs if re.fullmatch(rb"[*?]*\*[*?]*", glob)]
    if every and not all_keys:
        raise RefusedError(f"the pattern {printable(every[0])!r} matches every key; set all_keys if that is meant")
    return Selection(globs, names, tuple(dict.fromkeys(types)))


def escape(text: bytes) -> bytes:
    """Return the glob pattern that matches exactly *text*."""
    return re.sub(rb"([*?\[\]\\])", rb"\\\1", text)


def printable(key: bytes) -> str:
    """Return a name to show; bytes that are not UTF-8 become ``\\x``."""
    return key.decode("utf-8", "backslashreplace")


def _bytes(name: Name) -> bytes:
    return name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Invalidated:
    """
    What happened on all nodes.

    Attributes:
        nodes: One entry for each primary.
        sample: The first names that matched, printable.
    """

    nodes: tuple[Tally, ...]
    sample: list[str] = field(default_factory=list)

    @property
    def matched(self) -> int:
        """Keys found on all nodes."""
        return sum(node.matched for node in self.nodes)

    @property
    def deleted(self) -> int:
        """Keys that the servers said they removed."""
        return sum(node.deleted for node in self.nodes)

    @property
    def unconfirmed(self) -> int:
        """Keys that may have been removed: the reply never came."""
        return sum(node.unconfirmed for node in self.nodes)

    def remember(self, page: Sequence[bytes]) -> None:
        """Keep the names of a page for the sample while it is not full."""
        self.sample.extend(printable(key) for key in page[: SAMPLE - len(self.sample)])

    def as_dict(self) -> dict[str, Any]:
        """Return the counts, in total and by node."""
        totals = {"matched": self.matched, "deleted": self.deleted, "unconfirmed": self.unconfirmed}
        return {**totals, "nodes": [dict(vars(node)) for node in self.nodes]}


def invalidate(
    client: AnyClient,
    settings: Settings,
    selection: Selection,
    *,
    max_keys: Optional[int] = None,
    keys_per_second: Optional[float] = None,
    dry_run: bool = False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Invalidated:
    """
    Delete the selected keys on every primary, one node after another.

    A reshard that moves slots meanwhile can hide keys from the scan.

    Args:
        client: From `connect` with the same *settings*.
        selection: From `select`.
        max_keys: Count first, and delete nothing when more keys match; never deletes more than this many.
        keys_per_second: Bound on the rate of deletion, in steps of a tenth of a second; ``None`` is as fast as it goes.
        dry_run: Only count.
        clock, sleep: Stand-ins for tests.
    Raises:
        RefusedError: if more than *max_keys* match, or the server is a replica or one node of a cluster; nothing was deleted.
        InvalidationError: if deleting ended early; says what was deleted.
        ServerError: if counting failed; nothing was deleted.
    """
    if max_keys is not None and max_keys < 0:
        raise RefusedError(f"max_keys is {max_keys}; allowed are 0 and above")
    if keys_per_second is not None and keys_per_second <= 0:
        raise RefusedError(f"keys_per_second is {keys_per_second}; allowed are numbers above 0")
    try:
        nodes = primaries(client)
        _refuse_wrong_targets(client, nodes, settings)
        shares = _share_keys(client, nodes, selection.keys)
        if dry_run or max_keys is not None:
            counted = _count(nodes, shares, selection, max_keys)
            if dry_run:
                return counted
    except (RedisError, RedisClusterException, OSError) as error:
        raise translate(error, settings) from error
    outcome = Invalidated(tuple(Tally(node.address) for node in nodes))
    pace = Pace(keys_per_second, max_keys, clock, sleep)
    try:
        for node, tally in zip(nodes, outcome.nodes):
            sweep(Remover(client, node, tally, settings), selection, shares.get(node.address, []), pace, outcome.remember)
    except (KeyfleetError, RedisError, RedisClusterException, OSError) as error:
        raise InvalidationError(translate(error, settings), outcome.as_dict()["nodes"], outcome.sample) from error
    return outcome


def _refuse_wrong_targets(client: AnyClient, nodes: Sequence[Primary], settings: Settings) -> None:
    """Refuse a replica, and a single node that is part of a cluster; where INFO is denied that is not known, and the run continues."""
    for node in nodes:
        try:
            with translated(settings):
                info = node.client.info()
        except DeniedError:
            return
        if info.get("cluster_enabled") and not isinstance(client, RedisCluster):
            raise RefusedError(f"{node.address} is one node of a cluster and holds a part of the keys; name the cluster's nodes instead")
        if info.get("role") == "slave" and info.get("slave_read_only", 1):
            raise RefusedError(f"{node.address} is a replica and takes no writes; name its primary instead")


def _share_keys(client: AnyClient, nodes: Sequence[Primary], keys: Sequence[bytes]) -> Shares:
    """Return the named keys by the address of the node that holds them."""
    if not isinstance(client, RedisCluster):
        return {nodes[0].address: list(keys)}
    shares: dict[str, list[bytes]] = {}
    for key in keys:
        shares.setdefault(client.get_node_from_key(key).name, []).append(key)  # type: ignore[no-untyped-call]
    return shares


def _count(nodes: Sequence[Primary], shares: Shares, selection: Selection, limit: Optional[int]) -> Invalidated:
    """Count the keys that match, each once; refuse as soon as they are more than *limit*."""
    outcome = Invalidated(tuple(Tally(node.address) for node in nodes))
    for node, tally in zip(nodes, outcome.nodes):
        distinct, before = Distinct(), outcome.matched
        for page in pages(asker(node), selection, shares.get(node.address, [])):
            distinct.add(page)
            outcome.remember(page)
            if limit is not None and before + distinct.upper_bound > limit and before + distinct.count() > limit:
                raise RefusedError(f"more than {limit} keys match, which is max_keys; nothing was deleted")
        tally.matched = distinct.count()
    return outcome
