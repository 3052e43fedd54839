# SPDX-License-Identifier: MIT
"""What a server that starts as a primary does, by what other members and Sentinels said."""

from __future__ import annotations

import pytest
from keyfleet.core.service.start_role import Found, Peers, Vote, decide, named_by_most, rewritten, value_of

OWN, OTHER, THIRD = ("192.0.2.1", 6379), ("192.0.2.2", 6379), ("192.0.2.3", 6379)
PEERS = Peers("orders", "192.0.2.1:6379", ("192.0.2.2:6379", "192.0.2.3:6379"), sentinels=3)


def found(*votes: Vote, primaries: tuple[tuple[str, int], ...] = (OTHER,), asking: int = 0, listening: int = 0) -> Found:
    """Return what was answered."""
    return Found(
        own={OWN},
        primaries={f"{host}:{port}": {(host, port)} for host, port in primaries},
        votes={str(number): vote for number, vote in enumerate(votes)},
        asking={str(number) for number in range(asking)},
        listening={str(number) for number in range(listening)},
    )


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        (found(primaries=()), []),
        (found(primaries=(), asking=1), None),
        (found(Vote(1, OTHER), Vote(1, OTHER)), ["replicaof 192.0.2.2 6379"]),
        (found(Vote(1, OTHER), Vote(1, OTHER), asking=1, listening=1), ["replicaof 192.0.2.2 6379"]),
        (found(Vote(1, OTHER), listening=1), None),
        (found(Vote(1, OTHER)), ["min-replicas-to-write 2"]),
        (found(Vote(1, OTHER), Vote(1, OTHER), Vote(2, OWN)), ["min-replicas-to-write 2"]),
        (found(Vote(1, OTHER), Vote(2, OWN), Vote(2, OWN)), []),
        (found(Vote(2, THIRD), Vote(2, THIRD)), ["min-replicas-to-write 2"]),
        (found(listening=1), None),
        (found(), ["min-replicas-to-write 2"]),
    ],
)
def test_decision(given: Found, lines: list[str] | None) -> None:
    """Only what most Sentinels name in the newest configuration counts, and only if it is a primary in its own words."""
    assert lines == decide(PEERS, given, is_final=False)


@pytest.mark.parametrize("given", [found(listening=2), found(asking=2, listening=1)])
def test_the_time_is_over(given: Found) -> None:
    """What has not answered by then does not count."""
    assert ["min-replicas-to-write 2"] == decide(PEERS, given, is_final=True)
    assert [] == decide(PEERS, found(primaries=(), asking=2), is_final=True)


def test_the_majority_is_of_all_sentinels() -> None:
    """One of two is none, and neither is one of those that answer."""
    assert (None, OTHER) == (named_by_most([Vote(1, OTHER)], 2), named_by_most([Vote(1, OTHER)], 1))
    assert named_by_most([], 0) is None


def test_directives_are_replaced_by_either_name() -> None:
    """The other lines stay as the server wrote them."""
    text = 'slaveof a 1\nreplicaof b 2\nport 1\nmin-slaves-to-write 3\nuser x on >"replicaof"\n'
    assert 'port 1\nmin-slaves-to-write 3\nuser x on >"replicaof"\nreplicaof c 3\n' == rewritten(text, ["replicaof c 3"])
    assert 'slaveof a 1\nreplicaof b 2\nport 1\nuser x on >"replicaof"\nmin-replicas-to-write 2\n' == rewritten(
        text, ["min-replicas-to-write 2"]
    )


@pytest.mark.parametrize(
    ("text", "value"), [('masterauth "a\\"b"\n', 'a"b'), ("masterauth a\nmasterauth b\n", "b"), ("x masterauth a\n", ""), ("", "")]
)
def test_values_with_quotes_and_without(text: str, value: str) -> None:
    """The last line counts, as for the server."""
    assert value == value_of(text, "masterauth")
