# SPDX-License-Identifier: MIT
"""The client, written for asyncio; scripts/generate_sync.py derives ``_sync`` from it."""
