# SPDX-License-Identifier: MIT
"""Which keys are selected, how pages are walked and counted, and how fast: without a server."""

from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest
from keyfleet.core.errors import DeniedError, InvalidationError, RefusedError, ServerError
from keyfleet.core.keys.invalidate import Invalidated, escape, printable, select
from keyfleet.core.keys.sweep import MOST, PAGE, Distinct, Pace, Selection, Tally, pages


class Clock:
    """A time that moves only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class Script:
    """Replies prepared for SCAN, and the cursors it was asked with."""

    def __init__(self, *replies: tuple[int, list[bytes]]) -> None:
        self.replies, self.cursors = list(replies), []

    def __call__(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        self.cursors += [command[1] for command in commands]
        return [self.replies.pop(0) for _command in commands]


def test_prefix_stands_before_patterns_and_keys() -> None:
    """The prefix is literal: its glob characters are escaped in patterns, and it is the plain beginning of names."""
    selection = select(prefix="a[1]*:", patterns=["x?", "y*"], keys=["k"], types=["hash"])
    assert Selection((rb"a\[1\]\*:x?", rb"a\[1\]\*:y*"), (b"a[1]*:k",), ("hash",)) == selection


def test_prefix_alone_selects_what_begins_with_it() -> None:
    """No pattern is needed."""
    assert Selection((rb"tenant\?:*",)) == select(prefix="tenant?:")


def test_repeated_patterns_and_keys_are_taken_once() -> None:
    """A pass over all keys is not made twice."""
    assert Selection((b"a*",), (b"k",)) == select(patterns=["a*", "a*"], keys=["k", "k"])


def test_bytes_and_text_are_both_names() -> None:
    """Text is UTF-8; any bytes will do as well."""
    assert Selection(keys=("ä".encode(), b"\xff\x00")) == select(keys=["ä", b"\xff\x00"])


@pytest.mark.parametrize("pattern", ["*", "**", "?*", "*?", "*?*"])
def test_pattern_for_every_key_is_refused(pattern: str) -> None:
    """A pattern that matches every name must be meant."""
    with pytest.raises(RefusedError, match="set all_keys"):
        select(patterns=["a*", pattern])
    assert (pattern.encode(),) == select(patterns=[pattern], all_keys=True).patterns


@pytest.mark.parametrize("given", [{}, {"prefix": ""}, {"patterns": [], "keys": []}])
def test_nothing_selected_is_refused(given: dict[str, Any]) -> None:
    """An empty prefix selects nothing, and by no means everything."""
    with pytest.raises(RefusedError, match="nothing is selected"):
        select(**given)


def test_all_keys_alone_selects_every_key_and_stays_below_a_prefix() -> None:
    """It selects every key below the prefix, and no other."""
    assert (b"*",) == select(all_keys=True).patterns
    assert (b"app:*",) == select(all_keys=True, prefix="app:").patterns


def test_pattern_of_one_character_names_is_no_pattern_for_every_key() -> None:
    """Only a star makes a pattern match any length."""
    assert (b"??",) == select(patterns=["??"]).patterns


def test_unknown_type_is_refused() -> None:
    """The server would silently match nothing."""
    with pytest.raises(RefusedError, match="type 'json' is unknown; allowed are string, hash, list, set, zset, stream"):
        select(prefix="a", types=["json"])


def test_escape_covers_each_glob_character() -> None:
    """All characters with a meaning in the server's patterns, and no other."""
    assert rb"a\*b\?c\[d\]e\\f-^" == escape(rb"a*b?c[d]e\f-^")


def test_names_are_shown_without_loss() -> None:
    """Bytes that are no UTF-8 are shown as escapes."""
    assert r"ä\xff" == printable("ä".encode() + b"\xff")


def test_scan_ends_after_the_page_with_cursor_zero_and_never_restarts() -> None:
    """Empty pages are no end, the last page counts, and nothing is asked after it."""
    script = Script((7, [b"a"]), (9, []), (0, [b"b"]))
    assert [[b"a"], [], [b"b"]] == list(pages(script, Selection((b"*",)), []))
    assert [0, 7, 9] == script.cursors


