# SPDX-License-Identifier: MIT
"""
Which Sentinel, or which node of a cluster, redis-py believes, and whether the server that it connects to is the one that is meant.

redis-py believes the first that answers. An outdated Sentinel, or a node that is cut off from the others, knows an older configuration
epoch than they do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

from ..errors import CredentialsError, ServerError
from .members import read_members
from .redis_py import redis


class Votes:
    """What the Sentinels say about one service, until most of them have said it; both of redis-py's Sentinels count with it."""

    def __init__(self, service_name: str, sentinel_count: int) -> None:
        self._service, self._count = service_name, sentinel_count
        self._found: list[Mapping[str, Any]] = []
        self._answered = self._unknown = 0

    def add(self, state: Optional[Mapping[str, Any]], is_up: bool) -> bool:
        """
        Count what one Sentinel says, and return whether that is enough.

        Args:
            state: What it knows about the service; None if it does not know it.
            is_up: Whether it names a primary that is up.
        """
        self._answered += 1
        if state is None:
            self._unknown += 1
        elif is_up:
            self._found.append(state)
        return bool(self._found) and 2 * self._answered > self._count

    def winner(self) -> tuple[str, int]:
        """
        Return the address with the newest epoch, of those the one that most name.

        Raises:
            ServerError: if no Sentinel knows the service.
            MasterNotFoundError: if none of those that answer knows a primary that is up.
        """
        if self._unknown == self._count:
            raise ServerError(f"no Sentinel knows the service {self._service}; name one that they monitor")
        if not self._found:
            raise redis.sentinel.MasterNotFoundError(f"No master found for {self._service!r}")
        votes = Counter((state["ip"], state["port"]) for state in self._found)
        newest = max(self._found, key=lambda state: (state.get("config-epoch", 0), votes[state["ip"], state["port"]]))
        return newest["ip"], newest["port"]


def discover_newest(self: Any, service_name: str) -> tuple[str, int]:
    """Replace ``discover_master`` of redis-py's Sentinel: among the answers of most Sentinels, take the newest epoch."""
    votes = Votes(service_name, len(self.sentinels))
    for sentinel in self.sentinels:
        try:
            state = sentinel.sentinel_masters().get(service_name)
        except (redis.AuthenticationError, redis.exceptions.AuthorizationError):
            raise  # a wrong password, which is not tried on all of them
        except (redis.ConnectionError, redis.TimeoutError):
            continue
        if votes.add(state, state is not None and self.check_master_state(state, service_name)):
            break
    return votes.winner()


def newest_nodes(nodes: Sequence[tuple[str, int]], ask: Callable[[tuple[str, int]], bytes]) -> list[tuple[str, int]]:
    """
    Return those *nodes* of a cluster that know the newest epoch and reach the others; all of them where no node is such a one.

    Most of them are asked; what one of them refuses is left to whoever connects. The others are left out, since redis-py
    asks the nodes that it is given in random order (from 8.1 on) and finds the rest itself.

    Args:
        nodes: Some nodes.
        ask: Returns the bytes of CLUSTER NODES of one of them.
    Raises:
        CredentialsError: if a node refuses the password, which is not tried on all of them.
    """
    if len(nodes) == 1:
        return list(nodes)
    epochs: dict[tuple[str, int], int] = {}
    for node in nodes:
        try:
            members = read_members(ask(node))
        except CredentialsError:
            raise
        except ServerError:
            continue
        if not members.is_cut_off:
            epochs[node] = members.epoch
        if 2 * len(epochs) > len(nodes):
            break
    newest = max(epochs.values(), default=0)
    return [node for node, epoch in epochs.items() if epoch == newest] or list(nodes)


def check_identity(connection: Any, expected: Mapping[str, str]) -> None:
    """
    Compare what HELLO says with what is *expected*: ``mode`` cluster, or ``role`` master; a user who may not ask learns nothing wrong.

    Raises:
        redis.ConnectionError: if another server answers, or one with another role; the connection is closed then.
    """
    connection.send_command("HELLO", 2)
    try:
        reply = connection.read_response()
    except redis.ResponseError:
        return
    facts = {name: value for name, value in zip(reply[::2], reply[1::2]) if isinstance(value, bytes)}
    for name, wanted in expected.items():
        found = facts.get(name.encode(), wanted.encode()).decode()
        if found != wanted:
            connection.disconnect()
            raise redis.ConnectionError(f"the server at this address is not the one that is meant: its {name} is {found} and not {wanted}")
