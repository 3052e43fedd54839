# SPDX-License-Identifier: MIT
"""Reports: truthful, small however many keys there are, and silent about values that are to be hidden."""

from __future__ import annotations

import json

from keyfleet.core.errors import ServerError, UnreachableError, WrongTypeError
from keyfleet.core.keys.apply import KeyOutcome, KeyReport
from keyfleet.core.keys.plan import Found, KeyEntry, KeyPlan


def outcomes(number: int, action: str = "created", error: Exception | None = None) -> list[KeyOutcome]:
    """Return *number* equal outcomes."""
    return [KeyOutcome(KeyEntry(index, f"k{index}".encode()), action, error) for index in range(number)]  # type: ignore[arg-type]


def test_details_are_limited_and_counts_are_complete() -> None:
    """Ten thousand keys: a hundred details, exact counts."""
    result = KeyReport([*outcomes(10_000), *outcomes(500, "failed", ServerError("no"))]).as_result()
    assert (10_000, 500, 0) == (result["counts"]["created"], result["counts"]["failed"], result["counts"]["unchanged"])
    assert (100, 100) == (len(result["entries"]), len(result["failures"]))
    assert len(json.dumps(result)) < 30_000


def test_what_may_have_been_written_counts_as_changed() -> None:
    """A reply that did not come: the key may have changed, and it is a failure."""
    lost = KeyReport(outcomes(1, "unknown", UnreachableError("a", "b")))
    assert (True, 1) == (lost.changed, len(lost.failures))
    assert not KeyReport([*outcomes(2, "unchanged"), *outcomes(1, "failed", ServerError("no"))]).changed


def test_message_names_the_first_failures() -> None:
    """One key: the error itself; many: key, position, reason of five, and how many more."""
    assert "key 'k0' holds a list, not a hash" == KeyReport(outcomes(1, "failed", WrongTypeError("k0", "hash", "list"))).message()
    message = KeyReport([*outcomes(7, "failed", ServerError("no")), *outcomes(2)]).message()
    assert message.startswith("7 of 9 entries failed: 'k0' (entry 0): no; 'k1' (entry 1): no; ")
    assert message.endswith("'k4' (entry 4): no; and 2 more")
    assert "" == KeyReport(outcomes(3)).message()


def planned(before: Found, after: Found, action: str = "updated") -> KeyReport:
    """Return the report of one key that went from *before* to *after*."""
    return KeyReport([KeyOutcome(KeyEntry(0, b"k"), action, None, KeyPlan(action, before, after))])


def test_diff_shows_before_and_after() -> None:
    """A key that does not exist is an empty text; bytes that are not UTF-8 are escaped."""
    report = planned(Found(), Found("hash", 9400, {b"a": b"\xff"}))
    assert [
        {
            "before_header": "k",
            "after_header": "k",
            "before": "",
            "after": {"type": "hash", "ttl_seconds": 9, "value": {"a": "b'\\xff'"}},
        }
    ] == report.diff()


def test_diff_hides_values_and_still_shows_that_they_change() -> None:
    """Hidden values differ from each other only if the value is written."""
    secret = Found("string", -1, b"s3cr3t-1")
    [diff] = planned(secret, Found("string", -1, b"s3cr3t-2")).diff(hide_values=True)
    assert "s3cr3t" not in json.dumps(diff)
    assert diff["before"] != diff["after"]
    [diff] = planned(secret, Found("string", 9000, b"s3cr3t-1"), "ttl").diff(hide_values=True)
    assert diff["before"]["value"] == diff["after"]["value"] == "VALUE_HIDDEN"


def test_diff_shortens_large_values() -> None:
    """A large value is its size and checksum, which still reveals a change."""
    [diff] = planned(Found("string", -1, b"x" * 10**6), Found("string", -1, b"y" * 10**6)).diff()
    assert len(json.dumps(diff)) < 1000
    assert diff["before"]["value"] != diff["after"]["value"]
    assert diff["after"]["value"].startswith("1000002 bytes as JSON, SHA-256 ")


def test_unknown_types_have_no_value_in_the_diff() -> None:
    """A type of a server module is named; its value cannot be read."""
    [diff] = planned(Found("ReJSON-RL", -1), Found(), "deleted").diff()
    assert ({"type": "ReJSON-RL", "ttl_seconds": None}, "") == (diff["before"], diff["after"])
