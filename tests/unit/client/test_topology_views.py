# SPDX-License-Identifier: MIT
"""Which view of the topology is believed, over many of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from keyfleet._protocol.topology import TROUBLE_SECONDS, UNCONFIRMED_SECONDS, Sources, View


class Clock:
    """Time that stands until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    """Sources with what each knows now, None for one that does not answer, and what the client believes."""

    views: dict[str, View | None]
    first_votes: int | None = 1
    clock: Clock = field(default_factory=Clock)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sources = Sources(self.first_votes, self.clock)

    def survey(self, *, is_suspect: bool = True, first: str | None = None) -> View | None:
        """Ask as a router does."""
        survey = self.sources.survey(self.views, is_suspect=is_suspect, first=first)
        self.asked = []
        while (source := survey.next()) is not None:
            self.clock.now += 0.001
            self.asked.append(source)
            survey.note(source, self.views[source])
        return survey.verdict()


OLD, NEW = View("old", 1), View("new", 2)


def test_the_source_that_was_believed_in_vain_is_asked_last() -> None:
    """And the next one that knows better ends the lookup."""
    world = World({"a": OLD, "b": NEW, "c": NEW})
    assert OLD == world.survey()
    assert NEW == world.survey()
    assert ["b"] == world.asked


def test_an_older_view_is_not_taken_after_a_newer_one() -> None:
    """Although it is the only one for now; back again, the others confirm the newer."""
    world = World({"a": NEW, "b": OLD, "c": NEW})
    world.survey()
    world.views.update(a=None, c=None)
    assert world.survey() is None
    assert world.sources.believed == NEW
    world.views["c"] = NEW
    assert NEW == world.survey()


def test_what_no_source_confirms_gives_way_after_a_while() -> None:
    """Then one that answers is better than none."""
    world = World({"a": NEW, "b": OLD, "c": NEW})
    world.survey()
    world.views.update(a=None, c=None)
    world.clock.now += UNCONFIRMED_SECONDS
    assert OLD == world.survey()


def test_most_sources_outvote_a_newer_epoch() -> None:
    """As after ``SENTINEL REMOVE`` and ``MONITOR`` on all of them, which begin to count again."""
    world = World({"a": NEW, "b": NEW, "c": NEW})
    world.survey()
    world.views.update(a=View("anew"), b=View("anew"), c=None)
    assert View("anew") == world.survey()


def test_a_source_that_is_cut_off_is_believed_last() -> None:
    """With the same epoch, the others are asked; alone, it is better than nothing."""
    world = World({"a": View("old", 1, is_cut_off=True), "b": View("other", 1)})
    assert View("other", 1) == world.survey()
    lonely = World({"a": View("old", 1, is_cut_off=True), "b": None})
    assert View("old", 1, is_cut_off=True) == lonely.survey()


def test_a_source_that_the_others_call_failed_is_believed_last() -> None:
    """Epochs do not change when a node fails that no replica replaces."""
    others = View("map", 1, frozenset("pqr"), failed=frozenset("p"), source_id="q")
    failed = View("map of p", 1, frozenset("pqr"), source_id="p")
    world = World({"q": others, "p": failed, "r": others})
    world.survey()
    for _unused in range(3):
        assert others == world.survey()


def test_another_deployment_is_not_taken_for_this_one() -> None:
    """However new its epochs are, unless the settings' own addresses lead there and no other source answers."""
    own, foreign = View("own", 5, frozenset("ab")), View("foreign", 9, frozenset("xy"), is_appointed=False)
    world = World({"a": own, "b": own, "c": own})
    world.survey()
    world.views.update(a=foreign, b=foreign)
    assert own == world.survey()
    world.views.update(c=foreign)
    assert world.survey() is None
    anew = View("foreign", 1, frozenset("xy"))
    world.views.update(a=anew, b=anew, c=anew)
    assert anew == world.survey()


