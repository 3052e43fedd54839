# SPDX-License-Identifier: MIT
"""Which certificates are issued, and which are refused; generated inputs, no X.509."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.keyfleet.redis.plugins.plugin_utils.certificate_plan import (
    Certificate,
    ca_problems,
    covers,
    issue_reason,
    lost_ca_problem,
    names_of,
    normalized,
    ready_problems,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 27, tzinfo=timezone.utc)
FAR = NOW + timedelta(days=3650)
GOOD = Certificate(frozenset({"node1", "127.0.0.1", "*.example.org"}), NOW - timedelta(days=1), NOW + timedelta(days=365))
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
ANY = ("*", "0.0.0.0", "::", "::*")  # noqa: S104 - names to compare with, nothing is bound here
ADDRESSES = st.ip_addresses().map(str)


@given(st.lists(HOSTS | ADDRESSES, max_size=6), st.integers(0, 60), st.integers(-400, 400))
def test_a_certificate_stays_exactly_as_long_as_it_is_fit(names: list[str], renew_days: int, days: int) -> None:
    """It is issued again if a name is missing or it expires too soon, and a new one for the same names is not."""
    wanted = names_of(names)
    found = Certificate(frozenset(wanted), NOW - timedelta(days=500), NOW + timedelta(days=days, seconds=1))
    assert bool(issue_reason(found, wanted, NOW, renew_days, FAR)) == (days < renew_days)
    fresh = replace(found, not_after=NOW + timedelta(days=365))
    assert "" == issue_reason(fresh, wanted, NOW, renew_days, FAR)
    for name in wanted:
        assert name in issue_reason(replace(fresh, names=fresh.names - {name}), wanted, NOW, renew_days, FAR)


@given(st.lists(HOSTS | ADDRESSES | st.sampled_from([*ANY, "-::1", "a b", "", "under_score"]), max_size=6))
def test_names_are_normal_unique_and_hold_the_loopback(names: list[str]) -> None:
    """Whatever is bound or announced, and the host itself reaches the server."""
    found = names_of(names)
    assert len(set(found)) == len(found)
    assert {"localhost", "127.0.0.1", "::1"} <= set(found)
    assert all(name == normalized(name) for name in found)
    assert set(ANY).isdisjoint(found)


@given(LABELS, HOSTS.map("{}.org".format))
def test_a_wildcard_stands_for_one_label(label: str, domain: str) -> None:
    """As TLS clients compare: not for the domain itself, and not for two labels."""
    assert covers({f"*.{domain}"}, f"{label}.{domain}")
    assert not covers({f"*.{domain}"}, domain)
    assert not covers({f"*.{domain}"}, f"a.{label}.{domain}")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"key_matches": False}, "key"),
        ({"signed_by_ca": False}, "another CA"),
        ({"for_client": False}, "servers and clients"),
        ({"for_server": False}, "servers and clients"),
        ({"not_before": NOW + timedelta(days=1)}, "valid only from"),
        ({"not_after": NOW - timedelta(days=1)}, "expires on"),
    ],
)
def test_why_it_is_issued(change: dict[str, bool], reason: str) -> None:
    """Each reason is said."""
    found = issue_reason(replace(GOOD, **change), ["node1"], NOW, 30, FAR)
    assert reason in found
    assert bool(reason) == bool(found)


def test_a_host_without_one_gets_one() -> None:
    """The first certificate is always issued."""
    assert "it has none" == issue_reason(None, [], NOW, 30, FAR)


def test_a_ca_that_expires_soon_does_not_make_every_run_issue() -> None:
    """A certificate that lasts as long as the CA cannot be renewed by it."""
    soon = NOW + timedelta(days=5)
    assert "" == issue_reason(replace(GOOD, not_after=soon), ["node1"], NOW, 30, soon)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"is_ca": True}, ""),
        ({}, "it is no CA"),
        ({"is_ca": True, "not_after": NOW}, "it expired on"),
        ({"is_ca": True, "not_before": NOW + timedelta(days=2)}, "valid only from"),
        ({"is_ca": True, "key_matches": False}, "belong together"),
    ],
)
def test_what_is_no_ca(change: dict[str, bool], problem: str) -> None:
    """A leaf, an expired one, one with another key."""
    found = "; ".join(ca_problems(replace(GOOD, **change), NOW))
    assert problem in found
    assert bool(problem) == bool(found)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, ""),
        ({"for_client": False}, ""),  # ACME's are for servers alone
        ({"key_matches": False}, "belong together"),
        ({"signed_by_ca": False}, "did not sign it"),
        ({"for_server": False}, "not for servers"),
        ({"not_after": NOW}, "it expired on"),
        ({"names": frozenset()}, "no name, and clients use cache.example.org"),
        ({"names": frozenset({"example.org"})}, "clients use cache.example.org"),
    ],
)
def test_what_a_ready_certificate_lacks(change: dict[str, bool], problem: str) -> None:
    """Before any host is touched."""
    found = "; ".join(ready_problems(replace(GOOD, **change), ["cache.example.org"], NOW))
    assert problem in found
    assert bool(problem) == bool(found)


def test_a_lost_ca_is_not_made_again() -> None:
    """Applications have its certificate."""
    assert "" == lost_ca_problem(True, {"node1": None}, "/x/ca.pem")
    assert "" == lost_ca_problem(False, {}, "/x/ca.pem")
    assert "/x/ca.pem is gone" in lost_ca_problem(False, {"node1": None}, "/x/ca.pem")
