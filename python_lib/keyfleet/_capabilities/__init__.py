# SPDX-License-Identifier: MIT
"""Policies of the capabilities: pure, the same for both clients; clocks and random numbers are parameters."""
