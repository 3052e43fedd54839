# SPDX-License-Identifier: MIT
"""What a cache counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class CacheStats:
    """
    What the cache of a client has done so far.

    Attributes:
        hits: Values that were served from the server.
        local_hits: Values that were served from this process's memory.
        misses: Values that were missing, expired or invalidated, each caller counted.
        loads: Calls of a loader.
        load_errors: Loaders that raised.
        shared: Callers that got the value of another caller's loader in this process.
        waits: Times that another process's loader was waited for.
        refreshes: Loads in the background, before the entry expired.
        stale: Stale values that were served since the loader raised.
        discarded: Values that were loaded and not stored, since the key was invalidated or taken over meanwhile.
        undecodable: Entries that could not be read.
        outages: Calls to the server that failed, so that a loader ran without it, or its value was not stored.
    """

    hits: int = 0
    local_hits: int = 0
    misses: int = 0
    loads: int = 0
    load_errors: int = 0
    shared: int = 0
    waits: int = 0
    refreshes: int = 0
    stale: int = 0
    discarded: int = 0
    undecodable: int = 0
    outages: int = 0