def test_no_key_comes_twice_in_a_page() -> None:
    """SCAN may repeat a key while the server resizes its table."""
    assert [[b"a", b"b"]] == list(pages(Script((0, [b"a", b"b", b"a"])), Selection((b"*",)), []))


def test_each_pattern_and_type_is_a_pass() -> None:
    """The server does the matching, so each combination is scanned."""
    script = Script(*[(0, [])] * 4)
    list(pages(script, Selection((b"a*", b"b*"), (), ("hash", "set")), []))
    assert [0, 0, 0, 0] == script.cursors


def test_distinct_counts_each_key_once() -> None:
    """Also across pages and after a count in between."""
    distinct = Distinct()
    distinct.add([b"a", b"b", b"a"])
    assert (3, 2) == (distinct.upper_bound, distinct.count())
    distinct.add([b"b", b"c"])
    assert 3 == distinct.count()


def test_counting_200_000_keys_takes_less_than_5_mib() -> None:
    """The client's memory stays small however many keys match."""
    distinct = Distinct()
    tracemalloc.start()
    for start in range(0, 200_000, PAGE):
        distinct.add([b"key:%d" % number for number in range(start, start + PAGE)])
    count = distinct.count()
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 200_000 == count
    assert peak < 5 * 1024 * 1024


def test_pace_bounds_the_rate() -> None:
    """1,000 keys at 100 per second, ten in a part: the last one goes after 9.9 seconds."""
    clock = Clock()
    pace = Pace(100, None, clock, clock.sleep)
    assert 10 == pace.chunk
    for _part in range(100):
        pace.admit(pace.chunk)
    assert 9.9 == pytest.approx(clock.now)


def test_pace_does_not_save_up_idle_time() -> None:
    """A minute without a match is no reason for a burst afterwards."""
    clock = Clock()
    pace = Pace(100, None, clock, clock.sleep)
    clock.now = 60.0
    pace.admit(10)
    pace.admit(10)
    assert 60.1 == pytest.approx(clock.now)


def test_pace_without_a_rate_never_waits() -> None:
    """Whole pages are deleted without a pause."""
    clock = Clock()
    pace = Pace(None, None, clock, clock.sleep)
    assert MOST == pace.chunk
    pace.admit(MOST)
    pace.admit(MOST)
    assert 0.0 == clock.now


def test_pace_stops_before_the_limit_is_passed() -> None:
    """Keys that are created while the run deletes do not lift the limit."""
    pace = Pace(None, 5, Clock(), Clock().sleep)
    pace.admit(5)
    with pytest.raises(ServerError, match="more than 5 match now"):
        pace.admit(1)


def test_counts_are_sums_over_the_nodes() -> None:
    """Totals and the counts by node come from the same numbers."""
    outcome = Invalidated((Tally("a:1", 3, 2, 1), Tally("b:1", 4, 4, 0)))
    expected = {"matched": 7, "deleted": 6, "unconfirmed": 1}
    assert expected == {name: outcome.as_dict()[name] for name in expected}
    assert {"node": "b:1", "matched": 4, "deleted": 4, "unconfirmed": 0} == outcome.as_dict()["nodes"][1]


def test_sample_keeps_the_first_ten_names() -> None:
    """However many match."""
    outcome = Invalidated(())
    for start in (0, 6, 12):
        outcome.remember([b"%d" % number for number in range(start, start + 6)])
    assert [str(number) for number in range(10)] == outcome.sample


def test_error_says_what_was_done_and_survives_pickling() -> None:
    """Its facts are attributes."""
    error = InvalidationError(DeniedError("scan", "no permissions"), [vars(Tally("a:1", 3, 2, 1))])
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  (our own bytes)
    assert "command 'scan' is not available: no permissions; until then 2 keys were deleted, and 1 more may be" == str(copy)
    assert 2 == copy.deleted
