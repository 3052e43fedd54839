# SPDX-License-Identifier: GPL-3.0-or-later
"""Another version was pinned, or other flags were given (upgrade.yml)."""

from __future__ import annotations

from nodes import Instance


def test_server_was_restarted_with_the_new_program(instance: Instance) -> None:
    """One restart, with the data."""
    started = instance.host.check_output("journalctl --quiet --output=cat --unit %s --grep ^Started", instance.unit)
    assert instance.cli("GET", "molecule:pid") not in {"", str(instance.pid())}
    assert int(instance.cli("GET", "molecule:starts")) + 1 == len(started.splitlines())
