# SPDX-License-Identifier: MIT
"""Random pipelines, what their calls answer if each runs once and in order, and what an outcome of them must not be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st
from keyfleet import KeyfleetError, OutcomeUnknown
from keyfleet._protocol.command import Command, Kind
from keyfleet._protocol.kinds import DEL, GET, INCR, MGET, MSET, SET

Store = dict[str, Any]
KINDS: dict[str, Kind] = {"get": GET, "get_many": MGET, "set": SET, "set_many": MSET, "delete": DEL, "incr": INCR}
READS = {"get", "get_many"}
TAGS = ("a", "b", "c")
NAMES = [f"{{{tag}}}{number}" for tag in TAGS for number in range(2)]


class Step(NamedTuple):
    """
    One call of a pipeline.

    Attributes:
        name: The pipeline's method.
        keys: Its keys, all of one slot.
        value: What is stored.
    """

    name: str
    keys: tuple[str, ...]
    value: int = 0

    def command(self) -> Command[Any]:
        """Return it as it is sent."""
        kind = KINDS[self.name]
        values: tuple[Any, ...] = self.keys
        if self.name == "incr":
            values = (*self.keys, 1)
        elif self.name in ("set", "set_many"):
            values = tuple(item for key in self.keys for item in (key, self.value))
        return Command(kind, (kind.name, *values), self.keys[0], self.keys[0], lambda reply, _key: reply)

    def queue(self, pipe: Any) -> None:
        """Add it to a pipeline of the client."""
        if self.name == "get_many":
            pipe.get_many(list(self.keys))
        elif self.name == "set_many":
            pipe.set_many(dict.fromkeys(self.keys, self.value))
        elif self.name == "set":
            pipe.set(self.keys[0], self.value)
        else:
            getattr(pipe, self.name)(*self.keys)

    def run(self, store: Store) -> Any:
        """Do to *store* what a server does, and return the client's answer."""
        if self.name == "get":
            return store.get(self.keys[0])
        if self.name == "get_many":
            return {key: store.get(key) for key in self.keys}
        if self.name == "delete":
            return sum(store.pop(key, None) is not None for key in dict.fromkeys(self.keys))
        if self.name == "incr":
            store[self.keys[0]] = str(int(store.get(self.keys[0], 0)) + 1)
            return int(store[self.keys[0]])
        store.update(dict.fromkeys(self.keys, str(self.value)))
        return True

    def meets(self, other: Step) -> bool:
        """Say whether the order of the two matters."""
        return bool(set(self.keys) & set(other.keys)) and not (self.name in READS and other.name in READS)


def groups(max_size: int = 6, several_keys: bool = True) -> st.SearchStrategy[list[Step]]:
    """Return pipelines; without *several_keys* each call has one key, so that no server answers TRYAGAIN."""
    pairs = [tuple(name for name in NAMES if name.startswith(f"{{{tag}}}")) for tag in TAGS]
    single = st.builds(
        Step, st.sampled_from(["get", "set", "delete", "incr"]), st.sampled_from([(name,) for name in NAMES]), st.integers(1, 9)
    )
    several = st.builds(Step, st.sampled_from(["get_many", "set_many", "delete"]), st.sampled_from(pairs), st.integers(1, 9))
    return st.lists(st.one_of(single, several) if several_keys else single, min_size=1, max_size=max_size)


def stores() -> st.SearchStrategy[Store]:
    """Return what servers hold before."""
    return st.dictionaries(st.sampled_from(NAMES), st.integers(10, 19).map(str), max_size=len(NAMES))


def check(group: Sequence[Step], before: Store, results: Sequence[Any], runs: Callable[[int], int] | None = None) -> None:
    """
    Assert that every answer is one that the server gave when the calls before had run and those after had not.

    Args:
        before: What the servers held.
        results: What the caller got, errors in their places.
        runs: How often each call was run, if that is known.
    """
    store = dict(before)
    expected = [step.run(store) for step in group]
    for number, (step, result) in enumerate(zip(group, results, strict=True)):
        if isinstance(result, KeyfleetError):
            is_sure = not isinstance(result, OutcomeUnknown) and step.name not in READS
            assert not (runs and is_sure and runs(number)), f"{step} says that it did not run: {result!r}"
            continue
        for earlier in range(number):
            has_error = isinstance(results[earlier], KeyfleetError) and group[earlier].name not in READS
            assert not (has_error and step.meets(group[earlier])), f"{step} has an answer behind {results[earlier]!r}"
        # how many keys a repeated delete removes is what is left of them
        is_fewer = step.name == "delete" and (runs is None or runs(number) > 1) and result < expected[number]
        assert result == expected[number] or is_fewer, f"{step}: {result!r} instead of {expected[number]!r}"
    for number, step in enumerate(group):
        if runs and step.name == "incr":
            assert runs(number) <= 1, f"{step} was run {runs(number)} times"
