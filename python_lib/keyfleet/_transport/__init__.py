# SPDX-License-Identifier: MIT
"""
Connections and their pools, once for threads and once for asyncio.

``threads`` and ``tasks`` offer the same names: Node, exchange_all, Lock, sleep, run_blocking, open_raw. The code above them is written
once, for ``tasks``; scripts/generate_sync.py derives the other from it.
"""
