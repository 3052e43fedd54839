# SPDX-License-Identifier: MIT
"""Restarts in the midst of load: whose turn it is, and who takes over from a primary."""
