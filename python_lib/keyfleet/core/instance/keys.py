# SPDX-License-Identifier: MIT
"""How many keys a server holds in each database, and which of them are missing later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from ..errors import DeniedError

if TYPE_CHECKING:
    import redis

try:
    from redis.exceptions import ResponseError
except ImportError:  # the code that opens the connection reports what is missing
    ResponseError = DeniedError  # type: ignore[assignment,misc]

# A run that is killed leaves writes blocked for this long at most; longer waits renew it.
PAUSE_MS = 10_000


class DatabaseKeys(NamedTuple):
    """Keys of one database, and how many of them have a TTL."""

    keys: int
    expires: int = 0


KeyCounts = Mapping[int, DatabaseKeys]


def count_keys(client: redis.Redis) -> dict[int, DatabaseKeys]:
    """Return the keys of every database that has any, by its number."""
    return {
        int(name[2:]): DatabaseKeys(int(found["keys"]), int(found.get("expires", 0)))
        for name, found in client.info("keyspace").items()
        if name.startswith("db") and name[2:].isdigit()
    }


def total(counts: KeyCounts) -> int:
    """Return the keys of all databases."""
    return sum(database.keys for database in counts.values())


def missing_keys(before: KeyCounts, after: KeyCounts) -> dict[int, int]:
    """
    Return how many keys each database lost, without those that may have expired; empty if none is missing.

    Between the two counts there must have been no writes. A key without a TTL cannot leave then, and cannot get a TTL.
    """
    empty = DatabaseKeys(0)
    lost = {}
    for number, old in before.items():
        new = after.get(number, empty)
        lost[number] = (old.keys - old.expires) - (new.keys - new.expires)
    return {number: count for number, count in lost.items() if count > 0}


def describe_missing(lost: Mapping[int, int]) -> str:
    """Return the loss as a phrase."""
    return ", ".join(f"{count} of database {number}" for number, count in sorted(lost.items()))


def pause_writes(client: redis.Redis) -> bool:
    """
    Block the writes of all clients, this one included, for PAUSE_MS; calling it again renews the time.

    Expiry and eviction stand still meanwhile, so that a count stays true until the server has ended.

    Returns:
        Whether the server does so: ``rename-command`` may have taken CLIENT from a server that runs since before keyfleet needed it.
    Source:
        https://redis.io/docs/latest/commands/client-pause/
    """
    try:
        client.execute_command("CLIENT", "PAUSE", PAUSE_MS, "WRITE")  # type: ignore[no-untyped-call]
    except ResponseError:
        return False
    return True


def resume_writes(client: redis.Redis) -> None:
    """End the pause."""
    client.execute_command("CLIENT", "UNPAUSE")  # type: ignore[no-untyped-call]
