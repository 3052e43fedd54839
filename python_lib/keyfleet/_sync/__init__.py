# SPDX-License-Identifier: MIT - made from _async/__init__.py by scripts/generate_sync.py; change that one
"""The client: written for asyncio in ``_async``; ``_sync``, for threads, is made from that by scripts/generate_sync.py."""
