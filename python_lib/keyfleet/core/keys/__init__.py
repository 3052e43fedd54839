# SPDX-License-Identifier: MIT
"""Keys and their values: planned, read, written, deleted."""
