# SPDX-License-Identifier: MIT
"""Greenlets of gevent use Client as threads do; gevent.Timeout may end any of their waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from keyfleet.testing.servers import Server

pytest.importorskip("gevent")

PROGRAM = """
from gevent import monkey
monkey.patch_all()
import json, os, random
import gevent
from keyfleet import Client, Policy

GREENLETS, CALLS, CONNECTIONS = 20, 200, 3
client = Client.from_env(policy=Policy(max_connections=CONNECTIONS))
found = {"wrong": 0, "timeouts": 0, "answers": 0}

def work(number):
    dice = random.Random(number)
    for call in range(CALLS):
        value = f"{number}:{call}"
        try:
            with gevent.Timeout(dice.choice([0.0005, 0.002, 0.01, 5])):
                client.set(f"k{number}", value)
                found["wrong"] += client.get(f"k{number}") != value
                found["answers"] += 1
        except gevent.Timeout:
            found["timeouts"] += 1

gevent.joinall([gevent.spawn(work, number) for number in range(GREENLETS)], raise_error=True)
# Each of the connections can still be used: all of them block at the same time, and another greenlet serves them.
poppers = [gevent.spawn(client.blpop, f"list{number}", timeout_seconds=5) for number in range(CONNECTIONS)]
found["popped"] = sum(client.lpush(f"list{number}", "x") for number in range(CONNECTIONS))
found["served"] = [popper.get() is not None for popper in poppers]
waiting = [gevent.spawn(client.get, f"k{number}") for number in range(GREENLETS)]
found["read"] = sum(item.get() is not None for item in waiting)
found["connections"] = client.stats.connections
client.close()
print(json.dumps(found))
"""


def test_greenlets_whose_waits_time_out_lose_no_connection(redis_server: Server) -> None:
    """No reply goes to another greenlet, and no connection is lost to a Timeout."""
    environ = {**os.environ, "REDIS_HOST": redis_server.host, "REDIS_PORT": str(redis_server.port), "REDIS_TIMEOUT_SECONDS": "10"}
    environ.pop("REDIS_URL", None)
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, env=environ, check=False)
    assert 0 == done.returncode, done.stderr
    found = json.loads(done.stdout)
    assert (0, 20 * 200) == (found["wrong"], found["answers"] + found["timeouts"])
    assert found["timeouts"] > 0
    assert found["answers"] > 0
    assert ([True] * 3, 20) == (found["served"], found["read"])
    assert found["connections"] <= 3 + 3
