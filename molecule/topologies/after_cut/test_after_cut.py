# SPDX-License-Identifier: GPL-3.0-or-later
"""After a primary's host was cut off and joined again (cut.yml), it is a replica of the one that took over."""

from __future__ import annotations

from keyfleet import Client
from nodes import Instance


def test_every_acknowledged_write_is_there(client: Client) -> None:
    """What was written to the new primary meanwhile wins over what it had before."""
    names = [f"molecule:{number}" for number in range(100)]
    assert dict.fromkeys(names, "cut") == client.get_many(names)
    report = client.health(write_probe=True)
    assert ("ok", []) == (report.verdict, report.reasons)


def test_no_other_server_was_started_again(instance: Instance) -> None:
    """The one that was cut off neither."""
    before = instance.host.file("/root/molecule.pid").content_string.strip()
    assert instance.pid() == int(instance.property("MainPID"))
    assert before == str(instance.pid())
