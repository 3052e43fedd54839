# SPDX-License-Identifier: MIT - made from _async/capabilities/__init__.py by scripts/generate_sync.py; change that one
"""The client's capabilities, one file or folder each; loaded when a program uses them."""
