# SPDX-License-Identifier: MIT
"""What the nodes of a cluster, and Sentinels, say about the deployment as a whole; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

from ..connect.members import ListedNode
from ..errors import DeniedError, ServerError
from .model import DEGRADED, SKIPPED, Check, Problem, judged, reason_of

NO_MEMBERS = Check("members", SKIPPED, "cluster mode is off")
NO_SENTINELS = Check("sentinels", SKIPPED, "no Sentinel is configured")

Table = Sequence[ListedNode]


def judge_members(
    tables: Mapping[str, Union[Table, ServerError]], online_replicas: Mapping[str, int], shard_replicas: Optional[int] = None
) -> Check:
    """
    Judge whether the nodes of a cluster agree and reach each other, and whether its shards have their replicas.

    Args:
        tables: Reply of CLUSTER NODES of each primary that was asked, by its address, or the error that answered.
        online_replicas: How many replicas are connected to each primary and in sync, where INFO says so.
        shard_replicas: How many each shard should have at least. If not given, one where another shard has one.
    """
    known = {asked: table for asked, table in tables.items() if not isinstance(table, ServerError)}
    if not known:
        errors = [table for table in tables.values() if isinstance(table, ServerError)]
        return Check("members", SKIPPED, reason_of(errors[0])) if errors else NO_MEMBERS
    failed, suspected = _flagged(known, "fail"), _flagged(known, "fail?")
    few, found = _few_replicas(known, shard_replicas), _counted(known)
    links = [(asked, node) for asked, table in known.items() for node in table if not node.is_linked and not _is_excused(node)]
    problems: list[Problem] = [(DEGRADED, text) for text in _disagreements(known)]
    problems += [(DEGRADED, f"node {name} has failed, {_say(by, known)}") for name, by in failed.items()]
    problems += [(DEGRADED, f"node {name} may have failed, {_say(by, known)}") for name, by in suspected.items()]
    problems += [(DEGRADED, f"node {asked} has no link to node {_name(node)}") for asked, node in links]
    for name, count in few.items():
        number = "no replica" if shard_replicas is None else f"{count} of {shard_replicas} replicas"
        problems.append((DEGRADED, f"the shard of {name} has {number}"))
    problems += [(DEGRADED, text) for text in _missing_replicas(known, online_replicas)]
    found.update(failed=sorted(failed), suspected=sorted(suspected), without_replica=[name for name, count in few.items() if not count])
    return judged("members", found, problems)


def _is_excused(node: ListedNode) -> bool:
    """Whether a missing link to *node* is reported in another way, or is none: to itself, or to a node that is only being met."""
    return bool(node.flags & {"myself", "fail", "fail?", "noaddr", "handshake"})


def _name(node: ListedNode) -> str:
    return f"with id {node.id}" if node.address.startswith(":") else node.address


def _say(by: Sequence[str], known: Mapping[str, Table]) -> str:
    return f"say {len(by)} of the {len(known)} primaries that were asked"


def _flagged(known: Mapping[str, Table], flag: str) -> dict[str, list[str]]:
    """Return the nodes that have *flag* in any table, each with the nodes whose table says so."""
    found: dict[str, list[str]] = {}
    for asked, table in known.items():
        for node in table:
            if flag in node.flags:
                found.setdefault(_name(node), []).append(asked)
    return found


def _counted(known: Mapping[str, Table]) -> dict[str, Any]:
    nodes = {node.id: node for table in known.values() for node in table if not node.flags & {"handshake", "noaddr"}}
    replicas = sum(node.primary is not None for node in nodes.values())
    return {"nodes": len(nodes), "primaries": len(nodes) - replicas, "replicas": replicas}


def _disagreements(known: Mapping[str, Table]) -> Iterator[str]:
    """Return whether tables differ in the owner of a slot; those of a node print the ranges in one way."""
    owners = {asked: {(slots, node.id) for node in table for slots in node.slots} for asked, table in known.items()}
    first, *others = owners
    differing = [asked for asked in others if owners[asked] != owners[first]]
    if differing:
        ranges = sorted({slots for asked in differing for slots, _owner in owners[asked] ^ owners[first]}, key=_first_slot)
        which = f"{ranges[0]}{', …' if ranges[1:] else ''}"
        yield f"the nodes {first} and {', '.join(differing)} do not agree on the owner of the slots {which}"


def _first_slot(slots: str) -> tuple[int, str]:
    return int(slots.partition("-")[0]), slots


def _few_replicas(known: Mapping[str, Table], least: Optional[int]) -> dict[str, int]:
    """Return how many replicas that have not failed each primary with fewer than *least* has; see `judge_members` for None."""
    table = next(iter(known.values()))
    counts = Counter(node.primary for node in table if "fail" not in node.flags)
    if least is None:
        least = int(any(node.primary is not None for node in table))
    serving = sorted((node for node in table if node.slots and "fail" not in node.flags), key=_name)
    return {_name(node): counts[node.id] for node in serving if counts[node.id] < least}


def _missing_replicas(known: Mapping[str, Table], online_replicas: Mapping[str, int]) -> Iterator[str]:
    for asked, table in known.items():
        own = next((node.id for node in table if "myself" in node.flags), "")
        listed = sum(node.primary == own and "fail" not in node.flags for node in table)
        online = online_replicas.get(asked, listed)
        if online < listed:
            yield f"of the {listed} replicas of {asked}, {online} are connected and in sync"


class SentinelView(NamedTuple):
    """
    What one Sentinel says about a service.

    Attributes:
        primary: Address of the primary that it names.
        is_down: Whether it holds that primary for down.
        replicas, other_sentinels: How many it knows.
        quorum: Sentinels that must agree that the primary is down.
        no_failover: Why no failover is possible; empty if one is, or where the Sentinel does not say.
    """

    primary: str
    is_down: bool
    replicas: int
    other_sentinels: int
    quorum: int
    no_failover: str


def sentinel_view(fields: Mapping[str, Any], quorum: Union[str, ServerError]) -> SentinelView:
    """
    Return what a Sentinel says.

    Args:
        fields: Reply of SENTINEL MASTER by name; the flags are a text with commas or a set.
        quorum: Reply of SENTINEL CKQUORUM, or the error that it is.
    """
    flags = fields["flags"].split(",") if isinstance(fields["flags"], str) else fields["flags"]
    host, port = str(fields["ip"]), fields["port"]
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    reason = reason_of(quorum) if isinstance(quorum, ServerError) and not isinstance(quorum, DeniedError) else ""
    return SentinelView(
        primary=address,
        is_down=bool({"s_down", "o_down"} & set(flags)),
        replicas=int(fields["num-slaves"]),
        other_sentinels=int(fields["num-other-sentinels"]),
        quorum=int(fields["quorum"]),
        no_failover=reason,
    )


def judge_sentinels(views: Mapping[str, Union[SentinelView, ServerError]]) -> Check:
    """Judge whether the Sentinels answer, agree, and can fail over; *views* has what each says, by its address."""
    known = {asked: view for asked, view in views.items() if not isinstance(view, ServerError)}
    silent = {asked: view for asked, view in views.items() if isinstance(view, ServerError)}
    problems: list[Problem] = [(DEGRADED, f"Sentinel {asked} gives no answer: {reason_of(error)}") for asked, error in silent.items()]
    found: dict[str, Any] = {"sentinels": len(views), "answering": len(known), "primaries": _by_primary(known)}
    if len(found["primaries"]) > 1:
        said = "; ".join(f"{primary} ({', '.join(asked)})" for primary, asked in found["primaries"].items())
        problems.append((DEGRADED, f"the Sentinels do not agree on the primary: {said}"))
    for asked, view in known.items():
        problems += [(DEGRADED, text) for text in _sentinel_problems(asked, view, len(views))]
    for view in list(known.values())[:1]:
        found.update(quorum=view.quorum, replicas=view.replicas)
    return judged("sentinels", found, problems)


def _by_primary(known: Mapping[str, SentinelView]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for asked, view in known.items():
        found.setdefault(view.primary, []).append(asked)
    return found


def _sentinel_problems(asked: str, view: SentinelView, configured: int) -> Iterable[str]:
    if view.no_failover:
        yield f"Sentinel {asked} could not fail over: {view.no_failover}"
    if view.is_down:
        yield f"Sentinel {asked} holds the primary {view.primary} for down"
    if view.other_sentinels + 1 < configured:
        yield f"Sentinel {asked} knows {view.other_sentinels} other Sentinels, and {configured} are configured"
