# Made from _async/__init__.py by scripts/generate_sync.py; change that one.
# SPDX-License-Identifier: MIT
"""The client, written for asyncio; scripts/generate_sync.py derives ``_sync`` from it."""
