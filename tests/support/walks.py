"""Random walks of persistence changes, crashes and kills; library and playbook tests take the same steps."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

# A value None takes the directive out of the inventory.
VALUES: dict[str, list[Any]] = {
    "appendonly": [True, False, None],
    "appenddirname": ["other", None],
    "appendfilename": ["other.aof", None],
    "dbfilename": ["other.rdb", None],
    "aof-use-rdb-preamble": [False, None],
    "save": ["3600 1", None],
    "databases": [4, None],
}
STEPS = ["save", "write_files", "switch_on", "switch_off", "stop", "relocate", "start", "compare_keys", "commit", "finish_files", "open"]

changes = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in VALUES.items()})
moves = st.one_of(
    st.tuples(st.just("write"), st.just({}), st.just("")),
    st.tuples(st.just("apply"), changes, st.just("")),
    st.tuples(st.just("report"), changes, st.just("")),
    st.tuples(st.just("stopped"), changes, st.just("")),
    st.tuples(st.just("again"), changes, st.just("")),  # destroyed, and deployed again
    st.tuples(st.just("killed"), changes, st.sampled_from(STEPS)),
    st.tuples(st.just("crash"), st.just({}), st.just("")),
    st.tuples(st.just("power_off"), changes, st.just("")),
)
