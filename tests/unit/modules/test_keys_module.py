# SPDX-License-Identifier: MIT
"""The module redis_key keeps values out of the system log and long lists out of its result."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.keyfleet.redis.plugins.modules import redis_key

SECRET = "s3cr3t"


@pytest.mark.parametrize("args", [{"key": "k", "value": SECRET}, {"entries": [{"key": "k", "value": SECRET}]}])
def test_values_are_not_logged(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], args: dict[str, Any]) -> None:
    """Ansible logs each module's arguments to the host's system log, where others read; this one's are left out."""
    logged: list[str] = []
    monkeypatch.setattr(AnsibleModule, "log", lambda self, msg, log_args=None: logged.append(f"{msg} {log_args}"))
    with patch_module_args({"login_port": 1, **args}), pytest.raises(SystemExit):
        redis_key.main()
    assert json.loads(capsys.readouterr().out)["failed"]
    assert 1 == len(logged)
    assert SECRET not in logged[0]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"value": SECRET}, {"value": SECRET}),
        ({"value": SECRET, "hide_values": True}, {"value": "VALUE_HIDDEN"}),
        ({"value": SECRET, "hide_values": "perhaps"}, {"value": "VALUE_HIDDEN"}),
        ({"value": None, "hide_values": True}, {"value": None}),
        ({"entries": [{"value": SECRET}] * 3}, {"entries": "3 entries"}),
        ({"entries": None}, {"entries": None}),
    ],
)
def test_shown_arguments(given: dict[str, Any], shown: dict[str, Any]) -> None:
    """Entries are counted, values hidden on request, also where the request itself is malformed."""
    assert {"module_args": {**given, **shown}} == redis_key.shown_arguments(given)
