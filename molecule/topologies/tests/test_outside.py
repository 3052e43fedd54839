# SPDX-License-Identifier: GPL-3.0-or-later
"""What an application outside of the hosts finds, with nothing but the profile."""

from __future__ import annotations

from keyfleet import Client


def test_writes_and_reads_on_every_primary(client: Client) -> None:
    """A hundred keys, read back; the health of the whole is ok."""
    entries = {f"molecule:outside:{number}": str(number) for number in range(100)}
    client.set_many(entries)
    assert entries == client.get_many(entries)
    report = client.health(write_probe=True)
    assert ("ok", []) == (report.verdict, report.reasons)
    assert 100 == client.delete(*entries)
