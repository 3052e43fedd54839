# SPDX-License-Identifier: MIT
"""One server process of keyfleet: its desired state, and the way from what runs to it."""
