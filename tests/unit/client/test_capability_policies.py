# SPDX-License-Identifier: MIT
"""Policies of the capabilities, without a server: refusals that are known, secrets, leases."""

from __future__ import annotations

import pytest
from keyfleet import RateLimitResult
from keyfleet._capabilities.locks import Lease
from keyfleet._capabilities.names import tag_of
from keyfleet._capabilities.rate_limits import MOST_REFUSALS, Refusals
from keyfleet._capabilities.secrets import digest_of, new_secret, tag_in, user_tag
from keyfleet._capabilities.tokens import successor_of

REFUSED = RateLimitResult(False, 2, 10, 1000.0, 5.0, 60.0)


def test_a_refusal_holds_until_its_end_and_for_no_smaller_cost() -> None:
    """The times that it names run down."""
    refusals = Refusals()
    refusals.note(("a",), 3, 100.0, REFUSED)
    found = refusals.find(("a",), 3, 104.0)
    assert found == RateLimitResult(False, 2, 10, 1000.0, 1.0, 56.0, "local")
    assert refusals.find(("a",), 4, 104.0) is not None
    assert [None, None] == [refusals.find(("a",), 2, 104.0), refusals.find(("b",), 3, 104.0)]
    assert refusals.find(("a",), 3, 105.0) is None
    assert refusals.find(("a",), 3, 104.0) is None, "what has ended is forgotten"


def test_refusals_are_bounded() -> None:
    """A flood of subjects keeps the latest ones."""
    refusals = Refusals()
    for number in range(3 * MOST_REFUSALS):
        refusals.note((number,), 1, 100.0, REFUSED)
    kept = [number for number in range(3 * MOST_REFUSALS) if refusals.find((number,), 1, 101.0) is not None]
    assert MOST_REFUSALS // 2 <= len(kept) <= MOST_REFUSALS
    assert 3 * MOST_REFUSALS - 1 == kept[-1]


def test_different_subjects_have_different_tags() -> None:
    """Encoding braces makes no two of them equal."""
    subjects = ["a", "{a}", "%7Ba%7D", "%257Ba%257D", "a}", "{", "7", "ü"]
    assert len({tag_of("id", subject) for subject in subjects}) == len(subjects)
    assert tag_of("id", 7) == tag_of("id", "7")
    assert not any("{" in tag_of("id", subject) or "}" in tag_of("id", subject) for subject in subjects)


def test_a_secret_says_whose_keys_it_belongs_to() -> None:
    """Nothing else does; a number is its decimal text."""
    tag = user_tag("user_id", 42)
    secret = new_secret(tag)
    assert tag == tag_in(secret) == user_tag("user_id", "42")
    assert [None] * 5 == [tag_in(text) for text in ("", tag, secret[:-1], secret + "x", secret.replace(".", ":"))]
    assert len({new_secret(tag) for _unused in range(100)}) == 100
    assert secret not in digest_of(secret)


def test_a_successor_needs_token_and_nonce() -> None:
    """Another of either makes another one."""
    made = {successor_of(token, "t" * 16, nonce) for token in ("a", "b") for nonce in ("1", "2")}
    assert 4 == len(made)
    assert {"t" * 16} == {tag_in(token) for token in made}
    assert successor_of("a", "t" * 16, "1") in made


@pytest.mark.parametrize(("now", "lost", "held"), [(9.9, False, True), (10.0, False, False), (0.0, True, False)])
def test_a_lease_ends_by_the_clock_or_by_the_server(now: float, lost: bool, held: bool) -> None:
    """Whatever comes first."""
    lease = Lease("token", 1, 10.0)
    lease.is_lost = lost
    assert held is lease.is_held(now)
