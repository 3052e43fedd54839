# SPDX-License-Identifier: MIT
"""
Connections and their pools, once for threads and once for asyncio.

Each ``thread_`` file offers the names of its ``asyncio_`` twin, with the same arguments: waits, link, pool, engines, inbox. The code above
them is written once, for asyncio; scripts/generate_sync.py derives the other from it, and a test compares the two.
"""
