# SPDX-License-Identifier: MIT
"""Answers the names of emulations in processes that tests start with this folder on PYTHONPATH; see `support.managed.in_processes`."""

import json
import os
import socket
from pathlib import Path

_resolve = socket.getaddrinfo
_names = json.loads(Path(os.environ["KEYFLEET_TEST_NAMES"]).read_text(encoding="utf-8"))


def _answer(host, *rest, **more):  # type: ignore[no-untyped-def]
    return [found for address in _names.get(host, [host]) for found in _resolve(address, *rest, **more)]


socket.getaddrinfo = _answer
