# SPDX-License-Identifier: MIT
"""What a client counts while it works."""

from __future__ import annotations


class Counters:
    """What a client has done so far; its attributes are those of Stats, which says what they mean. Each begins with 0."""

    calls = retries = failures = fallbacks = waits = connections_opened = undecodable = 0
