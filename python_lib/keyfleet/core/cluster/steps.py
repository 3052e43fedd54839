# SPDX-License-Identifier: MIT
"""The steps of a plan; each is safe alone, so that a run that is killed between two leaves a cluster that serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

HANDOVER, FORCE, TAKEOVER = "handover", "force", "takeover"


@dataclass(frozen=True)
class Assign:
    """Give *slots*, which no live node owns, to *node*."""

    node: str
    slots: tuple[int, ...]


@dataclass(frozen=True)
class Meet:
    """Introduce the *newcomers* to the *members* and to each other."""

    newcomers: tuple[str, ...]
    members: tuple[str, ...]


@dataclass(frozen=True)
class Promote:
    """Let *replica* take over from *primary*: a HANDOVER without loss, FORCE with a vote of the others, TAKEOVER without one."""

    replica: str
    primary: str
    mode: str


@dataclass(frozen=True)
class Detach:
    """Turn a replica into an empty primary that knows no other node."""

    node: str


@dataclass(frozen=True)
class Replicate:
    """Make *node* a replica of *primary*."""

    node: str
    primary: str


@dataclass(frozen=True)
class Reserve:
    """Leave *slot* marked as importing on *target* until its other slots are there, so that the next run sees that it is being filled."""

    target: str
    slot: int
    source: str


@dataclass(frozen=True)
class Move:
    """Move *slots* with their keys, in this order."""

    source: str
    target: str
    slots: tuple[int, ...]


@dataclass(frozen=True)
class Close:
    """End the open state of *slot*: the keys of *strays* go to its *owner*."""

    slot: int
    owner: str
    strays: tuple[str, ...]


@dataclass(frozen=True)
class Forget:
    """Remove *node* from the tables of *members*."""

    node: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class Leave:
    """Let *node*, which owns nothing and which no member knows any more, forget the cluster."""

    node: str


Step = Union[Assign, Meet, Promote, Detach, Replicate, Reserve, Move, Close, Forget, Leave]
