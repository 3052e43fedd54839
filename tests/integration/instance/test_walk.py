# SPDX-License-Identifier: MIT
"""Random walks of persistence changes, crashes and kills on a real server: no key is ever missing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from keyfleet.testing._server import wait_until
from support.instances import LiveInstance
from support.walks import moves

pytestmark = pytest.mark.slow
ON_EVERY_SERVER = True
LENGTH = 10
STEPS = int(os.environ.get("KEYFLEET_WALK_STEPS", "40"))  # make test-full takes more


class Walk:
    """One instance on its way, and how many keys it must have."""

    def __init__(self, live: LiveInstance) -> None:
        self.live, self.keys = live, 0
        live.settle(appendfsync="always")

    def take(self, move: str, change: dict[str, object], step: str) -> None:
        """Take one step and count."""
        live = self.live
        if move == "write":
            self.write()
        elif move == "apply":
            live.apply(**change)
        elif move == "report":
            live.settle(**change)
        elif move == "stopped":
            live.stop()
            live.settle(**change)
        elif move == "again":
            live.remove()
            live.settle(**change)
        elif move == "killed":
            live.killed_before(step, lambda: live.apply(**change))
            live.directives = {name: value for name, value in {**live.directives, **change}.items() if value is not None}
        elif move == "power_off":
            live.power_off()
            live.settle(**change)
        self.crash_or_start(crash=move == "crash")
        assert self.keys == live.all_keys()

    def crash_or_start(self, *, crash: bool) -> None:
        """Crash what runs, if so asked, and let a boot start what does not."""
        status = self.live.manager.status()
        if status.active and crash:
            self.live.crash()
        elif not status.active:
            self.live.start_as_configured()

    def write(self) -> None:
        """Write keys that the weaker guarantee covers: an append-only file has them immediately, a dump when it is saved."""
        self.live.settle()  # a killed run may have left the port closed
        with self.live.client() as client:
            client.client_unpause()  # or writes paused
            self.live.fill(10, prefix=f"after{self.keys}")
            self.keys += 10
            wait_until(lambda: not client.info("persistence")["rdb_bgsave_in_progress"], "the end of a background save")
            client.save()


@settings(
    max_examples=max(1, STEPS // LENGTH),
    deadline=None,
    derandomize=STEPS <= 40,
    phases=[Phase.generate],  # shrinking would take hours; the walk is printed as it is
    suppress_health_check=list(HealthCheck),
)
@given(walk=st.lists(moves, min_size=LENGTH, max_size=LENGTH))
def test_no_key_is_ever_missing(redis_engine: str, walk: list[tuple[str, dict[str, object], str]]) -> None:
    """Whatever changes, and wherever the run or the server dies, every saved key is there after each step."""
    with tempfile.TemporaryDirectory(prefix="kf-", dir="/tmp") as folder:
        live = LiveInstance(Path(folder), redis_engine)
        try:
            on_the_way = Walk(live)
            on_the_way.write()
            for number, (move, change, step) in enumerate(walk, 1):
                note(f"{number}: {move} {change} {step}, {on_the_way.keys} keys")
                on_the_way.take(move, change, step)
            live.apply()
            assert on_the_way.keys == live.keys()
        finally:
            live.end()
