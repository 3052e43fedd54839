"""Random walks of persistence changes through site.yml, with the module killed on the way: no key is ever missing."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from keyfleet.core.instance.carry_out import KILL_VARIABLE
from support.playbooks import Deployment, deployments, free_port
from support.walks import STEPS, changes

pytestmark = pytest.mark.slow
WALKS = int(os.environ.get("KEYFLEET_WALK_STEPS", "40")) // 20  # make test-full takes more


def run(deployment: Deployment, directives: dict[str, Any], kill_before: str = "") -> int:
    """Run site.yml, killed before a step if so asked; return its exit status."""
    os.environ[KILL_VARIABLE] = kill_before
    try:
        return deployment.run(redis_server_directives=directives).rc
    finally:
        del os.environ[KILL_VARIABLE]


def crash(deployment: Deployment) -> None:
    """Kill supervisor and server, as a lost machine would end them."""
    path = deployment.root() / "run/keyfleet/default/status.json"
    if path.exists():
        status = json.loads(path.read_text(encoding="utf-8"))
        for kind in ("runner_pid", "server_pid"):
            if status.get(kind):
                os.kill(status[kind], signal.SIGKILL)
        while any(os.path.exists(f"/proc/{status[kind]}") for kind in ("runner_pid", "server_pid") if status.get(kind)):  # noqa: PTH110
            time.sleep(0.01)


@settings(max_examples=WALKS, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(before=changes, after=changes, step=st.sampled_from(STEPS), lost=st.booleans())
def test_no_key_is_ever_missing(before: dict[str, Any], after: dict[str, Any], step: str, lost: bool) -> None:
    """Deployed one way, changed to another by a run that is killed, the machine lost, run again: every saved key is there."""
    for deployment in deployments(Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))):
        port = free_port()
        deployment.variables = {"redis_server_instances": [{"name": "default", "port": port}]}
        first, second = (
            {"appendfsync": "always", **{name: value for name, value in change.items() if value is not None}} for change in (before, after)
        )
        assert 0 == run(deployment, first)
        with deployment.client(port) as client:
            client.mset({f"key:{number}": number for number in range(100)})
            client.save()
        run(deployment, second, kill_before=step)
        if lost:
            crash(deployment)
        assert 0 == run(deployment, second)
        with deployment.client(port) as client:
            assert 100 == client.dbsize()
