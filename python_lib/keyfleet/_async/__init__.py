# SPDX-License-Identifier: MIT
"""The client: written for asyncio in ``_async``; ``_sync``, for threads, is made from that by scripts/generate_sync.py."""
