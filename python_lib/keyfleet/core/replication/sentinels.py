# SPDX-License-Identifier: MIT
"""What Sentinels say of one replication, and the commands that make them hand over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ..connect.node import ServerNode
from ..connect.settings import Settings
from ..connect.values import split_address
from ..errors import KeyfleetError, ServerError, UnreachableError

UNKNOWN_SERVICE = "No such master|No such primary"


@dataclass(frozen=True)
class Watched:
    """
    What a Sentinel knows.

    Attributes:
        primary: Host and port of the primary.
        is_failing_over: Whether it is in the middle of a failover.
        servers: Host and port of every server of the replication, the primary among them.
        candidates: Host and port of the replicas that it would promote.
    """

    primary: tuple[str, int]
    is_failing_over: bool
    servers: frozenset[tuple[str, int]]
    candidates: frozenset[tuple[str, int]] = frozenset()


class Sentinel(ServerNode):
    """One Sentinel by the address at which this host reaches it."""

    def watched(self, service: str) -> Optional[Watched]:
        """Return what it knows of a replication; None if it does not watch it."""
        replies = self._run([("SENTINEL", "MASTER", service), ("SENTINEL", "REPLICAS", service)])
        for reply in replies:
            if isinstance(reply, Exception):
                if any(text in str(reply) for text in UNKNOWN_SERVICE.split("|")):
                    return None
                raise self._error(reply, f"cannot be asked for {service}")
        primary, replicas = as_mapping(replies[0]), [as_mapping(one) for one in replies[1]]
        flags = set(primary["flags"].split(","))
        places = [(one["ip"], int(one["port"])) for one in (primary, *replicas)]
        good = frozenset(place for place, one in zip(places[1:], replicas) if _is_candidate(one, primary))
        return Watched(places[0], "failover_in_progress" in flags, frozenset(places), good)

    def fail_over(self, service: str, *, coordinated: bool) -> bool:
        """
        Start a failover; return whether the Sentinel has the command in this form.

        Raises:
            ServerError: if it refuses, since no replica is good, or the primary is too new to it.
        """
        words = ("SENTINEL", "FAILOVER", service, *(("COORDINATED",) if coordinated else ()))
        (reply,) = self.change(words, problem="cannot fail over", ignore="wrong number of arguments|INPROG")
        return "wrong number of arguments" not in str(reply)


def _is_candidate(replica: Mapping[str, str], primary: Mapping[str, str]) -> bool:
    """Return whether a Sentinel takes a replica for one that may be promoted."""
    return (
        set(replica["flags"].split(",")) == {"slave"}
        and replica["role-reported"] == "slave"
        and replica["master-link-status"] == "ok"
        and (replica["master-host"], replica["master-port"]) == (primary["ip"], primary["port"])
        and replica["slave-priority"] != "0"
    )


def as_mapping(reply: Any) -> dict[str, str]:
    """Return a reply of names and values, which redis-py may have parsed already, as text."""
    if isinstance(reply, Mapping):
        return {_text(name): _flags(value) for name, value in reply.items()}
    return {_text(name): _text(value) for name, value in zip(reply[::2], reply[1::2])}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _flags(value: Any) -> str:
    return ",".join(sorted(value)) if isinstance(value, (set, frozenset)) else _text(value)


def open_sentinels(settings: Settings, addresses: Iterable[str]) -> tuple[list[Sentinel], dict[str, KeyfleetError]]:
    """Connect to each Sentinel; return those that answer, and why others do not."""
    found: list[Sentinel] = []
    errors: dict[str, KeyfleetError] = {}
    for address in addresses:
        try:
            sentinel = Sentinel(settings, *split_address(address))
            sentinel.ask(("PING",), problem="cannot be asked")
        except KeyfleetError as error:
            errors[address] = error
        else:
            found.append(sentinel)
    return found, errors


def agreed(views: Sequence[Watched], asked: int) -> Optional[Watched]:
    """
    Return the view of the majority of *asked* Sentinels; None if there is none, so far, or during a failover.
    """
    if any(view.is_failing_over for view in views):
        return None
    votes = Counter(view.primary for view in views)
    if not votes:
        return None
    place, count = votes.most_common(1)[0]
    if 2 * count <= asked:
        return None
    servers = frozenset[Any]().union(*(view.servers for view in views if view.primary == place))
    return Watched(place, False, servers)


def refuse_silent(errors: Mapping[str, KeyfleetError], count: int) -> None:
    """
    Refuse to continue without a majority of the Sentinels, since the others may have decided.

    Where the hosts of all of them refuse the connection, none runs, so none decides: they are still to be started.

    Raises:
        UnreachableError: naming those that do not answer.
        KeyfleetError: of the first one that answers and refuses.
    """
    for error in errors.values():
        if not isinstance(error, UnreachableError):
            raise error
    if len(errors) == count and all("refused" in str(error) for error in errors.values()):
        return
    if errors and 2 * len(errors) >= count:
        raise ServerError(f"of {count} Sentinels {len(errors)} do not answer, so who is the primary cannot be asked: {', '.join(errors)}")
