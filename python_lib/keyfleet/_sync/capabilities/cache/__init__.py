# SPDX-License-Identifier: MIT - made from _async/capabilities/cache/__init__.py by scripts/generate_sync.py; change that one
"""The cache of the client."""