def test_the_source_of_the_newest_view_is_asked_first() -> None:
    """A routine lookup takes the sources in turn, so that each source is compared with the others."""
    world = World({"a": OLD, "b": OLD, "c": OLD})
    rounds = []
    for _unused in range(3):
        world.survey(is_suspect=False)
        rounds += world.asked
    assert ["a", "b", "c"] == rounds
    world.survey(is_suspect=False, first="c")
    assert ["c"] == world.asked


def test_a_suspect_view_needs_a_second_source() -> None:
    """Two outdated ones of five cost one more question."""
    world = World({"a": OLD, "b": OLD, "c": NEW, "d": NEW, "e": NEW})
    world.survey()
    assert NEW == world.survey()
    assert ["b", "c"] == world.asked


def test_the_first_view_needs_most_sources() -> None:
    """Where a wrong one would not be noticed by calls that fail; those that do not answer have no vote."""
    world = World({"a": View("stray"), "b": View("true"), "c": View("true")}, first_votes=None)
    assert View("true") == world.survey()
    lonely = World({"a": View("stray"), "b": None, "c": None}, first_votes=None)
    assert View("stray") == lonely.survey()


def test_one_source_does_not_outvote_the_others_with_the_same_epoch() -> None:
    """Nor when it is the only one that answers, unless calls went wrong."""
    world = World({"a": View("true"), "b": View("true"), "c": View("stray")}, first_votes=None)
    for _unused in range(4):
        assert View("true") == world.survey(is_suspect=False)
    world.views.update(a=None, b=None)
    assert world.survey(is_suspect=False) is None
    assert View("true") == world.sources.believed
    assert View("stray") == world.survey()
    world.views.update(a=View("true"), b=View("true"))
    assert View("true") == world.survey(is_suspect=False)


def test_a_source_that_failed_is_not_asked_for_confirmation_for_a_while() -> None:
    """One that is unresponsive would hold up a call each time."""
    world = World({"a": None, "b": OLD, "c": OLD})
    world.survey()
    asked = []
    for _unused in range(4):
        world.survey(is_suspect=False)
        asked += world.asked
    assert ["c", "b", "c", "b"] == asked
    world.clock.now += TROUBLE_SECONDS
    world.survey(is_suspect=False)
    assert "a" in world.asked


def test_without_epochs_failing_calls_take_the_next_source() -> None:
    """A user who may not ask for epochs does not stay with the source that came first."""
    world = World({"a": View("old"), "b": View("new")})
    assert [View("old"), View("new")] == [world.survey(), world.survey()]


EPOCHS = st.one_of(st.none(), st.integers(1, 4))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.lists(EPOCHS, min_size=5, max_size=5), st.booleans()), min_size=1, max_size=12))
def test_views_never_go_back_while_most_sources_are_not_older(steps: list[tuple[list[int | None], bool]]) -> None:
    """Whatever each of five sources says at each step, and whether calls went wrong in between."""
    world = World(dict.fromkeys("abcde"))
    for epochs, is_suspect in steps:
        before = world.sources.believed
        world.views = {name: epoch and View(f"map {epoch}", epoch) for name, epoch in zip("abcde", epochs, strict=True)}
        found = world.survey(is_suspect=is_suspect)
        older = [epoch for epoch in epochs if epoch is not None and before is not None and epoch < before.epoch]
        if before is not None and len(older) <= 2:
            assert world.sources.believed is not None
            assert world.sources.believed.epoch >= before.epoch
            assert (found is None) == all(epoch is None or epoch < before.epoch for epoch in epochs)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(1, 3)), min_size=1, max_size=7))
def test_failing_calls_lead_to_the_newest_view(epochs: list[int | None]) -> None:
    """Calls go wrong as long as something newer is known; each source is asked within as many lookups as there are sources."""
    world = World({f"source {number}": epoch and View(f"map {epoch}", epoch) for number, epoch in enumerate(epochs)})
    newest = max((epoch for epoch in epochs if epoch), default=None)
    for _unused in epochs:
        found = world.survey()
        if found is not None and found.epoch == newest:
            break
    assert (world.sources.believed and world.sources.believed.epoch) == newest
