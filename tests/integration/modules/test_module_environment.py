# SPDX-License-Identifier: MIT
"""What modules say about the environment that they fall back to."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from keyfleet.testing.servers import start_server
from support.modules import DEBIAN_PYTHON, run_module

PASSWORD = "correct-horse-battery"


def test_password_of_the_sentinels_is_not_printed() -> None:
    """It comes from the environment only, and is masked like the server's."""
    environ = {"REDIS_URL": "redis+sentinel://127.0.0.1:1/main", "REDIS_SENTINEL_PASSWORD": PASSWORD}
    result = run_module("redis_key", {"key": PASSWORD, "value": PASSWORD}, diff=True, environ=environ)
    assert (True, "UnreachableError") == (result.failed, result["error"])
    assert PASSWORD not in result.stdout + result.stderr


@pytest.mark.parametrize("python", [sys.executable, DEBIAN_PYTHON], ids=["current", "distribution"])
def test_faults_of_the_environment_are_warnings_of_the_task(tmp_path: Path, python: str) -> None:
    """A playbook shows what an application gets as a Python warning; the option says the same and is taken at its word."""
    with start_server(tmp_path, tls=True, password=PASSWORD) as server:
        url = f"rediss://:{PASSWORD}@127.0.0.1:{server.port}"
        doubtful = {"REDIS_URL": url, "REDIS_TLS_VERIFY": "false", "REDIS_PASSWROD": PASSWORD}
        result = run_module("redis_key", {"key": "k", "value": "v"}, python=python, environ=doubtful)
        sure = run_module("redis_key", {"url": url, "validate_certs": False, "key": "k", "value": "v"}, python=python)
    warnings = [str(warning) for warning in result["warnings"]]
    assert (False, 2, "") == (result.failed, len(warnings), result.stderr)
    assert "REDIS_PASSWROD is set and means nothing here; was REDIS_PASSWORD meant?" in warnings[0]
    assert "REDIS_TLS_VERIFY is off" in warnings[1]
    assert PASSWORD not in result.stdout
    assert (False, False) == (sure.failed, "warnings" in sure)
