# SPDX-License-Identifier: MIT
"""Plans over generated states: whatever is desired and whatever is on disk, a crash after any step loads all that is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyfleet.core.directives.values import table_for
from keyfleet.core.errors import RefusedError
from keyfleet.core.instance.carry_out import STEPS
from keyfleet.core.instance.config import config_text, values_in
from keyfleet.core.instance.datafiles import Disk, Place, parse_manifest, readable, renamed_manifest
from keyfleet.core.instance.keys import DatabaseKeys, missing_keys
from keyfleet.core.instance.model import Host, Instance
from keyfleet.core.instance.plan import InstancePlan, plan
from keyfleet.core.instance.record import DataRecord, Record
from keyfleet.core.instance.state import Running, State
from keyfleet.core.service.manager import ServiceStatus

HOST = Host("redis", "/usr/bin/redis-server", "process", "/r")
TABLE = table_for("redis", "7.0")
NOW, STALE = 1, 0  # versions of the data
PLACES = st.builds(
    Place,
    appendonly=st.booleans(),
    appenddirname=st.sampled_from(["dir", "other"]),
    appendfilename=st.sampled_from(["file", "else"]),
    dbfilename=st.sampled_from(["a.rdb", "b.rdb"]),
)
NAMES = st.frozensets(st.sampled_from(["a.rdb", "b.rdb"]))
AOFS = st.frozensets(st.tuples(st.sampled_from(["dir", "other"]), st.sampled_from(["file", "else"])))


@dataclass
class Model:
    """
    A server and its files, as far as starting is concerned: which version of the data each file has.

    Attributes:
        config: What the configuration file says.
        memory: What the server holds; None if it does not run.
        place: What the running server uses.
    """

    config: Place
    rdbs: dict[str, int] = field(default_factory=dict)
    aofs: dict[tuple[str, str], int] = field(default_factory=dict)
    memory: Optional[int] = None
    place: Place = field(default_factory=Place)

    def loaded(self) -> Optional[int]:
        """Return what a start would load: with the append-only file on, the server ignores a dump."""
        return self.aofs.get(self.config.aof) if self.config.appendonly else self.rdbs.get(self.config.dbfilename)

    def do(self, instance: Instance, name: str, arguments: Mapping[str, Any]) -> None:
        """Carry out one step."""
        if name in ("write_files", "finish_files"):
            self.config = Place.of(values_in(config_text(instance, HOST.layout("a"), "process", arguments["overrides"]).splitlines()))
        elif name == "set_aside":
            self.rdbs.pop(arguments["rdb"], None)
            self.aofs.pop(arguments["aof"], None)
        elif name == "relocate":
            source, target = arguments["source"], arguments["target"]
            if source.appendonly and source.aof in self.aofs:
                assert target.aof not in self.aofs
                self.aofs[target.aof] = self.aofs[source.aof]
            else:
                assert target.dbfilename not in self.rdbs
                self.rdbs[target.dbfilename] = self.rdbs[source.dbfilename]
        elif name == "start":
            self.place, self.memory = self.config, self.loaded()
            if self.place.appendonly and self.memory is not None:
                self.aofs[self.place.aof] = self.memory
        elif name == "save":
            self.rdbs[self.place.dbfilename] = self.memory or STALE
        elif name in ("switch_on", "switch_off"):
            self.place = Place(name == "switch_on", *self.place.aof, self.place.dbfilename)
            if name == "switch_on":
                assert self.place.aof not in self.aofs, "the server would remove what is there"
                self.aofs[self.place.aof] = self.memory or STALE


def state_of(model: Model, target: Place, **more: Any) -> State:
    """Return what would be observed of a model."""
    values = {"written": model.config.directives(), "record": Record.of(desired(target), "redis"), **more}
    disk = Disk(frozenset(model.rdbs), frozenset(model.aofs))
    return State(ServiceStatus("stopped"), disk=disk, desired={**target.directives(), "databases": "16"}, table=TABLE, **values)


def desired(target: Place) -> Instance:
    """Return an instance whose directives are a place."""
    return Instance("a", password="", directives=target.directives())


def follow(model: Model, instance: Instance, planned: InstancePlan) -> None:
    """Carry a plan out; after each step, a start would load what is there now."""
    for step in planned.steps:
        assert step.name in STEPS
        model.do(instance, step.name, step.arguments)
        assert NOW == model.loaded(), f"after {step.name} {step.arguments}"


@given(PLACES, PLACES, NAMES, AOFS)
def test_a_start_loads_everything_whatever_is_desired(source: Place, target: Place, rdbs: frozenset[str], aofs: Any) -> None:
    """At every step a crash loads the newest data; at the end it is where the inventory wants it, and nowhere stale."""
    model = Model(source, dict.fromkeys(rdbs, STALE), dict.fromkeys(aofs, STALE))
    if source.appendonly:
        model.aofs[source.aof] = NOW
    else:
        model.rdbs[source.dbfilename] = NOW
    follow(model, desired(target), plan(HOST, desired(target), state_of(model, target)))
    assert (NOW, target, target) == (model.memory, model.place, model.config)


@given(PLACES, PLACES, NAMES, AOFS)
def test_a_running_server_keeps_everything_whatever_is_desired(now: Place, target: Place, rdbs: frozenset[str], aofs: Any) -> None:
    """Names wait for the restart; the append-only file is switched live; a crash in between loads everything."""
    model = Model(now, dict.fromkeys(rdbs, STALE), dict.fromkeys(aofs, STALE), NOW, now)
    if now.appendonly:
        model.aofs[now.aof] = NOW
    else:
        model.rdbs[now.dbfilename] = NOW
    state = state_of(model, target, running=Running(1, active={**now.directives(), "databases": "16"}))
    planned = plan(HOST, desired(target), state)
    follow(model, desired(target), planned)
    renamed = (now.aof, now.dbfilename) != (target.aof, target.dbfilename)
    assert (target.appendonly, renamed) == (model.place.appendonly, bool([True for reason in planned.restart_needed if "name" in reason]))


@given(PLACES, PLACES, NAMES, AOFS)
def test_a_plan_is_steps_or_a_reason(source: Place, target: Place, rdbs: frozenset[str], aofs: Any) -> None:
    """Whatever is on disk, also where nothing was deployed, there is a plan, or a refusal that names the files."""
    model = Model(source, dict.fromkeys(rdbs, STALE), dict.fromkeys(aofs, STALE))
    try:
        planned = plan(HOST, desired(target), state_of(model, target, written=None))
    except RefusedError as error:
        assert not model.rdbs.keys() & {target.dbfilename}
        assert "would read none of it" in str(error)
    else:
        assert "start" in [step.name for step in planned.steps]


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        ({0: (10, 0)}, {0: (10, 0)}, {}),
        ({0: (10, 3)}, {0: (7, 0)}, {}),
        ({0: (10, 3)}, {0: (9, 3)}, {0: 1}),
        ({0: (10, 0), 3: (5, 5)}, {}, {0: 10}),
        ({}, {0: (5, 0)}, {}),
    ],
)
def test_only_keys_with_a_ttl_may_be_missing(before: Any, after: Any, lost: dict[int, int]) -> None:
    """Keys that may have expired are not counted as lost, and do not make up for others."""
    counts = [{number: DatabaseKeys(*pair) for number, pair in found.items()} for found in (before, after)]
    assert lost == missing_keys(*counts)


@pytest.mark.parametrize(
    ("data", "program", "expected"),
    [
        ("REDIS0010", "REDIS0012", True),
        ("REDIS0012", "REDIS0010", False),
        ("REDIS0011", "VALKEY080", True),
        ("REDIS0012", "VALKEY080", False),
        ("VALKEY080", "REDIS0012", False),
        ("", "REDIS0010", True),
    ],
)
def test_formats(data: str, program: str, expected: bool) -> None:
    """A program reads what it or an older one wrote."""
    assert expected == readable(data, program)


def test_a_format_that_the_program_does_not_read_is_refused() -> None:
    """A downgrade names both formats."""
    model = Model(Place(), {"dump.rdb": NOW})
    state = state_of(model, Place(), data_format="REDIS0012", program_format="REDIS0010")
    with pytest.raises(RefusedError, match="REDIS0012, and the installed program reads at most REDIS0010"):
        plan(HOST, desired(Place()), state)


def test_fewer_databases_start_with_the_old_number_unless_the_keys_are_known() -> None:
    """A stopped server whose keys were not counted starts as before, and waits for a restart."""
    model, place = Model(Place(), {"dump.rdb": NOW}), Place()
    state = state_of(model, place)
    fewer = State(**{**vars(state), "desired": {**state.desired, "databases": "4"}})
    assert ("databases is '16' and shall be 4",) == plan(HOST, desired(place), fewer).restart_needed
    for number, refused in ((3, False), (4, True)):
        known = State(**{**vars(fewer), "data": DataRecord(place, {number: DatabaseKeys(1)}), "data_unchanged": True})
        if refused:
            with pytest.raises(RefusedError, match="database 4 holds 1 keys"):
                plan(HOST, desired(place), known)
        else:
            assert () == plan(HOST, desired(place), known).restart_needed


def test_manifest_gets_new_names() -> None:
    """Names follow the file name; history is left out, sequence numbers and further words stay."""
    text = "file a.aof.1.base.rdb seq 1 type b\nfile a.aof.1.incr.aof seq 1 type i startoffset 7\nfile a.aof.0.base.rdb seq 0 type h\n"
    found = renamed_manifest(parse_manifest(text), "a.aof", "b.aof")
    assert [("a.aof.1.base.rdb", "b", "b.aof.1.base.rdb"), ("a.aof.1.incr.aof", "i", "b.aof.1.incr.aof")] == [
        (file.name, file.kind, name) for file, name in found
    ]
    assert ("seq", "1", "type", "i", "startoffset", "7") == found[1][0].rest
