# SPDX-License-Identifier: MIT - made from _async/calls/__init__.py by scripts/generate_sync.py; change that one
"""The calls of the client, one file a subject."""
