# SPDX-License-Identifier: MIT
"""
Connections and their pools, once for threads and once for asyncio.

``thread_pool`` and ``asyncio_pool`` offer the same names: Node, exchange_all, Lock, sleep, run_blocking, open_raw. The code above
them is written once, for ``asyncio_pool``; scripts/generate_sync.py derives the other from it.
"""
